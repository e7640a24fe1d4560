/*
 * Which requests reach how low: every combination of zone modifier, context and
 * behaviour, at every zone, against the rule as Linux's documentation and source
 * state it, written down anew here.
 *
 *   zone  |free ......|   `free` frames; all other zones are empty
 *         min, reserve    both set so that the request just passes, or just not
 */
#include <stdio.h>
#include <string.h>

#include "page/rig_test.h"

#include "page/gfp.h"
#include "page/zone.h"
#include "panic.h"

static struct rig rig;
static tmm_pfn got[32768];
static size_t nr_got;

#define NEVER (UINT64_C(1) << 40) /* a watermark that nothing reaches */

/*
 * The rule.  alloc_flags follow from the flags (gfp_to_alloc_flags()): HIGH may use
 * half of min; one that cannot block, unless it says NOMEMALLOC, a quarter of the
 * rest too if it is HIGH.  A zone serves when more is free, a run less one page
 * aside, than min and what is kept for lower zones (__zone_watermark_ok()).
 */
static bool rule_allows(uint64_t nr_free, unsigned order, uint64_t min, uint64_t reserve,
                        tmm_gfp gfp)
{
	bool high = gfp & TMM_GFP_HIGH, no_reserves = gfp & TMM_GFP_NOMEMALLOC;
	bool non_block = !(gfp & TMM_GFP_DIRECT_RECLAIM) && !no_reserves;
	uint64_t run = UINT64_C(1) << order;

	if ((gfp & TMM_GFP_MEMALLOC) && !no_reserves)
		return nr_free >= run;
	if (high) {
		min -= min / 2;
		if (non_block)
			min -= min / 4;
	}
	return nr_free >= run && nr_free - (run - 1) > min + reserve;
}

/* The highest zone: the lowest one named wins; movable frames need HIGHMEM too. */
static enum tmm_zone_id rule_highest(tmm_gfp gfp)
{
	if (gfp & TMM_GFP_DMA)
		return TMM_ZONE_DMA;
	if (gfp & TMM_GFP_DMA32)
		return TMM_ZONE_DMA32;
	if ((gfp & TMM_GFP_HIGHMEM) && (gfp & TMM_GFP_MOVABLE))
		return TMM_ZONE_MOVABLE;
	return TMM_ZONE_NORMAL; /* nothing is HIGHMEM on this machine */
}

/*
 *   |DMA 16 MiB|DMA32 48 MiB|MOVABLE 64 MiB|
 */
static struct tmm_pages *boot_empty(void)
{
	const struct pages_config config = {.kernelcore_bytes = 64 * MIB,
	                                    .min_free_kbytes = NO_RESERVE};
	const tmm_gfp all = TMM_GFP_HIGHUSER_MOVABLE | TMM_GFP_MEMALLOC | TMM_GFP_NOWARN;
	struct tmm_pages *pages;

	rig_begin(&rig, 128 * MIB, 1);
	rig_add(&rig, 0, 128 * MIB);
	pages = rig_boot_as(&rig, config);
	CHECK(pages->nr_zones == 3);
	nr_got = 0;
	while (tmm_pages_alloc(pages, all, 0, &got[nr_got]) == TMM_OK)
		nr_got++;
	CHECK(nr_got == pages->managed);
	return pages;
}

/* Put nr frames of the zone, runs of 2^4, into it; they leave got[]. */
static void give_back(struct tmm_pages *pages, const struct zone *zone, uint64_t nr)
{
	uint64_t first = align_up(zone->start + 1024, 1024);

	for (size_t i = nr_got; i-- > 0;) {
		if (got[i].v - first >= nr)
			continue;
		tmm_pages_free(pages, got[i], 0);
		got[i] = got[--nr_got];
	}
	tmm_pages_drain(pages);
	CHECK(zone_free(zone) == nr);
}

static void take_back(struct tmm_pages *pages, uint64_t nr)
{
	const tmm_gfp all = TMM_GFP_HIGHUSER_MOVABLE | TMM_GFP_MEMALLOC;

	for (uint64_t i = 0; i < nr; i++)
		CHECK(tmm_pages_alloc(pages, all, 0, &got[nr_got++]) == TMM_OK);
}

static void end(struct tmm_pages *pages)
{
	while (nr_got > 0)
		tmm_pages_free(pages, got[--nr_got], 0);
	watermarks_update(pages);
	tmm_pages_check(pages);
	pages_fini(pages);
}

