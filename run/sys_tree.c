/*
 * sys_tree.c - the tree of names that stands for the machine's part of sysfs
 */
#define _GNU_SOURCE
#include "sys_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tuxmm/hotplug.h>

#include "path.h"
#include "view_files.h"

#define FILE_BYTES 4096 /* what sysfs says of every file */

/* ---- making it ---- */

/* Every directory on the way to a name below the root. */
static bool make_parents(const struct sys_tree *tree, const char *name)
{
	char part[PATH_MAX];

	for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - name), name);
		if (mkdirat(tree->root, part, 0755) && errno != EEXIST)
			return false;
	}
	return true;
}

/* An empty file; `name` begins with a slash, as those of views do. */
static bool make_file(const struct sys_tree *tree, const char *name)
{
	bool made;
	int fd;

	if (!make_parents(tree, name + 1))
		return false;
	fd = openat(tree->root, name + 1, O_WRONLY | O_CREAT | O_CLOEXEC,
	            view_is_writable(name) ? 0644 : 0444);
	made = fd >= 0 && ftruncate(fd, FILE_BYTES) == 0;
	if (fd >= 0)
		close(fd);
	return made;
}

static bool make_views(const struct sys_tree *tree, const struct view_file *files, size_t nr,
                       const char *below)
{
	for (size_t i = 0; i < nr; i++)
		if (strncmp(files[i].path, below, strlen(below)) == 0 &&
		    !make_file(tree, files[i].path))
			return false;
	return true;
}

static bool make_nodes(const struct sys_tree *tree, struct tmm_pages *pages)
{
	char name[128];

	for (unsigned node = 0; node < tmm_pages_nr_nodes(pages); node++) {
		for (size_t i = 0; i < nr_view_node_files; i++) {
			snprintf(name, sizeof(name), VIEW_NODES "node%u/%s", node,
			         view_node_files[i].name);
			if (!make_file(tree, name))
				return false;
		}
	}
	return make_views(tree, view_files, nr_view_files, VIEW_NODES);
}

static bool make_block(const struct sys_tree *tree, const struct tmm_memory_block *block)
{
	char name[128], to[64];

	for (size_t i = 0; tmm_view_memory_file(i); i++) {
		snprintf(name, sizeof(name), VIEW_MEMORY "memory%" PRIu64 "/%s", block->number,
		         tmm_view_memory_file(i));
		if (!make_file(tree, name))
			return false;
	}
	snprintf(name, sizeof(name), VIEW_NODES "node%u/memory%" PRIu64, block->node,
	         block->number);
	snprintf(to, sizeof(to), "../../memory/memory%" PRIu64, block->number);
	return symlinkat(to, tree->root, name + 1) == 0 || errno == EEXIST;
}

static bool make_memory(const struct sys_tree *tree, struct tmm_pages *pages)
{
	struct tmm_memory_block block;
	uint64_t cursor = 0;

	if (!tmm_section_bytes(pages))
		return true;
	while (tmm_memory_block_next(pages, &cursor, &block))
		if (!make_block(tree, &block))
			return false;
	return make_views(tree, view_memory_files, nr_view_memory_files, VIEW_MEMORY);
}

static bool make_root(struct sys_tree *tree)
{
	const char *where = getenv("TMPDIR");

	if (tree->root >= 0)
		return true;
	if (!where || (size_t)snprintf(tree->name, sizeof(tree->name), "%s/tuxmm-XXXXXX",
	                               where) >= sizeof(tree->name))
		snprintf(tree->name, sizeof(tree->name), "/tmp/tuxmm-XXXXXX");
	if (!mkdtemp(tree->name))
		return false;
	tree->root = open(tree->name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return tree->root >= 0;
}

/* Links to blocks are beside the nodes, so that both are made before either is listed. */
static int make(struct task *task)
{
	struct tmm_pages *pages = tmm_machine_pages(task->config->machine);
	struct sys_tree *tree = &task->sys_tree;

	if (tree->is_made)
		return 0;
	tree->is_made = make_root(tree) && make_nodes(tree, pages) && make_memory(tree, pages);
	return tree->is_made ? 0 : -errno;
}

/* ---- names ---- */

/* Is it the directory, which ends with a slash here, or below it? */
static bool is_below(const char *name, const char *directory)
{
	size_t length = strlen(directory) - 1;

	return strncmp(name, directory, length) == 0 &&
	       (name[length] == '/' || name[length] == '\0');
}

const char *sys_tree_strip(const struct task *task, const char *name)
{
	size_t length = strlen(task->sys_tree.name);

	if (task->sys_tree.root < 0 || strncmp(name, task->sys_tree.name, length) != 0 ||
	    name[length] != '/')
		return name;
	return name + length;
}

/* Links and dots are followed as the host follows them: what is there is asked for. */
static void ask_for_what_is_there(const struct task *task, struct path *path)
{
	int fd = openat(path->dir, path->name, O_PATH | O_CLOEXEC);
	char name[PATH_MAX];
	const char *stripped;

	if (fd < 0)
		return;
	if (path_of_host(fd, name)) {
		stripped = sys_tree_strip(task, name);
		if (stripped != name)
			memcpy(path->asked, stripped, strlen(stripped) + 1);
	}
	close(fd);
}

int sys_tree_find(struct task *task, struct path *path)
{
	int err;

	if (!is_below(path->asked, VIEW_NODES) && !is_below(path->asked, VIEW_MEMORY))
		return 0;
	err = make(task);
	if (err)
		return err;
	path->dir = task->sys_tree.root;
	memmove(path->name, path->asked + 1, strlen(path->asked));
	ask_for_what_is_there(task, path);
	return 0;
}

void sys_tree_name(const struct task *task, struct path *path)
{
	char directory[PATH_MAX];

	if (task->sys_tree.root >= 0 && path_of_host(path->dir, directory) &&
	    sys_tree_strip(task, directory) != directory)
		ask_for_what_is_there(task, path);
}

/* ---- its life ---- */

void sys_tree_init(struct sys_tree *tree)
{
	*tree = (struct sys_tree){.root = -1};
}

static int remove_one(const char *name, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	remove(name);
	return 0;
}

void sys_tree_fini(struct sys_tree *tree)
{
	if (tree->root < 0)
		return;
	close(tree->root);
	nftw(tree->name, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	sys_tree_init(tree);
}
