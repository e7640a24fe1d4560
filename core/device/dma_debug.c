/*
 * dma_debug.c - records of what is mapped, and what drivers do wrong with it
 *
 * A record for each mapping (dma_records.c).  What a call names
 * must be mapped for its device, with the same kind, size and direction; its result
 * must have been looked at.  While a buffer is a device's, and the device does not
 * write it in place, a sum of its bytes tells whether the processor did: that is so
 * when the device only reads, and when it has a bounce buffer.
 *
 * A device's own accesses are looked up as well.  Registers and memory of other
 * devices need no mapping.
 *
 * Nothing is reported with the lock held.
 */
#include "device/dma_impl.h"

static const char *const type_name[] = {"single", "scatter-gather", "coherent", "resource"};
static const char *const direction_name[] = {"DMA_BIDIRECTIONAL", "DMA_TO_DEVICE",
                                             "DMA_FROM_DEVICE"};

/* ---- reports ---- */

_Noreturn void dma_report(const struct dma_call *call, const char *rule,
                          const struct dma_entry *entry)
{
	struct tmm_dma *dma = call->device->dma;
	struct print_text text;
	struct printer printer;

	print_text_begin(&printer, &text, dma->report, sizeof(dma->report));
	print(&printer, "DMA: %s: device %s, address 0x%lx, %lu bytes, %s, %s", rule,
	      call->device->name, call->addr, call->bytes, type_name[call->type],
	      direction_name[call->direction]);
	if (entry)
		print(&printer, "; mapped for %s: address 0x%lx, %lu bytes, %s, %s, by 0x%lx",
		      entry->device->name, entry->addr, entry->bytes, type_name[entry->type],
		      direction_name[entry->direction], (uint64_t)(uintptr_t)entry->site);
	if (call->site)
		print(&printer, "; now by 0x%lx", (uint64_t)(uintptr_t)call->site);
	print_end(&printer);
	tmm_port_panic(__FILE__, __LINE__, dma->report);
}

/* ---- finding ---- */

static bool is_at(const struct dma_entry *entry, const void *arg)
{
	const struct dma_call *call = arg;

	return entry->addr == call->addr;
}

static bool is_own(const struct dma_entry *entry, const void *arg)
{
	const struct dma_call *call = arg;

	return is_at(entry, call) && entry->device == call->device;
}

static bool is_exact(const struct dma_entry *entry, const void *arg)
{
	const struct dma_call *call = arg;

	return is_own(entry, call) && entry->type == call->type &&
	       entry->bytes == call->bytes &&
	       (entry->type == DMA_COHERENT || entry->direction == call->direction);
}

/* Of several alike, one that was looked at: a later one may not have been yet. */
static bool is_exact_and_checked(const struct dma_entry *entry, const void *arg)
{
	return is_exact(entry, arg) && !entry->is_unchecked;
}

/* The record that fits best; NULL: none has that address. */
static struct dma_entry *find(const struct tmm_dma *dma, const struct dma_call *call)
	TMM_REQUIRES(dma->lock)
{
	static record_match *const by_fit[] = {is_exact_and_checked, is_exact, is_own, is_at};
	struct dma_entry *entry = NULL;

	for (unsigned i = 0; !entry && i < ARRAY_SIZE(by_fit); i++)
		entry = record_search(dma, BY_ADDR, call->addr, call->addr, by_fit[i], call);
	return entry;
}

static bool is_around(const struct dma_entry *entry, const void *arg)
{
	const struct dma_call *call = arg;

	return entry->device == call->device && call->addr - entry->addr < entry->bytes;
}

/* The record of the device that has addr in it. */
static struct dma_entry *find_around(const struct tmm_dma *dma, struct tmm_device *device,
                                     uint64_t addr) TMM_REQUIRES(dma->lock)
{
	const struct dma_call at = {.device = device, .addr = addr};

	return record_search(dma, BY_ADDR, addr, addr, is_around, &at);
}

/* ---- sums ---- */

