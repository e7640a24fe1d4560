/*
 * proc_files.c - files of /proc and /sys that speak of memory or of the program itself
 *
 * Opening one writes its text as of now into a memfd, which the program then
 * reads as the file.  What it writes comes here, to be set in the machine.  What is
 * not listed is the host's, but for what only a machine with slabs has.
 */
#define _GNU_SOURCE
#include "slab_files.h"
#include "syscalls.h"
#include "view_files.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tuxmm/hotplug.h>
#include <tuxmm/view.h>

typedef void (*writer)(struct task *task, FILE *out);

static void sink_write(void *arg, const char *text, size_t bytes)
{
	fwrite(text, 1, bytes, arg);
}

/* As in Linux, only root sees addresses. */
static void write_iomem(struct task *task, FILE *out)
{
	const struct tmm_sink sink = {sink_write, out};

	if (geteuid() == 0)
		tmm_view_iomem(task->config->machine, &sink);
	else
		tmm_view_iomem_hidden(task->config->machine, &sink);
}

static void write_ioports(struct task *task, FILE *out)
{
	const struct tmm_sink sink = {sink_write, out};

	if (geteuid() == 0)
		tmm_view_ioports(task->config->machine, &sink);
	else
		tmm_view_ioports_hidden(task->config->machine, &sink);
}

static void write_maps(struct task *task, FILE *out)
{
	tmm_view_maps(task->mm, &(const struct tmm_sink){sink_write, out});
}

static void write_smaps(struct task *task, FILE *out)
{
	tmm_view_smaps(task->mm, &(const struct tmm_sink){sink_write, out});
}

static void write_status(struct task *task, FILE *out)
{
	struct tmm_task_id id;

	task_id(task, &id);
	tmm_view_status(task->mm, &id, &(const struct tmm_sink){sink_write, out});
}

static uint64_t resident(const struct tmm_mm_usage *usage)
{
	return usage->rss_pages[TMM_RSS_FILE] + usage->rss_pages[TMM_RSS_ANON] +
	       usage->rss_pages[TMM_RSS_SHMEM];
}

static void write_statm(struct task *task, FILE *out)
{
	struct tmm_mm_usage usage;

	tmm_mm_usage(task->mm, &usage);
	fprintf(out, "%llu %llu %llu %llu 0 %llu 0\n", (unsigned long long)usage.total_pages,
	        (unsigned long long)resident(&usage),
	        (unsigned long long)(usage.rss_pages[TMM_RSS_FILE] +
	                             usage.rss_pages[TMM_RSS_SHMEM]),
	        (unsigned long long)usage.exec_pages,
	        (unsigned long long)(usage.data_pages + usage.stack_pages));
}

/* The 52 fields of proc(5). */
static void write_stat(struct task *task, FILE *out)
{
	const struct tmm_mm_image *image = tmm_mm_image(task->mm);
	const uint64_t *stack_limit = task->limits[3];
	struct tmm_mm_usage usage;
	struct tmm_task_id id;

	task_usage(task, &usage);
	task_id(task, &id);
	fprintf(out, "%d (%s) R %d %d %d 0 -1 4194304 %llu 0 %llu 0 %llu 0 0 0 20 0 1 0 0 ",
	        TASK_PID, task->comm, TASK_PPID, TASK_PID, TASK_PID,
	        (unsigned long long)usage.minor_faults, (unsigned long long)usage.major_faults,
	        (unsigned long long)task->user_ns / 10000000);
	fprintf(out, "%llu %llu %llu %llu %llu %llu 0 0 ",
	        (unsigned long long)usage.total_pages << TMM_PAGE_SHIFT,
	        (unsigned long long)resident(&usage), (unsigned long long)stack_limit[1],
	        (unsigned long long)image->start_code, (unsigned long long)image->end_code,
	        (unsigned long long)image->start_stack);
	fprintf(out, "%llu %llu %llu %llu 0 0 0 17 0 0 0 0 0 0 ",
	        (unsigned long long)id.shd_pending, (unsigned long long)id.sig_blocked,
	        (unsigned long long)id.sig_ignored, (unsigned long long)id.sig_caught);
	fprintf(out, "%llu %llu %llu %llu %llu %llu %llu 0\n",
	        (unsigned long long)image->start_data, (unsigned long long)image->end_data,
	        (unsigned long long)image->start_brk, (unsigned long long)image->arg_start,
	        (unsigned long long)image->arg_end, (unsigned long long)image->env_start,
	        (unsigned long long)image->env_end);
}

