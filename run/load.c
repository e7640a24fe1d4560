/*
 * load.c - from a name to a program that can be entered
 *
 *   found      a path: as given, or from PATH
 *   opened     regular, executable, readable
 *   resolved   a script's #! line is followed to an ELF file
 *   ---        so far nothing of the task has changed: it can go on as it was
 *   placed     where Linux would put it without randomisation:
 *
 *   0x400000  ET_EXEC    0x555555554000  PIE, then heap    mmap_base ... stack
 */
#define _GNU_SOURCE
#include "load.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tuxmm/port.h>

#include "elf_file.h"
#include "path.h"
#include "stack.h"

/* Two thirds of Linux's own user space, 0x7ffffffff000. */
#define PIE_BASE        UINT64_C(0x555555554000)
#define MMAP_MIN        UINT64_C(65536)
#define MIN_STACK_GAP   (UINT64_C(128) << 20)
#define STACK_PAD       (UINT64_C(1) << 20) /* the guard gap */
#define STACK_HEADROOM  UINT64_C(0x20000)   /* mapped below what is there at the start */
#define MAX_SCRIPTS     5
#define SCRIPT_LINE     256
#define HWCAP2_FSGSBASE 2u

/* What is loaded, on its way. */
struct load {
	struct task *task;
	int err;              /* of what failed, for execve() */
	char why[256];        /* the same for the user */
	char path[PATH_MAX];  /* of the file that is to be run */
	char first[PATH_MAX]; /* the same before scripts were followed */
	bool hidden;          /* the program cannot be opened by that name once it runs */
	char **argv;          /* with what scripts add; strings are in `line` or the user's */
	char *const *envp;
	char line[MAX_SCRIPTS][SCRIPT_LINE];
	char script[MAX_SCRIPTS][PATH_MAX];
	unsigned nr_scripts;
	struct open_file file, interp_file; /* host -1: not open */
	struct elf elf, interp;
	struct elf_place place, interp_place;
	uint64_t user_end, stack_top;
	unsigned char random[16];
	struct tmm_mm *mm; /* made last of what can be refused; then the task's */
	char *exe_path;
};

/* Remember why; status is what fail() returns, err what execve() would. */
__attribute__((format(printf, 4, 5))) static int fail(struct load *load, int status, int err,
                                                      const char *format, ...)
{
	va_list args;
	int used = snprintf(load->why, sizeof(load->why), "%.150s: ", load->path);

	load->err = err;
	va_start(args, format);
	vsnprintf(load->why + used, sizeof(load->why) - (size_t)used, format, args);
	va_end(args);
	return status;
}

static int no_memory(struct load *load, const char *what)
{
	return fail(load, RUN_STATUS_FAILED, -ENOMEM, "no memory for %s", what);
}

static const char *env_get(char *const *envp, const char *name)
{
	size_t length = strlen(name);

	for (; *envp; envp++)
		if (strncmp(*envp, name, length) == 0 && (*envp)[length] == '=')
			return *envp + length + 1;
	return NULL;
}

/* As execvp(): a name with a slash is a path, others are looked up. */
static int find(struct load *load, const char *name)
{
	const char *list = env_get(load->envp, "PATH");
	bool denied = false;

	snprintf(load->path, sizeof(load->path), "%s", name);
	if (!*name)
		return fail(load, RUN_STATUS_NOT_FOUND, -ENOENT, "the program's name is empty");
	if (strlen(name) >= sizeof(load->path))
		return fail(load, RUN_STATUS_NOT_EXEC, -ENAMETOOLONG, "%s",
		            strerror(ENAMETOOLONG));
	if (strchr(name, '/'))
		return 0;
	for (const char *dir = list ? list : "/bin:/usr/bin"; dir;) {
		const char *colon = strchr(dir, ':');
		size_t length = colon ? (size_t)(colon - dir) : strlen(dir);
		struct stat st;

		if ((size_t)snprintf(load->path, sizeof(load->path), "%.*s%s%s", (int)length,
		                     dir, length ? "/" : "", name) < sizeof(load->path) &&
		    stat(load->path, &st) == 0 && S_ISREG(st.st_mode)) {
			if (faccessat(AT_FDCWD, load->path, X_OK, AT_EACCESS) == 0)
				return 0;
			denied = true;
		}
		dir = colon ? colon + 1 : NULL;
	}
	snprintf(load->path, sizeof(load->path), "%s", name);
	if (denied)
		return fail(load, RUN_STATUS_NOT_EXEC, -EACCES,
		            "found in PATH, but not executable");
	return fail(load, RUN_STATUS_NOT_FOUND, -ENOENT, "not found in PATH");
}

