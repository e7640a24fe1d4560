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

#include <tuxmm/hotplug.h>
#include <tuxmm/node.h>
#include <tuxmm/page_debug.h>
#include <tuxmm/view.h>

#include "view_files.h"

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
	const struct view_file *view;
	const struct view_node_file *node_view;
	unsigned node;
	size_t cache;   /* of /sys/kernel/slab */
	uint64_t block; /* of memory */
	size_t file;    /* of either */
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

static void print_view(const struct subject *subject, const struct tmm_sink *sink)
{
	subject->view->write(subject->machine, sink);
}

static void print_node_view(const struct subject *subject, const struct tmm_sink *sink)
{
	subject->node_view->write(subject->machine, subject->node, sink);
}

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

static void print_memory_file(const struct subject *subject, const struct tmm_sink *sink)
{
	tmm_view_memory(subject->machine, subject->block, subject->file, sink);
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

static const struct {
	const char *name;
	printer print;
} task_files[] = {{"maps", print_maps}, {"smaps", print_smaps}, {"status", print_status}};

/* Those of /proc at the top, those of /sys below sys; with SLOB there is no slabinfo. */
static bool write_views(struct subject subject, const struct view_file *files, size_t nr)
{
	struct tmm_cache_info cache;
	bool has_slabs = tmm_cache_info(tmm_machine_slabs(subject.machine), 0, &cache);

	for (size_t i = 0; i < nr; i++) {
		const char *path = files[i].path;

		if (!has_slabs && strcmp(path, "/proc/slabinfo") == 0)
			continue;
		subject.view = &files[i];
		path += strncmp(path, "/proc/", 6) == 0 ? 6 : 1;
		if (!write_file(&subject, path, print_view))
			return false;
	}
	return true;
}

static bool write_node_views(struct subject subject)
{
	unsigned nr_nodes = tmm_pages_nr_nodes(tmm_machine_pages(subject.machine));
	char name[128];

	for (; subject.node < nr_nodes; subject.node++) {
		for (size_t i = 0; i < nr_view_node_files; i++) {
			subject.node_view = &view_node_files[i];
			snprintf(name, sizeof(name), "%snode%u/%s", &VIEW_NODES[1],
			         subject.node, view_node_files[i].name);
			if (!write_file(&subject, name, print_node_view))
				return false;
		}
	}
	return true;
}

static bool make_link(const struct subject *subject, const char *name, const char *to)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", subject->directory, name);
	if (symlink(to, path) == 0 || errno == EEXIST)
		return true;
	say("--proc: %s: cannot be linked: %s", path, strerror(errno));
	return false;
}

/* A directory for each block, and a link to it where its node is. */
static bool write_memory(struct subject subject)
{
	struct tmm_pages *pages = tmm_machine_pages(subject.machine);
	struct tmm_memory_block block;
	uint64_t cursor = 0;
	char name[128], to[64];

	if (!tmm_section_bytes(pages))
		return true;
	if (!write_views(subject, view_memory_files, nr_view_memory_files))
		return false;
	while (tmm_memory_block_next(pages, &cursor, &block)) {
		subject.block = block.number;
		for (subject.file = 0; tmm_view_memory_file(subject.file); subject.file++) {
			snprintf(name, sizeof(name), "%smemory%" PRIu64 "/%s", &VIEW_MEMORY[1],
			         block.number, tmm_view_memory_file(subject.file));
			if (!write_file(&subject, name, print_memory_file))
				return false;
		}
		snprintf(name, sizeof(name), "%snode%u/memory%" PRIu64, &VIEW_NODES[1],
		         block.node, block.number);
		snprintf(to, sizeof(to), "../../memory/memory%" PRIu64, block.number);
		if (!make_link(&subject, name, to))
			return false;
	}
	return true;
}

/* A directory for each cache, and a link to one for each alias. */
static bool write_slabs(struct subject subject)
{
	struct tmm_slab_system *slabs = tmm_machine_slabs(subject.machine);
	struct tmm_cache_alias alias;
	struct tmm_cache_info info;
	char name[128];

	for (; tmm_cache_info(slabs, subject.cache, &info); subject.cache++) {
		for (subject.file = 0; tmm_view_slab_file(subject.file); subject.file++) {
			snprintf(name, sizeof(name), SLABS "%s/%s", info.name,
			         tmm_view_slab_file(subject.file));
			if (!write_file(&subject, name, print_slab_file))
				return false;
		}
	}
	for (size_t i = 0; tmm_cache_alias(slabs, i, &alias); i++) {
		snprintf(name, sizeof(name), SLABS "%s", alias.name);
		if (!make_link(&subject, name, alias.of))
			return false;
	}
	return true;
}

bool proc_write(const char *directory, struct tmm_machine *machine, struct tmm_mm *mm,
                const struct tmm_task_id *id, const struct tmm_shape *shape)
{
	struct subject subject = {
		.directory = directory, .machine = machine, .mm = mm, .id = id};
	char name[64];

	if (!write_views(subject, view_files, nr_view_files) || !write_node_views(subject) ||
	    !write_memory(subject) || !write_slabs(subject))
		return false;
	if ((shape->debug & TMM_DEBUG_PAGE_OWNER) &&
	    !write_file(&subject, "sys/kernel/debug/page_owner", print_page_owner))
		return false;
	for (size_t i = 0; i < sizeof(task_files) / sizeof(task_files[0]); i++) {
		snprintf(name, sizeof(name), "%u/%s", id->pid, task_files[i].name);
		if (!write_file(&subject, name, task_files[i].print))
			return false;
	}
	return true;
}
