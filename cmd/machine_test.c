#include "cmd.h"

#include <stdlib.h>
#include <string.h>

#include <tuxmm/page_debug.h>

#include "test.h"

#define MIB (UINT64_C(1) << 20)

static struct machine_file file;

static bool reads(const char *text)
{
	return machine_read(text, strlen(text), NULL, &file);
}

TEST(each_preset_is_a_machine)
{
	for (size_t i = 0; i < nr_machine_presets; i++) {
		const char *text = machine_presets[i].text;

		if (!reads(text))
			test_note("%s:%u: %s", machine_presets[i].name, file.fault_line,
			          file.fault);
		CHECK(reads(text));
		CHECK(strncmp(text, "# ", 2) == 0);
		CHECK(file.ram_bytes > 0 && file.arena_bytes >= file.ram_bytes);
		CHECK(file.shape.nr_cpus >= 1 && file.shape.nr_nodes >= 1);
	}
}

TEST(what_is_written_is_the_shape)
{
	CHECK(reads("\xef\xbb\xbf[machine]\r\n"
	            "  cpus: 6 ; indented, with a colon and a comment\n"
	            "# of its own line\n"
	            "memory-model = sparse\nsection-size = 64M\nmax-order = 12\n"
	            "mem = 0x6000000\nkernelcore = 16M\nmovablecore = 8M\n"
	            "min-free-kbytes = 1024\nwatermark-scale-factor = 100\n"
	            "stack-high = 64\nstack-batch = 16\nkernel = 4M\n"
	            "overcommit = never\novercommit-ratio = 80\nmax-map-count = 100\n"
	            "fault-around = 16K\nanonymous-around = 4096\n"
	            "swiotlb = 2M\nswiotlb-mode = force\ncoherent-pool = 64K\n"
	            "dma-debug = on\n"
	            "page-tables = x86-64-la57\n"
	            "[memory low]\nstart = 1M\nsize = 63M\n"
	            "[memory high]\nstart = 64M\nsize = 64M\nnode = 1\n"
	            "[memory rom]\nstart = 0\nsize = 64K\ntype = nvs\n"
	            "[node 1]\ncpus = 3, 4-5\ndistance = 17, 10\n"
	            "[node 0]\ncpus = 0-2\ndistance = 10 17\n"
	            "[cma gpu]\nsize = 8M\nbase = 32M\nlimit = 64M\nalignment = 8M\n"
	            "order-per-bit = 2\nnode = 0\n"
	            "[debug]\npage-owner = on\n"));
	CHECK(file.shape.debug == TMM_DEBUG_PAGE_OWNER && file.shape.hotplug_end == 0);
	CHECK(file.shape.nr_cpus == 6 && file.shape.memory_model == TMM_MEMORY_SPARSE);
	CHECK(file.shape.section_bytes == 64 * MIB && file.shape.max_order == 12);
	CHECK(file.shape.mem_limit_bytes == 96 * MIB);
	CHECK(file.shape.kernelcore_bytes == 16 * MIB &&
	      file.shape.movablecore_bytes == 8 * MIB);
	CHECK(file.shape.min_free_kbytes == 1024 && file.shape.watermark_scale_factor == 100);
	CHECK(file.shape.stack_high_pages == 64 && file.shape.stack_batch_pages == 16);
	CHECK(file.shape.kernel_bytes == 4 * MIB && file.shape.overcommit_memory == 2);
	CHECK(file.shape.overcommit_ratio == 80 && file.shape.max_map_count == 100);
	CHECK(file.shape.swiotlb_bytes == 2 << 20 && file.shape.swiotlb == TMM_SWIOTLB_FORCE);
	CHECK(file.shape.coherent_pool_bytes == 65536 && file.shape.dma_debug == TMM_DMA_DEBUG);
	CHECK(file.shape.fault_around_bytes == 16384 && file.shape.anon_around_bytes == 4096);
	CHECK(file.shape.geometry == TMM_GEOMETRY_X86_64_LA57 && file.shape.lowmem_bytes == 0);
	CHECK(file.shape.nr_ranges == 3 && file.shape.firmware_map == file.map);
	CHECK(file.map[0].start.v == MIB && file.map[0].node == 0);
	CHECK(file.map[1].size_bytes == 64 * MIB && file.map[1].node == 1);
	CHECK(file.map[2].type == TMM_FW_NVS);
	CHECK(file.ram_bytes == 127 * MIB && file.arena_bytes == 128 * MIB);
	CHECK(file.shape.nr_nodes == 2 && file.shape.distance[0][1] == 17);
	CHECK(file.shape.cpu_node[2] == 0 && file.shape.cpu_node[3] == 1);
	CHECK(file.shape.nr_cma == 1 && strcmp(file.shape.cma[0].name, "gpu") == 0);
	CHECK(file.shape.cma[0].size_bytes == 8 * MIB && file.shape.cma[0].base == 32 * MIB);
	CHECK(file.shape.cma[0].limit == 64 * MIB && file.shape.cma[0].align_bytes == 8 * MIB);
	CHECK(file.shape.cma[0].order_per_bit == 2 && file.shape.cma[0].node == 0);
}