/* What stands in the way of running the file behind `host`; 0: nothing. */
static int check_program(const char *proc_name, const struct stat *st, const char **out_why)
{
	*out_why = S_ISDIR(st->st_mode)    ? "is a directory: expected a program"
	           : !S_ISREG(st->st_mode) ? "is not a regular file: expected a program"
	                                   : "is not executable; try 'chmod +x' on it";
	if (!S_ISREG(st->st_mode) || faccessat(AT_FDCWD, proc_name, X_OK, AT_EACCESS))
		return -EACCES;
	return 0;
}

/*
 * Open path as the program would: 0, or a negated errno and a reason.  The file is
 * first looked at without the right to read, so that a device is not opened, nor a
 * fifo waited for.
 */
static int open_program(struct load *load, const char *path, struct open_file *out,
                        const char **out_why)
{
	struct path place;
	char proc_name[40];
	struct stat st;
	int look, err;

	err = path_make(load->task, AT_FDCWD, path, &place);
	look = err ? -1 : openat(place.dir, place.name, O_PATH | O_CLOEXEC);
	if (look < 0) {
		err = err ? err : -errno;
		*out_why = strerror(-err);
		return err;
	}
	snprintf(proc_name, sizeof(proc_name), "/proc/self/fd/%d", look);
	err = fstat(look, &st) ? -errno : 0;
	*out_why = strerror(-err);
	if (!err)
		err = check_program(proc_name, &st, out_why);
	if (!err) {
		out->host = open(proc_name, O_RDONLY | O_CLOEXEC);
		err = out->host < 0 ? -errno : 0;
		*out_why = err == -EACCES ? "cannot be read: tuxmm must read what it runs"
		                          : strerror(-err);
	}
	close(look);
	if (err)
		return err;
	out->refs = 1;
	out->mode = st.st_mode;
	out->device = st.st_dev;
	out->inode = st.st_ino;
	return 0;
}

/* What is wrong is not with the program itself but with what is to interpret it. */
static int fail_interp(struct load *load, int err, const char *interp, const char *why)
{
	snprintf(load->path, sizeof(load->path), "%s", load->first);
	return fail(load, RUN_STATUS_NOT_EXEC, err, "its interpreter %.80s: %s", interp, why);
}

static void close_program(struct open_file *file)
{
	if (file->file)
		tmm_file_put(file->file);
	if (file->host >= 0)
		close(file->host);
	*file = (struct open_file){.host = -1};
}

/*
 * argv becomes: interpreter, its one argument if any, the script, the script's
 * own arguments.
 */
static int push_script(struct load *load, char *line)
{
	unsigned depth = load->nr_scripts++, argc = 0, extra = 0;
	char *name, *arg, **argv;

	name = line + 2 + strspn(line + 2, " \t");
	arg = name + strcspn(name, " \t");
	if (*arg)
		*arg++ = '\0';
	arg += strspn(arg, " \t");
	for (size_t n = strlen(arg); n && strchr(" \t", arg[n - 1]); n--)
		arg[n - 1] = '\0';
	if (!*name)
		return fail(load, RUN_STATUS_NOT_EXEC, -ENOEXEC,
		            "its #! line names no interpreter: expected '#!/path/of/it'");
	while (load->argv[argc])
		argc++;
	argv = tmm_port_allow("argv") ? calloc(argc + 4, sizeof(*argv)) : NULL;
	if (!argv)
		return no_memory(load, "arguments");
	snprintf(load->script[depth], PATH_MAX, "%s", load->path);
	argv[extra++] = name;
	if (*arg)
		argv[extra++] = arg;
	argv[extra++] = load->script[depth];
	for (unsigned i = 1; i < argc; i++)
		argv[extra++] = load->argv[i];
	free(load->argv);
	load->argv = argv;
	snprintf(load->path, sizeof(load->path), "%s", name);
	return 0;
}

