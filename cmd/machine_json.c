/*
 * machine_json.c - a booted machine for programs to read: format tuxmm-machine/1
 *
 * As in json.c, keys may be added to the format, never renamed.
 */
#include "cmd.h"

#include <jansson.h>

#include <tuxmm/cma.h>
#include <tuxmm/policy.h>

static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static json_t *bytes_of(uint64_t pages)
{
	return number(pages << TMM_PAGE_SHIFT);
}

static json_t *firmware(const struct tmm_shape *shape)
{
	json_t *array = json_array();

	for (size_t i = 0; i < shape->nr_ranges; i++) {
		const struct tmm_firmware_range *range = &shape->firmware_map[i];

		json_array_append_new(
			array, json_pack("{so so so so}", "start", number(range->start.v),
		                         "bytes", number(range->size_bytes), "type",
		                         number(range->type), "node", number(range->node)));
	}
	return array;
}

static json_t *nodes(const struct tmm_shape *shape, struct tmm_pages *pages)
{
	json_t *array = json_array();

	for (unsigned n = 0; n < tmm_pages_nr_nodes(pages); n++) {
		json_t *cpus = json_array(), *distance = json_array();

		for (unsigned cpu = 0; cpu < shape->nr_cpus; cpu++)
			if (shape->cpu_node[cpu] == n)
				json_array_append_new(cpus, number(cpu));
		for (unsigned to = 0; to < tmm_pages_nr_nodes(pages); to++)
			json_array_append_new(distance,
			                      number(tmm_node_distance(pages, n, to)));
		json_array_append_new(array, json_pack("{so so so}", "node", number(n), "cpus",
		                                       cpus, "distance", distance));
	}
	return array;
}

static json_t *zone(const struct tmm_zone_info *info)
{
	json_t *area = json_array(), *reserve = json_array();

	for (unsigned order = 0; order < info->nr_orders; order++)
		json_array_append_new(area, number(info->free_area[order]));
	for (unsigned z = 0; z < TMM_NR_ZONES; z++)
		json_array_append_new(reserve, bytes_of(info->lowmem_reserve[z]));
	return json_pack(
		"{ss so so so so so so so so so so so}", "name", info->name, "node",
		number(info->node), "start", bytes_of(info->start.v), "spanned_bytes",
		bytes_of(info->spanned_pages), "present_bytes", bytes_of(info->present_pages),
		"managed_bytes", bytes_of(info->managed_pages), "free_bytes",
		bytes_of(info->free_pages + info->stack_pages), "min_bytes",
		bytes_of(info->watermark_min), "low_bytes", bytes_of(info->watermark_low),
		"high_bytes", bytes_of(info->watermark_high), "lowmem_reserve_bytes", reserve,
		"free_area", area);
}

static json_t *zones(struct tmm_pages *pages)
{
	json_t *array = json_array();
	struct tmm_zone_info info;

	for (unsigned n = 0; n < tmm_pages_nr_nodes(pages); n++)
		for (unsigned z = 0; z < TMM_NR_ZONES; z++)
			if (tmm_zone_info(pages, n, (enum tmm_zone_id)z, &info))
				json_array_append_new(array, zone(&info));
	return array;
}

static json_t *models(const struct tmm_memblock *memblock, const struct tmm_shape *shape)
{
	static const char *const names[] = {"flat", "discontiguous", "sparse"};
	json_t *array = json_array();

	for (unsigned m = 0; m < sizeof(names) / sizeof(names[0]); m++) {
		struct tmm_model_cost cost;

		if (tmm_model_cost(memblock, (enum tmm_memory_model)m, shape->section_bytes,
		                   &cost) != TMM_OK)
			continue;
		json_array_append_new(array,
		                      json_pack("{ss sb so so so so so}", "model", names[m],
		                                "used", m == shape->memory_model, "arrays",
		                                number(cost.nr_arrays), "entries",
		                                number(cost.nr_entries), "hole_entries",
		                                number(cost.hole_entries), "map_bytes",
		                                number(cost.map_bytes), "table_bytes",
		                                number(cost.table_bytes)));
	}
	return array;
}

static json_t *areas(struct tmm_pages *pages)
{
	json_t *array = json_array();
	struct tmm_cma *area;

	for (unsigned i = 0; (area = tmm_cma_area(pages, i)) != NULL; i++) {
		struct tmm_cma_info info;

		tmm_cma_info(area, &info);
		json_array_append_new(array,
		                      json_pack("{ss so so so}", "name", info.name, "start",
		                                bytes_of(info.start.v), "bytes",
		                                bytes_of(info.total_pages), "order_per_bit",
		                                number(info.order_per_bit)));
	}
	return array;
}

bool show_machine_json(FILE *out, const struct machine_file *file, struct tmm_machine *machine)
{
	const struct tmm_memblock *memblock = tmm_machine_memblock(machine);
	struct tmm_pages *pages = tmm_machine_pages(machine);
	json_t *root = json_pack("{ss so so so so so so so}", "format", "tuxmm-machine/1",
	                         "ram_bytes", number(tmm_memblock_memory_bytes(memblock)),
	                         "cpus", number(file->shape.nr_cpus), "firmware_map",
	                         firmware(&file->shape), "nodes", nodes(&file->shape, pages),
	                         "zones", zones(pages), "cma_areas", areas(pages),
	                         "memory_models", models(memblock, &file->shape));
	bool ok = root && json_dumpf(root, out, JSON_INDENT(2)) == 0 && fputc('\n', out) != EOF;

	json_decref(root);
	if (!ok)
		say("machine show: the JSON cannot be written");
	return ok;
}
