/*
 * cpu_host_process_test.c - the host process: bare, mortal, and a cache only
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cpu_host_impl.h"
#include "cpu_test.h"
#include "test.h"

/* Refilled by drops only: the machine has more extents than the host may have. */
TEST(too_many_host_mappings_are_dropped_and_refilled)
{
	struct machine *machine;

	setenv("TUXMM_CPU_HOST_MAPS", "20", 1);
	machine = machine_open();
	unsetenv("TUXMM_CPU_HOST_MAPS");
	LOAD(machine, access);
	machine->alone = true;
	for (unsigned i = 1; i < NR_PAGES; i++) {
		map(machine, i, NR_PAGES - i, true);
		*word(machine, NR_PAGES - i) = i;
	}
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 1; i < NR_PAGES; i++) {
			machine->regs.gpr[CPU_RDI] = VA(i);
			CHECK(run_at(machine, AT_READ) == CPU_SYSCALL);
			CHECK(machine->regs.gpr[CPU_RAX] == i + round);
			machine->regs.gpr[CPU_RAX]++;
			CHECK(run_at(machine, AT_WRITE) == CPU_SYSCALL);
		}
	}
	CHECK(stats(machine).overflows > 3);
	machine_close(machine);
}

TEST(dropping_every_mapping_changes_nothing)
{
	struct machine *machine;

	setenv("TUXMM_CPU_HOST_DROP", "1", 1);
	machine = machine_open();
	unsetenv("TUXMM_CPU_HOST_DROP");
	random_steps(machine, 5000);
	CHECK(stats(machine).refills > 3000);
	machine_close(machine);
}

static void read_maps(pid_t pid, void (*each)(const char *line, void *arg), void *arg)
{
	char path[64], line[512];
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
	file = fopen(path, "re");
	CHECK(file);
	while (fgets(line, sizeof line, file))
		each(line, arg);
	fclose(file);
}

static void lowest(const char *line, void *arg)
{
	uint64_t *low = arg, start = strtoull(line, NULL, 16);

	if (start < *low)
		*low = start;
}

TEST(nothing_of_the_host_is_mapped_below_user_end)
{
	struct machine *machine = machine_open();
	uint64_t low = UINT64_MAX;

	read_maps(machine->cpu->pid, lowest, &low);
	CHECK(low >= CPU_HOST_USER_END && low != UINT64_MAX);
	machine_close(machine);
}

TEST(the_host_process_has_no_descriptor_but_the_arena)
{
	struct machine *machine = machine_open();
	struct stat open_file, arena;
	struct dirent *entry;
	unsigned nr = 0;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof path, "/proc/%d/fd", (int)machine->cpu->pid);
	dir = opendir(path);
	CHECK(dir);
	while ((entry = readdir(dir)))
		nr += entry->d_name[0] != '.';
	closedir(dir);
	CHECK(nr == 1);
	strcat(path, "/0");
	CHECK(!stat(path, &open_file) && !fstat(machine->env.arena_fd, &arena));
	CHECK(open_file.st_ino == arena.st_ino && open_file.st_dev == arena.st_dev);
	machine_close(machine);
}

TEST(the_stub_is_one_page_at_most)
{
	CHECK(cpu_host_stub_end - cpu_host_stub <= ROOM_CONTROL);
}

static void *kill_later(void *arg)
{
	struct timespec pause = {.tv_nsec = 10000000};
	struct cpu *cpu = arg;

	nanosleep(&pause, NULL);
	kill(cpu->pid, SIGKILL);
	return NULL;
}

TEST(a_killed_host_process_is_noticed)
{
	for (int i = 0; i < 20; i++) {
		struct machine *machine = machine_open();
		pthread_t thread;

		LOAD(machine, loop);
		if (i % 2) /* while it is stopped, or is being killed already */
			CHECK(!kill(machine->cpu->pid, SIGKILL));
		else
			CHECK(!pthread_create(&thread, NULL, kill_later, machine->cpu));
		CHECK(run(machine) == CPU_DEAD);
		if (i % 2 == 0)
			CHECK(!pthread_join(thread, NULL));
		CHECK(strstr(cpu_host_ops.why(machine->cpu), "died"));
		CHECK(run(machine) == CPU_DEAD);
		machine_close(machine);
	}
}

TEST(nothing_is_left_after_close)
{
	struct machine *machine = machine_open();
	pid_t pid = machine->cpu->pid;

	machine_close(machine);
	CHECK(kill(pid, 0) && errno == ESRCH);
	CHECK(waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD);
}

/* Is the process gone, but perhaps for somebody to wait for it? */
static bool gone(pid_t pid)
{
	char path[64], text[256] = "";
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return true;
	if (!fgets(text, sizeof text, file))
		text[0] = 0;
	fclose(file);
	return !text[0] || strstr(text, ") Z ");
}

TEST(the_host_process_dies_with_its_maker)
{
	struct timespec pause = {.tv_nsec = 1000000};
	int ends[2], status;
	pid_t maker, task = 0;

	CHECK(!pipe(ends));
	maker = fork();
	CHECK(maker >= 0);
	if (!maker) {
		struct machine *machine;

		machine_disown();
		machine = machine_open();
		LOAD(machine, loop);
		task = machine->cpu->pid;
		if (write(ends[1], &task, sizeof task) == sizeof task)
			run(machine);
		_exit(1);
	}
	CHECK(read(ends[0], &task, sizeof task) == sizeof task);
	close(ends[0]);
	close(ends[1]);
	CHECK(!gone(task));
	CHECK(!kill(maker, SIGKILL) && waitpid(maker, &status, 0) == maker);
	for (int ms = 0; ms < 5000 && !gone(task); ms++)
		nanosleep(&pause, NULL);
	CHECK(gone(task));
}

TEST(a_space_that_reaches_too_far_is_refused)
{
	struct cpu_env env = {.user_end = CPU_HOST_USER_END + HOST_PAGE};
	struct cpu *cpu = NULL;

	CHECK(cpu_host_ops.open(&env, NULL, &cpu) == -EINVAL && !cpu);
}

TEST(the_probe_likes_this_host)
{
	char why[128] = "";
	int err = cpu_host_ops.probe(why, sizeof why);

	if (err)
		test_note("%s", why);
	CHECK(!err && !why[0]);
}