/* Open load->path and, as long as that is a script, its interpreter. */
static int follow_scripts(struct load *load)
{
	for (;;) {
		char *line = load->line[load->nr_scripts % MAX_SCRIPTS];
		const char *why;
		ssize_t got;
		int err = open_program(load, load->path, &load->file, &why), status;

		if (err && load->nr_scripts)
			return fail_interp(load, err, load->argv[0], why);
		if (err)
			return fail(load,
			            err == -ENOENT ? RUN_STATUS_NOT_FOUND : RUN_STATUS_NOT_EXEC,
			            err, "%s", why);
		got = pread(load->file.host, line, SCRIPT_LINE - 1, 0);
		if (got < 2 || line[0] != '#' || line[1] != '!')
			return 0;
		if (load->hidden)
			return fail(load, RUN_STATUS_NOT_EXEC, -ENOENT,
			            "a script whose descriptor is closed when it runs");
		if (load->nr_scripts == MAX_SCRIPTS) {
			snprintf(load->path, sizeof(load->path), "%s", load->first);
			return fail(load, RUN_STATUS_NOT_EXEC, -ELOOP,
			            "more than %d scripts interpret each other", MAX_SCRIPTS);
		}
		line[got] = '\0';
		line[strcspn(line, "\n")] = '\0';
		status = push_script(load, line);
		if (status)
			return status;
		close_program(&load->file);
	}
}

static int read_elves(struct load *load)
{
	char why[160];
	const char *reason;
	int err = elf_read(load->file.host, load->user_end, &load->elf, why, sizeof(why));

	if (err && load->nr_scripts)
		return fail_interp(load, err, load->argv[0], why);
	if (err)
		return fail(load, RUN_STATUS_NOT_EXEC, err, "%s", why);
	if (!load->elf.interp[0])
		return 0;
	err = open_program(load, load->elf.interp, &load->interp_file, &reason);
	if (err)
		return fail_interp(load, err, load->elf.interp, reason);
	err = elf_read(load->interp_file.host, load->user_end, &load->interp, why, sizeof(why));
	if (err)
		return fail_interp(load, err == -ENOEXEC ? -ELIBBAD : err, load->elf.interp,
		                   why);
	return 0;
}

/* Pages to move something by: up to 2^bits, 0 without randomisation. */
static uint64_t shake(struct load *load, unsigned bits)
{
	if (!load->task->config->randomize)
		return 0;
	return (task_random(load->task) >> (64 - bits)) << TMM_PAGE_SHIFT;
}

static int make_space(struct load *load)
{
	struct task *task = load->task;
	uint64_t gap = task->limits[RLIMIT_STACK][0], most = load->user_end / 6 * 5;
	struct tmm_mm_layout layout = {.task_size = load->user_end, .mmap_min = MMAP_MIN};
	struct tmm_mm_limits limits = {
		.as_bytes = task->limits[RLIMIT_AS][0],
		.data_bytes = task->limits[RLIMIT_DATA][0],
		.stack_bytes = task->limits[RLIMIT_STACK][0],
		.memlock_bytes = task->limits[RLIMIT_MEMLOCK][0],
	};

	load->stack_top = load->user_end - shake(load, 22);
	gap = gap > most ? most : gap + STACK_PAD;
	gap = gap < MIN_STACK_GAP ? MIN_STACK_GAP : gap;
	layout.mmap_base = (load->stack_top - gap - shake(load, 28)) & TMM_PAGE_MASK;
	if (tmm_mm_create(tmm_machine_spaces(task->config->machine), &layout, &limits,
	                  &load->mm)) {
		load->mm = NULL;
		return no_memory(load, "an address space; try a larger --ram");
	}
	return 0;
}

static int map_one(struct load *load, struct open_file *open, const struct elf *elf,
                   uint64_t at, struct elf_place *place)
{
	struct tmm_file *file;
	char why[160];
	int err;

	if (files_map(&load->task->files, open, &file))
		return no_memory(load, "a mapped file; try a larger --ram");
	err = elf_map(load->task->mm, file, elf, at, place, why, sizeof(why));
	if (!err)
		return 0;
	return fail(load, RUN_STATUS_NOT_EXEC, err, "%s%s", why,
	            err == -ENOMEM ? "; try a larger --ram" : "");
}

