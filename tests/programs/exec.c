/* What execve refuses, what it keeps, and what it does not. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "say.h"

#define KEPT_FD   20
#define CLOSED_FD 21
#define MANY      (16 << 20)

extern char **environ;

static char *const no_strings[] = {NULL};

static void put(const char *name, const char *text, mode_t mode)
{
	int fd = open(name, O_CREAT | O_TRUNC | O_WRONLY, mode);

	SAY(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static int fails(const char *name, char *const *argv, char *const *envp)
{
	return execve(name, argv, envp) == -1 ? errno : 0;
}

/* The caller lives on after each of them. */
static void refusals(const char *self)
{
	static char long_one[128 * 1024 + 1];
	static char *many[70];
	char *const argv[] = {(char *)"x", NULL}, *const longer[] = {long_one, NULL};
	struct rlimit limit;

	put("text", "neither ELF nor script\n", 0755);
	put("empty", "", 0755);
	put("plain", "#!/bin/true\n", 0644);
	put("lost", "#!/no/such/interpreter\n", 0755);
	put("nameless", "#!   \n", 0755);
	put("loop", "#!loop\n", 0755);
	put("cut", "\177ELF\2\1\1", 0755);
	SAY(symlink("round", "round") == 0);
	SAY(fails("", argv, environ) == ENOENT);
	SAY(fails("missing", argv, environ) == ENOENT);
	SAY(fails("text/more", argv, environ) == ENOTDIR);
	SAY(fails("round", argv, environ) == ELOOP);
	SAY(fails("/", argv, environ) == EACCES);
	SAY(fails("/dev/null", argv, environ) == EACCES);
	SAY(fails("plain", argv, environ) == EACCES);
	SAY(fails("text", argv, environ) == ENOEXEC);
	SAY(fails("empty", argv, environ) == ENOEXEC);
	SAY(fails("cut", argv, environ) == ENOEXEC);
	SAY(fails("nameless", argv, environ) == ENOEXEC);
	SAY(fails("lost", argv, environ) == ENOENT);
	SAY(fails("loop", argv, environ) == ELOOP);
	SAY(fails((char *)8, argv, environ) == EFAULT);
	SAY(fails(self, (char **)8, environ) == EFAULT);
	SAY(fails(self, argv, (char **)8) == EFAULT);
	memset(long_one, 'x', sizeof(long_one) - 1);
	SAY(fails(self, longer, environ) == E2BIG);
	long_one[sizeof(long_one) - 2] = '\0';
	for (unsigned i = 0; i < 69; i++)
		many[i] = long_one;
	SAY(fails(self, many, environ) == E2BIG);
	many[17] = NULL; /* a little more than a quarter of 8 MiB */
	SAY(getrlimit(RLIMIT_STACK, &limit) == 0);
	limit.rlim_cur = 8 << 20;
	SAY(setrlimit(RLIMIT_STACK, &limit) == 0);
	SAY(fails(self, many, environ) == E2BIG);
	SAY(syscall(SYS_execveat, AT_FDCWD, self, argv, environ, 0x40000000) == -1 &&
	    errno == EINVAL);
	SAY(syscall(SYS_execveat, 999, "x", argv, environ, 0) == -1 && errno == EBADF);
	SAY(syscall(SYS_execveat, AT_FDCWD, "round", argv, environ, AT_SYMLINK_NOFOLLOW) ==
	            -1 &&
	    errno == ELOOP);
}

static void on_signal(int signal)
{
	(void)signal;
}

/* All that the next program must find, or must not. */
static void leave_traces(void)
{
	struct sigaction action = {.sa_handler = on_signal,
	                           .sa_flags = SA_ONSTACK | SA_RESTART};
	stack_t alternate = {.ss_sp = malloc(65536), .ss_size = 65536};
	sigset_t set;
	char *memory;

	SAY(dup2(2, KEPT_FD) == KEPT_FD);
	SAY(dup3(2, CLOSED_FD, O_CLOEXEC) == CLOSED_FD);
	SAY(sigaltstack(&alternate, NULL) == 0);
	SAY(sigaction(SIGUSR1, &action, NULL) == 0);
	signal(SIGUSR2, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	SAY(sigprocmask(SIG_SETMASK, &set, NULL) == 0);
	raise(SIGTERM);
	SAY(prctl(PR_SET_NAME, "another") == 0);
	memory = mmap(NULL, MANY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	SAY(memory != MAP_FAILED);
	memset(memory, 1, 8 << 20);
	SAY(chdir("sub") == 0);
}

static void look_for_traces(const char *self)
{
	struct sigaction action;
	char name[16], exe[4096], real[4096];
	stack_t alternate;
	struct rusage usage;
	sigset_t set;
	ssize_t length = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	FILE *file;

	SAY(fcntl(KEPT_FD, F_GETFD) == 0);
	SAY(fcntl(CLOSED_FD, F_GETFD) == -1 && errno == EBADF);
	SAY(sigaction(SIGUSR1, NULL, &action) == 0 && action.sa_handler == SIG_DFL &&
	    !(action.sa_flags & SA_ONSTACK));
	SAY(sigaction(SIGUSR2, NULL, &action) == 0 && action.sa_handler == SIG_IGN);
	SAY(sigaltstack(NULL, &alternate) == 0 && alternate.ss_flags == SS_DISABLE);
	SAY(sigprocmask(SIG_BLOCK, NULL, &set) == 0 && sigismember(&set, SIGTERM) == 1);
	SAY(sigpending(&set) == 0 && sigismember(&set, SIGTERM) == 1);
	SAY(prctl(PR_GET_NAME, name) == 0 && strncmp(name, strrchr(self, '/') + 1, 15) == 0);
	SAY(length > 0 && (exe[length] = '\0', realpath(self, real)) && strcmp(exe, real) == 0);
	SAY(getrusage(RUSAGE_SELF, &usage) == 0 && usage.ru_maxrss >= 8192);
	SAY(access("../text", F_OK) == 0);
	file = fopen("/proc/self/cmdline", "r");
	SAY(file && fread(name, 1, 6, file) == 6 && memcmp(name, "second", 6) == 0);
	fclose(file);
	SAY(environ[0] && strcmp(environ[0], "ONLY=this") == 0 && !environ[1]);
}

int main(int argc, char **argv)
{
	static char self[4096];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *const second[] = {(char *)"second", self, NULL};
	char *const third[] = {(char *)"third", NULL};
	char *const envp[] = {(char *)"ONLY=this", NULL};
	const char *as = argc > 0 ? argv[0] : "";
	int fd;

	self[length] = '\0';
	setvbuf(stdout, NULL, _IONBF, 0);
	if (strcmp(as, "second") == 0) {
		look_for_traces(argv[1]);
		fd = open(self, O_RDONLY | O_CLOEXEC);
		syscall(SYS_execveat, fd, "", third, envp, AT_EMPTY_PATH);
		SAY(!"execveat came back");
	} else if (strcmp(as, "third") == 0) {
		SAY(argc == 1);
		execve(self, no_strings, no_strings);
		SAY(!"execve without arguments came back");
	} else if (argc == 1 && !*as) {
		SAY(!environ[0]);
		return 42;
	} else {
		SAY(mkdir("sub", 0755) == 0);
		refusals(self);
		leave_traces();
		execve(self, second, envp);
		SAY(!"execve came back");
	}
	return 1;
}
