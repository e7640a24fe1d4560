/*
 * translate_json.c - what tuxmm translate found, for programs to read
 *
 * Format tuxmm-translate/1.  Addresses and raw entries are strings, "0x...": JSON's
 * numbers do not hold 64 bits everywhere.
 */
#include "translate.h"

#include <inttypes.h>

#include <jansson.h>

static json_t *hex(uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, value);
	return json_string(text);
}

static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static json_t *segment(const struct translate_options *options, const struct translation *done)
{
	struct tmm_descriptor d = tmm_descriptor_decode(done->raw);
	char text[BITS_TEXT];
	json_t *object = json_pack("{ss so}", "register", segment_names[options->segment],
	                           "selector", hex(done->selector));

	if (done->raw)
		json_object_update_new(
			object,
			json_pack("{so ss so so so sb}", "descriptor", hex(done->raw), "type",
		                  descriptor_words(&d, text), "base", hex(d.base), "limit",
		                  hex(tmm_descriptor_limit_bytes(&d)), "dpl", number(d.dpl),
		                  "present", d.present));
	return object;
}

static json_t *steps(const struct tmm_mmu_format *format, const struct tmm_mmu_result *result)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < result->nr_steps; i++) {
		const struct tmm_mmu_step *step = &result->step[i];
		char text[BITS_TEXT];

		json_array_append_new(
			array, json_pack("{ss so so so so ss sb so}", "entry",
		                         format->level[step->level].name, "index",
		                         number(step->index), "at", hex(step->entry_at.v),
		                         "before", hex(step->before), "after", hex(step->after),
		                         "bits", entry_bits(step, step->before, text), "leaf",
		                         step->is_leaf, "reserved", hex(step->reserved)));
	}
	return array;
}

static json_t *fault(const struct translation *done)
{
	unsigned vector = vector_of(done);

	if (vector == 0)
		return json_null();
	if (!done->has_linear)
		return json_pack("{ss so ss}", "vector", vector_name(vector), "error",
		                 number(done->segment_fault.error), "why",
		                 done->segment_fault.why);
	return json_pack("{ss so ss}", "vector", vector_name(vector), "error",
	                 number(done->result.error), "why", fault_words(done->result.fault));
}

static const char *tlb_word(const struct tmm_mmu_result *result)
{
	if (result->fault == TMM_FAULT_CANONICAL)
		return "not asked";
	return result->from_tlb ? "hit" : "miss";
}

static json_t *access_of(const struct example *example, const struct translate_options *options,
                         const struct translation *done)
{
	const struct tmm_mmu_result *result = &done->result;
	json_t *object = json_pack("{so so}", "segment", segment(options, done), "fault",
	                           fault(done));

	if (!done->has_linear)
		return object;
	json_object_update_new(object, json_pack("{so ss so}", "linear", hex(done->linear.v),
	                                         "tlb", tlb_word(result), "steps",
	                                         steps(example->mmu.format, result)));
	if (result->fault == TMM_FAULT_NONE)
		json_object_update_new(object,
		                       json_pack("{so so}", "physical", hex(result->pa.v),
		                                 "page_bytes", number(result->page_bytes)));
	return object;
}

bool show_translation_json(FILE *out, const struct example *example,
                           const struct translate_options *options,
                           const struct translation *done, unsigned nr)
{
	const struct tmm_mmu_format *format = example->mmu.format;
	const char *kind = options->access & TMM_ACCESS_WRITE  ? "write"
	                   : options->access & TMM_ACCESS_EXEC ? "fetch"
	                                                       : "read";
	json_t *accesses = json_array(), *root;
	bool ok;

	for (unsigned i = 0; i < nr; i++)
		json_array_append_new(accesses, access_of(example, options, &done[i]));
	root = json_pack("{ss ss so so so so ss so so so}", "format", "tuxmm-translate/1",
	                 "geometry", format->name, "levels", number(format->nr_levels),
	                 "linear_bits", number(format->linear_bits), "physical_bits",
	                 number(example->mmu.physical_bits), "address", hex(options->address),
	                 "access", kind, "cpl", number(example->segments.cpl), "cr3",
	                 hex(tmm_pfn_to_paddr(example->mmu.root).v), "accesses", accesses);
	ok = root && json_dumpf(root, out, JSON_INDENT(2)) == 0 && fputc('\n', out) != EOF;
	json_decref(root);
	return ok;
}
