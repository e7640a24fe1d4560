/*
 * proc.c - the machine's /proc and /sys files, into a directory
 */
#define _GNU_SOURCE
#include "cmd.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tuxmm/node.h>
#include <tuxmm/page_debug.h>
#include <tuxmm/view.h>

#define NODES "sys/devices/system/node/"
#define SLABS "sys/kernel/slab/"

static void to_file(void *arg, const char *text, size_t bytes)
{
	fwrite(text, 1, bytes, arg);
}

static bool make_directory(const char *name)
{
	if (mkdir(name, 0777) == 0)
		return true;
	if (errno == EEXIST && access(name, W_OK | X_OK) == 0)
		return true;
	say("--proc: %s: expected a directory that can be made or written: %s", name,
	    strerror(errno));
	return false;
}

bool proc_prepare(const char *directory)
{
	struct stat st;

	if (!make_directory(directory))
		return false;
	if (stat(directory, &st) == 0 && S_ISDIR(st.st_mode))
		return true;
	say("--proc: %s: expected a directory", directory);
	return false;
}

/* Every directory on the way to the file. */
static bool make_parents(const char *path, size_t from)
{
	char part[PATH_MAX];

	for (const char *slash = strchr(path + from, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		if (!make_directory(part))
			return false;
	}
	return true;
}

struct subject {
	const char *directory;
	struct tmm_machine *machine;
	struct tmm_mm *mm;
	const struct tmm_task_id *id;
	unsigned node;
	size_t cache, file; /* of /sys/kernel/slab */
};

typedef void (*printer)(const struct subject *subject, const struct tmm_sink *sink);

static bool write_file(const struct subject *subject, const char *name, printer print)
{
	struct tmm_sink sink = {.write = to_file};
	char path[PATH_MAX];
	FILE *stream;
	bool ok;

	if (snprintf(path, sizeof(path), "%s/%s", subject->directory, name) >=
	    (int)sizeof(path)) {
		say("--proc: %s: the name is too long", subject->directory);
		return false;
	}
	if (!make_parents(path, strlen(subject->directory) + 1))
		return false;
	stream = fopen(path, "we");
	sink.arg = stream;
	if (!stream) {
		say("--proc: %s: cannot be written: %s", path, strerror(errno));
		return false;
	}
	print(subject, &sink);
	ok = !ferror(stream);
	ok = fclose(stream) == 0 && ok;
	if (!ok)
		say("--proc: %s: cannot be written: %s", path, strerror(errno));
	return ok;
}

/* ---- the files ---- */

#define MACHINE_FILE(name)                                                                     \
	static void print_##name(const struct subject *subject, const struct tmm_sink *sink)   \
	{                                                                                      \
		tmm_view_##name(subject->machine, sink);                                       \
	}
MACHINE_FILE(meminfo)
MACHINE_FILE(buddyinfo)
MACHINE_FILE(pagetypeinfo)
MACHINE_FILE(zoneinfo)
MACHINE_FILE(slabinfo)
MACHINE_FILE(vmallocinfo)
MACHINE_FILE(iomem)
MACHINE_FILE(vmstat)

#define NODE_FILE(name)                                                                        \
	static void print_node_##name(const struct subject *subject,                           \
	                              const struct tmm_sink *sink)                             \
	{                                                                                      \
		tmm_view_node_##name(subject->machine, subject->node, sink);                   \
	}
NODE_FILE(meminfo)
NODE_FILE(numastat)
NODE_FILE(vmstat)
NODE_FILE(cpulist)
NODE_FILE(cpumap)
NODE_FILE(distance)

#define NODE_LIST(name, list)                                                                  \
	static void print_##name(const struct subject *subject, const struct tmm_sink *sink)   \
	{                                                                                      \
		tmm_view_node_list(subject->machine, list, sink);                              \
	}
NODE_LIST(online, TMM_NODES_ONLINE)
NODE_LIST(has_cpu, TMM_NODES_HAS_CPU)
NODE_LIST(has_memory, TMM_NODES_HAS_MEMORY)
NODE_LIST(has_normal_memory, TMM_NODES_HAS_NORMAL_MEMORY)

static void print_maps(const struct subject *subject, const struct tmm_sink *sink)
{
	tmm_view_maps(subject->mm, sink);
}

static void print_smaps(const struct subject *subject, const struct tmm_sink *sink)
{
	tmm_view_smaps(subject->mm, sink);
}

static void print_status(const struct subject *subject, const struct tmm_sink *sink)
{
	tmm_view_status(subject->mm, subject->id, sink);
}

static void print_slab_file(const struct subject *subject, const struct tmm_sink *sink)
{
	tmm_view_slab(subject->machine, subject->cache, subject->file, sink);
}

extern const char __executable_start[]; /* the linker's: where this program lies */

