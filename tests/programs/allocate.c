/* A storm of malloc, realloc and free with contents checked. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "say.h"

#define SLOTS 2000

static uint64_t state = 88172645463325252u;

static uint64_t next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static struct {
	unsigned char *bytes;
	size_t size;
	unsigned char mark;
} slot[SLOTS];

static int intact(unsigned i)
{
	for (size_t b = 0; b < slot[i].size; b += 97)
		if (slot[i].bytes[b] != slot[i].mark)
			return 0;
	return 1;
}

int main(void)
{
	unsigned long bad = 0, bytes = 0;

	for (unsigned round = 0; round < 60000; round++) {
		unsigned i = (unsigned)(next() % SLOTS);
		size_t size = next() % 64 == 0 ? next() % 400000 : next() % 2000;

		bad += !intact(i);
		if (next() % 3 == 0) {
			free(slot[i].bytes);
			slot[i].bytes = NULL;
			slot[i].size = 0;
			continue;
		}
		slot[i].bytes = realloc(slot[i].bytes, size + 1);
		slot[i].size = size;
		slot[i].mark = (unsigned char)next();
		memset(slot[i].bytes, slot[i].mark, size);
		bytes += size;
	}
	printf("%lu bytes\n", bytes);
	SAY(bad == 0);
	return 0;
}
