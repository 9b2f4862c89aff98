// SPDX-License-Identifier: MIT
// syscall(2): programs and language runtimes call the network through it too. Numbers that are not
// in the table go on with all six arguments as they came.
#include "preload/library/hooks.h"

#include <stdarg.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload/library/connect.h"
#include "preload/library/epoll_memory.h"
#include "preload/library/fds.h"
#include "preload/library/nsm_device.h"
#include "preload/library/options.h"
#include "preload/library/real.h"
#include "preload/library/socket_calls.h"
#include "preload/library/transfer.h"

#define ARGUMENTS 6

// The arguments in the types that the kernel reads them with.
#define FD(i)       ((int)a[i])
#define INT(i)      ((int)a[i])
#define SIZE(i)     ((size_t)a[i])
#define POINTER(i)  ((void *)a[i])
#define LENGTH(i)   ((socklen_t)a[i])
#define UNSIGNED(i) ((unsigned)a[i])

static long pass_on(long number, const long a[static ARGUMENTS])
{
	return real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

// True when *result is the answer.
static bool transfer(long number, const long a[static ARGUMENTS], long *result)
{
	switch (number) {
	case SYS_read:
		*result = airlock_read(FD(0), POINTER(1), SIZE(2));
		return true;
	case SYS_readv:
		*result = airlock_readv(FD(0), POINTER(1), INT(2));
		return true;
	case SYS_recvfrom:
		*result = airlock_recvfrom(
			FD(0), POINTER(1), SIZE(2), INT(3), POINTER(4), POINTER(5));
		return true;
	case SYS_recvmsg:
		*result = airlock_recvmsg(FD(0), POINTER(1), INT(2));
		return true;
	case SYS_recvmmsg:
		*result = airlock_recvmmsg(FD(0), POINTER(1), UNSIGNED(2), INT(3), POINTER(4));
		return true;
	case SYS_write:
		*result = airlock_write(FD(0), POINTER(1), SIZE(2));
		return true;
	case SYS_writev:
		*result = airlock_writev(FD(0), POINTER(1), INT(2));
		return true;
	case SYS_sendto:
		*result = airlock_sendto(FD(0), POINTER(1), SIZE(2), INT(3), POINTER(4), LENGTH(5));
		return true;
	case SYS_sendmsg:
		*result = airlock_sendmsg(FD(0), POINTER(1), INT(2));
		return true;
	case SYS_sendmmsg:
		*result = airlock_sendmmsg(FD(0), POINTER(1), UNSIGNED(2), INT(3));
		return true;
	case SYS_sendfile:
		*result = airlock_sendfile(FD(0), FD(1), POINTER(2), SIZE(3));
		return true;
	case SYS_splice:
		*result =
			airlock_splice(FD(0), POINTER(1), FD(2), POINTER(3), SIZE(4), UNSIGNED(5));
		return true;
	default:
		return false;
	}
}

static bool ask_socket(long number, const long a[static ARGUMENTS], long *result)
{
	switch (number) {
	case SYS_connect:
		*result = airlock_connect(FD(0), POINTER(1), LENGTH(2));
		return true;
	case SYS_getpeername:
		*result = airlock_getpeername(FD(0), POINTER(1), POINTER(2));
		return true;
	case SYS_getsockname:
		*result = airlock_getsockname(FD(0), POINTER(1), POINTER(2));
		return true;
	case SYS_getsockopt:
		*result = airlock_getsockopt(FD(0), INT(1), INT(2), POINTER(3), POINTER(4));
		return true;
	case SYS_setsockopt:
		*result = airlock_setsockopt(FD(0), INT(1), INT(2), POINTER(3), LENGTH(4));
		return true;
	case SYS_shutdown:
		*result = airlock_shutdown(FD(0), INT(1));
		return true;
	case SYS_ioctl:
		*result = airlock_ioctl(FD(0), UNSIGNED(1), POINTER(2));
		return true;
	default:
		return false;
	}
}

static bool change_descriptor(long number, const long a[static ARGUMENTS], long *result)
{
	switch (number) {
	case SYS_epoll_ctl:
		*result = airlock_epoll_ctl(FD(0), INT(1), FD(2), POINTER(3));
		return true;
#ifdef SYS_open // newer architectures have openat alone
	case SYS_open:
		*result = airlock_open(POINTER(0), INT(1), (mode_t)a[2]);
		return true;
#endif
	case SYS_openat:
		*result = airlock_openat(FD(0), POINTER(1), INT(2), (mode_t)a[3]);
		return true;
	case SYS_dup:
		*result = airlock_dup(FD(0));
		return true;
#ifdef SYS_dup2 // newer architectures have dup3 alone
	case SYS_dup2:
		*result = airlock_dup2(FD(0), FD(1));
		return true;
#endif
	case SYS_dup3:
		*result = airlock_dup3(FD(0), FD(1), INT(2));
		return true;
	case SYS_fcntl:
		*result = airlock_fcntl(FD(0), INT(1), (unsigned long)a[2]);
		return true;
	case SYS_pidfd_getfd:
		*result = pass_on(number, a);
		if (*result >= 0)
			fds_set_unknown((int)*result);
		return true;
	default:
		return false;
	}
}

EXPORT long syscall(long number, ...)
{
	long a[ARGUMENTS], result;
	va_list list;

	va_start(list, number);
	for (int i = 0; i < ARGUMENTS; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	if (transfer(number, a, &result) || ask_socket(number, a, &result) ||
		change_descriptor(number, a, &result))
		return result;
	return pass_on(number, a);
}