#define R "[machine]\nram = 64M\n"

TEST(memory_may_be_added_up_to_hotplug_end)
{
	CHECK(reads("[machine]\nram = 64M\nmemory-model = sparse\nhotplug-end = 1G\n"
	            "[debug]\npoison = on\npage-owner = off\n"));
	CHECK(file.shape.hotplug_end == 1024 * MIB && file.arena_bytes == 1024 * MIB);
	CHECK(file.ram_bytes == 64 * MIB && file.shape.debug == TMM_DEBUG_PAGE_POISON);
	CHECK(reads("[machine]\nram = 64M\n[debug]\npoison = on\npage-owner = on\n"
	            "slab-nomerge = on\nslab-panic = on\n"));
	CHECK(file.shape.debug == (TMM_DEBUG_PAGE_OWNER | TMM_DEBUG_PAGE_POISON));
	CHECK(file.shape.slab_options == (TMM_SLAB_NO_MERGE | TMM_SLAB_PANIC));
	CHECK(!file.shape.slab_debug && !file.shape.failslab.probability);
}

TEST(caches_debug_as_the_file_says)
{
	const struct tmm_failslab *fail = &file.shape.failslab;

	CHECK(reads(R "[debug]\nslab = FZ,kmalloc-*;A,mm_struct ; caches\n"
	              "slab-freelist-random = on\nfailslab = 2,50,4096,-1\n"));
	CHECK(strcmp(file.shape.slab_debug, "FZ,kmalloc-*;A,mm_struct") == 0);
	CHECK(file.shape.slab_options == TMM_SLAB_RANDOM);
	CHECK(fail->interval == 2 && fail->probability == 50 && fail->space_bytes == 4096 &&
	      fail->times == -1 && !fail->fails_waiting);
	CHECK(reads(R "[debug]\nfailslab = 1,1,0,7\nfailslab-ignore-gfp-wait = on\n"));
	CHECK(fail->times == 7 && !fail->fails_waiting);
	CHECK(reads(R "[debug]\nfailslab-ignore-gfp-wait = off\n") && fail->fails_waiting);
}

TEST(ram_of_the_command_line_replaces_memory)
{
	const uint64_t ram = 32 * MIB;
	static const char text[] = "[machine]\ncpus = 2\n[memory a]\nstart = 1G\nsize = 64M\n";
	static const char two[] = "[machine]\ncpus = 2\nram = 1G\n[node 0]\ncpus = 0\n"
				  "[node 1]\ncpus = 1\n";

	CHECK(machine_read(text, strlen(text), &ram, &file));
	CHECK(file.ram_bytes == ram && file.arena_bytes == ram && file.shape.nr_cpus == 2);
	CHECK(!machine_read(two, strlen(two), &ram, &file) && file.fault_line == 6);
	CHECK(machine_read("", 0, &ram, &file) && file.shape.nr_cpus == 1);
}

/* line, what is said, the file; an R line stands for what makes the rest whole. */
#define N "[machine]\nram = 64M\ncpus = 2\n[node 0]\ncpus = 0\n[node 1]\ncpus = 1\n"
#define M "[memory a]\nstart = 0\nsize = 64M\n"

