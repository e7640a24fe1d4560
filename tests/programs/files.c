/* Descriptors, names, directories. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "say.h"

/* What is not open cannot be reached by name either. */
static int no_other_descriptor(void)
{
	char name[40];

	for (int fd = 3; fd < 40; fd++) {
		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		if (open(name, O_RDONLY) != -1 || errno != ENOENT)
			return 0;
	}
	return 1;
}

static void descriptors(void)
{
	int fd = open("a", O_RDWR | O_CREAT | O_TRUNC, 0644), copy, high;
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	SAY(fd == 3);
	copy = dup(fd);
	SAY(copy == 4);
	SAY(write(fd, "hello", 5) == 5 && lseek(copy, 0, SEEK_CUR) == 5);
	SAY(dup2(fd, 10) == 10 && dup2(fd, fd) == fd);
	SAY(dup3(fd, fd, 0) == -1 && errno == EINVAL);
	SAY(dup3(fd, 11, O_CLOEXEC) == 11 && fcntl(11, F_GETFD) == FD_CLOEXEC);
	SAY(fcntl(fd, F_GETFD) == 0);
	high = fcntl(fd, F_DUPFD, 50);
	SAY(high == 50);
	SAY((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR);
	SAY(fcntl(fd, F_SETFL, O_APPEND) == 0 && (fcntl(copy, F_GETFL) & O_APPEND));
	SAY(fcntl(fd, F_SETLK, &lock) == 0);
	SAY(flock(fd, LOCK_EX) == 0);
	SAY(close(copy) == 0 && close(copy) == -1 && errno == EBADF);
	SAY(open("a", O_RDONLY) == 4);
	SAY(syscall(SYS_close_range, 4, ~0u, 0) == 0 && fcntl(50, F_GETFD) == -1);
	close(fd);
	SAY(open("/dev/fd/1", O_WRONLY) == 3);
	close(3);
	SAY(no_other_descriptor());
}

static void names(void)
{
	struct stat st, other;
	char buffer[4096], cwd[4096];
	struct statfs fs;
	DIR *dir;
	struct dirent *entry;
	int entries = 0, fd;

	SAY(mkdir("d", 0755) == 0 && mkdir("d", 0755) == -1 && errno == EEXIST);
	SAY(rename("a", "d/b") == 0 && access("a", F_OK) == -1 && errno == ENOENT);
	SAY(stat("d/b", &st) == 0 && st.st_size == 5 && S_ISREG(st.st_mode));
	SAY(symlink("b", "d/s") == 0 && readlink("d/s", buffer, 100) == 1);
	SAY(lstat("d/s", &other) == 0 && S_ISLNK(other.st_mode));
	SAY(link("d/b", "d/c") == 0 && stat("d/c", &other) == 0 && other.st_ino == st.st_ino);
	SAY(chmod("d/c", 0600) == 0 && stat("d/b", &st) == 0 && (st.st_mode & 0777) == 0600);
	SAY(truncate("d/b", 3) == 0 && stat("d/b", &st) == 0 && st.st_size == 3);
	SAY(getcwd(cwd, sizeof(cwd)) != NULL);
	SAY(chdir("d") == 0 && access("b", R_OK) == 0);
	SAY(getcwd(buffer, sizeof(buffer)) && strlen(buffer) == strlen(cwd) + 2);
	SAY(chdir("nowhere") == -1 && errno == ENOENT);
	SAY(chdir("b") == -1 && errno == ENOTDIR);
	fd = open(".", O_RDONLY | O_DIRECTORY);
	SAY(chdir("..") == 0 && fchdir(fd) == 0 && access("b", R_OK) == 0);
	SAY(faccessat(fd, "c", R_OK, 0) == 0);
	SAY(fstatat(fd, "", &st, AT_EMPTY_PATH) == 0 && S_ISDIR(st.st_mode));
	dir = fdopendir(fd);
	while ((entry = readdir(dir)) != NULL)
		entries++;
	SAY(entries == 5);
	closedir(dir);
	SAY(chdir("..") == 0);
	SAY(rmdir("d") == -1 && errno == ENOTEMPTY);
	SAY(unlink("d/b") == 0 && unlink("d/c") == 0 && unlink("d/s") == 0 && rmdir("d") == 0);
	SAY(statfs(".", &fs) == 0 && fs.f_bsize > 0);
	SAY(umask(027) != 027 && umask(022) == 027);
	SAY(open("", O_RDONLY) == -1 && errno == ENOENT);
	SAY(open((const char *)8, O_RDONLY) == -1 && errno == EFAULT);
	memset(buffer, 'x', sizeof(buffer) - 1);
	buffer[sizeof(buffer) - 1] = '\0';
	SAY(open(buffer, O_RDONLY) == -1 && errno == ENAMETOOLONG);
}

static void waiting(void)
{
	struct pollfd fds[2];
	struct timeval now = {0, 1000};
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = 77}, got;
	int fd[2], ep, counter;
	unsigned long long value = 0;
	fd_set set;
	char byte;

	SAY(pipe2(fd, O_NONBLOCK) == 0);
	SAY(read(fd[0], &byte, 1) == -1 && errno == EAGAIN);
	fds[0] = (struct pollfd){.fd = fd[0], .events = POLLIN};
	fds[1] = (struct pollfd){.fd = 99, .events = POLLIN};
	SAY(poll(fds, 1, 5) == 0);
	SAY(poll(fds, 2, -1) == 1 && fds[1].revents == POLLNVAL);
	FD_ZERO(&set);
	FD_SET(fd[0], &set);
	SAY(select(fd[0] + 1, &set, NULL, NULL, &now) == 0 && !FD_ISSET(fd[0], &set));
	ep = epoll_create1(0);
	SAY(epoll_ctl(ep, EPOLL_CTL_ADD, fd[0], &event) == 0);
	SAY(epoll_wait(ep, &got, 1, 0) == 0);
	SAY(write(fd[1], "z", 1) == 1);
	SAY(epoll_wait(ep, &got, 1, -1) == 1 && got.data.u64 == 77);
	SAY(poll(fds, 1, -1) == 1 && fds[0].revents == POLLIN);
	FD_SET(fd[0], &set);
	SAY(select(fd[0] + 1, &set, NULL, NULL, NULL) == 1 && FD_ISSET(fd[0], &set));
	counter = eventfd(3, EFD_CLOEXEC);
	SAY(read(counter, &value, 8) == 8 && value == 3);
	SAY(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
	SAY(send(fd[0], "abc", 3, 0) == 3 && recv(fd[1], &byte, 1, 0) == 1 && byte == 'a');
	SAY(write(fd[1], "q", 1) == 1 && read(fd[0], &byte, 1) == 1 && byte == 'q');
}

int main(void)
{
	descriptors();
	names();
	waiting();
	return 0;
}
