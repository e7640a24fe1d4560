/*
 * segment.c - descriptors, segment registers and their checks
 *
 *   63    56 55 54 53 52 51   48 47 46 45 44 43  40 39        16 15       0
 *   base hi   G  DB L AVL limit   P  DPL   S  type   base low      limit low
 *
 * A load reads the descriptor, checks it against the privileges concerned (CPL,
 * the selector's RPL, the descriptor's DPL; 0 is the most privileged) and keeps
 * it decoded in the register.  Checks of type and limit come with each access and
 * look at the register alone.  64-bit code keeps the loads and drops the rest:
 * bases of CS, DS, ES and SS are 0, nothing has a limit.
 */
#include <tuxmm/pgtable.h>
#include <tuxmm/segment.h>

#include "base/base.h"

static uint32_t field(uint64_t raw, unsigned low, unsigned width)
{
	return (uint32_t)(raw >> low) & ((1u << width) - 1);
}

struct tmm_descriptor tmm_descriptor_decode(uint64_t raw)
{
	return (struct tmm_descriptor){
		.base = field(raw, 16, 24) | field(raw, 56, 8) << 24,
		.limit = field(raw, 0, 16) | field(raw, 48, 4) << 16,
		.type = (uint8_t)field(raw, 40, 4),
		.dpl = (uint8_t)field(raw, 45, 2),
		.is_system = field(raw, 44, 1) == 0,
		.present = field(raw, 47, 1) != 0,
		.available = field(raw, 52, 1) != 0,
		.long_code = field(raw, 53, 1) != 0,
		.big = field(raw, 54, 1) != 0,
		.granular = field(raw, 55, 1) != 0,
	};
}

uint64_t tmm_descriptor_encode(const struct tmm_descriptor *descriptor)
{
	const struct tmm_descriptor *d = descriptor;

	TMM_ASSERT(d->limit < 1u << 20 && d->type < 16 && d->dpl < 4);
	return (uint64_t)(d->limit & 0xffff) | (uint64_t)(d->base & 0xffffff) << 16 |
	       (uint64_t)d->type << 40 | (uint64_t)!d->is_system << 44 |
	       (uint64_t)d->dpl << 45 | (uint64_t)d->present << 47 |
	       (uint64_t)(d->limit >> 16) << 48 | (uint64_t)d->available << 52 |
	       (uint64_t)d->long_code << 53 | (uint64_t)d->big << 54 |
	       (uint64_t)d->granular << 55 | (uint64_t)(d->base >> 24) << 56;
}

uint32_t tmm_descriptor_limit_bytes(const struct tmm_descriptor *descriptor)
{
	return descriptor->granular ? descriptor->limit << 12 | 0xfff : descriptor->limit;
}

static bool is_code(const struct tmm_descriptor *d)
{
	return !d->is_system && (d->type & TMM_SEGMENT_CODE);
}

static bool is_data(const struct tmm_descriptor *d)
{
	return !d->is_system && !(d->type & TMM_SEGMENT_CODE);
}

static bool is_conforming(const struct tmm_descriptor *d)
{
	return is_code(d) && (d->type & TMM_SEGMENT_CONFORMING);
}

static bool is_null(uint16_t selector)
{
	return (selector & ~TMM_SELECTOR_RPL) == 0;
}

void tmm_segments_init(struct tmm_segments *segments, struct tmm_segment_table gdt,
                       struct tmm_segment_table ldt, bool long_mode)
{
	*segments = (struct tmm_segments){.gdt = gdt, .ldt = ldt, .long_mode = long_mode};
}

bool tmm_segments_in_long_code(const struct tmm_segments *segments)
{
	const struct tmm_segment *cs = &segments->reg[TMM_SEGMENT_CS];

	return segments->long_mode && cs->usable && cs->cache.long_code;
}

/* ---- loads ---- */

static bool refuse(struct tmm_segment_fault *out, unsigned vector, uint16_t error,
                   const char *why)
{
	*out = (struct tmm_segment_fault){
		.vector = (uint8_t)vector,
		.error = (uint16_t)(error & ~TMM_SELECTOR_RPL),
		.why = why,
	};
	return false;
}

