/*
 * machine_file.c - sections and keys of a machine file, each value by itself
 *
 * inih splits lines into section, key and value.  It knows no line numbers in its
 * default build and joins indented lines to the one before; so it reads through
 * next_line(), which counts and takes the blanks away, and which refuses what inih
 * would cut short without a word.
 */
#include "cmd.h"
#include "machine.h"

#include <ini.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define BLANKS  " \t\r\v\f"
#define MAX_U32 UINT64_C(0xffffffff)

enum value_type { SIZE, NUMBER, WORD, CPU_LIST, DISTANCES, SLAB_OPTIONS, FAULT_ATTR };

struct key {
	const char *name;
	enum value_type type;
	uint64_t min, max;
	const char *const *words; /* of WORD, NULL at the end; the value is min + its place */
};

static const char *const models[] = {"flat", "discontiguous", "sparse", NULL};
static const char *const allocators[] = {"slab", "slob", NULL};
static const char *const tables[] = {"x86-64", "x86-64-la57", "x86-32", "x86-pae", NULL};
static const char *const types[] = {"usable", "reserved", "acpi", "nvs", "unusable", NULL};
static const char *const overcommits[] = {"heuristic", "always", "never", NULL};
static const char *const switches[] = {"off", "on", NULL};

static const char *const swiotlb_modes[] = {"auto", "force", "none", NULL};

#define MOST_SIZE UINT64_MAX

