# The front door; Meson does the work.
BUILD = build
PREFIX = /usr/local
# Silent when nothing is to be done.
NINJA = ninja -C $(BUILD) -n | grep -q 'no work to do' || ninja -C $(BUILD)

all: configured
	@$(NINJA)

# Installs what is missing, quickly nothing when all is there.
configured:
	@tools/setup build
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) --prefix $(PREFIX) >/dev/null || \
		{ tail -n 20 $(BUILD)/meson-logs/meson-log.txt; exit 1; }

run: all
	@tools/main-job $(BUILD)

test check: configured
	@tools/setup test
	@$(NINJA)
	@meson test -C $(BUILD) -t 4 --print-errorlogs

bench: all
	@for bench in $(BUILD)/bench-*; do \
		test -x $$bench -a -f $$bench || continue; echo "== $${bench##*/}"; $$bench || exit 1; done
	@echo "== programs"; bench/programs $(BUILD)

# Seconds for each fuzzer.
SECONDS = 60

fuzz:
	@tools/setup test
	@test -f $(BUILD)-fuzz/build.ninja || CC=clang meson setup $(BUILD)-fuzz -Dfuzz=enabled \
		-Db_sanitize=address,undefined -Db_lundef=false >/dev/null
	@ninja -C $(BUILD)-fuzz --quiet $(FUZZERS)
	@tools/fuzz $(BUILD)-fuzz $(SECONDS)

FUZZERS = $(patsubst fuzz/corpus/%,fuzz/fuzz-%,$(wildcard fuzz/corpus/*))

cov:
	@tools/setup test
	@test -f $(BUILD)-cov/build.ninja || meson setup $(BUILD)-cov -Db_coverage=true >/dev/null
	@ninja -C $(BUILD)-cov --quiet
	@find $(BUILD)-cov -name '*.gcda' -delete
	@meson test -C $(BUILD)-cov -t 4 --suite core --suite space --suite fuzz >/dev/null
	@gcovr --root . --filter core/ --exclude '.*_test\.[ch]' --json $(BUILD)-cov/cov.json \
		--exclude-branches-by-pattern '.*TMM_ASSERT.*' $(BUILD)-cov
	@gcovr --root . --add-tracefile $(BUILD)-cov/cov.json --print-summary

install: all
	@meson configure $(BUILD) -Dprefix=$(abspath $(PREFIX))
	@meson install -C $(BUILD) --quiet

clean:
	rm -rf $(BUILD)

help:
	@echo 'make          build the command: $(BUILD)/tuxmm'
	@echo 'make run      the main job: real programs on a machine of 128 MiB'
	@echo 'make test     build and run every test (also: make check)'
	@echo 'make bench    measure; docs/PERFORMANCE.md explains the rows; tools/setup bench for peers'
	@echo 'make fuzz     look for inputs that break a promise, SECONDS=60 for each fuzzer'
	@echo 'make cov      what of the core the tests execute, by lines and branches'
	@echo 'make install  install command, library, headers and manual pages below PREFIX'
	@echo 'make clean    remove $(BUILD)'

.PHONY: all configured run test check bench fuzz cov install clean help