/* Piece by piece: high memory has no address to look at all of it. */
static uint64_t sum_of(const struct tmm_dma *dma, const struct dma_entry *entry)
{
	const uint64_t end = entry->paddr + entry->bytes;
	uint64_t sum = entry->bytes, piece;
	uint64_t words[32];

	for (uint64_t at = entry->paddr; at < end; at += piece) {
		piece = min_u64(sizeof(words), end - at);
		words[(piece - 1) / sizeof(words[0])] = 0; /* the last may be filled in part */
		memory_read(dma->pages, words, at, piece);
		for (uint64_t i = 0; i * sizeof(words[0]) < piece; i++) {
			sum = (sum ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15);
			sum ^= sum >> 32;
		}
	}
	return sum;
}

/* Neither shared all the time nor registers. */
static bool is_lent_memory(const struct dma_entry *entry)
{
	return entry->type == DMA_SINGLE || entry->type == DMA_SG;
}

static void sum_begin(const struct tmm_dma *dma, struct dma_entry *entry)
{
	entry->has_sum = is_lent_memory(entry) &&
	                 (entry->direction == TMM_DMA_TO_DEVICE || entry->addr != entry->paddr);
	if (entry->has_sum)
		entry->sum = sum_of(dma, entry);
}

static bool was_touched(const struct tmm_dma *dma, const struct dma_entry *entry)
{
	return entry->has_sum && sum_of(dma, entry) != entry->sum;
}

/* ---- mapping ---- */

/* May they not both be mapped at a time? */
static bool is_in_conflict(const struct dma_entry *entry, const void *arg)
{
	const struct dma_entry *a = entry, *b = arg;
	bool both_read = a->direction == TMM_DMA_TO_DEVICE && b->direction == TMM_DMA_TO_DEVICE;

	return is_lent_memory(a) && is_lent_memory(b) && !both_read &&
	       a->paddr < b->paddr + b->bytes && b->paddr < a->paddr + a->bytes;
}

void debug_map(const struct dma_call *call, uint64_t paddr, const void *memory, unsigned nr_sg)
{
	struct tmm_dma *dma = call->device->dma;
	struct dma_entry *entry, *twice, other;
	tmm_irq irq;

	if (!dma->has_debug)
		return;
	entry = tmm_kmalloc(dma->slabs, sizeof(*entry), TMM_GFP_NOWAIT | TMM_GFP_NOWARN);
	if (!entry) {
		/* Without this one, nothing that is said later can be trusted. */
		irq = lock_take_irqsave(&dma->lock);
		dma->is_debug_off = true;
		lock_drop_irqrestore(&dma->lock, irq);
		tmm_port_log(LOG_WARNING, "DMA-API: debugging out of memory - disabling");
		return;
	}
	*entry = (struct dma_entry){.device = call->device,
	                            .addr = call->addr,
	                            .bytes = call->bytes,
	                            .paddr = paddr,
	                            .memory = memory,
	                            .site = call->site,
	                            .nr_sg = nr_sg,
	                            .type = call->type,
	                            .direction = call->direction,
	                            .is_device_owned = true,
	                            .is_unchecked = call->type == DMA_SINGLE ||
	                                            call->type == DMA_RESOURCE};
	sum_begin(dma, entry);
	irq = lock_take_irqsave(&dma->lock);
	twice = record_search(dma, BY_PADDR, paddr, paddr + call->bytes - 1, is_in_conflict,
	                      entry);
	if (twice)
		other = *twice;
	record_add(dma, entry);
	lock_drop_irqrestore(&dma->lock, irq);
	dma_count(&dma->counts.debug_entries, 1);
	if (twice)
		dma_report(call, "memory that a device may write is mapped once at a time",
		           &other);
}

/* ---- unmapping ---- */

static const char *unmap_fault(const struct dma_call *call, const struct dma_entry *entry,
                               const void *memory, unsigned nr_sg)
{
	if (call->addr == TMM_DMA_MAPPING_ERROR.v)
		return "a mapping that failed is not unmapped";
	if (!entry)
		return "what is unmapped or freed is mapped";
	if (entry->device != call->device)
		return "who unmaps or frees is the device that it was mapped for";
	if (entry->type != call->type)
		return "what is unmapped or freed is so with the function of its kind";
	if (entry->bytes != call->bytes)
		return "what is unmapped or freed has the size that it was mapped with";
	if (entry->type != DMA_COHERENT && entry->direction != call->direction)
		return "what is unmapped has the direction that it was mapped with";
	if (entry->memory != memory)
		return "coherent memory is freed by its own address";
	if (entry->nr_sg != nr_sg)
		return "a list is unmapped with as many entries as it was mapped with";
	if (entry->is_unchecked)
		return "a mapping is asked for an error before it is used";
	if (entry->is_device_owned && was_touched(call->device->dma, entry))
		return "the processor does not write to what is the device's";
	return NULL;
}

