/*
 * resource.c - a tree of address ranges
 *
 * A resource's children are a chain in rising order.  Everything is done with one
 * question: which child is the first to end above an address?  If that child begins
 * below the end of a range, the two overlap; if not, the range's place is in front of
 * it.  Trees are shallow and chains short, so that no index is needed.
 *
 *   I1  a resource is not empty and lies within its parent
 *   I2  children are sorted and do not overlap
 *   I3  each child knows its parent
 */
#include "base/print.h"
#include "device/iomem.h"

static bool contains(const struct tmm_resource *outer, uint64_t start, uint64_t end)
{
	return outer->start <= start && end <= outer->end;
}

/* The place in the chain of children where one from `start` on would be. */
static struct tmm_resource **link_at(struct tmm_resource *parent, uint64_t start)
{
	struct tmm_resource **link = &parent->child;

	while (*link && (*link)->end <= start)
		link = &(*link)->sibling;
	return link;
}

static struct tmm_resource *overlap(struct tmm_resource *parent, uint64_t start, uint64_t end)
{
	struct tmm_resource *first = *link_at(parent, start);

	return first && first->start < end ? first : NULL;
}

/* In front of *link, among the parent's children. */
static void link_in(struct tmm_resource **link, struct tmm_resource *parent,
                    struct tmm_resource *resource)
{
	resource->parent = parent;
	resource->sibling = *link;
	*link = resource;
}

/* NULL: the resource is one of the parent's children now; else whom it overlaps first. */
static struct tmm_resource *place(struct tmm_resource *parent, struct tmm_resource *resource)
{
	struct tmm_resource *other = overlap(parent, resource->start, resource->end);

	if (!other)
		link_in(link_at(parent, resource->start), parent, resource);
	return other;
}

/* False: it is not in a tree. */
bool resource_unlink(struct tmm_resource *resource)
{
	struct tmm_resource **link;

	if (!resource->parent)
		return false;
	link = &resource->parent->child;
	while (*link != resource)
		link = &(*link)->sibling;
	*link = resource->sibling;
	resource->parent = resource->sibling = NULL;
	return true;
}

static bool is_valid(const struct tmm_resource *parent, const struct tmm_resource *resource)
{
	return resource->start < resource->end &&
	       contains(parent, resource->start, resource->end);
}

static void describe(const struct tmm_resource *resource, struct tmm_resource_info *out)
{
	*out = (struct tmm_resource_info){.start = resource->start,
	                                  .end = resource->end,
	                                  .name = resource->name,
	                                  .flags = resource->flags,
	                                  .kind = resource->kind};
	for (const struct tmm_resource *at = resource->parent; at && at->parent;
	     at = at->parent)
		out->depth++;
}

/* What it means that `other` is in the way, or NULL. */
static tmm_err clash(const struct tmm_resource *other, struct tmm_resource_info *out)
{
	if (!other)
		return TMM_OK;
	if (out)
		describe(other, out);
	return TMM_E_BUSY;
}

struct tmm_resource *tmm_iomem_root(struct tmm_iomem *iomem)
{
	return &iomem->root;
}

tmm_err tmm_resource_request(struct tmm_iomem *iomem, struct tmm_resource *parent,
                             struct tmm_resource *resource, struct tmm_resource_info *conflict)
{
	tmm_err err = TMM_E_INVAL;
	tmm_irq irq = lock_take_irqsave(&iomem->lock);

	if (is_valid(parent, resource))
		err = clash(place(parent, resource), conflict);
	lock_drop_irqrestore(&iomem->lock, irq);
	return err;
}

/* All from `first` on that overlap the resource lie within it; the one that does not. */
static struct tmm_resource *sticks_out(struct tmm_resource *first,
                                       const struct tmm_resource *resource)
{
	for (; first && first->start < resource->end; first = first->sibling)
		if (!contains(resource, first->start, first->end))
			return first;
	return NULL;
}

/* The resource takes the place of those that lie within it. */
static void adopt(struct tmm_resource **link, struct tmm_resource *parent,
                  struct tmm_resource *resource)
{
	struct tmm_resource *last = *link;