static int map_elves(struct load *load)
{
	bool relative = !load->elf.fixed, has_interp = load->elf.interp[0] != '\0';
	uint64_t at = relative && has_interp ? PIE_BASE + shake(load, 28) : 0;
	int status = map_one(load, &load->file, &load->elf, at, &load->place);

	if (status || !has_interp)
		return status;
	return map_one(load, &load->interp_file, &load->interp, 0, &load->interp_place);
}

static unsigned fill_aux(const struct load *load, struct stack_aux *aux)
{
	const struct elf *elf = &load->elf;
	const struct stack_aux entries[] = {
		{AT_MINSIGSTKSZ, getauxval(AT_MINSIGSTKSZ)},
		{AT_HWCAP, getauxval(AT_HWCAP)},
		{AT_PAGESZ, TMM_PAGE_SIZE},
		{AT_CLKTCK, 100},
		{AT_PHDR, elf->phdr ? elf->phdr + load->place.bias : 0},
		{AT_PHENT, sizeof(Elf64_Phdr)},
		{AT_PHNUM, elf->phnum},
		{AT_BASE, elf->interp[0] ? load->interp_place.bias : 0},
		{AT_FLAGS, 0},
		{AT_ENTRY, elf->entry + load->place.bias},
		{AT_UID, getuid()},
		{AT_EUID, geteuid()},
		{AT_GID, getgid()},
		{AT_EGID, getegid()},
		{AT_SECURE, 0},
		/* a back end need not see bases that user code changes by itself */
		{AT_HWCAP2, getauxval(AT_HWCAP2) & ~(unsigned long)HWCAP2_FSGSBASE},
	};

	memcpy(aux, entries, sizeof(entries));
	return sizeof(entries) / sizeof(*entries);
}

/* Keep what /proc/self/cmdline and auxv show. */
static int keep_for_proc(struct load *load, const struct stack_image *image)
{
	struct task *task = load->task;
	const unsigned char *args = image->bytes + (image->arg_start - image->sp);

	free(task->cmdline);
	free(task->auxv);
	task->cmdline_bytes = image->arg_end - image->arg_start;
	task->cmdline = run_alloc(task->cmdline_bytes + 1);
	task->auxv_bytes = image->aux_bytes;
	task->auxv = run_alloc(image->aux_bytes);
	if (!task->cmdline || !task->auxv)
		return no_memory(load, "what /proc/self shows");
	memcpy(task->cmdline, args, task->cmdline_bytes);
	memcpy(task->auxv, image->bytes + image->aux_offset, task->auxv_bytes);
	return 0;
}

static int map_stack(struct load *load, const struct stack_image *image)
{
	struct task *task = load->task;
	uint64_t start = image->sp & TMM_PAGE_MASK;
	const struct elf *elf = &load->elf;
	uint64_t heap = (load->place.end + TMM_PAGE_SIZE - 1) & TMM_PAGE_MASK;
	struct tmm_mm_image where = {
		.start_code = load->place.start_code,
		.end_code = load->place.end_code,
		.start_data = load->place.start_data,
		.end_data = load->place.end_data,
		.start_stack = image->sp,
		.arg_start = image->arg_start,
		.arg_end = image->arg_end,
		.env_start = image->env_start,
		.env_end = image->env_end,
	};

	/* Without an interpreter a PIE lies among the mappings: its heap goes elsewhere. */
	if (!elf->fixed && !elf->interp[0])
		heap = PIE_BASE;
	where.start_brk = heap + shake(load, 13);
	tmm_mm_set_image(task->mm, &where);
	if (tmm_mm_map_stack(task->mm, load->stack_top,
	                     load->stack_top - start + STACK_HEADROOM, elf->exec_stack) ||
	    tmm_copy_to_user(task->mm, image->sp, image->bytes, image->nr_bytes))
		return no_memory(load, "the stack; try a larger --ram");
	return keep_for_proc(load, image);
}

static int make_stack(struct load *load)
{
	struct stack_aux aux[STACK_MAX_AUX];
	struct stack_image image;
	const struct stack_request request = {
		.top = load->stack_top,
		.limit_bytes = load->task->limits[RLIMIT_STACK][0],
		.argv = load->argv,
		.envp = load->envp,
		.exec_name = load->first,
		.random = load->random,
		.aux = aux,
		.nr_aux = fill_aux(load, aux),
	};
	int status;

	if (stack_build(&request, &image))
		return no_memory(load, "arguments and environment");
	status = map_stack(load, &image);
	load->task->regs.gpr[CPU_RSP] = image.sp;
	free(image.bytes);
	return status;
}