/* The request is served as the rule says; the zone is as before afterwards. */
static bool is_as_ruled(struct tmm_pages *pages, struct zone *zone, tmm_gfp gfp, unsigned order,
                        uint64_t min)
{
	uint64_t before = zone_free(zone), reserve = zone->reserve[rule_highest(gfp)];
	bool expected = zone->id <= rule_highest(gfp) &&
	                rule_allows(before, order, min, reserve, gfp);
	tmm_pfn pfn;
	bool served;

	zone->mark[MARK_MIN] = min;
	served = tmm_pages_alloc(pages, gfp, order, &pfn) == TMM_OK;
	if (served != expected)
		test_note("%s: gfp %#x order %u min %llu reserve %llu free %llu: %s",
		          zone_name(zone), gfp, order, (unsigned long long)min,
		          (unsigned long long)reserve, (unsigned long long)before,
		          served ? "served" : "refused");
	if (served)
		tmm_pages_free(pages, pfn, order);
	tmm_pages_drain(pages);
	lock_take(&zone->lock);
	while (zone->nr_highatomic && zone_unreserve_highatomic(pages, zone))
		;
	lock_drop(&zone->lock);
	return served == expected && zone_free(zone) == before;
}

static const tmm_gfp modifiers[] = {0,
                                    TMM_GFP_DMA,
                                    TMM_GFP_DMA32,
                                    TMM_GFP_HIGHMEM,
                                    TMM_GFP_MOVABLE,
                                    TMM_GFP_HIGHMEM | TMM_GFP_MOVABLE,
                                    TMM_GFP_RECLAIMABLE};
static const tmm_gfp contexts[] = {TMM_GFP_HIGH,     TMM_GFP_IO | TMM_GFP_FS,
                                   TMM_GFP_KSWAPD,   TMM_GFP_DIRECT_RECLAIM,
                                   TMM_GFP_MEMALLOC, TMM_GFP_NOMEMALLOC};
static const tmm_gfp behaviours[] = {0, TMM_GFP_NORETRY, TMM_GFP_RETRY_MAYFAIL,
                                     TMM_GFP_THISNODE | TMM_GFP_ZERO};

#define NR_CONTEXTS     (1u << ARRAY_SIZE(contexts))
#define NR_COMBINATIONS (ARRAY_SIZE(modifiers) * NR_CONTEXTS * ARRAY_SIZE(behaviours))

static tmm_gfp combination(size_t i)
{
	tmm_gfp gfp = modifiers[i % ARRAY_SIZE(modifiers)] | TMM_GFP_NOWARN;

	i /= ARRAY_SIZE(modifiers);
	gfp |= behaviours[i % ARRAY_SIZE(behaviours)];
	i /= ARRAY_SIZE(behaviours);
	for (unsigned bit = 0; bit < ARRAY_SIZE(contexts); bit++)
		gfp |= i >> bit & 1 ? contexts[bit] : 0;
	return gfp;
}

TEST(every_combination_of_flags_reaches_the_watermark_of_the_rule)
{
	static const unsigned orders[] = {0, 2, 4};
	struct tmm_pages *pages = boot_empty();
	const uint64_t nr_free = 256, kept = 24;
	unsigned long long tried = 0;

	for (unsigned z = 0; z < pages->nr_zones; z++) {
		struct zone *zone = &pages->zone[z];

		give_back(pages, zone, nr_free);
		zone->mark[MARK_LOW] = zone->mark[MARK_HIGH] = NEVER;
		for (unsigned up = 0; up < TMM_NR_ZONES; up++)
			zone->reserve[up] = up > zone->id ? kept * (up - zone->id) : 0;
		for (size_t i = 0; i < NR_COMBINATIONS; i++) {
			const tmm_gfp gfp = combination(i);
			unsigned order = orders[i % ARRAY_SIZE(orders)];
			/* The most that min may be is found by trying all; the rule is
			 * monotonous. */
			uint64_t low = 0, high = 4 * nr_free;

			while (low < high) {
				uint64_t middle = (low + high) / 2;

				if (rule_allows(nr_free, order, middle,
				                zone->reserve[rule_highest(gfp)], gfp))
					low = middle + 1;
				else
					high = middle;
			}
			CHECK(is_as_ruled(pages, zone, gfp, order, low));
			CHECK(low == 0 || is_as_ruled(pages, zone, gfp, order, low - 1));
			tried += low != 0 ? 2 : 1;
		}
		zone->mark[MARK_MIN] = zone->mark[MARK_LOW] = zone->mark[MARK_HIGH] = 0;
		memset(zone->reserve, 0, sizeof(zone->reserve));
		take_back(pages, nr_free);
	}
	test_note("%llu requests, %u combinations", tried, (unsigned)NR_COMBINATIONS);
	end(pages);
}

