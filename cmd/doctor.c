/*
 * doctor.c - tuxmm doctor: what this host allows, and what is used instead
 *
 * Each finding is made by trying, where that is possible.  Only those that are
 * needed decide the exit status.
 */
#define _GNU_SOURCE
#include "cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <jansson.h>

#define DEFAULT_MAX_MAP_COUNT 65530u
#define HWCAP2_HAS_FSGSBASE   (1ul << 1) /* x86: FSGSBASE instructions work in user space */

struct finding {
	const char *name;
	bool ok;
	bool needed;
	char what[160]; /* one line: what is there, or what its absence means */
};

typedef void (*examine)(struct finding *out);

#define FOUND(out, is_ok, ...)                                                                 \
	do {                                                                                   \
		(out)->ok = (is_ok);                                                           \
		snprintf((out)->what, sizeof((out)->what), __VA_ARGS__);                       \
	} while (0)

/* The first number in a file whose text begins with `prefix`; false: not there. */
static bool number_in(const char *path, const char *prefix, uint64_t *out)
{
	FILE *file = fopen(path, "re");
	bool found = false;
	char line[256];

	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file)) {
		if (strncmp(line, prefix, strlen(prefix)) == 0)
			found = sscanf(line + strlen(prefix), "%" SCNu64, out) == 1;
	}
	fclose(file);
	return found;
}

static void examine_backend(struct finding *out)
{
	char why[128] = "";

	out->name = "host back end";
	out->needed = true;
	if (cpu_host_ops.probe(why, sizeof(why)) == 0)
		FOUND(out, true, "runs code natively in a stripped process: self-test passed");
	else
		FOUND(out, false, "%s: programs cannot be run", why);
}

static void examine_ram(struct finding *out)
{
	struct tmm_hosted_ram ram;

	out->name = "memfd RAM";
	out->needed = true;
	if (tmm_hosted_ram_create(UINT64_C(1) << 30, &ram) == TMM_OK) {
		tmm_hosted_ram_destroy(&ram);
		FOUND(out, true,
		      "1 GiB, the default, can be mapped; only what is touched costs");
	} else if (tmm_hosted_ram_create(UINT64_C(64) << 20, &ram) == TMM_OK) {
		tmm_hosted_ram_destroy(&ram);
		FOUND(out, true, "64 MiB can be mapped, 1 GiB cannot: use run --ram 64M");
	} else {
		FOUND(out, false, "not even 64 MiB can be mapped: no machine can have RAM");
	}
}

static void examine_ptrace(struct finding *out)
{
	uint64_t scope;

	out->name = "ptrace";
	if (!number_in("/proc/sys/kernel/yama/ptrace_scope", "", &scope))
		FOUND(out, true, "no Yama limits: own children can be traced");
	else if (scope < 3)
		FOUND(out, true,
		      "Yama's ptrace_scope is %" PRIu64 ": own children can be traced", scope);
	else
		FOUND(out, false,
		      "Yama's ptrace_scope is %" PRIu64 ": no process can be traced", scope);
}

static void examine_seccomp(struct finding *out)
{
	uint32_t action = SECCOMP_RET_TRAP;

	out->name = "seccomp";
	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0)
		FOUND(out, true,
		      "system calls of the program can be caught in its own process");
	else
		FOUND(out, false, "cannot trap system calls: each one costs a ptrace stop");
}

static void examine_dispatch(struct finding *out)
{
	out->name = "user dispatch";
	if (prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF, 0, 0, 0) == 0)
		FOUND(out, true, "syscall user dispatch is there");
	else
		FOUND(out, false, "no syscall user dispatch: seccomp is used instead");
}

static void examine_kvm(struct finding *out)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	out->name = "/dev/kvm";
	if (fd < 0)
		FOUND(out, false, "%s: the host back end is used, as always so far",
		      strerror(errno));
	else
		FOUND(out, true, "KVM version %d is there; the host back end is used so far",
		      ioctl(fd, KVM_GET_API_VERSION, 0));
	if (fd >= 0)
		close(fd);
}

static void examine_map_count(struct finding *out)
{
	uint64_t count = DEFAULT_MAX_MAP_COUNT;

	out->name = "max_map_count";
	number_in("/proc/sys/vm/max_map_count", "", &count);
	if (count >= DEFAULT_MAX_MAP_COUNT)
		FOUND(out, true, "%" PRIu64 " mappings of one process", count);
	else
		FOUND(out, false,
		      "%" PRIu64 " mappings, %u are usual: scattered memory faults more often",
		      count, DEFAULT_MAX_MAP_COUNT);
}