static void write_comm(struct task *task, FILE *out)
{
	fprintf(out, "%s\n", task->comm);
}

static void write_cmdline(struct task *task, FILE *out)
{
	fwrite(task->cmdline, 1, task->cmdline_bytes, out);
}

static void write_auxv(struct task *task, FILE *out)
{
	fwrite(task->auxv, 1, task->auxv_bytes, out);
}

static void write_environ(struct task *task, FILE *out)
{
	const struct tmm_mm_image *image = tmm_mm_image(task->mm);
	char part[1024];

	for (uint64_t at = image->env_start; at < image->env_end; at += sizeof(part)) {
		uint64_t left = image->env_end - at;
		size_t bytes = left < sizeof(part) ? left : sizeof(part);

		if (tmm_copy_from_user(task->mm, part, at, bytes))
			return;
		fwrite(part, 1, bytes, out);
	}
}

/* A number of the machine's shape, or Linux's default. */
#define SHAPE_FILE(name, normal)                                                               \
	static void write_##name(struct task *task, FILE *out)                                 \
	{                                                                                      \
		const struct tmm_shape *shape = task->config->shape;                           \
                                                                                               \
		fprintf(out, "%u\n", shape && shape->name ? shape->name : (normal));           \
	}
SHAPE_FILE(overcommit_memory, 0u)
SHAPE_FILE(overcommit_ratio, 50u)
SHAPE_FILE(max_map_count, 65530u)

static void write_watermark_boost_factor(struct task *task, FILE *out)
{
	fprintf(out, "%u\n",
	        tmm_pages_watermark_boost(tmm_machine_pages(task->config->machine)));
}

static int set_watermark_boost_factor(struct task *task, unsigned number)
{
	tmm_pages_set_watermark_boost(tmm_machine_pages(task->config->machine), number);
	return 0;
}

/* A random (version 4) UUID, another one for each opening. */
static void write_uuid(struct task *task, FILE *out)
{
	unsigned char byte[16];

	task_random_fill(task, byte, sizeof(byte));
	byte[6] = (unsigned char)((byte[6] & 0x0f) | 0x40);
	byte[8] = (unsigned char)((byte[8] & 0x3f) | 0x80);
	for (unsigned i = 0; i < sizeof(byte); i++)
		fprintf(out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
		        byte[i]);
	fprintf(out, "\n");
}

static void write_drop_caches(struct task *task, FILE *out)
{
	fprintf(out, "%u\n", task->drop_caches);
}

/* 1, 2 and 3; 4 asks for no messages, of which there are none. */
static int set_drop_caches(struct task *task, unsigned number)
{
	if (number < 1 || number > 7)
		return -EINVAL;
	task->drop_caches = number;
	return number & 3 ? tmm_drop_caches(task->config->machine, number & 3) : 0;
}