/* Apart, so that who has no records does not pay for the copy of one. */
static NOINLINE void forget(const struct dma_call *call, const void *memory, unsigned nr_sg)
{
	struct tmm_dma *dma = call->device->dma;
	struct dma_entry *entry, copy = {.addr = 0};
	const char *fault = NULL;
	bool is_known, is_off;
	tmm_irq irq;

	irq = lock_take_irqsave(&dma->lock);
	entry = find(dma, call);
	is_off = dma->is_debug_off;
	is_known = entry != NULL;
	if (!is_off || is_known)
		fault = unmap_fault(call, entry, memory, nr_sg);
	if (is_known)
		copy = *entry;
	if (is_known && !fault)
		record_remove(dma, entry);
	lock_drop_irqrestore(&dma->lock, irq);
	if (fault)
		dma_report(call, fault, is_known ? &copy : NULL);
	if (!is_known)
		return;
	tmm_kfree(dma->slabs, entry);
	dma_uncount(&dma->counts.debug_entries, 1);
}

void debug_unmap(const struct dma_call *call, const void *memory, unsigned nr_sg)
{
	if (call->device->dma->has_debug)
		forget(call, memory, nr_sg);
}

/* ---- in between ---- */

static bool is_own_and_unchecked(const struct dma_entry *entry, const void *arg)
{
	return is_own(entry, arg) && entry->is_unchecked;
}

void debug_mapping_error(struct tmm_device *device, uint64_t addr)
{
	const struct dma_call call = {.device = device, .addr = addr};
	struct tmm_dma *dma = device->dma;
	struct dma_entry *entry;
	tmm_irq irq;

	if (!dma->has_debug || addr == TMM_DMA_MAPPING_ERROR.v)
		return;
	irq = lock_take_irqsave(&dma->lock);
	while ((entry = record_search(dma, BY_ADDR, addr, addr, is_own_and_unchecked, &call)))
		entry->is_unchecked = false;
	lock_drop_irqrestore(&dma->lock, irq);
}

static const char *sync_fault(const struct dma_call *call, const struct dma_entry *entry)
{
	if (!entry)
		return "what is synced is mapped";
	if (entry->type == DMA_RESOURCE)
		return "what is synced is memory";
	if (call->addr - entry->addr + call->bytes > entry->bytes)
		return "what is synced lies within its mapping";
	if (entry->direction != TMM_DMA_BIDIRECTIONAL && entry->direction != call->direction)
		return "what is synced has the direction that it was mapped with";
	return NULL;
}

/* The whole changes hands; of a part only the sum is not to be trusted any more. */
static void change_hands(struct tmm_dma *dma, const struct dma_call *call,
                         struct dma_entry *entry, bool to_device)
{
	bool is_whole = call->addr == entry->addr && call->bytes == entry->bytes;

	if (is_whole)
		entry->is_device_owned = to_device;
	entry->has_sum = false;
	if (to_device && is_whole)
		sum_begin(dma, entry);
}

void debug_sync(const struct dma_call *call, bool to_device)
{
	struct tmm_dma *dma = call->device->dma;
	struct dma_entry *entry, copy = {.addr = 0};
	const char *fault = NULL;
	bool is_off;
	tmm_irq irq;

	if (!dma->has_debug)
		return;
	irq = lock_take_irqsave(&dma->lock);
	is_off = dma->is_debug_off;
	entry = find_around(dma, call->device, call->addr);
	if (entry || !is_off)
		fault = sync_fault(call, entry);
	if (entry && !fault && !to_device && entry->is_device_owned && was_touched(dma, entry))
		fault = "the processor does not write to what is the device's";
	if (entry)
		copy = *entry;
	if (entry && !fault)
		change_hands(dma, call, entry, to_device);
	lock_drop_irqrestore(&dma->lock, irq);
	if (fault)
		dma_report(call, fault, entry ? &copy : NULL);
}

