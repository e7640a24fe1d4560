/*
 * make_text.c - a text of chosen length for demonstrations and benchmarks
 *
 *	make_text BYTES
 *
 * Lines of made-up words, the same on every machine.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t state = UINT64_C(0x9e3779b97f4a7c15);

static unsigned pick(unsigned n)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (unsigned)((state * UINT64_C(0x2545f4914f6cdd1d) >> 33) % n);
}

int main(int argc, char **argv)
{
	static const char *const syllable[] = {"ba",  "con", "di", "fer", "gu",  "la",
	                                       "mem", "nor", "o",  "pa",  "qui", "re",
	                                       "sta", "tu",  "ve", "xi"};
	unsigned long long bytes = argc == 2 ? strtoull(argv[1], NULL, 10) : 0;
	unsigned long long written = 0;

	if (bytes == 0) {
		fprintf(stderr, "usage: make_text BYTES\n");
		return 2;
	}
	while (written < bytes) {
		for (unsigned words = 3 + pick(5); words > 0; words--) {
			for (unsigned syllables = 1 + pick(3); syllables > 0; syllables--)
				written += (unsigned)printf("%s", syllable[pick(16)]);
			written++;
			putchar(words > 1 ? ' ' : '\n');
		}
	}
	return fflush(stdout) != 0 || ferror(stdout);
}
