/* What a program is given: arguments, environment, auxiliary vector. */
#define _GNU_SOURCE
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "say.h"

extern char **environ;

int main(int argc, char **argv)
{
	const unsigned char *random = (const unsigned char *)getauxval(AT_RANDOM);
	const char *name = (const char *)getauxval(AT_EXECFN);
	unsigned variables = 0;

	for (int i = 1; i < argc; i++)
		printf("argument %d: %s\n", i, argv[i]);
	for (char **e = environ; *e; e++)
		variables++;
	printf("%u variables\n", variables);
	SAY(argv[argc] == NULL);
	SAY(getauxval(AT_PAGESZ) == 4096);
	SAY(getauxval(AT_UID) == getuid());
	SAY(getauxval(AT_CLKTCK) == 100);
	SAY(getauxval(AT_PHDR) != 0 && getauxval(AT_PHENT) == 56);
	SAY(getauxval(AT_ENTRY) != 0);
	SAY(getauxval(AT_SECURE) == 0);
	SAY(getauxval(AT_MINSIGSTKSZ) >= 1376);
	SAY(random && (random[0] | random[5] | random[10] | random[15]) != 0);
	SAY(name && strstr(name, "arguments"));
	SAY(strcmp((const char *)getauxval(AT_PLATFORM), "x86_64") == 0);
	return 7;
}