static const struct bad {
	unsigned line;
	const char *says;
	const char *text;
} bad_files[] = {
	{0, "no memory: expected ram = SIZE", ""},
	{1, "a key without a section: expected [machine]", "ram = 64M\n"},
	{3, "[machin]: no such section: expected [machine], ", R "[machin]\nx = 1\n"},
	{1, "[machine x]: expected [machine]", "[machine x]\nram = 1\n"},
	{3, "expected [memory NAME]", R "[memory]\nsize = 1\n"},
	{3, "expected [cma NAME]", R "[cma a b]\nsize = 1\n"},
	{3, "expected [node NUMBER], numbers 0 to 15", R "[node 16]\ncpus = 0\n"},
	{3, "expected [node NUMBER]", R "[node 01]\ncpus = 0\n"},
	{3, "is there already, line 1: expected each section once", R "[machine]\ncpus = 1\n"},
	{4, "[memory a]: is there already, line 1", M "[memory  a]\nsize = 1\n"},
	{3, "a section without keys", R "[node 0]\n[node 1]\ncpus = 0\n"},
	{3, "a section without keys", R "[cma a]\n"},
	{3, "without ']'", R "[cma a\nsize = 1\n"},
	{3, "text after [SECTION]", R "[cma a] size = 1\n"},
	{3, "expected KEY = VALUE or [SECTION]", R "cpus\n"},
	{3, "a section's name of 62 characters: expected at most 49",
         R "[cma 12345678901234567890123456789012345678901234567890123456]\nsize = 1\n"},
	{3, "[machine] color: no such key: see tuxmm-machine(5)", R "color = red\n"},
	{4, "[cma a] color: no such key: expected one of size base limit alignment ",
         R "[cma a]\ncolor = red\n"},
	{3, "ram: is there already, line 2: expected each key once", R "ram = 64M\n"},
	{2, "[machine] ram = 64X: expected a size such as 64M", "[machine]\nram = 64X\n"},
	{2, "[machine] ram = : expected a size", "[machine]\nram =\n"},
	{2, "[machine] ram = 0: expected more than 0", "[machine]\nram = 0\n"},
	{2, "[machine] ram = -1: expected a size", "[machine]\nram = -1\n"},
	{2, "[machine] ram: ends at more than 8T", "[machine]\nram = 8T\n"},
	{3, "cpus = 0: expected a number from 1 to 256", R "cpus = 0\n"},
	{3, "cpus = 257: expected a number from 1 to 256", R "cpus = 257\n"},
	{3, "max-order = 8: expected a number from 9 to 18", R "max-order = 8\n"},
	{3, "expected flat, discontiguous or sparse", R "memory-model = Flat\n"},
	{3, "expected heuristic, always or never", R "overcommit = 2\n"},
	{3, "expected x86-64, x86-64-la57, x86-32 or x86-pae", R "page-tables = arm\n"},
	{3, "section-size: expected it only with memory-model = sparse",
         R "section-size = 2M\n"},
	{4, "section-size = 3M: expected a power of two of at least 2M",
         R "memory-model = sparse\nsection-size = 3M\n"},
	{4, "section-size = 1M: expected a power of two of at least 2M",
         R "memory-model = sparse\nsection-size = 1M\n"},
	{4, "a run of max-order = 10 has 4M: expected sections to hold it",
         R "memory-model = sparse\nsection-size = 2M\n"},
	{4, "a run of max-order = 16 has 256M: expected sections to hold it",
         R "memory-model = sparse\nmax-order = 16\n"},
	{3, "hotplug-end: expected it only with memory-model = sparse", R "hotplug-end = 1G\n"},
	{4, "hotplug-end = 64M: expected a multiple of 128M, a section, above the end of RAM",
         R "memory-model = sparse\nhotplug-end = 64M\n"},
	{5, "hotplug-end = 72M: expected a multiple of 16M, a section,",
         R "memory-model = sparse\nsection-size = 16M\nhotplug-end = 72M\n"},
	{4, "hotplug-end = 16T: expected at most 8T, the physical addresses of page-tables = ",
         R "memory-model = sparse\nhotplug-end = 16T\n"},
	{4, "hotplug-end = 1: expected a multiple",
         R "memory-model = sparse\nhotplug-end = 1\n"},
	{3, "[debug x]: expected [debug]", R "[debug x]\npoison = on\n"},
	{4, "[debug] poison = yes: expected off or on", R "[debug]\npoison = yes\n"},
	{4, "[debug] slab = FX: expected letters of FZPUTAO", R "[debug]\nslab = FX\n"},
	{4, "[debug] failslab = 1,101,0,1: expected INTERVAL,PROBABILITY,SPACE,TIMES",
         R "[debug]\nfailslab = 1,101,0,1\n"},
	{4, "[debug] failslab = 1,1,0: expected INTERVAL", R "[debug]\nfailslab = 1,1,0\n"},
	{4, "[debug] failslab = 1,1,0,0: expected", R "[debug]\nfailslab = 1,1,0,0\n"},
	{4, "[debug] failslab = 1,1,0,1x: expected", R "[debug]\nfailslab = 1,1,0,1x\n"},
	{4,
         "[debug] owner: no such key: expected one of page-owner poison slab slab-nomerge "
         "slab-panic slab-freelist-random failslab failslab-ignore-gfp-wait",
         R "[debug]\nowner = on\n"},
	{5, "[debug]: is there already, line 3: expected each section once",
         R "[debug]\npoison = on\n[debug]\npage-owner = on\n"},
	{3, "lowmem = 3G: expected a multiple of 4M from 32M to 2944M", R "lowmem = 3G\n"},
	{4, "lowmem = 33M: expected a multiple of 4M from 32M to 2944M",
         R "page-tables = x86-32\nlowmem = 33M\n"},
	{3, "kernelcore: expected less than the machine's RAM, 64M", R "kernelcore = 64M\n"},
	{3, "movablecore: expected less than", R "movablecore = 1G\n"},
	{3, "kernel: expected less than", R "kernel = 65M\n"},
	{3, "min-free-kbytes: expected less than", R "min-free-kbytes = 65536\n"},
	{4, "stack-batch: more than stack-high = 8", R "stack-high = 8\nstack-batch = 9\n"},
	{3, "fault-around = 12K: expected a power of two", R "fault-around = 12K\n"},
	{3, "fault-around = 1K: expected 4K to ", R "fault-around = 1K\n"},
	{2, "ends at more than 4G, the hole below 4G included",
         "[machine]\nram = 4G\npage-tables = x86-32\n"},

	{2, "ram: [memory a], line 3, says where RAM is: expected one of both", R M},
	{1, "[memory a]: expected start and size", "[memory a]\nsize = 1M\n"},
	{1, "[memory a]: expected start and size", "[memory a]\nstart = 1M\n"},
	{1, "no usable memory", "[memory a]\nstart = 0\nsize = 1M\ntype = reserved\n"},
	{4, "type = ram: expected usable, reserved, acpi, nvs or unusable",
         "[memory a]\nstart = 0\nsize = 1M\ntype = ram\n"},
	{4, "node: the range is not usable",
         "[memory a]\nstart = 0\nsize = 1M\nnode = 0\n"
         "type = acpi\n"},
	{3, "[memory a]: ends at more than 8T", "[memory a]\nstart = 8191G\nsize = 2G\n"},
	{3, "[memory a]: ends at more than 8T",
         "[memory a]\nstart = 1M\nsize = 0xffffffffffffffff\n"},
	{3,
         "[memory a]: ends at more than 64G: expected physical addresses of page-tables = "
         "x86-pae",
         "[memory a]\nstart = 63G\nsize = 2G\n[machine]\npage-tables = x86-pae\n"},
	{5, "[memory b]: overlaps [memory a], line 1",
         M "[memory b]\nstart = 63M\nsize = 1G\n"},
	{5, "[memory b]: overlaps [memory a], line 1",
         M "[memory b]\nstart = 4K\nsize = 4K\ntype = nvs\n"},
	{7, "[memory b] node: [memory a], line 1, has the same 2M",
         "[memory a]\nstart = 0\nsize = 63M\n[memory b]\nstart = 63M\nsize = 2M\nnode = 1\n"
         "[node 0]\ncpus = 0\n[node 1]\ncpus = 1\n[machine]\ncpus = 2\n"},
	{4, "[memory a] node = 1: no such node: expected a [node 1] section", M "node = 1\n"},

	{3, "[node 2]: there are 1 nodes: expected numbers from 0 without a gap",
         R "[node 2]\ncpus = 0\n"},
	{6, "cpus = 0: CPU 0 is on [node 0] already, line 4: expected each CPU once",
         R "[node 0]\ncpus = 0\n[node 1]\ncpus = 0\n"},
	{4, "CPU 2 is not there: expected numbers below cpus = 1", R "[node 0]\ncpus = 0,2\n"},
	{3, "CPU 1 is on no node", R "cpus = 2\n[node 0]\ncpus = 0\n"},
	{4, "swiotlb: expected no size with swiotlb-mode = none",
         R "swiotlb-mode = none\nswiotlb = 1M\n"},
	{4, "cpus = 3-1: expected a list of CPUs", R "[node 0]\ncpus = 3-1\n"},
	{4, "cpus = 0-256: expected a list of CPUs", R "[node 0]\ncpus = 0-256\n"},
	{4, "cpus = 0,: expected a list of CPUs", R "[node 0]\ncpus = 0,\n"},
	{5, "[node 1]: neither CPUs nor memory",
         R "[node 0]\ncpus = 0\n[node 1]\ndistance = 20 10\n"},
	{4, "distance = 9: expected a number from 10 to 254", R "[node 0]\ndistance = 9\n"},
	{4, "distance = 255: expected a number from 10 to 254", R "[node 0]\ndistance = 255\n"},
	{8, "[node 1] distance: some nodes say theirs", N "distance = 20 10\n"},
	{5, "[node 0] distance: 2 numbers: expected 1",
         R "[node 0]\ncpus = 0\ndistance = 10 20\n"},
	{5, "[node 0] distance: 11 to itself: expected 10",
         R "[node 0]\ncpus = 0\ndistance = 11\n"},
	{5, "10 to node 1: expected more",
         R "cpus = 1\n[node 0]\ndistance = 10 10\ncpus = 0\n"
           "[node 1]\ndistance = 10 10\n"},
	{5, "20 to node 1 and 30 back: expected both equal",
         "[machine]\nram = 64M\ncpus = 2\n[node 0]\ndistance = 10 20\ncpus = 0\n"
         "[node 1]\ndistance = 30 10\ncpus = 1\n"},

	{3, "[cma a]: expected size", R "[cma a]\nbase = 2M\n"},
	{4, "size = 3M: expected a multiple of 2M", R "[cma a]\nsize = 3M\n"},
	{4, "size = 2M: expected a multiple of 4M",
         R "[cma a]\nsize = 2M\norder-per-bit = 10\n"},
	{5, "alignment = 3M: expected a power of two",
         R "[cma a]\nsize = 4M\nalignment = 3M\n"},
	{5, "base = 0x1100000: expected a multiple of 2M",
         R "[cma a]\nsize = 4M\nbase = 17M\n"},
	{5, "base = 0x1200000: expected a multiple of 4M",
         R "[cma a]\nsize = 4M\nbase = 18M\nalignment = 4M\n"},
	{5, "base: not all of it is RAM in one piece", R "[cma a]\nsize = 4M\nbase = 62M\n"},
	{5, "base: not all of it is RAM in one piece", R "[cma a]\nsize = 4M\nbase = 1G\n"},
	{4, "size: no usable range has room for it", R "[cma a]\nsize = 64M\n"},
	{4, "size: no usable range has room for it", R "[cma a]\nsize = 4M\nlimit = 4M\n"},
	{6, "limit: base and size go beyond", R "[cma a]\nsize = 4M\nbase = 8M\nlimit = 10M\n"},
	{5, "node = 1: no such node", R "[cma a]\nsize = 4M\nnode = 1\n"},
	{8, "[cma b] base: overlaps [cma a], line 3",
         R "[cma a]\nsize = 4M\nbase = 8M\n[cma b]\nsize = 4M\nbase = 10M\n"},
	{6, "[cma b] size: areas take all RAM", R "[cma a]\nsize = 32M\n[cma b]\nsize = 32M\n"},
	{19, "expected at most 8 such sections",
         R "[cma a]\nsize = 2M\n[cma b]\nsize = 2M\n[cma c]\nsize = 2M\n[cma d]\nsize = 2M\n"
           "[cma e]\nsize = 2M\n[cma f]\nsize = 2M\n[cma g]\nsize = 2M\n[cma h]\nsize = 2M\n"
           "[cma i]\nsize = 2M\n"},
};