static void examine_overcommit(struct finding *out)
{
	uint64_t mode = 0;

	out->name = "overcommit";
	number_in("/proc/sys/vm/overcommit_memory", "", &mode);
	if (mode != 2)
		FOUND(out, true, "mode %" PRIu64 ": sparse RAM is not charged in advance",
		      mode);
	else
		FOUND(out, false, "mode 2: touched RAM is charged to the host's commit limit");
}

static void examine_address_limit(struct finding *out)
{
	struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
	char text[SIZE_TEXT];

	out->name = "RLIMIT_AS";
	getrlimit(RLIMIT_AS, &limit);
	if (limit.rlim_cur == RLIM_INFINITY)
		FOUND(out, true, "unlimited: a machine's RAM may be as large as wanted");
	else
		FOUND(out, limit.rlim_cur > UINT64_C(2) << 30,
		      "%s: RAM must be smaller than that", size_text(limit.rlim_cur, text));
}

static void examine_host_memory(struct finding *out)
{
	uint64_t kib = 0;
	char text[SIZE_TEXT];

	out->name = "host memory";
	if (number_in("/proc/meminfo", "MemAvailable:", &kib))
		FOUND(out, kib >= 256 * 1024, "%s available: programs can touch that much",
		      size_text(kib << 10, text));
	else
		FOUND(out, false, "/proc/meminfo cannot be read: how much is free is unknown");
}

static void examine_fsgsbase(struct finding *out)
{
	out->name = "FSGSBASE";
	if (getauxval(AT_HWCAP2) & HWCAP2_HAS_FSGSBASE)
		FOUND(out, true, "programs may set FS and GS themselves");
	else
		FOUND(out, false,
		      "programs set FS and GS by arch_prctl, as they then do anyway");
}

static const examine examinations[] = {
	examine_backend,       examine_ram,         examine_ptrace,    examine_seccomp,
	examine_dispatch,      examine_kvm,         examine_map_count, examine_overcommit,
	examine_address_limit, examine_host_memory, examine_fsgsbase,
};

#define NR_FINDINGS (sizeof(examinations) / sizeof(examinations[0]))

static void print_text(const struct finding *findings, bool can_run)
{
	bool colour = may_colour(stdout);

	for (size_t i = 0; i < NR_FINDINGS; i++) {
		const struct finding *f = &findings[i];
		const char *paint = f->ok ? "\x1b[32m" : f->needed ? "\x1b[31m" : "\x1b[33m";

		printf("%s%-7s%s %-14s %s\n", colour ? paint : "", f->ok ? "ok" : "missing",
		       colour ? "\x1b[0m" : "", f->name, f->what);
	}
	printf("\n%s\n", can_run ? "tuxmm run works here."
	                         : "tuxmm run does not work here: see what is missing.");
}

static int print_json(const struct finding *findings, bool can_run)
{
	json_t *rows = json_array();
	json_t *root;
	int err;

	for (size_t i = 0; i < NR_FINDINGS; i++)
		json_array_append_new(rows,
		                      json_pack("{ss sb sb ss}", "name", findings[i].name, "ok",
		                                findings[i].ok, "needed", findings[i].needed,
		                                "what", findings[i].what));
	root = json_pack("{ss ss sb so}", "format", "tuxmm-doctor/1", "tuxmm", TUXMM_VERSION,
	                 "can_run", can_run, "findings", rows);
	err = root ? json_dumpf(root, stdout, JSON_INDENT(2)) : -1;
	printf("\n");
	json_decref(root);
	return err;
}

static const char help[] =
	"Usage: tuxmm doctor [--json]\n"
	"\n"
	"Say what this host allows and what is used instead of what is missing.\n"
	"\n"
	"  --json  print the findings as JSON\n"
	"  --help  this text\n"
	"\n"
	"Exit status: 0 when 'tuxmm run' can work, 1 when not, 125 for bad arguments.\n";

int cmd_doctor(int argc, char **argv)
{
	struct finding findings[NR_FINDINGS];
	bool json = argc == 2 && strcmp(argv[1], "--json") == 0;
	bool can_run = true;

	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		fputs(help, stdout);
		return fflush(stdout) == 0 ? 0 : RUN_STATUS_FAILED;
	}
	if (argc > 1 && !json) {
		say("doctor: %s: expected --json, --help or nothing", argv[argc > 2 ? 2 : 1]);
		return RUN_STATUS_FAILED;
	}
	for (size_t i = 0; i < NR_FINDINGS; i++) {
		findings[i] = (struct finding){.name = ""};
		examinations[i](&findings[i]);
		can_run = can_run && (findings[i].ok || !findings[i].needed);
	}
	if (json && print_json(findings, can_run) != 0)
		return RUN_STATUS_FAILED;
	if (!json)
		print_text(findings, can_run);
	if (fflush(stdout) != 0)
		return RUN_STATUS_FAILED;
	return can_run ? 0 : 1;
}
