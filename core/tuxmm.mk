# tuxmm.mk - for kernels built with Make: the core's sources, as paths from TUXMM
#
#	TUXMM := path/to/tuxmm
#	include $(TUXMM)/core/tuxmm.mk
#	objs += $(tuxmm_sources:.c=.o)
#	CFLAGS += $(tuxmm_cflags) -I path/to/your/port
tuxmm_sources := $(addprefix $(TUXMM)/core/,$(shell cat $(TUXMM)/core/sources.txt))
tuxmm_cflags := -std=c11 -ffreestanding -fvisibility=hidden -fno-strict-aliasing -I$(TUXMM)/include -I$(TUXMM)/core
