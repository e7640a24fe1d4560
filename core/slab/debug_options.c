/*
 * debug_options.c - which caches debug: the language of Linux's slab_debug=
 *
 *   options = block { ";" block }
 *   block   = letters [ "," name { "," name } ]      a name may end in "*"
 *
 * A cache takes the first block that names it, else the last one that names none.
 * A block without letters has the usual ones.
 */
#include "slab/debug.h"

#define USUAL (TMM_SLAB_CONSISTENCY | TMM_SLAB_RED_ZONE | TMM_SLAB_POISON | TMM_SLAB_STORE_USER)

struct block {
	struct debug_choice choice;
	const char *names; /* up to the block's end; NULL: all caches */
	char unknown;      /* a letter that is none; 0: none such */
};

static void take_letter(struct block *block, char letter)
{
	static const char letters[] = "fzputa"; /* in the order of the flags */

	letter |= letter >= 'A' && letter <= 'Z' ? 'a' - 'A' : 0;
	for (unsigned i = 0; letters[i]; i++) {
		if (letter == letters[i]) {
			block->choice.flags |= 1u << i;
			return;
		}
	}
	if (letter == '-')
		block->choice.flags = 0;
	else if (letter == 'o')
		block->choice.not_at_a_cost = true;
	else
		block->unknown = letter;
}

/* Returns where the next block begins; NULL: this is the last. */
static const char *block_read(const char *at, struct block *out)
{
	*out = (struct block){.names = NULL};
	if (!*at || *at == ',' || *at == ';')
		out->choice.flags = USUAL;
	for (; *at && *at != ',' && *at != ';'; at++)
		take_letter(out, *at);
	if (*at == ',')
		out->names = ++at;
	while (*at && *at != ';')
		at++;
	return *at ? at + 1 : NULL;
}

static bool ends_name(char c)
{
	return !c || c == ',' || c == ';';
}

static bool is_named(const char *names, const char *cache)
{
	for (const char *at = names;; at++) {
		const char *letter = cache;

		while (!ends_name(*at) && *at == *letter) {
			at++;
			letter++;
		}
		if (*at == '*' || (ends_name(*at) && !*letter))
			return true;
		while (!ends_name(*at))
			at++;
		if (*at != ',')
			return false;
	}
}

struct debug_choice debug_choose(const char *options, const char *name)
{
	struct debug_choice for_all = {.flags = 0};
	struct block block;

	while (options) {
		options = block_read(options, &block);
		if (!block.names)
			for_all = block.choice;
		else if (is_named(block.names, name))
			return block.choice;
	}
	return for_all;
}

const char *tmm_slab_debug_fault(const char *options)
{
	struct block block;
	size_t length = 0;

	while (options && options[length])
		length++;
	if (length > TMM_SLAB_DEBUG_MOST)
		return "slab_debug is longer than 127 characters";
	while (options) {
		options = block_read(options, &block);
		if (block.unknown)
			return "slab_debug has a letter that is none of F, Z, P, U, T, A, O "
			       "and -";
		if (block.names && ends_name(*block.names))
			return "slab_debug has a comma without the name of a cache behind it";
	}
	return NULL;
}