/*
 *   free |================| 512 frames, all kept for requests that cannot wait
 *
 * Who may take them, and before others or last?  (Linux: ALLOC_HIGHATOMIC, and
 * ALLOC_NON_BLOCK as a last resort.)
 */
TEST(who_cannot_wait_may_use_what_is_kept_for_it)
{
	struct tmm_pages *pages = boot_empty();
	struct zone *zone = &pages->zone[1];
	unsigned nr_served = 0;

	give_back(pages, zone, 512);
	lock_take(&zone->lock);
	zone_reserve_highatomic(pages, zone,
	                        block_of(pages, align_up(zone->start + 1024, 1024)));
	lock_drop(&zone->lock);
	CHECK(zone->nr_free_of[TMM_MIGRATE_HIGHATOMIC] == 512);
	for (size_t i = 0; i < NR_COMBINATIONS; i++) {
		const tmm_gfp gfp = combination(i);
		bool no_reserves = gfp & TMM_GFP_NOMEMALLOC;
		bool may = (!(gfp & TMM_GFP_DIRECT_RECLAIM) && !no_reserves) ||
		           ((gfp & TMM_GFP_MEMALLOC) && !no_reserves);
		unsigned order = (unsigned)(i / ARRAY_SIZE(modifiers)) % 3;
		tmm_pfn pfn;
		bool served;

		/* Others who may reclaim give the reserve up before they fail. */
		if (!may || (gfp & TMM_GFP_DMA))
			continue;
		served = tmm_pages_alloc(pages, gfp, order, &pfn) == TMM_OK;
		if (!served)
			test_note("refused: gfp %#x order %u", gfp, order);
		CHECK(served && zone->nr_highatomic == 512);
		tmm_pages_free(pages, pfn, order);
		tmm_pages_drain(pages);
		CHECK(zone->nr_free_of[TMM_MIGRATE_HIGHATOMIC] == 512);
		nr_served++;
	}
	CHECK(nr_served > 300);
	lock_take(&zone->lock);
	CHECK(zone_unreserve_highatomic(pages, zone));
	lock_drop(&zone->lock);
	take_back(pages, 512);
	end(pages);
}

/* ---- what is said ---- */

static char said[8192];
static size_t said_bytes;

static void collect(unsigned level, const char *line)
{
	int length = snprintf(said + said_bytes, sizeof(said) - said_bytes, "<%u>%s\n", level,
	                      line);

	CHECK(length > 0 && said_bytes + (size_t)length < sizeof(said));
	said_bytes += (size_t)length;
}

/* Ask for what cannot be had; what the log got is in said[]. */
static void refuse(struct tmm_pages *pages, tmm_gfp gfp, unsigned order)
{
	tmm_pfn pfn;

	said_bytes = 0;
	said[0] = '\0';
	tmm_port_on_log(collect);
	CHECK(tmm_pages_alloc(pages, gfp, order, &pfn) == TMM_E_NOMEM);
	tmm_port_on_log(NULL);
}

/* 16 frames are free, in two runs of 8; nothing may be taken. */
TEST(a_failure_is_reported_as_linux_does)
{
	struct tmm_pages *pages = boot_empty();
	struct zone *zone = &pages->zone[1];
	char expected[512];

	give_back(pages, zone, 16);
	refuse(pages, TMM_GFP_ATOMIC | TMM_GFP_ZERO, 5);
	snprintf(expected, sizeof(expected),
	         "<4>page allocation failure: order:5, mode:0xc40(GFP_ATOMIC|__GFP_ZERO), "
	         "nodemask=(null)\n<4>Mem-Info:\n");
	CHECK(strncmp(said, expected, strlen(expected)) == 0);
	snprintf(expected, sizeof(expected),
	         "<4>Node 0 DMA32 free:64kB min:0kB low:%llukB high:%llukB present:%llukB "
	         "managed:%llukB free_pcp:0kB\n<4>Node 0 DMA32: 0*4kB 0*8kB 0*16kB 0*32kB "
	         "1*64kB 0*128kB 0*256kB 0*512kB 0*1024kB 0*2048kB 0*4096kB = 64kB\n",
	         4ull * zone->mark[MARK_LOW], 4ull * zone->mark[MARK_HIGH],
	         4ull * zone->present, 4ull * zone->managed);
	if (!strstr(said, expected))
		test_note("said: %s", said);
	CHECK(strstr(said, expected));
	snprintf(expected, sizeof(expected), "<4>%llu pages RAM\n",
	         (unsigned long long)pages->managed);
	CHECK(strcmp(said + strlen(said) - strlen(expected), expected) == 0);
	refuse(pages, TMM_GFP_ATOMIC | TMM_GFP_ZERO | TMM_GFP_NOWARN, 5);
	CHECK(said[0] == '\0');
	take_back(pages, 16);
	end(pages);
}

