/*
 * page_alloc.c - lending and taking back frames
 *
 * A request is served from a stack of the calling CPU; an empty stack is filled
 * from the zone, a batch at a time under its lock, and a full one gives its older
 * half back.  Orders without a stack go to the zone each time.  Zones are tried
 * from the highest the request may use downwards: first above their low
 * watermark, then down to what the request may dig to, then after the CPU's
 * stacks were emptied, then after reclaim.  What lies on a stack is out of the
 * zone's count already, so that the first zone's stack needs no watermark.
 *
 * A stack entry says whether its run was never lent since boot.  Such a run
 * reads as zeroes and TMM_GFP_ZERO leaves it untouched: a hosted machine's RAM is
 * a sparse file, where clearing a fresh frame would make the host back it.
 *
 * What is found out when a frame is freed wrongly, at once: a frame outside RAM
 * or not handed over by memblock, a run not aligned to its order, one with a
 * frame that lies free in the zone, one that was freed to the same CPU's stack
 * and is still there (unless a frame RECENT_SLOTS, or a multiple, away was put
 * there after it).  At the latest when the stack is emptied: a frame freed
 * twice over two CPUs' stacks.  Not found out: freeing with a smaller order than
 * it was lent with, or freeing what somebody else has borrowed.
 *
 * tmm_pages_check() (page_check.c) asserts the invariants.
 */
#include "page/account.h"
#include "page/compound.h"
#include "page/debug.h"
#include "page/page_slow.h"

/* Whoever called the public function that this is in. */
#define SITE __builtin_return_address(0)

/* Flags that ask for something to be done with the run. */
#define PREPARED (TMM_GFP_ZERO | TMM_GFP_COMP | TMM_GFP_ACCOUNT)

/* Frames without an address are cleared through one that is theirs for a moment. */
static void clear_high(const struct tmm_pages *pages, uint64_t pfn, uint64_t nr)
{
	for (uint64_t p = pfn; p < pfn + nr; p++) {
		void *address = page_map_local(pages, (tmm_pfn){p});

		memset(address, 0, TMM_PAGE_SIZE);
		page_unmap_local(pages, address);
	}
}

static void clear_run(const struct tmm_pages *pages, uint64_t pfn, unsigned order)
{
	if (unlikely(pfn >= pages->lowmem_end))
		clear_high(pages, pfn, UINT64_C(1) << order);
	else
		memset((char *)pages->ram + (pfn << TMM_PAGE_SHIFT), 0, TMM_PAGE_SIZE << order);
}

static NOINLINE tmm_err lend_prepared(struct tmm_pages *pages, tmm_gfp gfp, uint32_t entry,
                                      unsigned order, tmm_pfn *out_pfn)
{
	uint64_t pfn = entry & ENTRY_PFN;

	if ((gfp & TMM_GFP_ACCOUNT) && !account_run(pages, pfn, order, gfp)) {
		tmm_pages_free(pages, (tmm_pfn){pfn}, order);
		return TMM_E_NOMEM;
	}
	if ((gfp & TMM_GFP_COMP) && order > 0)
		compound_make(pages, pfn, order);
	if ((gfp & TMM_GFP_ZERO) && !(entry & ENTRY_FRESH))
		clear_run(pages, pfn, order);
	out_pfn->v = pfn;
	return TMM_OK;
}

static ALWAYS_INLINE tmm_err lend(struct tmm_pages *pages, tmm_gfp gfp, uint32_t entry,
                                  unsigned order, tmm_pfn *out_pfn)
{
	if (gfp & PREPARED)
		return lend_prepared(pages, gfp, entry, order, out_pfn);
	out_pfn->v = entry & ENTRY_PFN;
	return TMM_OK;
}

/* The stack is empty, or there is no stack. */
static NOINLINE tmm_err alloc_rest(struct tmm_pages *pages, tmm_gfp gfp, unsigned order,
                                   tmm_pfn *out_pfn, const void *site)
{
	uint32_t node = cpu_self(pages->cpus)->node;

	return pages_alloc_from(
		pages,
		&(struct request){.gfp = gfp,
	                          .site = site,
	                          .order = order,
	                          .choice = {.node = node,
	                                     .nodes = NODES_ALL,
	                                     .highest = highest_zone(pages, gfp)}},
		out_pfn);
}

