/*
 * sys_tree.h - directories below /sys/devices/system that show the machine
 *
 * What a program lists there is a tree of the host's file system that has the machine's
 * nodes and memory blocks by name; made in a temporary directory when it is first asked
 * for, gone with the program.  What its files hold proc_files.c says when they are
 * opened.
 */
#ifndef TUXMM_RUN_SYS_TREE_H
#define TUXMM_RUN_SYS_TREE_H

#include <stdbool.h>

struct task;
struct path;

struct sys_tree {
	int root;      /* host descriptor; -1: not made */
	bool is_made;  /* with all that is in it */
	char name[64]; /* of the host's directory */
};

/*
 * An absolute name: one that the machine answers is looked up in the tree, and path->asked
 * becomes the name of what is there.  0, -errno.
 */
int sys_tree_find(struct task *task, struct path *path);

/* A name relative to path->dir: where that is in the tree, likewise. */
void sys_tree_name(const struct task *task, struct path *path);

/* The program's name of a host's directory of the tree; `name` itself for all others. */
const char *sys_tree_strip(const struct task *task, const char *name);

void sys_tree_init(struct sys_tree *tree);
void sys_tree_fini(struct sys_tree *tree);

#endif