	resource->child = last;
	for (;; last = last->sibling) {
		last->parent = resource;
		if (!last->sibling || last->sibling->start >= resource->end)
			break;
	}
	*link = last->sibling;
	last->sibling = NULL;
	link_in(link, parent, resource);
}

/* NULL, or what it overlaps in part. */
struct tmm_resource *resource_insert(struct tmm_iomem *iomem, struct tmm_resource *parent,
                                     struct tmm_resource *resource)
{
	struct tmm_resource *first;

	(void)iomem;
	for (;;) {
		first = place(parent, resource);
		if (!first)
			return NULL;
		/* Of two that are equal, the later one is the parent. */
		if (!contains(first, resource->start, resource->end) ||
		    contains(resource, first->start, first->end))
			break;
		parent = first;
	}
	first = sticks_out(first, resource);
	if (!first)
		adopt(link_at(parent, resource->start), parent, resource);
	return first;
}

tmm_err tmm_resource_insert(struct tmm_iomem *iomem, struct tmm_resource *parent,
                            struct tmm_resource *resource, struct tmm_resource_info *conflict)
{
	tmm_err err = TMM_E_INVAL;
	tmm_irq irq = lock_take_irqsave(&iomem->lock);

	if (is_valid(parent, resource))
		err = clash(resource_insert(iomem, parent, resource), conflict);
	lock_drop_irqrestore(&iomem->lock, irq);
	return err;
}

tmm_err tmm_resource_release(struct tmm_iomem *iomem, struct tmm_resource *resource)
{
	tmm_irq irq = lock_take_irqsave(&iomem->lock);
	bool was_there = resource_unlink(resource);

	lock_drop_irqrestore(&iomem->lock, irq);
	return was_there ? TMM_OK : TMM_E_NOENT;
}

/* Does its parent have room for the range, with the resource's own place free? */
static bool has_room(struct tmm_resource *resource, uint64_t start, uint64_t end)
{
	struct tmm_resource *at = overlap(resource->parent, start, end);

	if (at == resource)
		at = at->sibling && at->sibling->start < end ? at->sibling : NULL;
	return !at && start < end && contains(resource->parent, start, end);
}

tmm_err tmm_resource_adjust(struct tmm_iomem *iomem, struct tmm_resource *resource,
                            uint64_t start, uint64_t size_bytes)
{
	const uint64_t end = start + size_bytes;
	tmm_irq irq = lock_take_irqsave(&iomem->lock);
	struct tmm_resource *parent = resource->parent;
	bool fits = parent && has_room(resource, start, end);

	for (const struct tmm_resource *in = resource->child; in; in = in->sibling)
		fits = fits && start <= in->start && in->end <= end;
	if (fits) {
		/* It may have come to lie behind siblings. */
		resource_unlink(resource);
		resource->start = start;
		resource->end = end;
		link_in(link_at(parent, start), parent, resource);
	}
	lock_drop_irqrestore(&iomem->lock, irq);
	return fits ? TMM_OK : TMM_E_BUSY;
}

/* The lowest place between the parent's children; false: there is none. */
static bool lowest_place(const struct tmm_resource *parent,
                         const struct tmm_resource_want *want, uint64_t *out)
{
	const uint64_t align = want->align_bytes ? want->align_bytes : 1;
	const uint64_t max = want->max ? min_u64(want->max, parent->end) : parent->end;
	uint64_t at = max_u64(parent->start, want->min);

	for (const struct tmm_resource *next = parent->child;; next = next->sibling) {
		uint64_t end = next ? min_u64(next->start, max) : max;
		uint64_t start = align_up(at, align);

		if (start >= at && start <= end && end - start >= want->size_bytes) {
			*out = start;
			return true;
		}
		if (!next)
			return false;
		at = max_u64(at, next->end);
	}
}

tmm_err tmm_resource_allocate(struct tmm_iomem *iomem, struct tmm_resource *parent,
                              struct tmm_resource *resource,
                              const struct tmm_resource_want *want)
{
	bool found;
	uint64_t start;
	tmm_irq irq;

	if (!want->size_bytes || (want->align_bytes && !is_power_of_two(want->align_bytes)))
		return TMM_E_INVAL;
	irq = lock_take_irqsave(&iomem->lock);
	found = lowest_place(parent, want, &start);
	if (found) {
		resource->start = start;
		resource->end = start + want->size_bytes;
		link_in(link_at(parent, start), parent, resource);
	}
	lock_drop_irqrestore(&iomem->lock, irq);
	return found ? TMM_OK : TMM_E_BUSY;
}