static void write_swaps(struct task *task, FILE *out)
{
	(void)task;
	fprintf(out, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
}

/* What would show tuxmm's own memory. */
static void refuse(struct task *task, FILE *out)
{
	(void)task;
	(void)out;
}

/* What speaks of the task, and what the machine's own file says otherwise. */
static const struct {
	const char *path;
	writer write;
	int (*set)(struct task *task, unsigned number); /* what is written; NULL: nothing is */
} files[] = {
	{"/proc/iomem", write_iomem, NULL},
	{"/proc/ioports", write_ioports, NULL},
	{"/proc/swaps", write_swaps, NULL},
	{"/proc/sys/vm/drop_caches", write_drop_caches, set_drop_caches},
	{"/proc/sys/vm/overcommit_memory", write_overcommit_memory, NULL},
	{"/proc/sys/vm/overcommit_ratio", write_overcommit_ratio, NULL},
	{"/proc/sys/vm/max_map_count", write_max_map_count, NULL},
	{"/proc/sys/vm/watermark_boost_factor", write_watermark_boost_factor,
         set_watermark_boost_factor},
	{"/proc/sys/kernel/random/uuid", write_uuid, NULL},
	{"/proc/self/maps", write_maps, NULL},
	{"/proc/self/smaps", write_smaps, NULL},
	{"/proc/self/status", write_status, NULL},
	{"/proc/self/stat", write_stat, NULL},
	{"/proc/self/statm", write_statm, NULL},
	{"/proc/self/comm", write_comm, NULL},
	{"/proc/self/cmdline", write_cmdline, NULL},
	{"/proc/self/auxv", write_auxv, NULL},
	{"/proc/self/environ", write_environ, NULL},
	{"/proc/self/mem", refuse, NULL},
	{"/proc/self/pagemap", refuse, NULL},
	{"/proc/self/smaps_rollup", refuse, NULL},
	{"/proc/self/numa_maps", refuse, NULL},
	{"/proc/self/clear_refs", refuse, NULL},
};

/* What answers to a path: one of the five. */
struct answer {
	writer write;
	const struct view_file *view;
	const struct view_node_file *node_view; /* of this node: */
	unsigned node;
	bool is_slab; /* of a cache's: */
	struct slab_path slab;
	bool is_memory; /* of this block, by this number: */
	uint64_t block;
	size_t file;
};

/* A block that the machine does not have is left to the host, as its nodes are. */
static bool find_memory_file(const struct task *task, const char *path, struct answer *out)
{
	const struct tmm_pages *pages = tmm_machine_pages(task->config->machine);
	struct tmm_memory_block block;
	int length = 0;

	if (sscanf(path, VIEW_MEMORY "memory%" SCNu64 "/%n", &out->block, &length) != 1 ||
	    !length || !tmm_memory_block_info(pages, out->block, &block))
		return false;
	for (out->file = 0; tmm_view_memory_file(out->file); out->file++) {
		out->is_memory = strcmp(path + length, tmm_view_memory_file(out->file)) == 0;
		if (out->is_memory)
			return true;
	}
	return false;
}

/* A node that the machine does not have is left to the host. */
static bool find_node_file(const struct task *task, const char *path, struct answer *out)
{
	const struct tmm_pages *pages = tmm_machine_pages(task->config->machine);
	int length = 0;

	if (sscanf(path, VIEW_NODES "node%u/%n", &out->node, &length) != 1 || !length ||
	    out->node >= tmm_pages_nr_nodes(pages))
		return false;
	for (size_t i = 0; i < nr_view_node_files; i++)
		if (strcmp(path + length, view_node_files[i].name) == 0)
			out->node_view = &view_node_files[i];
	return out->node_view;
}

static const struct view_file *find_view(const char *path, const struct view_file *in,
                                         size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (strcmp(path, in[i].path) == 0)
			return &in[i];
	return NULL;
}

static bool find_file(const struct task *task, const char *path, struct answer *out)
{
	*out = (struct answer){.write = NULL};
	if (slab_path_is_below(path)) {
		out->is_slab = slab_path_find(task->config->machine, path, &out->slab);
		return out->is_slab;
	}
	if (strncmp(path, "/proc/", 6) != 0 &&
	    strncmp(path, VIEW_SYSTEM, strlen(VIEW_SYSTEM)) != 0)
		return false;
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		if (strcmp(path, files[i].path) != 0)
			continue;
		out->write = files[i].write;
		return true;
	}
	out->view = find_view(path, view_files, nr_view_files);
	if (!out->view && tmm_section_bytes(tmm_machine_pages(task->config->machine)))
		out->view = find_view(path, view_memory_files, nr_view_memory_files);
	return out->view || find_node_file(task, path, out) ||
	       find_memory_file(task, path, out);
}

/* With SLOB there are no slabs, and so no such files (Linux: likewise). */
static bool is_missing(const struct task *task, const char *path)
{
	struct tmm_cache_info info;
	struct slab_path slab;

	if (slab_path_is_below(path))
		return !slab_path_find(task->config->machine, path, &slab);
	return strcmp(path, "/proc/slabinfo") == 0 &&
	       !tmm_cache_info(tmm_machine_slabs(task->config->machine), 0, &info);
}

static int write_file(struct task *task, const char *name, const struct answer *answer)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), copy;
	struct tmm_machine *machine = task->config->machine;
	struct tmm_sink sink = {.write = sink_write};
	FILE *out;

	if (fd < 0)
		return -errno;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	out = copy >= 0 ? fdopen(copy, "w") : NULL;
	if (!out) {
		close(copy);
		close(fd);
		return -ENOMEM;
	}
	sink.arg = out;
	if (answer->write)
		answer->write(task, out);
	else if (answer->view)
		answer->view->write(machine, &sink);
	else if (answer->is_slab)
		tmm_view_slab(machine, answer->slab.cache, answer->slab.file, &sink);
	else if (answer->is_memory)
		tmm_view_memory(machine, answer->block, answer->file, &sink);
	else
		answer->node_view->write(machine, answer->node, &sink);
	if (fclose(out)) {
		close(fd);
		return -EIO;
	}
	lseek(fd, 0, SEEK_SET);
	fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
	return fd;
}