tmm_err pages_alloc_from(struct tmm_pages *pages, struct request *request, tmm_pfn *out_pfn)
{
	uint32_t entry;

	request->source = source_of(pages, request->gfp, request->order);
	if (request->gfp & TMM_GFP_THISNODE)
		request->choice.nodes &= 1u << request->choice.node;
	if (!pages_alloc_slow(pages, request, &entry))
		return TMM_E_NOMEM;
	if (unlikely(pages->debug))
		debug_lend(pages, entry & ENTRY_PFN, request->order, request->gfp,
		           request->site);
	return lend(pages, request->gfp, entry, request->order, out_pfn);
}

/* Where this does not hold, the slow path finds the caller a CPU. */
static ALWAYS_INLINE bool on_cpu_of(const struct tmm_pages *pages, const struct tmm_cpu *cpu)
{
	return likely(cpu && cpu->front.set == pages->cpus);
}

static ALWAYS_INLINE tmm_err alloc_run(struct tmm_pages *pages, tmm_gfp gfp, unsigned order,
                                       tmm_pfn *out_pfn, const void *site)
{
	tmm_irq irq = tmm_port_irq_save();
	const struct tmm_cpu *self = tmm_port_cpu();
	struct page_cpu *cpu;
	struct frame_stack *stack;
	uint32_t entry;

	if (unlikely(!on_cpu_of(pages, self)))
		goto rest;
	cpu = self->frames;
	if (unlikely(!stacks_open_unasked(cpu)))
		goto rest;
	stack = cpu->first_stack[gfp % NR_FIRST_CHOICES] + stack_id(class_of_order[order], 0);
	if (unlikely(stack->top == stack->bottom))
		goto close;
	entry = stack_pop(cpu, stack);
	stacks_close(cpu);
	tmm_port_irq_restore(irq);
	return lend(pages, gfp, entry, order, out_pfn);
close:
	stacks_close(cpu);
rest:
	tmm_port_irq_restore(irq);
	return alloc_rest(pages, gfp, order, out_pfn, site);
}

/* A call that returns keeps registers: out of the hot path. */
static NOINLINE tmm_err alloc_if_allowed(struct tmm_pages *pages, tmm_gfp gfp, unsigned order,
                                         tmm_pfn *out_pfn, const void *site)
{
	if (!tmm_port_allow("page_alloc") && !(gfp & TMM_GFP_NOFAIL))
		return TMM_E_NOMEM;
	if (order > pages->max_order)
		return TMM_E_INVAL;
	return alloc_run(pages, gfp, order, out_pfn, site);
}

static ALWAYS_INLINE tmm_err alloc_any(struct tmm_pages *pages, tmm_gfp gfp, unsigned order,
                                       tmm_pfn *out_pfn, const void *site)
{
	if (unlikely(tmm_port_injects()))
		return alloc_if_allowed(pages, gfp, order, out_pfn, site);
	if (likely(order == 0))
		return alloc_run(pages, gfp, 0, out_pfn, site);
	if (unlikely(order > pages->max_order))
		return TMM_E_INVAL;
	return alloc_run(pages, gfp, order, out_pfn, site);
}

tmm_err tmm_pages_alloc(struct tmm_pages *pages, tmm_gfp gfp, unsigned order, tmm_pfn *out_pfn)
{
	return alloc_any(pages, gfp, order, out_pfn, SITE);
}

size_t tmm_pages_alloc_bulk(struct tmm_pages *pages, tmm_gfp gfp, size_t nr, tmm_pfn *out)
{
	size_t got = 0;

	if (unlikely(!tmm_port_allow("page_alloc")) && !(gfp & TMM_GFP_NOFAIL))
		return 0;
	while (got < nr && alloc_run(pages, gfp, 0, &out[got], SITE) == TMM_OK)
		got++;
	return got;
}

/* ---- taking back ---- */

/* The bits of a run in its first word. */
static ALWAYS_INLINE uint64_t first_bits(uint64_t pfn, unsigned order)
{
	return run_mask(order < WORD_ORDER ? order : WORD_ORDER) << (pfn % 64);
}

/* Panics where it can be seen that the run is not lent. */
static void check_lent(struct tmm_pages *pages, uint64_t pfn, unsigned order, const void *site)
{
	uint64_t run = UINT64_C(1) << order;

	if (order > pages->max_order || pfn % run)
		page_report(
			pages, pfn, order,
			"a freed run is aligned to its order, at most tmm_pages_max_order()",
			site);
	if (!pfn_in_span(pages, pfn))
		page_report(pages, pfn, order, "a freed frame is RAM; this one is outside",
		            site);
	for (uint64_t p = pfn; p < pfn + run; p += BLOCK_FRAMES)
		if ((block_home(&pages->info[block_of(pages, p)]) & HOME_MIXED) &&
		    !run_is_managed(pages, pfn, run))
			page_report(pages, pfn, order,
			            "a freed frame is lent; this one was never handed over",
			            site);
	if (pfn % BLOCK_FRAMES >= fresh_from(&pages->info[block_of(pages, pfn)]))
		page_report(pages, pfn, order, "a freed frame is lent; this one never was",
		            site);
	/* relaxed: as in free_run() */
	if (__atomic_load_n(word_of(pages, pfn), __ATOMIC_RELAXED) & first_bits(pfn, order))
		page_report(pages, pfn, order,
		            "a frame is freed once; this one is free in its zone", site);
}

