/*
 * proc.c - the machine's /proc files, into a directory
 */
#define _GNU_SOURCE
#include "cmd.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tuxmm/view.h>

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

/* What prints one file: of the machine, of an address space, or of a task. */
struct proc_file {
	const char *name;
	void (*of_machine)(struct tmm_machine *machine, const struct tmm_sink *sink);
	void (*of_mm)(struct tmm_mm *mm, const struct tmm_sink *sink);
};

static const struct proc_file machine_files[] = {
	{"meminfo", tmm_view_meminfo, NULL},
	{"buddyinfo", tmm_view_buddyinfo, NULL},
	{"pagetypeinfo", tmm_view_pagetypeinfo, NULL},
	{"zoneinfo", tmm_view_zoneinfo, NULL},
	{"slabinfo", tmm_view_slabinfo, NULL},
	{"iomem", tmm_view_iomem, NULL},
	{"vmstat", tmm_view_vmstat, NULL},
};

static const struct proc_file task_files[] = {
	{"maps", NULL, tmm_view_maps}, {"smaps", NULL, tmm_view_smaps}, {"status", NULL, NULL}};

struct subject {
	struct tmm_machine *machine;
	struct tmm_mm *mm;
	const struct tmm_task_id *id;
};

static bool write_file(const char *directory, const struct proc_file *file,
                       const struct subject *subject)
{
	struct tmm_sink sink = {.write = to_file};
	char path[PATH_MAX];
	FILE *stream;
	bool ok;

	if (snprintf(path, sizeof(path), "%s/%s", directory, file->name) >= (int)sizeof(path)) {
		say("--proc: %s: the name is too long", directory);
		return false;
	}
	stream = fopen(path, "we");
	sink.arg = stream;
	if (!stream) {
		say("--proc: %s: cannot be written: %s", path, strerror(errno));
		return false;
	}
	if (file->of_machine)
		file->of_machine(subject->machine, &sink);
	else if (file->of_mm)
		file->of_mm(subject->mm, &sink);
	else
		tmm_view_status(subject->mm, subject->id, &sink);
	ok = !ferror(stream);
	ok = fclose(stream) == 0 && ok;
	if (!ok)
		say("--proc: %s: cannot be written: %s", path, strerror(errno));
	return ok;
}

bool proc_write(const char *directory, struct tmm_machine *machine, struct tmm_mm *mm,
                const struct tmm_task_id *id)
{
	const struct subject subject = {machine, mm, id};
	char task[PATH_MAX];

	for (size_t i = 0; i < sizeof(machine_files) / sizeof(machine_files[0]); i++) {
		if (!write_file(directory, &machine_files[i], &subject))
			return false;
	}
	if (snprintf(task, sizeof(task), "%s/%u", directory, id->pid) >= (int)sizeof(task) ||
	    !make_directory(task))
		return false;
	for (size_t i = 0; i < sizeof(task_files) / sizeof(task_files[0]); i++) {
		if (!write_file(task, &task_files[i], &subject))
			return false;
	}
	return true;
}