/* Too long is found out before anything changes. */
static int check_strings(struct load *load)
{
	uint64_t limit = load->task->limits[RLIMIT_STACK][0];

	if (stack_fits(load->argv, load->envp, load->first, limit))
		return 0;
	return fail(load, RUN_STATUS_NOT_EXEC, -E2BIG,
	            "arguments and environment are too long: expected at most %llu KiB in "
	            "all, %llu KiB each",
	            (unsigned long long)stack_room(limit) >> 10,
	            (unsigned long long)STACK_MAX_STRING >> 10);
}

static void enter(struct load *load)
{
	struct task *task = load->task;
	const char *slash = strrchr(load->first, '/');

	task->regs.rip = load->elf.interp[0] ? load->interp.entry + load->interp_place.bias
	                                     : load->elf.entry + load->place.bias;
	task->regs.rflags = 0x202; /* interrupts on; the bit that is always set */
	snprintf(task->comm, sizeof(task->comm), "%.15s", slash ? slash + 1 : load->first);
}

/* What /proc/self/exe names: the host knows the path without links. */
static int name_exe(struct load *load)
{
	load->exe_path = run_alloc(PATH_MAX);
	if (!load->exe_path)
		return no_memory(load, "a path");
	if (!path_of_host(load->file.host, load->exe_path))
		snprintf(load->exe_path, PATH_MAX, "%s", load->path);
	return 0;
}

/* The arguments as they are to be, before scripts add to them; a program has one. */
static int copy_arguments(struct load *load, char *const *argv)
{
	static char nothing[] = "";
	unsigned argc = 0;

	while (argv[argc])
		argc++;
	load->argv = run_alloc((argc + 2) * sizeof(*load->argv));
	if (!load->argv)
		return no_memory(load, "arguments");
	memcpy(load->argv, argv, argc * sizeof(*load->argv));
	if (!argc)
		load->argv[0] = nothing;
	return 0;
}

/* All that can be refused: the task stays as it is. */
static int resolve(struct load *load, const struct load_request *request)
{
	int status;

	snprintf(load->path, sizeof(load->path), "%s", request->name);
	load->envp = request->envp;
	load->hidden = request->hidden;
	status = request->search ? find(load, request->name) : 0;
	memcpy(load->first, load->path, sizeof(load->first));
	if (!status)
		status = copy_arguments(load, request->argv);
	if (!status)
		status = follow_scripts(load);
	if (!status)
		status = check_strings(load);
	if (!status)
		status = read_elves(load);
	if (!status)
		status = name_exe(load);
	if (!status)
		status = make_space(load);
	return status;
}

/* The task has the new address space from here on, and nothing of the old one. */
static void replace_space(struct load *load)
{
	struct task *task = load->task;

	task_drop_space(task);
	task->mm = load->mm;
	task->files.mm = load->mm;
	load->mm = NULL;
	free(task->exe_path);
	task->exe_path = load->exe_path;
	load->exe_path = NULL;
	task->regs = (struct cpu_regs){0};
}

static int place(struct load *load)
{
	int status;

	task_random_fill(load->task, load->random, sizeof(load->random));
	status = map_elves(load);
	if (!status)
		status = make_stack(load);
	if (!status)
		enter(load);
	return status;
}

int task_load(struct task *task, const struct load_request *request,
              struct load_failure *out_failure)
{
	struct load *load = run_alloc(sizeof(*load));
	int status;

	*out_failure = (struct load_failure){.err = -ENOMEM};
	if (!load) {
		snprintf(out_failure->why, sizeof(out_failure->why),
		         "this host has no memory to load a program");
		return RUN_STATUS_FAILED;
	}
	load->task = task;
	load->file.host = load->interp_file.host = -1;
	load->user_end = task->env.user_end;
	status = resolve(load, request);
	if (!status) {
		replace_space(load);
		out_failure->replaced = true;
		status = place(load);
	}
	out_failure->err = load->err;
	memcpy(out_failure->why, load->why, sizeof(load->why));
	close_program(&load->file);
	close_program(&load->interp_file);
	free(load->exe_path);
	free(load->argv);
	free(load);
	return status;
}