/* Call sites as addr2line wants them, and the same in every run. */
static void print_page_owner(const struct subject *subject, const struct tmm_sink *sink)
{
	struct tmm_pages *pages = tmm_machine_pages(subject->machine);
	size_t bytes = 0, room = 0;
	char *text = NULL, *line = NULL;
	FILE *stream = open_memstream(&text, &bytes);
	struct tmm_sink whole = {.write = to_file, .arg = stream};

	if (!stream)
		return;
	tmm_page_owner_show(pages, &whole);
	fclose(stream);
	stream = text && bytes ? fmemopen(text, bytes, "r") : NULL;
	while (stream && getline(&line, &room, stream) > 0) {
		uintptr_t site = 0;

		if (sscanf(line, " 0x%" SCNxPTR, &site) == 1 && line[0] == ' ')
			fprintf(sink->arg, " tuxmm+0x%" PRIxPTR "\n",
			        site - (uintptr_t)__executable_start);
		else
			fputs(line, sink->arg);
	}
	if (stream)
		fclose(stream);
	free(line);
	free(text);
}

struct proc_file {
	const char *name;
	printer print;
};

static const struct proc_file machine_files[] = {
	{"meminfo", print_meminfo},
	{"buddyinfo", print_buddyinfo},
	{"pagetypeinfo", print_pagetypeinfo},
	{"zoneinfo", print_zoneinfo},
	{"slabinfo", print_slabinfo},
	{"vmallocinfo", print_vmallocinfo},
	{"iomem", print_iomem},
	{"vmstat", print_vmstat},
	{NODES "online", print_online},
	{NODES "possible", print_online},
	{NODES "has_cpu", print_has_cpu},
	{NODES "has_memory", print_has_memory},
	{NODES "has_normal_memory", print_has_normal_memory},
};

static const struct proc_file node_files[] = {
	{"meminfo", print_node_meminfo}, {"numastat", print_node_numastat},
	{"vmstat", print_node_vmstat},   {"cpulist", print_node_cpulist},
	{"cpumap", print_node_cpumap},   {"distance", print_node_distance},
};

static const struct proc_file task_files[] = {
	{"maps", print_maps}, {"smaps", print_smaps}, {"status", print_status}};

static bool write_files(const struct subject *subject, const char *parent,
                        const struct proc_file *files, size_t nr)
{
	char name[128];

	for (size_t i = 0; i < nr; i++) {
		snprintf(name, sizeof(name), "%s%s", parent, files[i].name);
		if (!write_file(subject, name, files[i].print))
			return false;
	}
	return true;
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A directory for each cache, and a link to one for each alias. */
static bool write_slabs(struct subject subject)
{
	struct tmm_slab_system *slabs = tmm_machine_slabs(subject.machine);
	struct tmm_cache_alias alias;
	struct tmm_cache_info info;
	char name[128], path[PATH_MAX];

	for (; tmm_cache_info(slabs, subject.cache, &info); subject.cache++) {
		for (subject.file = 0; tmm_view_slab_file(subject.file); subject.file++) {
			snprintf(name, sizeof(name), SLABS "%s/%s", info.name,
			         tmm_view_slab_file(subject.file));
			if (!write_file(&subject, name, print_slab_file))
				return false;
		}
	}
	for (size_t i = 0; tmm_cache_alias(slabs, i, &alias); i++) {
		snprintf(path, sizeof(path), "%s/" SLABS "%s", subject.directory, alias.name);
		if (symlink(alias.of, path) == 0 || errno == EEXIST)
			continue;
		say("--proc: %s: cannot be linked: %s", path, strerror(errno));
		return false;
	}
	return true;
}

bool proc_write(const char *directory, struct tmm_machine *machine, struct tmm_mm *mm,
                const struct tmm_task_id *id, const struct tmm_shape *shape)
{
	struct subject subject = {
		.directory = directory, .machine = machine, .mm = mm, .id = id};
	unsigned nr_nodes = tmm_pages_nr_nodes(tmm_machine_pages(machine));
	char parent[64];

	if (!write_files(&subject, "", machine_files, COUNT(machine_files)))
		return false;
	for (; subject.node < nr_nodes; subject.node++) {
		snprintf(parent, sizeof(parent), NODES "node%u/", subject.node);
		if (!write_files(&subject, parent, node_files, COUNT(node_files)))
			return false;
	}
	if (!write_slabs(subject))
		return false;
	if ((shape->debug & TMM_DEBUG_PAGE_OWNER) &&
	    !write_file(&subject, "sys/kernel/debug/page_owner", print_page_owner))
		return false;
	snprintf(parent, sizeof(parent), "%u/", id->pid);
	return write_files(&subject, parent, task_files, COUNT(task_files));
}