/* ---- claims ---- */

static struct tmm_resource *claim_create(struct tmm_iomem *iomem, const char *name,
                                         enum tmm_resource_kind kind)
{
	struct tmm_resource *claim = tmm_kmalloc(iomem->slabs, sizeof(*claim), TMM_GFP_KERNEL);

	if (claim)
		*claim = (struct tmm_resource){
			.name = name, .flags = TMM_RESOURCE_BUSY, .kind = kind};
	return claim;
}

/* Down through what contains the range and is not in use; NULL: claimed. */
static struct tmm_resource *claim_link(struct tmm_iomem *iomem, struct tmm_resource *claim)
	TMM_REQUIRES(iomem->lock)
{
	struct tmm_resource *parent = &iomem->root;

	for (;;) {
		struct tmm_resource *other = place(parent, claim);

		if (!other || other->flags & TMM_RESOURCE_BUSY ||
		    !contains(other, claim->start, claim->end))
			return other;
		parent = other;
	}
}

static bool is_within(const struct tmm_resource *root, tmm_paddr start, uint64_t size_bytes)
{
	return size_bytes && start.v < root->end && size_bytes <= root->end - start.v;
}

tmm_err tmm_mem_region_request(struct tmm_iomem *iomem, tmm_paddr start, uint64_t size_bytes,
                               const char *name, struct tmm_resource_info *conflict)
{
	struct tmm_resource *claim;
	tmm_err err;
	tmm_irq irq;

	if (!is_within(&iomem->root, start, size_bytes))
		return TMM_E_INVAL;
	claim = claim_create(iomem, name, TMM_RESOURCE_DEVICE);
	if (!claim)
		return TMM_E_NOMEM;
	claim->start = start.v;
	claim->end = start.v + size_bytes;
	irq = lock_take_irqsave(&iomem->lock);
	err = clash(claim_link(iomem, claim), conflict);
	lock_drop_irqrestore(&iomem->lock, irq);
	if (err != TMM_OK)
		tmm_kfree(iomem->slabs, claim);
	return err;
}

static struct tmm_resource *claim_unlink(struct tmm_iomem *iomem, uint64_t start, uint64_t end)
	TMM_REQUIRES(iomem->lock)
{
	struct tmm_resource *at = overlap(&iomem->root, start, end);

	while (at && !(at->flags & TMM_RESOURCE_BUSY) && contains(at, start, end))
		at = overlap(at, start, end);
	/* Of equals the outer one may not be busy: the loop went through it. */
	if (!at || !(at->flags & TMM_RESOURCE_BUSY) || at->start != start || at->end != end ||
	    at->kind == TMM_RESOURCE_RAM)
		return NULL;
	TMM_ASSERT(!at->child && "nothing is left in a claim that is released");
	resource_unlink(at);
	return at;
}

static void log_not_claimed(uint64_t start, uint64_t end)
{
	struct log_lines lines;
	const struct tmm_sink sink = log_lines_begin(&lines, LOG_WARNING);
	struct printer printer;

	print_begin(&printer, &sink);
	print(&printer, "Trying to free nonexistent resource <%016lx-%016lx>\n", start,
	      end - 1);
	print_end(&printer);
}

tmm_err tmm_mem_region_release(struct tmm_iomem *iomem, tmm_paddr start, uint64_t size_bytes)
{
	tmm_irq irq = lock_take_irqsave(&iomem->lock);
	struct tmm_resource *claim = claim_unlink(iomem, start.v, start.v + size_bytes);

	lock_drop_irqrestore(&iomem->lock, irq);
	if (!claim) {
		log_not_claimed(start.v, start.v + size_bytes);
		return TMM_E_NOENT;
	}
	tmm_kfree(iomem->slabs, claim);
	return TMM_OK;
}