static const char *access_fault(const struct dma_entry *entry, bool is_write)
{
	if (!entry)
		return "a device accesses what is mapped for it";
	if (entry->type == DMA_COHERENT)
		return NULL;
	if (is_write && entry->direction == TMM_DMA_TO_DEVICE)
		return "a device does not write what it was lent to read";
	if (!is_write && entry->direction == TMM_DMA_FROM_DEVICE)
		return "a device does not read what it was lent to write";
	if (!entry->is_device_owned)
		return "a device does not access what the processor took back";
	return NULL;
}

void debug_device_access(const struct dma_call *call, bool is_write)
{
	struct tmm_dma *dma = call->device->dma;
	const uint64_t end = call->addr + call->bytes;
	struct dma_entry copy = {.addr = 0};
	const char *fault = NULL;
	bool is_known = false, is_off = false;
	tmm_irq irq;

	if (!dma->has_debug ||
	    tmm_bus_target(dma->bus, (tmm_paddr){call->addr}, 1) != TMM_BUS_RAM)
		return;
	irq = lock_take_irqsave(&dma->lock);
	is_off = dma->is_debug_off;
	/* It may reach over several entries of a list. */
	for (uint64_t at = call->addr; !is_off && !fault && at < end;) {
		const struct dma_entry *entry = find_around(dma, call->device, at);

		fault = access_fault(entry, is_write);
		is_known = entry != NULL;
		if (!entry)
			break;
		copy = *entry;
		at = entry->addr + entry->bytes;
	}
	lock_drop_irqrestore(&dma->lock, irq);
	if (fault)
		dma_report(call, fault, is_known ? &copy : NULL);
}

void debug_bad_memory(const struct dma_call *call, const void *memory)
{
	struct dma_call bad = *call;

	bad.addr = (uint64_t)(uintptr_t)memory;
	if (call->device->dma->has_debug)
		dma_report(&bad,
		           "what is mapped is of the direct map, not of a stack or of vmalloc",
		           NULL);
}

void debug_remove(struct tmm_device *device)
{
	struct tmm_dma *dma = device->dma;
	struct dma_call call = {.device = device,
	                        .bytes = dma_counted(&device->nr_mapped) +
	                                 dma_counted(&device->nr_coherent)};
	struct dma_entry copy = {.addr = 0};
	bool is_known = false;
	tmm_irq irq = lock_take_irqsave(&dma->lock);

	for (unsigned b = 0; dma->has_debug && !is_known && b < NR_BUCKETS; b++)
		for (const struct dma_entry *at = dma->bucket[BY_ADDR][b]; at;
		     at = at->next[BY_ADDR])
			if (at->device == device) {
				copy = *at;
				is_known = true;
			}
	lock_drop_irqrestore(&dma->lock, irq);
	if (is_known) {
		call.addr = copy.addr;
		call.bytes = copy.bytes;
		call.type = copy.type;
		call.direction = copy.direction;
	}
	dma_report(&call, "a device that is removed has no memory and no mapping left",
	           is_known ? &copy : NULL);
}

/* ---- the file ---- */

static void show_entry(struct printer *printer, const struct dma_entry *entry, uint64_t idx)
{
	print(printer, "%s %s idx %lu P=0x%016lx D=%lx L=%lx %s %s\n", entry->device->name,
	      type_name[entry->type], idx, entry->paddr, entry->addr, entry->bytes,
	      direction_name[entry->direction],
	      entry->type == DMA_SG || entry->type == DMA_COHERENT
	              ? "dma map error check not applicable"
	      : entry->is_unchecked ? "dma map error not checked"
	                            : "dma map error checked");
}

/* Entries are copied bucket by bucket: a sink may call anything. */
bool tmm_dma_show(struct tmm_dma *dma, const struct tmm_sink *sink)
{
	struct printer printer;

	if (!dma->has_debug)
		return false;
	print_begin(&printer, sink);
	for (unsigned b = 0; b < NR_BUCKETS; b++) {
		for (uint64_t nth = 0;; nth++) {
			tmm_irq irq = lock_take_irqsave(&dma->lock);
			const struct dma_entry *at = dma->bucket[BY_ADDR][b];
			struct dma_entry copy;

			for (uint64_t i = 0; at && i < nth; i++)
				at = at->next[BY_ADDR];
			if (at)
				copy = *at;
			lock_drop_irqrestore(&dma->lock, irq);
			if (!at)
				break;
			show_entry(&printer, &copy, b);
		}
	}
	print_end(&printer);
	return true;
}