static const struct key machine_keys[] = {
	[MACHINE_RAM] = {"ram", SIZE, 1, MOST_SIZE, NULL},
	[MACHINE_CPUS] = {"cpus", NUMBER, 1, TMM_MAX_CPUS, NULL},
	[MACHINE_KERNEL] = {"kernel", SIZE, 0, MOST_SIZE, NULL},
	[MACHINE_MEM] = {"mem", SIZE, 1, MOST_SIZE, NULL},
	[MACHINE_MODEL] = {"memory-model", WORD, TMM_MEMORY_FLAT, 0, models},
	[MACHINE_SECTION_SIZE] = {"section-size", SIZE, 1, MOST_SIZE, NULL},
	[MACHINE_HOTPLUG_END] = {"hotplug-end", SIZE, 1, MOST_SIZE, NULL},
	[MACHINE_MAX_ORDER] = {"max-order", NUMBER, 9, 18, NULL},
	[MACHINE_TABLES] = {"page-tables", WORD, TMM_GEOMETRY_X86_64, 0, tables},
	[MACHINE_LOWMEM] = {"lowmem", SIZE, 1, MOST_SIZE, NULL},
	[MACHINE_KERNELCORE] = {"kernelcore", SIZE, 1, MOST_SIZE, NULL},
	[MACHINE_MOVABLECORE] = {"movablecore", SIZE, 1, MOST_SIZE, NULL},
	[MACHINE_MIN_FREE] = {"min-free-kbytes", NUMBER, 1, MAX_U32, NULL},
	[MACHINE_SCALE_FACTOR] = {"watermark-scale-factor", NUMBER, 1, 3000, NULL},
	[MACHINE_STACK_HIGH] = {"stack-high", NUMBER, 1, 512, NULL},
	[MACHINE_STACK_BATCH] = {"stack-batch", NUMBER, 1, 512, NULL},
	[MACHINE_OVERCOMMIT] = {"overcommit", WORD, 0, 0, overcommits},
	[MACHINE_OVERCOMMIT_RATIO] = {"overcommit-ratio", NUMBER, 1, MAX_U32, NULL},
	[MACHINE_MAX_MAP_COUNT] = {"max-map-count", NUMBER, 1, MAX_U32, NULL},
	[MACHINE_FAULT_AROUND] = {"fault-around", SIZE, TMM_PAGE_SIZE, MAX_U32, NULL},
	[MACHINE_ANON_AROUND] = {"anonymous-around", SIZE, TMM_PAGE_SIZE, MAX_U32, NULL},
	[MACHINE_SLAB] = {"slab-allocator", WORD, TMM_SLABS, 0, allocators},
	[MACHINE_SWIOTLB] = {"swiotlb", SIZE, 1, UINT64_C(1) << 30, NULL},
	[MACHINE_SWIOTLB_MODE] = {"swiotlb-mode", WORD, TMM_SWIOTLB_AUTO, 0, swiotlb_modes},
	[MACHINE_COHERENT_POOL] = {"coherent-pool", SIZE, 1, UINT64_C(4) << 20, NULL},
	[MACHINE_DMA_DEBUG] = {"dma-debug", WORD, 0, 0, switches},
};
static const struct key memory_keys[] = {
	[MEMORY_START] = {"start", SIZE, 0, MOST_SIZE, NULL},
	[MEMORY_SIZE] = {"size", SIZE, 1, MOST_SIZE, NULL},
	[MEMORY_TYPE] = {"type", WORD, TMM_FW_USABLE, 0, types},
	[MEMORY_NODE] = {"node", NUMBER, 0, TMM_MAX_NODES - 1, NULL},
};
static const struct key node_keys[] = {
	[NODE_CPUS] = {"cpus", CPU_LIST, 0, 0, NULL},
	[NODE_DISTANCE] = {"distance", DISTANCES, 10, 254, NULL},
};
static const struct key debug_keys[] = {
	[DEBUG_PAGE_OWNER] = {"page-owner", WORD, 0, 0, switches},
	[DEBUG_POISON] = {"poison", WORD, 0, 0, switches},
	[DEBUG_SLAB] = {"slab", SLAB_OPTIONS, 0, 0, NULL},
	[DEBUG_SLAB_NOMERGE] = {"slab-nomerge", WORD, 0, 0, switches},
	[DEBUG_SLAB_PANIC] = {"slab-panic", WORD, 0, 0, switches},
	[DEBUG_SLAB_RANDOM] = {"slab-freelist-random", WORD, 0, 0, switches},
	[DEBUG_FAILSLAB] = {"failslab", FAULT_ATTR, 0, 0, NULL},
	[DEBUG_FAILSLAB_SPARE] = {"failslab-ignore-gfp-wait", WORD, 0, 0, switches},
};
static const struct key cma_keys[] = {
	[CMA_SIZE] = {"size", SIZE, 1, MOST_SIZE, NULL},
	[CMA_BASE] = {"base", SIZE, 1, MOST_SIZE, NULL},
	[CMA_LIMIT] = {"limit", SIZE, 1, MOST_SIZE, NULL},
	[CMA_ALIGNMENT] = {"alignment", SIZE, 1, MOST_SIZE, NULL},
	[CMA_ORDER_PER_BIT] = {"order-per-bit", NUMBER, 0, 18, NULL},
	[CMA_NODE] = {"node", NUMBER, 0, TMM_MAX_NODES - 1, NULL},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
_Static_assert(COUNT(machine_keys) <= MACHINE_MAX_KEYS, "struct section has room");

static const struct {
	const char *name, *named_by; /* named_by: what follows the name; NULL: nothing */
	const struct key *key;
	unsigned nr_keys, most;
} kinds[NR_SECTIONS] = {
	[SECTION_MACHINE] = {"machine", NULL, machine_keys, COUNT(machine_keys), 1},
	[SECTION_MEMORY] = {"memory", "NAME", memory_keys, COUNT(memory_keys),
                            MACHINE_MAX_RANGES},
	[SECTION_NODE] = {"node", "NUMBER", node_keys, COUNT(node_keys), TMM_MAX_NODES},
	[SECTION_DEBUG] = {"debug", NULL, debug_keys, COUNT(debug_keys), 1},
	[SECTION_CMA] = {"cma", "NAME", cma_keys, COUNT(cma_keys), TMM_MAX_CMA_AREAS},
};

struct parse {
	struct machine_file *file;
	const char *at, *end;
	unsigned line, header_line; /* header_line: of the last [section]; 0: none yet */
	struct section *section;
};

/* ---- what has no value of its own ---- */

bool machine_fault(struct machine_file *file, unsigned line, const char *format, ...)
{
	va_list args;

	if (file->fault[0])
		return false;
	file->fault_line = line;
	va_start(args, format);
	vsnprintf(file->fault, sizeof(file->fault), format, args);
	va_end(args);
	return false;
}

const struct section *machine_next(const struct machine_file *file, enum section_kind kind,
                                   const struct section *after)
{
	const struct section *section = after ? after + 1 : file->section;

	for (; section < file->section + file->nr_sections; section++)
		if (section->kind == kind)
			return section;
	return NULL;
}

const struct section *machine_main(const struct machine_file *file)
{
	static const struct section none;
	const struct section *section = machine_next(file, SECTION_MACHINE, NULL);

	return section ? section : &none;
}

/* ---- values ---- */

static bool value_fault(struct parse *parse, const struct key *key, const char *value,
                        const char *expected)
{
	return machine_fault(parse->file, parse->line, "[%s] %s = %s: expected %s",
	                     parse->section->title, key->name, value, expected);
}

static bool take_size(struct parse *parse, const struct key *key, const char *value,
                      uint64_t *out)
{
	char least[SIZE_TEXT], most[SIZE_TEXT], expected[96];

	if (!read_size(value, out) && !read_number(value, out))
		return value_fault(parse, key, value, "a size such as 64M, 1G or 0x100000");
	if (*out >= key->min && *out <= key->max)
		return true;
	if (key->max == MOST_SIZE)
		return value_fault(parse, key, value, "more than 0");
	snprintf(expected, sizeof(expected), "%s to %s", exact_size(key->min, least),
	         exact_size(key->max, most));
	return value_fault(parse, key, value, expected);
}

static bool take_number(struct parse *parse, const struct key *key, const char *value,
                        uint64_t *out)
{
	char expected[64];

	if (read_number(value, out) && *out >= key->min && *out <= key->max)
		return true;
	snprintf(expected, sizeof(expected), "a number from %llu to %llu",
	         (unsigned long long)key->min, (unsigned long long)key->max);
	return value_fault(parse, key, value, expected);
}

static bool take_word(struct parse *parse, const struct key *key, const char *value,
                      uint64_t *out)
{
	char expected[96] = "";

	for (unsigned i = 0; key->words[i]; i++) {
		if (strcmp(value, key->words[i]) == 0) {
			*out = key->min + i;
			return true;
		}
		if (i > 0)
			strcat(expected, key->words[i + 1] ? ", " : " or ");
		strcat(expected, key->words[i]);
	}
	return value_fault(parse, key, value, expected);
}

/* "0-3" or "5"; false when it is neither. */
static bool read_span(char *word, uint64_t *first, uint64_t *last)
{
	char *dash = strchr(word, '-');

	if (dash)
		*dash = '\0';
	return read_number(word, first) && read_number(dash ? dash + 1 : word, last) &&
	       *first <= *last && *last < TMM_MAX_CPUS;
}

static bool take_cpu_list(struct parse *parse, const struct key *key, const char *value)
{
	struct machine_file *file = parse->file;
	unsigned node = (unsigned)strtoul(parse->section->title + strlen("node "), NULL, 10);
	char copy[256], *rest = copy;

	snprintf(copy, sizeof(copy), "%s", value);
	for (char *word = strsep(&rest, ","); word; word = strsep(&rest, ",")) {
		uint64_t first, last;

		word += strspn(word, BLANKS);
		word[strcspn(word, BLANKS)] = '\0';
		if (!read_span(word, &first, &last))
			return value_fault(parse, key, value,
			                   "a list of CPUs 0 to 255 such as 0-3,8");
		for (; first <= last; first++) {
			if (file->cpu_line[first])
				return machine_fault(
					file, parse->line,
					"[%s] cpus = %s: CPU %u is on [node %u] "
					"already, line %u: expected each CPU once",
					parse->section->title, value, (unsigned)first,
					file->shape.cpu_node[first], file->cpu_line[first]);
			file->cpu_line[first] = parse->line;
			file->shape.cpu_node[first] = (uint8_t)node;
		}
	}
	return true;
}

static bool take_distances(struct parse *parse, const struct key *key, const char *value)
{
	struct machine_file *file = parse->file;
	unsigned node = (unsigned)strtoul(parse->section->title + strlen("node "), NULL, 10);
	char copy[256], *rest = copy;
	unsigned nr = 0;

	snprintf(copy, sizeof(copy), "%s", value);
	for (char *word = strsep(&rest, BLANKS ","); word; word = strsep(&rest, BLANKS ",")) {
		uint64_t distance;

		if (!*word)
			continue;
		if (nr == TMM_MAX_NODES || !read_number(word, &distance) ||
		    distance < key->min || distance > key->max)
			return value_fault(parse, key, value,
			                   "a number from 10 to 254 for each node");
		file->shape.distance[node][nr++] = (uint8_t)distance;
	}
	file->nr_distances[node] = nr;
	return true;
}

static bool take_slab_options(struct parse *parse, const struct key *key, const char *value)
{
	struct machine_file *file = parse->file;

	if (tmm_slab_debug_fault(value))
		return value_fault(parse, key, value,
		                   "letters of FZPUTAO and names of caches, such as FZPU or "
		                   "FZ,kmalloc-*;P,mm_struct");
	snprintf(file->slab_debug, sizeof(file->slab_debug), "%s", value);
	file->shape.slab_debug = file->slab_debug;
	return true;
}

/* "interval,probability,space,times", as Linux's failslab=. */
static bool take_fault_attr(struct parse *parse, const struct key *key, const char *value)
{
	struct tmm_failslab *attr = &parse->file->shape.failslab;
	uint64_t number[3] = {0};
	int times = 0, length = 0;

	if (sscanf(value, "%10" SCNu64 ",%10" SCNu64 ",%18" SCNu64 ",%9d%n", &number[0],
	           &number[1], &number[2], &times, &length) == 4 &&
	    !value[length] && number[0] >= 1 && number[0] <= MAX_U32 && number[1] <= 100 &&
	    times >= -1 && times != 0) {
		attr->interval = (uint32_t)number[0];
		attr->probability = (uint32_t)number[1];
		attr->space_bytes = number[2];
		attr->times = times;
		return true;
	}
	return value_fault(parse, key, value,
	                   "INTERVAL,PROBABILITY,SPACE,TIMES: from 1 on, percent, bytes, and "
	                   "from 1 on or -1");
}

static bool take_value(struct parse *parse, const struct key *key, const char *value,
                       uint64_t *out)
{
	switch (key->type) {
	case SIZE:
		return take_size(parse, key, value, out);
	case NUMBER:
		return take_number(parse, key, value, out);
	case WORD:
		return take_word(parse, key, value, out);
	case CPU_LIST:
		return take_cpu_list(parse, key, value);
	case SLAB_OPTIONS:
		return take_slab_options(parse, key, value);
	case FAULT_ATTR:
		return take_fault_attr(parse, key, value);
	default:
		return take_distances(parse, key, value);
	}
}

/* ---- sections ---- */

static bool section_name_is_valid(enum section_kind kind, const char *name)
{
	uint64_t number;

	if (!kinds[kind].named_by)
		return !*name;
	if (kind == SECTION_NODE)
		return read_number(name, &number) && number < TMM_MAX_NODES &&
		       name[strspn(name, "0123456789")] == '\0' && (*name != '0' || !name[1]);
	return *name && name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                                  "abcdefghijklmnopqrstuvwxyz0123456789_-.")] == '\0';
}

