/*
 * translate_options.c - the arguments of tuxmm translate
 */
#include "cmd.h"
#include "translate.h"

#include <getopt.h>
#include <inttypes.h>
#include <string.h>

enum option_id {
	GEOMETRY = FIRST_LONG_OPTION,
	ACCESS,
	USER,
	KERNEL,
	SELECTOR,
	MAP,
	TWICE,
	JSON,
	HELP
};

static const struct option table[] = {
	{"geometry", required_argument, NULL, GEOMETRY},
	{"access", required_argument, NULL, ACCESS},
	{"user", no_argument, NULL, USER},
	{"kernel", no_argument, NULL, KERNEL},
	{"selector", required_argument, NULL, SELECTOR},
	{"map", required_argument, NULL, MAP},
	{"twice", no_argument, NULL, TWICE},
	{"json", no_argument, NULL, JSON},
	{"help", no_argument, NULL, HELP},
	{NULL, 0, NULL, 0},
};

const char *const segment_names[TMM_NR_SEGMENTS] = {"es", "cs", "ss", "ds", "fs", "gs"};

/* What is read before it is known what it means. */
struct raw_options {
	struct translate_options *out;
	const char *selector;
	bool kernel;
};

static bool take_geometry(const char *text, struct translate_options *out)
{
	for (unsigned g = 0; g < TMM_NR_GEOMETRIES; g++) {
		if (strcmp(text, tmm_mmu_format(g)->name) == 0) {
			out->geometry = g;
			return true;
		}
	}
	say("translate: --geometry %s: expected x86-32, pae, x86-64 or x86-64-la57", text);
	return false;
}

static bool take_access(const char *text, struct translate_options *out)
{
	static const char letters[] = "rwx";
	const char *letter = text[0] ? strchr(letters, text[0]) : NULL;

	if (!letter || text[1]) {
		say("translate: --access %s: expected r, w or x", text);
		return false;
	}
	out->access = TMM_ACCESS_READ << (letter - letters);
	return true;
}

/* The next of the pieces that ':' divides; NULL: none. */
static char *next_piece(char **rest)
{
	char *piece = *rest, *end = piece ? strchr(piece, ':') : NULL;

	*rest = end ? end + 1 : NULL;
	if (end)
		*end = '\0';
	return piece;
}

/* The entry's bits by the letters; NX, where x is missing, comes with the geometry. */
static bool read_flags(const char *letters, uint64_t *out_bits)
{
	*out_bits = TMM_PTE_NX;
	for (const char *c = letters; *c; c++) {
		switch (*c) {
		case 'r':
			break;
		case 'w':
			*out_bits |= TMM_PTE_WRITE;
			break;
		case 'x':
			*out_bits &= ~TMM_PTE_NX;
			break;
		case 'u':
			*out_bits |= TMM_PTE_USER;
			break;
		case 'g':
			*out_bits |= TMM_PTE_GLOBAL;
			break;
		default:
			return false;
		}
	}
	return true;
}

static bool take_map(const char *text, struct translate_options *out)
{
	struct mapping *mapping = &out->mapping[out->nr_mappings];
	char copy[128], *rest = copy, *va, *pa, *size, *flags;

	if (out->nr_mappings == MAX_MAPPINGS) {
		say("translate: --map %s: there can be at most %u", text, MAX_MAPPINGS);
		return false;
	}
	snprintf(copy, sizeof(copy), "%s", text);
	va = next_piece(&rest);
	size = next_piece(&rest);
	flags = next_piece(&rest);
	pa = strchr(va, '=');
	if (pa)
		*pa++ = '\0';
	mapping->text = text;
	if (strlen(text) >= sizeof(copy) || rest || !pa || !read_number(va, &mapping->va) ||
	    !read_number(pa, &mapping->pa) || !read_size(size ? size : "4K", &mapping->bytes) ||
	    !read_flags(flags ? flags : "rwxu", &mapping->bits)) {
		say("translate: --map %s: expected VA=PA[:SIZE[:FLAGS]], such as "
		    "0x9000=0x200000:4K:rwu",
		    text);
		return false;
	}
	out->nr_mappings++;
	return true;
}

/* False: the value is not what the option expects, which has been said. */
static bool take(int option, const char *value, struct raw_options *raw)
{
	switch (option) {
	case GEOMETRY:
		return take_geometry(value, raw->out);
	case ACCESS:
		return take_access(value, raw->out);
	case SELECTOR:
		raw->selector = value;
		return true;
	case MAP:
		return take_map(value, raw->out);
	case USER:
	case KERNEL:
		raw->kernel = option == KERNEL;
		return true;
	case TWICE:
		raw->out->twice = true;
		return true;
	case JSON:
		raw->out->json = true;
		return true;
	default:
		raw->out->help = true;
		return true;
	}
}

/* NUMBER, REGISTER or REGISTER=NUMBER. */
static bool take_selector(const char *text, struct translate_options *out)
{
	const char *number = text;
	uint64_t value;

	for (unsigned i = 0; i < TMM_NR_SEGMENTS; i++) {
		if (strncmp(text, segment_names[i], 2) != 0 || (text[2] && text[2] != '='))
			continue;
		out->segment = i;
		if (!text[2])
			number = NULL;
		else
			number = text + 3;
		break;
	}
	if (number && (!read_number(number, &value) || value > UINT16_MAX)) {
		say("translate: --selector %s: expected a number of 16 bits, cs, ss, ds, es, "
		    "fs or gs, or REGISTER=NUMBER",
		    text);
		return false;
	}
	if ((out->access & TMM_ACCESS_EXEC) && out->segment != TMM_SEGMENT_CS) {
		say("translate: --selector %s: expected cs: code is fetched through no other",
		    text);
		return false;
	}
	if (number) {
		out->has_selector = true;
		out->selector = (uint16_t)value;
	}
	return true;
}

static bool take_address(const char *text, struct translate_options *out)
{
	const struct tmm_mmu_format *format = tmm_mmu_format(out->geometry);

	if (!read_number(text, &out->address)) {
		say("translate: %s: expected an address, such as 0x8048000", text);
		return false;
	}
	if (format->linear_bits == 32 && out->address > UINT32_MAX) {
		say("translate: %s: expected an address of 32 bits: programs of %s have no "
		    "others",
		    text, format->name);
		return false;
	}
	return true;
}

int read_translate_options(int argc, char **argv, struct translate_options *out)
{
	struct raw_options raw = {.out = out};
	int option;

	*out = (struct translate_options){.access = TMM_ACCESS_READ};
	opterr = 0;
	optind = 1;
	while ((option = getopt_long(argc, argv, ":", table, NULL)) != -1) {
		if (option == '?' || option == ':') {
			say_bad_option("translate", option, argv);
			return RUN_STATUS_FAILED;
		}
		if (!take(option, optarg, &raw))
			return RUN_STATUS_FAILED;
	}
	if (out->help)
		return 0;
	if (optind == argc) {
		say("translate: no address: expected tuxmm translate [OPTIONS] ADDRESS");
		return RUN_STATUS_FAILED;
	}
	if (optind + 1 < argc) {
		say("translate: %s: expected one address alone", argv[optind + 1]);
		return RUN_STATUS_FAILED;
	}
	out->segment = out->access & TMM_ACCESS_EXEC ? TMM_SEGMENT_CS : TMM_SEGMENT_DS;
	if ((raw.selector && !take_selector(raw.selector, out)) ||
	    !take_address(argv[optind], out))
		return RUN_STATUS_FAILED;
	if (!raw.kernel)
		out->access |= TMM_ACCESS_USER;
	return 0;
}