TEST(what_contradicts_itself_is_refused_with_its_line)
{
	for (size_t i = 0; i < sizeof(bad_files) / sizeof(bad_files[0]); i++) {
		const struct bad *bad = &bad_files[i];
		bool right = !reads(bad->text) && file.fault_line == bad->line &&
		             strstr(file.fault, bad->says) && strstr(file.fault, "expected");

		if (!right)
			test_note("%zu: %s\nline %u: %s\nnot line %u: %s", i, bad->text,
			          file.fault_line, file.fault, bad->line, bad->says);
		CHECK(right);
	}
}

TEST(long_lines_and_zeroes_are_refused)
{
	char text[400] = R;
	size_t used = strlen(R);

	memset(text + used, 'x', 300);
	CHECK(!machine_read(text, used + 300, NULL, &file) && file.fault_line == 3);
	CHECK(strstr(file.fault, "a line of 300 characters"));
	CHECK(!machine_read(R "\0\n", used + 2, NULL, &file) && file.fault_line == 3);
	CHECK(strstr(file.fault, "a byte 0"));
}

/* A few bytes of a preset changed, left out, doubled, or swapped with another's. */
static size_t mutate(char *text, size_t length, size_t room, uint64_t *seed)
{
	static const char likely[] = "[]=\n#;,-0123456789KMGTx \t\0\xff:abmn";

	for (unsigned n = 1 + (unsigned)(test_random(seed) % 6); n > 0 && length > 1; n--) {
		size_t at = test_random(seed) % length;
		size_t bytes = 1 + test_random(seed) % (test_random(seed) % 4 ? 4 : 120);
		size_t from = test_random(seed) % length;

		bytes = bytes < length - at ? bytes : length - at;
		switch (test_random(seed) % 4) {
		case 0:
			text[at] = likely[test_random(seed) % (sizeof(likely) - 1)];
			break;
		case 1:
			memmove(text + at, text + at + bytes, length - at - bytes);
			length -= bytes;
			break;
		case 2:
			bytes = bytes < room - length ? bytes : room - length;
			memmove(text + at + bytes, text + at, length - at);
			length += bytes;
			break;
		default:
			bytes = bytes < length - from ? bytes : length - from;
			memmove(text + at, text + from, bytes);
			break;
		}
	}
	return length;
}