/* "memory low" into its kind; title gets it with one blank inside. */
static bool name_section(struct parse *parse, const char *text, struct section *section)
{
	size_t word = strcspn(text, BLANKS), blanks = strspn(text + word, BLANKS);
	const char *name = text + word + blanks;

	for (unsigned kind = 0; kind < NR_SECTIONS; kind++) {
		if (strlen(kinds[kind].name) != word || memcmp(text, kinds[kind].name, word))
			continue;
		section->kind = (enum section_kind)kind;
		snprintf(section->title, sizeof(section->title), "%s%s%s", kinds[kind].name,
		         *name ? " " : "", name);
		if (section_name_is_valid(section->kind, name))
			return true;
		if (!kinds[kind].named_by)
			return machine_fault(parse->file, parse->header_line,
			                     "[%s]: expected [%s]", text, kinds[kind].name);
		return machine_fault(
			parse->file, parse->header_line, "[%s]: expected [%s %s]%s", text,
			kinds[kind].name, kinds[kind].named_by,
			kind == SECTION_NODE ? ", numbers 0 to 15"
					     : ", of letters, digits, '-', '_', '.'");
	}
	return machine_fault(parse->file, parse->header_line,
	                     "[%s]: no such section: expected [machine], [memory NAME], "
	                     "[node NUMBER], [cma NAME] or [debug]",
	                     text);
}