/* The highest place between the root's children. */
static bool highest_place(const struct tmm_resource *root, uint64_t bytes, uint64_t align,
                          uint64_t *out)
{
	uint64_t at = root->start;
	bool found = false;

	for (const struct tmm_resource *next = root->child;; next = next->sibling) {
		uint64_t end = next ? next->start : root->end;
		uint64_t start = end >= bytes ? align_down(end - bytes, align) : 0;

		if (end - at >= bytes && start >= at) {
			*out = start;
			found = true;
		}
		if (!next)
			return found;
		at = next->end;
	}
}

tmm_err tmm_mem_region_request_free(struct tmm_iomem *iomem, uint64_t size_bytes,
                                    uint64_t align_bytes, const char *name,
                                    tmm_paddr *out_start)
{
	const uint64_t align = align_bytes ? align_bytes : 1;
	struct tmm_resource *claim;
	uint64_t start;
	bool found;
	tmm_irq irq;

	if (!size_bytes || size_bytes > TMM_PHYS_END || !is_power_of_two(align))
		return TMM_E_INVAL;
	claim = claim_create(iomem, name, TMM_RESOURCE_PRIVATE);
	if (!claim)
		return TMM_E_NOMEM;
	irq = lock_take_irqsave(&iomem->lock);
	found = highest_place(&iomem->root, size_bytes, align, &start);
	if (found) {
		claim->start = start;
		claim->end = start + size_bytes;
		link_in(link_at(&iomem->root, start), &iomem->root, claim);
	}
	lock_drop_irqrestore(&iomem->lock, irq);
	if (!found) {
		tmm_kfree(iomem->slabs, claim);
		return TMM_E_BUSY;
	}
	out_start->v = start;
	return TMM_OK;
}

/* ---- questions ---- */

enum tmm_region_meets tmm_region_intersects(struct tmm_iomem *iomem, tmm_paddr start,
                                            uint64_t size_bytes, enum tmm_resource_kind kind)
{
	const uint64_t end = start.v + size_bytes;
	bool is_kind = false, is_other = false;
	tmm_irq irq = lock_take_irqsave(&iomem->lock);

	for (const struct tmm_resource *at = *link_at(&iomem->root, start.v);
	     at && at->start < end; at = at->sibling) {
		is_kind |= at->kind == kind;
		is_other |= at->kind != kind;
	}
	lock_drop_irqrestore(&iomem->lock, irq);
	if (!is_kind)
		return TMM_REGION_DISJOINT;
	return is_other ? TMM_REGION_MIXED : TMM_REGION_INTERSECTS;
}

/* The next in order, parents first; *depth follows. */
static struct tmm_resource *step(struct tmm_resource *at, uint32_t *depth)
{
	if (at->child) {
		++*depth;
		return at->child;
	}
	while (at && !at->sibling) {
		at = at->parent;
		--*depth;
	}
	return at ? at->sibling : NULL;
}

bool tmm_resource_next(struct tmm_iomem *iomem, struct tmm_resource_cursor *cursor,
                       struct tmm_resource_info *out)
{
	uint32_t depth = 0; /* of the root, whose children have 1 */
	tmm_irq irq = lock_take_irqsave(&iomem->lock);
	struct tmm_resource *at = step(&iomem->root, &depth);

	/* Parents first is by start, then by depth. */
	while (at && (at->start < cursor->start ||
	              (at->start == cursor->start && depth <= cursor->depth)))
		at = step(at, &depth);
	if (at) {
		describe(at, out);
		*cursor = (struct tmm_resource_cursor){.start = at->start, .depth = depth};
	}
	lock_drop_irqrestore(&iomem->lock, irq);
	return at != NULL;
}

void tmm_iomem_check(struct tmm_iomem *iomem)
{
	uint32_t depth = 0;
	tmm_irq irq = lock_take_irqsave(&iomem->lock);

	for (struct tmm_resource *at = step(&iomem->root, &depth); at; at = step(at, &depth)) {
		TMM_ASSERT(at->start < at->end);
		TMM_ASSERT(at->parent && contains(at->parent, at->start, at->end)); /* I1 */
		TMM_ASSERT(!at->sibling || at->end <= at->sibling->start);          /* I2 */
		TMM_ASSERT(!at->sibling || at->sibling->parent == at->parent);      /* I3 */
		TMM_ASSERT(!at->child || at->child->parent == at);                  /* I3 */
	}
	lock_drop_irqrestore(&iomem->lock, irq);
}