/* Where the selector's descriptor is; NULL: beyond its table. */
static uint64_t *descriptor_at(const struct tmm_segments *segments, uint16_t selector)
{
	const struct tmm_segment_table *table = selector & TMM_SELECTOR_LDT ? &segments->ldt
	                                                                    : &segments->gdt;
	unsigned index = selector >> 3;

	if (!table->entry || index * 8u + 7u > table->limit)
		return NULL;
	return &table->entry[index];
}

/* The rule a descriptor breaks in DS, ES, FS or GS; NULL: none. */
static const char *data_rule(const struct tmm_segments *segments, uint16_t selector,
                             const struct tmm_descriptor *d)
{
	unsigned rpl = selector & TMM_SELECTOR_RPL;

	if (d->is_system)
		return "a system descriptor is no data";
	if (is_code(d) && !(d->type & TMM_SEGMENT_READABLE))
		return "the code segment is not readable";
	if (!is_conforming(d) && (rpl > d->dpl || segments->cpl > d->dpl))
		return "RPL and CPL must be at least as privileged as DPL";
	return NULL;
}

static const char *stack_rule(const struct tmm_segments *segments, uint16_t selector,
                              const struct tmm_descriptor *d)
{
	if ((selector & TMM_SELECTOR_RPL) != segments->cpl)
		return "a stack's RPL must be CPL";
	if (!is_data(d) || !(d->type & TMM_SEGMENT_WRITABLE))
		return "a stack must be writable data";
	if (d->dpl != segments->cpl)
		return "a stack's DPL must be CPL";
	return NULL;
}

/* `level`: the privilege that the code is to run at. */
static const char *code_rule(const struct tmm_segments *segments,
                             const struct tmm_descriptor *d, unsigned level)
{
	if (!is_code(d))
		return "no code segment";
	if (is_conforming(d) ? d->dpl > level : d->dpl != level)
		return is_conforming(d) ? "conforming code's DPL must not be above CPL"
		                        : "code's DPL must be CPL";
	if (segments->long_mode && d->long_code && d->big)
		return "64-bit code must have D clear";
	return NULL;
}

/* The last steps of every load: present, accessed, copied. */
static bool finish_load(struct tmm_segments *segments, enum tmm_segment_name name,
                        uint16_t selector, uint64_t *raw, struct tmm_segment_fault *out_fault)
{
	struct tmm_segment *reg = &segments->reg[name];
	struct tmm_descriptor d = tmm_descriptor_decode(*raw);

	if (!d.present)
		return refuse(out_fault, name == TMM_SEGMENT_SS ? TMM_VECTOR_SS : TMM_VECTOR_NP,
		              selector, "the segment is not present");
	d.type |= TMM_SEGMENT_ACCESSED;
	*raw |= (uint64_t)TMM_SEGMENT_ACCESSED << 40;
	*reg = (struct tmm_segment){
		.selector = selector, .usable = true, .cache = d, .base64 = d.base};
	return true;
}

static bool load_null(struct tmm_segments *segments, enum tmm_segment_name name,
                      uint16_t selector, struct tmm_segment_fault *out_fault)
{
	unsigned rpl = selector & TMM_SELECTOR_RPL;

	if (name == TMM_SEGMENT_CS)
		return refuse(out_fault, TMM_VECTOR_GP, 0, "CS cannot be null");
	if (name == TMM_SEGMENT_SS && (!tmm_segments_in_long_code(segments) ||
	                               segments->cpl == 3 || rpl != segments->cpl))
		return refuse(out_fault, TMM_VECTOR_GP, 0, "SS cannot be null");
	segments->reg[name] = (struct tmm_segment){.selector = selector};
	return true;
}

bool tmm_segment_load(struct tmm_segments *segments, enum tmm_segment_name name,
                      uint16_t selector, struct tmm_segment_fault *out_fault)
{
	uint64_t *raw = descriptor_at(segments, selector);
	struct tmm_descriptor d;
	const char *rule;

	if (is_null(selector))
		return load_null(segments, name, selector, out_fault);
	if (!raw)
		return refuse(out_fault, TMM_VECTOR_GP, selector,
		              "the selector is beyond the table's limit");
	d = tmm_descriptor_decode(*raw);
	if (name == TMM_SEGMENT_CS) {
		rule = code_rule(segments, &d, segments->cpl);
		if (!rule && !is_conforming(&d) &&
		    (selector & TMM_SELECTOR_RPL) > segments->cpl)
			rule = "code's RPL must not be above CPL";
	} else if (name == TMM_SEGMENT_SS) {
		rule = stack_rule(segments, selector, &d);
	} else {
		rule = data_rule(segments, selector, &d);
	}
	if (rule)
		return refuse(out_fault, TMM_VECTOR_GP, selector, rule);
	if (name == TMM_SEGMENT_CS) /* a jump does not change the privilege */
		selector = (uint16_t)((selector & ~TMM_SELECTOR_RPL) | segments->cpl);
	return finish_load(segments, name, selector, raw, out_fault);
}