static bool begin_section(struct parse *parse, const char *text)
{
	struct machine_file *file = parse->file;
	struct section section = {.line = parse->header_line};
	unsigned nr = 0;

	if (!parse->header_line)
		return machine_fault(file, parse->line,
		                     "a key without a section: expected "
		                     "[machine] before it");
	if (!name_section(parse, text, &section))
		return false;
	for (unsigned i = 0; i < file->nr_sections; i++) {
		const struct section *other = &file->section[i];

		nr += other->kind == section.kind;
		if (strcmp(other->title, section.title) == 0)
			return machine_fault(file, section.line,
			                     "[%s]: is there already, line %u: expected each "
			                     "section once",
			                     section.title, other->line);
	}
	if (nr == kinds[section.kind].most)
		return machine_fault(file, section.line,
		                     "[%s]: expected at most %u such sections", section.title,
		                     nr);
	if (section.kind == SECTION_CMA)
		section.value[CMA_NODE] = TMM_NODE_ANY;
	parse->section = &file->section[file->nr_sections++];
	*parse->section = section;
	return true;
}

static bool unknown_key(struct parse *parse, const char *name)
{
	enum section_kind kind = parse->section->kind;
	char expected[256] = "";

	for (unsigned k = 0; k < kinds[kind].nr_keys && kind != SECTION_MACHINE; k++) {
		strcat(expected, k ? " " : ": expected one of ");
		strcat(expected, kinds[kind].key[k].name);
	}
	return machine_fault(
		parse->file, parse->line, "[%s] %s: no such key%s", parse->section->title, name,
		expected[0] ? expected : ": see tuxmm-machine(5) for those expected");
}

