# The front door; Meson does the work.
BUILD = build
NINJA = ninja -C $(BUILD)

all: $(BUILD)/build.ninja
	@$(NINJA)

$(BUILD)/build.ninja:
	@tools/setup build
	@meson setup $(BUILD)

test check: all
	@meson test -C $(BUILD) --print-errorlogs

clean:
	rm -rf $(BUILD)

help:
	@echo 'make          build the command: build/tuxmm'
	@echo 'make test     build and run every test'

.PHONY: all test check clean help
