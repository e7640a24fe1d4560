/* What /proc says of the program itself. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "say.h"

static char text[1 << 20];

static const char *slurp(const char *path)
{
	FILE *file = fopen(path, "r");
	size_t got = file ? fread(text, 1, sizeof(text) - 1, file) : 0;

	text[got] = '\0';
	if (file)
		fclose(file);
	return text;
}

static unsigned long field(const char *name)
{
	const char *at = strstr(text, name);

	return at ? strtoul(at + strlen(name), NULL, 10) : 0;
}

/* The line of maps that holds the address begins with its area. */
static int mapped(const void *addr)
{
	for (const char *line = slurp("/proc/self/maps"); *line;
	     line = strchr(line, '\n') + 1) {
		unsigned long start, end;

		if (sscanf(line, "%lx-%lx", &start, &end) == 2 &&
		    start <= (unsigned long)addr && (unsigned long)addr < end)
			return 1;
	}
	return 0;
}

int main(void)
{
	char exe[4096] = "", path[64], own[16] = "";
	struct sysinfo info;
	char *heap = malloc(100000);
	unsigned long total;

	SAY(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0 && strstr(exe, "proc"));
	slurp("/proc/self/maps");
	SAY(strstr(text, "[stack]") && strstr(text, "[heap]") && strstr(text, exe));
	SAY(mapped(&info) && mapped(heap) && mapped((void *)main) && !mapped((void *)4096));
	slurp("/proc/self/status");
	SAY(field("VmRSS:") > 0 && field("VmSize:") >= field("VmRSS:"));
	SAY(field("Pid:") == (unsigned long)getpid());
	SAY(strncmp(text, "Name:\tproc", 10) == 0);
	SAY(strstr(slurp("/proc/self/smaps"), "Rss:") != NULL);
	SAY(strchr(slurp("/proc/self/statm"), '\n') != NULL && atoi(text) > 0);
	SAY(atoi(slurp("/proc/self/stat")) == getpid());
	slurp("/proc/self/cmdline");
	SAY(strstr(text, "proc") != NULL);
	snprintf(path, sizeof(path), "/proc/%d/comm", getpid());
	SAY(prctl(PR_SET_NAME, "renamed") == 0 && strcmp(slurp(path), "renamed\n") == 0);
	SAY(prctl(PR_GET_NAME, own) == 0 && strcmp(own, "renamed") == 0);
	slurp("/proc/meminfo");
	total = field("MemTotal:");
	SAY(total > 0 && field("MemFree:") < total);
	SAY(sysinfo(&info) == 0 && info.totalram * info.mem_unit / 1024 == total);
	SAY(slurp("/proc/sys/vm/overcommit_memory")[0] >= '0' && text[1] == '\n');
	return 0;
}