static bool take_key(struct parse *parse, const char *name, const char *value)
{
	struct section *section = parse->section;
	const struct key *key = kinds[section->kind].key;
	unsigned k = 0;

	while (k < kinds[section->kind].nr_keys && strcmp(name, key[k].name) != 0)
		k++;
	if (k == kinds[section->kind].nr_keys)
		return unknown_key(parse, name);
	if (section->key_line[k])
		return machine_fault(
			parse->file, parse->line,
			"[%s] %s: is there already, line %u: expected each key once",
			section->title, name, section->key_line[k]);
	section->key_line[k] = parse->line;
	return take_value(parse, &key[k], value, &section->value[k]);
}

/* ---- what inih calls ---- */

static int handle(void *user, const char *section, const char *name, const char *value)
{
	struct parse *parse = user;

	if (parse->file->fault[0])
		return 0;
	if (!parse->section || parse->section->line != parse->header_line)
		if (!begin_section(parse, section))
			return 0;
	return take_key(parse, name, value);
}

/* A header whose section has no key yet never reaches handle(). */
static bool header_is_filled(struct parse *parse)
{
	if (!parse->header_line ||
	    (parse->section && parse->section->line == parse->header_line))
		return true;
	return machine_fault(parse->file, parse->header_line,
	                     "a section without keys: expected at least one");
}

/* inih ignores what follows the bracket. */
static bool header_ends_line(struct parse *parse, const char *line, size_t length)
{
	const char *rest = memchr(line, ']', length), *end = line + length;

	if (!rest)
		return machine_fault(parse->file, parse->line,
		                     "a section's name without ']': expected [SECTION]");
	for (rest++; rest < end && strchr(BLANKS, *rest); rest++)
		;
	return rest == end || *rest == ';' || *rest == '#' ||
	       machine_fault(parse->file, parse->line,
	                     "text after [SECTION]: expected a line of its own");
}

static bool line_is_valid(struct parse *parse, const char *line, size_t length, int room)
{
	if (length + 2 > (size_t)room)
		return machine_fault(parse->file, parse->line,
		                     "a line of %zu characters: expected at most %d", length,
		                     room - 2);
	if (memchr(line, '\0', length))
		return machine_fault(parse->file, parse->line, "a byte 0: expected text");
	if (*line != '[')
		return true;
	if (!header_is_filled(parse) || !header_ends_line(parse, line, length))
		return false;
	parse->header_line = parse->line;
	if (length >= MACHINE_NAME)
		return machine_fault(parse->file, parse->line,
		                     "a section's name of %zu characters: expected at most %u",
		                     length, MACHINE_NAME - 1);
	return true;
}

static char *next_line(char *out, int room, void *stream)
{
	struct parse *parse = stream;
	const char *start = parse->at, *newline;
	size_t length;

	if (start == parse->end || parse->file->fault[0])
		return NULL;
	newline = memchr(start, '\n', (size_t)(parse->end - start));
	parse->at = newline ? newline + 1 : parse->end;
	parse->line++;
	length = (size_t)((newline ? newline : parse->end) - start);
	while (length > 0 && strchr(BLANKS, *start)) {
		if (!*start)
			break;
		start++;
		length--;
	}
	if (!line_is_valid(parse, start, length, room))
		return NULL;
	memcpy(out, start, length);
	memcpy(out + length, "\n", 2);
	return out;
}

bool machine_parse(const char *text, size_t length, struct machine_file *file)
{
	struct parse parse = {.file = file, .at = text, .end = text + length};
	int line;

	*file = (struct machine_file){0};
	if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		parse.at += 3; /* a byte order mark */
	line = ini_parse_stream(next_line, &parse, handle, &parse);
	file->last_line = parse.line;
	if (line > 0)
		machine_fault(file, (unsigned)line, "expected KEY = VALUE or [SECTION]");
	return !file->fault[0] && header_is_filled(&parse);
}