/* Data that the new level may not see is taken from the registers. */
static void drop_privileged_data(struct tmm_segments *segments)
{
	static const uint8_t data[] = {TMM_SEGMENT_ES, TMM_SEGMENT_DS, TMM_SEGMENT_FS,
	                               TMM_SEGMENT_GS};

	for (size_t i = 0; i < ARRAY_SIZE(data); i++) {
		struct tmm_segment *reg = &segments->reg[data[i]];

		if (reg->usable && !is_conforming(&reg->cache) &&
		    reg->cache.dpl < segments->cpl)
			*reg = (struct tmm_segment){0};
	}
}

bool tmm_segment_enter(struct tmm_segments *segments, uint16_t selector,
                       struct tmm_segment_fault *out_fault)
{
	unsigned level = selector & TMM_SELECTOR_RPL;
	uint64_t *raw = descriptor_at(segments, selector);
	struct tmm_descriptor d;
	const char *rule;

	if (is_null(selector))
		return refuse(out_fault, TMM_VECTOR_GP, 0, "CS cannot be null");
	if (!raw)
		return refuse(out_fault, TMM_VECTOR_GP, selector,
		              "the selector is beyond the table's limit");
	d = tmm_descriptor_decode(*raw);
	rule = code_rule(segments, &d, level);
	if (rule)
		return refuse(out_fault, TMM_VECTOR_GP, selector, rule);
	if (!finish_load(segments, TMM_SEGMENT_CS, selector, raw, out_fault))
		return false;
	segments->cpl = (uint8_t)level;
	drop_privileged_data(segments);
	return true;
}

/* ---- accesses ---- */

/* The rule that the kind of access breaks; NULL: none. */
static const char *type_rule(const struct tmm_segment *reg, unsigned access)
{
	const struct tmm_descriptor *d = &reg->cache;

	if (!reg->usable)
		return "the register is null";
	if (access & TMM_ACCESS_EXEC)
		return is_code(d) ? NULL : "no code segment";
	if (access & TMM_ACCESS_WRITE) {
		if (is_code(d))
			return "code segments are not writable";
		return d->type & TMM_SEGMENT_WRITABLE ? NULL : "the segment is read-only";
	}
	if (is_code(d) && !(d->type & TMM_SEGMENT_READABLE))
		return "the code segment is not readable";
	return NULL;
}

static bool within_limit(const struct tmm_descriptor *d, uint64_t offset, unsigned bytes)
{
	uint64_t last = offset + bytes - 1, limit = tmm_descriptor_limit_bytes(d);

	if (offset > UINT32_MAX)
		return false;
	if (is_data(d) && (d->type & TMM_SEGMENT_EXPAND_DOWN))
		return offset > limit && last <= (d->big ? UINT32_MAX : UINT16_MAX);
	return last <= limit;
}

bool tmm_segment_linear(const struct tmm_segments *segments, enum tmm_segment_name name,
                        uint64_t offset, unsigned bytes, unsigned access, tmm_vaddr *out,
                        struct tmm_segment_fault *out_fault)
{
	const struct tmm_segment *reg = &segments->reg[name];
	const char *rule;

	TMM_ASSERT(bytes >= 1);
	if (tmm_segments_in_long_code(segments)) {
		bool has_base = name == TMM_SEGMENT_FS || name == TMM_SEGMENT_GS;

		out->v = offset + (has_base ? reg->base64 : 0);
		return true;
	}
	rule = type_rule(reg, access);
	if (rule)
		return refuse(out_fault, TMM_VECTOR_GP, 0, rule);
	if (!within_limit(&reg->cache, offset, bytes))
		return refuse(out_fault, name == TMM_SEGMENT_SS ? TMM_VECTOR_SS : TMM_VECTOR_GP,
		              0, "the offset is beyond the segment's limit");
	out->v = (uint32_t)(reg->cache.base + offset);
	return true;
}