bool proc_open(struct task *task, const char *path, int flags, int *out)
{
	struct answer answer;

	if (is_missing(task, path)) {
		*out = -ENOENT;
		return true;
	}
	if (!find_file(task, path, &answer))
		return false;
	/* As in Linux: only root may set anything. */
	if (answer.write == refuse || ((flags & O_ACCMODE) != O_RDONLY && geteuid() != 0))
		*out = -EACCES;
	else
		*out = write_file(task, path, &answer);
	return true;
}

bool proc_stat(struct task *task, const char *path, struct stat *st, int *out)
{
	struct answer answer;
	bool missing = is_missing(task, path);

	if (!missing && !slab_path_is_below(path))
		return false;
	*out = missing ? -ENOENT : 0;
	*st = (struct stat){.st_mode = S_IFREG | 0400,
	                    .st_nlink = 1,
	                    .st_size = TMM_PAGE_SIZE,
	                    .st_blksize = TMM_PAGE_SIZE};
	if (!missing && find_file(task, path, &answer) &&
	    tmm_view_slab_is_writable(answer.slab.file))
		st->st_mode |= 0200;
	return true;
}

/* A number, with blanks around it at most; false: something else. */
static bool read_number(const char *text, size_t bytes, unsigned *out)
{
	char copy[32];
	int length = -1;

	if (bytes >= sizeof(copy))
		return false;
	memcpy(copy, text, bytes);
	copy[bytes] = '\0';
	return sscanf(copy, " %9u %n", out, &length) == 1 && length >= 0 && !copy[length];
}

/* What memory can be put to, by Linux's words; false: another word. */
static bool read_use(const char *text, size_t bytes, enum tmm_block_use *out)
{
	static const char *const words[] = {"offline", "online", "online_kernel",
	                                    "online_movable"};

	if (bytes > 0 && text[bytes - 1] == '\n')
		bytes--;
	for (unsigned i = 0; i < sizeof(words) / sizeof(*words); i++) {
		*out = (enum tmm_block_use)i;
		if (strlen(words[i]) == bytes && memcmp(words[i], text, bytes) == 0)
			return true;
	}
	return false;
}

/* A block's state, or the same as a number; false: it is another file. */
static bool set_memory(struct task *task, const char *path, const char *text, size_t bytes,
                       int *out)
{
	struct tmm_pages *pages = tmm_machine_pages(task->config->machine);
	struct tmm_hotplug_report report;
	enum tmm_block_use use;
	struct answer answer;
	const char *file;
	unsigned number;

	if (strcmp(path, VIEW_MEMORY "auto_online_blocks") == 0) {
		*out = read_use(text, bytes, &use) ? tmm_memory_set_auto_online(pages, use)
		                                   : -EINVAL;
		return true;
	}
	if (!find_memory_file(task, path, &answer))
		return false;
	file = tmm_view_memory_file(answer.file);
	*out = -EINVAL;
	if (strcmp(file, "online") == 0 && read_number(text, bytes, &number) && number < 2)
		*out = tmm_memory_block_set(pages, answer.block,
		                            number ? TMM_BLOCK_ONLINE : TMM_BLOCK_OFFLINE,
		                            &report);
	else if (strcmp(file, "state") == 0 && read_use(text, bytes, &use))
		*out = tmm_memory_block_set(pages, answer.block, use, &report);
	else if (!view_is_writable(path))
		*out = -EIO; /* nothing can be written there */
	/* Linux says so of blocks that have holes. */
	if (*out == TMM_E_NOENT)
		*out = -EINVAL;
	return true;
}

int64_t proc_set(struct task *task, const char *path, const char *text, size_t bytes)
{
	struct tmm_machine *machine = task->config->machine;
	struct slab_path slab;
	unsigned number;
	int err = -EIO; /* nothing can be written there */

	if (!bytes)
		return 0;
	if (slab_path_find(machine, path, &slab)) {
		err = tmm_view_slab_store(machine, slab.cache, slab.file, text, bytes);
		return err ? err : (int64_t)bytes;
	}
	if (set_memory(task, path, text, bytes, &err))
		return err ? err : (int64_t)bytes;
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		if (files[i].set && strcmp(path, files[i].path) == 0)
			err = read_number(text, bytes, &number) ? files[i].set(task, number)
			                                        : -EINVAL;
	return err ? err : (int64_t)bytes;
}