/* Whatever the text, there is a fault and its line, or a shape that makes sense. */
TEST(mutations_of_presets_are_machines_or_have_a_fault)
{
	enum { ROOM = 8192, ROUNDS = 20000 };
	uint64_t seed = test_seed();
	unsigned good = 0;

	for (unsigned round = 0; round < ROUNDS; round++) {
		const char *preset = machine_presets[round % nr_machine_presets].text;
		size_t length = strlen(preset);
		char *text = malloc(ROOM), *exact;

		memcpy(text, preset, length);
		length = mutate(text, length, ROOM, &seed);
		exact = malloc(length); /* the sanitizer sees the first byte beyond */
		memcpy(exact, text, length);
		free(text);
		if (machine_read(exact, length, NULL, &file)) {
			good++;
			CHECK(file.shape.nr_ranges >= 1 && file.ram_bytes > 0);
			CHECK(file.shape.nr_cpus >= 1 && file.shape.nr_cpus <= TMM_MAX_CPUS);
			CHECK(file.shape.nr_nodes >= 1 && file.shape.nr_nodes <= TMM_MAX_NODES);
		} else {
			CHECK(file.fault[0] && file.fault_line <= file.last_line + 1);
			CHECK(strstr(file.fault, "expected") ||
			      strlen(file.fault) == sizeof(file.fault) - 1);
		}
		free(exact);
	}
	test_note("%u of %u mutations were machines", good, (unsigned)ROUNDS);
	CHECK(good > ROUNDS / 50 && good < ROUNDS);
}
