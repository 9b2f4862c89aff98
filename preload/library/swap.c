// SPDX-License-Identifier: MIT
// Theory of operation: everything that can fail comes before dup3(), which is atomic: another
// thread sees the old socket or the new one. Registrations leave the old socket first (it may have
// other owners, and would then go on reporting) and join the new one last, when an event that is
// already there is reported.
#include "preload/library/swap.h"

#include <errno.h>
#include <stdint.h>
#include <sys/resource.h>
#include <unistd.h>

#include "preload/library/epoll_memory.h"
#include "preload/library/fds.h"
#include "preload/library/real.h"

// O_ASYNC with its owner and signal (fcntl(2)): the owner first, or the first signal goes nowhere.
static void copy_owner(int from, int to)
{
	struct f_owner_ex owner;

	if (real_fcntl(from, F_GETOWN_EX, &owner) == 0)
		(void)real_fcntl(to, F_SETOWN_EX, &owner);
	(void)real_fcntl(to, F_SETSIG, real_fcntl(from, F_GETSIG));
}

static int copy_status_flags(int from, int to)
{
	int flags = real_fcntl(from, F_GETFL);

	if (flags < 0)
		return -errno;
	if (flags & O_ASYNC)
		copy_owner(from, to);
	return real_fcntl(to, F_SETFL, flags) < 0 ? -errno : 0;
}

static int replace(int fd, int replacement)
{
	struct epoll_registration registrations[EPOLL_MEMORY_SETS];
	int flags = real_fcntl(fd, F_GETFD);
	int result = 0;

	if (flags < 0)
		return -errno;
	size_t count = epoll_memory_detach(fd, registrations);
	if (real_dup3(replacement, fd, flags & FD_CLOEXEC ? O_CLOEXEC : 0) < 0)
		result = -errno;
	epoll_memory_attach(fd, registrations, count);
	return result;
}

struct duplicates {
	int replacement;
	bool are_there;
};

// A duplicate that cannot be replaced stays the old socket; its program will see that it is not
// connected.
static void replace_duplicate(int duplicate, void *context)
{
	struct duplicates *duplicates = context;

	if (replace(duplicate, duplicates->replacement) < 0)
		return;
	fds_set_unknown(duplicate);
	duplicates->are_there = true;
}

int swap_socket(int fd, uint64_t cookie, int replacement)
{
	struct duplicates duplicates = {.replacement = replacement};
	bool is_shared = fds_word(fd) & FD_SHARED;
	int result = copy_status_flags(fd, replacement);

	// As late as can be: a dial, or an answer, may have taken seconds.
	if (result == 0)
		result = fds_cookie(fd) == cookie ? replace(fd, replacement) : -EBADF;
	if (result == 0 && is_shared)
		fds_visit_duplicates(fd, cookie, replace_duplicate, &duplicates);
	if (result == 0)
		fds_clear_bits(fd, duplicates.are_there ? FD_TOUCHED : FD_SHARED | FD_TOUCHED);
	close(replacement);
	return result;
}

bool swap_raise_limit(struct swap_limit *limit)
{
	struct rlimit current;

	limit->is_raised = false;
	if (getrlimit(RLIMIT_NOFILE, &current) < 0 || current.rlim_cur == current.rlim_max)
		return false;
	limit->soft = current.rlim_cur;
	current.rlim_cur = current.rlim_max;
	limit->is_raised = setrlimit(RLIMIT_NOFILE, &current) == 0;
	return limit->is_raised;
}

void swap_return_limit(const struct swap_limit *limit)
{
	struct rlimit current;

	if (!limit->is_raised || getrlimit(RLIMIT_NOFILE, &current) < 0)
		return;
	current.rlim_cur = limit->soft;
	(void)setrlimit(RLIMIT_NOFILE, &current);
}

// 0..2 are the program's standard streams even while they are closed.
static int open_tcp(int domain)
{
	int fd = socket(domain, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
	int moved;

	if (fd < 0 || fd > STDERR_FILENO)
		return fd < 0 ? -errno : fd;
	moved = real_fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	moved = moved < 0 ? -errno : moved;
	close(fd);
	return moved;
}

int swap_open_tcp(int domain)
{
	struct swap_limit limit;
	int fd = open_tcp(domain);

	if (fd == -EMFILE && swap_raise_limit(&limit)) {
		fd = open_tcp(domain);
		swap_return_limit(&limit);
	}
	return fd == -EMFILE || fd == -ENFILE ? -ENOBUFS : fd;
}
