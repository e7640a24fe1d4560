/*
 * fd_table_test.c - descriptors are numbered and shared as Linux does it
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "fd_table.h"
#include "inject.h"
#include "test.h"

static int host(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

static bool host_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

TEST(the_lowest_free_number_is_taken)
{
	struct fd_table table;

	fd_table_init(&table, 100);
	for (int i = 0; i < 40; i++)
		CHECK(fd_install(&table, host(), 0, false) == i);
	CHECK(fd_close(&table, 7) == 0);
	CHECK(fd_close(&table, 3) == 0);
	CHECK(fd_install(&table, host(), 0, false) == 3);
	CHECK(fd_install(&table, host(), 20, false) == 40);
	CHECK(fd_dup(&table, 0, 0, false) == 7);
	CHECK(fd_dup(&table, 0, 60, false) == 60);
	fd_table_fini(&table);
}

TEST(the_limit_holds)
{
	struct fd_table table;

	fd_table_init(&table, 3);
	for (int i = 0; i < 3; i++)
		CHECK(fd_install(&table, host(), 0, false) == i);
	CHECK(fd_install(&table, host(), 0, false) == -EMFILE);
	CHECK(fd_dup(&table, 0, 0, false) == -EMFILE);
	CHECK(fd_dup(&table, 0, 3, false) == -EINVAL);
	CHECK(fd_dup_to(&table, 0, 3, false) == -EBADF);
	CHECK(fd_dup_to(&table, 0, 2, false) == 2);
	fd_table_fini(&table);
}

TEST(a_host_descriptor_lives_as_long_as_its_last_duplicate)
{
	struct fd_table table;
	int fd = host();

	fd_table_init(&table, 100);
	CHECK(fd_install(&table, fd, 0, false) == 0);
	CHECK(fd_dup_to(&table, 0, 50, true) == 50);
	CHECK(fd_get(&table, 0) == fd_get(&table, 50));
	CHECK(!fd_cloexec(&table, 0) && fd_cloexec(&table, 50));
	CHECK(fd_close(&table, 0) == 0);
	CHECK(host_open(fd));
	CHECK(fd_close(&table, 0) == -EBADF);
	CHECK(fd_close(&table, 50) == 0);
	CHECK(!host_open(fd));
	fd_table_fini(&table);
}

TEST(what_is_not_open_is_not_found)
{
	struct fd_table table;

	fd_table_init(&table, 100);
	CHECK(!fd_get(&table, 0) && !fd_get(&table, -1) && !fd_get(&table, INT64_MAX));
	CHECK(fd_dup(&table, 0, 0, false) == -EBADF);
	CHECK(fd_dup_to(&table, 5, 6, false) == -EBADF);
	CHECK(fd_close(&table, -1) == -EBADF);
	fd_table_fini(&table);
}

TEST(without_memory_nothing_leaks)
{
	uint64_t n = 1;

	for (bool failed = true; failed; n++) {
		struct fd_table table;
		int fd = host(), got;

		fd_table_init(&table, 100);
		tmm_inject_nth(n, false);
		got = fd_install(&table, fd, 0, false);
		failed = tmm_inject_stop();
		CHECK(failed ? got == -ENOMEM : got == 0);
		CHECK(host_open(fd) == !failed);
		fd_table_fini(&table);
		CHECK(!host_open(fd));
	}
	test_note("%llu failure points", (unsigned long long)n - 2);
}