TEST(failures_are_not_reported_for_ever)
{
	struct tmm_pages *pages = boot_empty();
	unsigned reports = 0;

	for (unsigned i = 0; i < 100; i++) {
		refuse(pages, TMM_GFP_NOWAIT, 0);
		reports += said[0] != '\0';
	}
	CHECK(reports == 10);
	end(pages);
}

TEST(flags_have_linuxs_names)
{
	static const struct {
		tmm_gfp gfp;
		char text[48];
	} table[] = {
		{0, "0x0()"},
		{TMM_GFP_KERNEL, "0x780(GFP_KERNEL)"},
		{TMM_GFP_NOWAIT | TMM_GFP_NOWARN, "0x8400(GFP_NOWAIT|__GFP_NOWARN)"},
		{TMM_GFP_HIGHUSER_MOVABLE | TMM_GFP_THISNODE,
	         "0x7ac(GFP_HIGHUSER_MOVABLE|__GFP_THISNODE)"},
		{TMM_GFP_TRANSHUGE, "0xa838c(GFP_TRANSHUGE)"},
		{TMM_GFP_DIRECT_RECLAIM | TMM_GFP_DMA, "0x201(GFP_DMA|__GFP_DIRECT_RECLAIM)"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct print_text text;
		struct printer printer;
		char line[128];

		print_text_begin(&printer, &text, line, sizeof(line));
		print_gfp(&printer, table[i].gfp);
		print_end(&printer);
		if (strcmp(line, table[i].text) != 0)
			test_note("%s, not %s", line, table[i].text);
		CHECK(strcmp(line, table[i].text) == 0);
	}
}

/* ---- where it may not sleep ---- */

struct asked {
	struct tmm_pages *pages;
	tmm_gfp gfp;
};

static void ask_with_interrupts_off(void *arg)
{
	const struct asked *asked = arg;
	tmm_pfn pfn;

	(void)tmm_port_irq_save();
	if (tmm_pages_alloc(asked->pages, asked->gfp, 0, &pfn) == TMM_OK)
		tmm_pages_free(asked->pages, pfn, 0);
	tmm_port_irq_restore(0);
}

/* Only DIRECT_RECLAIM says that the caller sleeps; it is told so even if none is needed. */
TEST(sleeping_in_an_atomic_context_is_reported)
{
	static const tmm_gfp flags[] = {TMM_GFP_NOWAIT, TMM_GFP_ATOMIC, TMM_GFP_KERNEL,
	                                TMM_GFP_NOIO, TMM_GFP_DIRECT_RECLAIM};
	struct tmm_pages *pages = boot_empty();
	struct tmm_cpu *cpu = tmm_port_cpu();

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		struct asked asked = {pages, flags[i] | TMM_GFP_NOWARN};
		const char *what = test_panics(ask_with_interrupts_off, &asked);

		CHECK((what != NULL) == ((flags[i] & TMM_GFP_DIRECT_RECLAIM) != 0));
		CHECK(!what || strstr(what, "sleeps_only_where_it_may"));
		tmm_port_forget_locks();
		tmm_port_cpu_set(cpu);
	}
	end(pages);
}

/* One of another node is refused rather than served from this one. */
TEST(this_node_is_no_other)
{
	struct tmm_pages *pages;
	tmm_pfn pfn;

	rig_begin(&rig, 128 * MIB, 2);
	rig.cpus.cpu[1].node = 1; /* a node without memory */
	rig_add(&rig, 0, 128 * MIB);
	pages = rig_boot_as(&rig, (struct pages_config){.nr_nodes = 2});
	CHECK(cpu_enter(&rig.cpus, 1) == TMM_OK);
	refuse(pages, TMM_GFP_KERNEL | TMM_GFP_THISNODE, 0);
	CHECK(strstr(said, "(GFP_KERNEL|__GFP_THISNODE), nodemask=1\n"));
	CHECK(tmm_pages_alloc(pages, TMM_GFP_KERNEL, 0, &pfn) == TMM_OK);
	tmm_pages_free(pages, pfn, 0);
	pages_fini(pages);
}