/* Anything unusual: no CPU yet, a mixed block, no room or no stack, or a wrong free. */
static NOINLINE void free_rest(struct tmm_pages *pages, uint64_t pfn, unsigned order,
                               const void *site)
{
	tmm_irq irq = tmm_port_irq_save();
	struct page_cpu *cpu = page_cpu_self(pages);
	struct zone *zone;
	struct frame_stack *stack;
	unsigned id;
	bool open;

	if (unlikely(pages->debug))
		debug_take_back(pages, pfn, order, site);
	check_lent(pages, pfn, order, site);
	if (unlikely(run_is_marked(pages, pfn, order))) {
		compound_undo(pages, pfn, order, site);
		account_end_run(pages, pfn, order);
	}
	zone = zone_of(pages, pfn);
	open = stacks_open(pages, cpu);
	if (open && *recent_of(cpu, (uint32_t)pfn) == pfn)
		page_report(pages, pfn, order,
		            "a frame is freed once; this one is on the CPU's stack", site);
	/* Its type may change meanwhile, and a few frames end up with the old one. */
	id = stack_id(class_of_order[order],
	              stack_type_of(block_type(&pages->info[block_of(pages, pfn)])));
	stack = &cpu->zone[zone->index].stack[id];
	if (!open || stack->bottom == stack->end) {
		lock_take(&zone->lock);
		zone_give(pages, zone, pfn, order);
		lock_drop(&zone->lock);
		page_cpu_count(cpu, PGFREE, UINT64_C(1) << order);
	} else {
		if (stack->top == stack->end)
			stack_make_room(pages, cpu, stack, id, zone);
		stack_push(cpu, stack, (uint32_t)pfn);
		count_up(&stack->freed, 1);
	}
	if (open)
		stacks_close(cpu);
	tmm_port_irq_restore(irq);
}

/* Where a block is mixed: surely handed over? */
static ALWAYS_INLINE bool run_in_managed_part(const struct block_info *info, uint64_t pfn,
                                              unsigned order)
{
	uint64_t start = pfn % BLOCK_FRAMES - info->managed_start;

	return start < info->nr_managed && start + (UINT64_C(1) << order) <= info->nr_managed;
}

static ALWAYS_INLINE void free_run(struct tmm_pages *pages, uint64_t pfn, unsigned order,
                                   const void *site)
{
	tmm_irq irq = tmm_port_irq_save();
	const struct tmm_cpu *self = tmm_port_cpu();
	struct page_cpu *cpu;
	struct frame_stack *stack;
	uint64_t at = map_index(&pages->map, pfn);
	uint32_t *recent;
	size_t number;

	if (unlikely(at == NO_INDEX) || unlikely(!on_cpu_of(pages, self)))
		goto rest;
	cpu = self->frames;
	/* relaxed: as in free_rest() */
	number = __atomic_load_n(&pages->stack[at >> BLOCK_ORDER], __ATOMIC_RELAXED);
	if (unlikely((int16_t)number <= 0)) {
		const struct block_info *info = &pages->info[at >> BLOCK_ORDER];

		if (block_nr_marked(info) || !run_in_managed_part(info, pfn, order))
			goto rest;
		number &= STACK_ODD - 1;
	}
	/* relaxed: bits of a lent run are 0, and nobody changes them */
	if (unlikely(pfn % (UINT64_C(1) << order) ||
	             (__atomic_load_n(&pages->bits->word[0] + at / 64, __ATOMIC_RELAXED) &
	              first_bits(pfn, order))))
		goto rest;
	if (unlikely(!stacks_open_unasked(cpu)))
		goto rest;
	recent = recent_of(cpu, pfn);
	stack = stack_at(cpu, number) + stack_id(class_of_order[order], 0);
	if (unlikely(*recent == pfn || stack->top == stack->end))
		goto close;
	stack_push_used(stack, recent, (uint32_t)pfn);
	count_up(&stack->freed, 1);
	stacks_close(cpu);
	tmm_port_irq_restore(irq);
	return;
close:
	stacks_close(cpu);
rest:
	tmm_port_irq_restore(irq);
	free_rest(pages, pfn, order, site);
}

