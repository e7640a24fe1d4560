/*
 * space_model.c - pages, their rights and bytes, in the simplest way there is
 */
#include <stdlib.h>
#include <string.h>

#include "space.h"

struct model_page model[WINDOW_PAGES];
struct object file_object[NR_FILES];

static const uint8_t zeroes[PAGE];

static void *must_have(void *memory)
{
	CHECK(memory);
	return memory;
}

void model_begin(void)
{
	memset(model, 0, sizeof(model));
	for (unsigned i = 0; i < NR_FILES; i++) {
		struct object *o = &file_object[i];

		if (!o->byte)
			o->byte = must_have(malloc(FILE_PAGES * PAGE));
		*o = (struct object){.refs = 1,
		                     .nr_pages = FILE_PAGES,
		                     .byte = o->byte,
		                     .read_only = i == NR_FILES - 1,
		                     .file = (int)i};
		memset(o->byte, 0, FILE_PAGES * PAGE);
		for (unsigned n = 0; n < FILE_PAGES; n++)
			o->byte[n][0] = (uint8_t)(i * 20 + n + 1);
	}
}

void model_end(void)
{
	model_unmap(WINDOW_START, WINDOW_PAGES * PAGE);
}

bool in_window(uint64_t addr, uint64_t length)
{
	return addr >= WINDOW_START && addr <= WINDOW_END && length <= WINDOW_END - addr;
}

static void drop(struct model_page *page)
{
	free(page->own);
	if (page->object && --page->object->refs == 0) {
		free(page->object->byte);
		free(page->object);
	}
	memset(page, 0, sizeof(*page));
}

/* Another page like this one, without its own bytes. */
static struct model_page like(const struct model_page *page, uint64_t index)
{
	struct model_page copy = *page;

	copy.own = NULL;
	copy.index = index;
	if (copy.object)
		copy.object->refs++;
	return copy;
}

const uint8_t *model_bytes(const struct model_page *page)
{
	if (page->own)
		return page->own;
	if (!page->object)
		return zeroes;
	return page->index < page->object->nr_pages ? page->object->byte[page->index] : NULL;
}

bool model_allows(const struct model_page *page, unsigned access)
{
	if (!page->mapped)
		return false;
	if (access == TMM_ACCESS_READ)
		return page->prot != TMM_PROT_NONE; /* x86 has no right without reading */
	return page->prot & (access == TMM_ACCESS_WRITE ? TMM_PROT_WRITE : TMM_PROT_EXEC);
}

enum tmm_fault model_fault(uint64_t addr, unsigned access)
{
	if (!in_window(addr, 1) || !model_at(addr)->mapped)
		return TMM_FAULT_MAPERR;
	if (!model_allows(model_at(addr), access))
		return TMM_FAULT_ACCERR;
	return model_bytes(model_at(addr)) ? TMM_FAULT_OK : TMM_FAULT_BUS;
}

size_t model_reach(uint64_t addr, size_t bytes, unsigned access)
{
	size_t reached = 0;

	while (reached < bytes && model_fault(addr + reached, access) == TMM_FAULT_OK)
		reached += PAGE - (addr + reached) % PAGE;
	return reached < bytes ? reached : bytes;
}

uint8_t *model_own(uint64_t addr)
{
	struct model_page *page = model_at(addr);

	if (page->shared)
		return page->object->byte[page->index];
	if (!page->own) {
		uint8_t *own = must_have(malloc(PAGE));

		page->own = memcpy(own, model_bytes(page), PAGE);
	}
	return page->own;
}

void model_write(uint64_t addr, const uint8_t *from, size_t bytes)
{
	while (bytes > 0) {
		size_t piece = PAGE - addr % PAGE;

		piece = piece < bytes ? piece : bytes;
		memcpy(model_own(addr) + addr % PAGE, from, piece);
		addr += piece;
		from += piece;
		bytes -= piece;
	}
}

static struct object *new_object(uint64_t nr_pages)
{
	struct object *o = must_have(calloc(1, sizeof(*o)));

	o->byte = must_have(calloc(nr_pages, PAGE));
	o->nr_pages = nr_pages;
	o->file = -1;
	return o;
}

void model_map(uint64_t addr, uint64_t length, const struct tmm_mmap_request *request, int file)
{
	bool shared = (request->flags & TMM_MAP_TYPE) != TMM_MAP_PRIVATE;
	uint64_t first = request->offset / PAGE;
	struct object *object = NULL;

	model_unmap(addr, length);
	if (!(request->flags & TMM_MAP_ANONYMOUS)) {
		object = &file_object[file];
	} else if (shared) {
		object = new_object(length / PAGE);
		first = 0;
	}
	for (uint64_t i = 0; i < length / PAGE; i++) {
		if (object)
			object->refs++;
		*model_at(addr + i * PAGE) = (struct model_page){
			.mapped = true,
			.shared = shared,
			.prot = request->prot & 7,
			.object = object,
			.index = object ? first + i : 0,
		};
	}
}

void model_unmap(uint64_t addr, uint64_t length)
{
	for (uint64_t at = addr; at < addr + length; at += PAGE)
		drop(model_at(at));
}

void model_move(uint64_t from, uint64_t old_length, uint64_t to, uint64_t new_length, bool keep)
{
	static struct model_page moved[WINDOW_PAGES];
	uint64_t nr_old = old_length / PAGE, nr_new = new_length / PAGE;
	struct model_page *old = model_at(from);

	for (uint64_t i = 0; i < nr_new; i++) {
		if (i >= nr_old) {
			moved[i] = like(&old[0], old->object ? old->index + i : 0);
			continue;
		}
		moved[i] = like(&old[i], old[i].index);
		moved[i].own = old[i].own;
		old[i].own = NULL;
	}
	if (!keep)
		model_unmap(from, old_length);
	model_unmap(to, new_length);
	memcpy(model_at(to), moved, nr_new * sizeof(*moved));
}

void model_discard(uint64_t addr, uint64_t length)
{
	for (uint64_t at = addr; at < addr + length; at += PAGE) {
		free(model_at(at)->own);
		model_at(at)->own = NULL;
	}
}