/* A call that returns keeps registers: out of the hot path. */
static NOINLINE void free_run_of(struct tmm_pages *pages, uint64_t pfn, unsigned order,
                                 const void *site)
{
	free_run(pages, pfn, order, site);
}

static ALWAYS_INLINE void free_any(struct tmm_pages *pages, uint64_t pfn, unsigned order,
                                   const void *site)
{
	if (likely(order == 0))
		free_run(pages, pfn, 0, site);
	else if (order < BLOCK_ORDER + 1)
		free_run_of(pages, pfn, order, site);
	else
		free_rest(pages, pfn, order, site);
}

void tmm_pages_free(struct tmm_pages *pages, tmm_pfn pfn, unsigned order)
{
	free_any(pages, pfn.v, order, SITE);
}

void tmm_pages_free_bulk(struct tmm_pages *pages, size_t nr, const tmm_pfn *pfns)
{
	for (size_t i = 0; i < nr; i++)
		free_run(pages, pfns[i].v, 0, SITE);
}

/* ---- runs of any length ---- */

/* Frames from pfn on, as the longest runs that fit. */
static void free_frames(struct tmm_pages *pages, uint64_t pfn, uint64_t nr, const void *site)
{
	while (nr > 0) {
		unsigned order = log2_floor(nr);

		if (pfn)
			order = (unsigned)min_u64(order, (unsigned)__builtin_ctzll(pfn));
		free_any(pages, pfn, order, site);
		pfn += UINT64_C(1) << order;
		nr -= UINT64_C(1) << order;
	}
}

static uint64_t frames_of(uint64_t size_bytes)
{
	return (size_bytes >> TMM_PAGE_SHIFT) + (size_bytes % TMM_PAGE_SIZE != 0);
}

tmm_err tmm_pages_alloc_exact(struct tmm_pages *pages, tmm_gfp gfp, uint64_t size_bytes,
                              tmm_pfn *out_pfn)
{
	uint64_t nr = frames_of(size_bytes);
	unsigned order = log2_ceil(nr);
	tmm_err err;

	if (nr == 0 || order > pages->max_order)
		return TMM_E_INVAL;
	gfp &= ~TMM_GFP_COMP; /* it is to be cut */
	err = alloc_any(pages, gfp, order, out_pfn, SITE);
	if (err != TMM_OK)
		return err;
	if (unlikely(pages->debug))
		debug_split(pages, out_pfn->v, order);
	free_frames(pages, out_pfn->v + nr, (UINT64_C(1) << order) - nr, SITE);
	return TMM_OK;
}

void tmm_pages_free_exact(struct tmm_pages *pages, tmm_pfn pfn, uint64_t size_bytes)
{
	free_frames(pages, pfn.v, frames_of(size_bytes), SITE);
}

/* ---- addresses ---- */

/* Not entered, or some of it is not RAM: look closer. */
static ALWAYS_INLINE bool may_be_hole(const struct block_info *info)
{
	return unlikely((uint8_t)(block_home(info) - 1) >= HOME_NO_RAM - 1);
}

static ALWAYS_INLINE void check_ram(const struct tmm_pages *pages, uint64_t pfn)
{
	if (unlikely(!pfn_in_span(pages, pfn)) || unlikely(pfn >= pages->lowmem_end) ||
	    (may_be_hole(&pages->info[block_of(pages, pfn)]) && !run_is_ram(pages, pfn, 1)))
		tmm_port_panic(__FILE__, __LINE__,
		               pfn_in_span(pages, pfn) && pfn >= pages->lowmem_end
		                       ? "a frame of high memory has no address: tmm_kmap() it"
		                       : "an address of the direct map is RAM; this one is "
		                         "outside");
}

void *tmm_page_address(const struct tmm_pages *pages, tmm_pfn pfn)
{
	check_ram(pages, pfn.v);
	return (char *)pages->ram + (pfn.v << TMM_PAGE_SHIFT);
}

tmm_pfn tmm_virt_to_pfn(const struct tmm_pages *pages, const void *address)
{
	/* Below ram: wraps to a number beyond the last block. */
	uint64_t offset = (uint64_t)((uintptr_t)address - (uintptr_t)pages->ram);

	check_ram(pages, offset >> TMM_PAGE_SHIFT);
	return (tmm_pfn){offset >> TMM_PAGE_SHIFT};
}
