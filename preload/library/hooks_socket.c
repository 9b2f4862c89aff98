// SPDX-License-Identifier: MIT
#undef _FORTIFY_SOURCE
#include "preload/library/hooks.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "preload/library/connect.h"
#include "preload/library/epoll_memory.h"
#include "preload/library/options.h"
#include "preload/library/socket_calls.h"

EXPORT int connect(int fd, const struct sockaddr *address, socklen_t length)
{
	return airlock_connect(fd, address, length);
}

EXPORT int getpeername(int fd, struct sockaddr *address, socklen_t *length)
{
	return airlock_getpeername(fd, address, length);
}

EXPORT int getsockname(int fd, struct sockaddr *address, socklen_t *length)
{
	return airlock_getsockname(fd, address, length);
}

EXPORT int getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
	return airlock_getsockopt(fd, level, name, value, length);
}

EXPORT int setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
	return airlock_setsockopt(fd, level, name, value, length);
}

EXPORT int shutdown(int fd, int how)
{
	return airlock_shutdown(fd, how);
}

EXPORT int epoll_ctl(int set, int operation, int fd, struct epoll_event *event)
{
	return airlock_epoll_ctl(set, operation, fd, event);
}

EXPORT int dup(int fd)
{
	return airlock_dup(fd);
}

EXPORT int dup2(int fd, int target)
{
	return airlock_dup2(fd, target);
}

EXPORT int dup3(int fd, int target, int flags)
{
	return airlock_dup3(fd, target, flags);
}

// The third argument of ioctl and fcntl is an integer, a pointer or absent; either fits a register,
// and libc reads it the same way.
EXPORT int ioctl(int fd, unsigned long request, ...)
{
	va_list list;

	va_start(list, request);
	void *argument = va_arg(list, void *);
	va_end(list);
	return airlock_ioctl(fd, request, argument);
}

EXPORT int fcntl(int fd, int command, ...)
{
	va_list list;

	va_start(list, command);
	unsigned long argument = va_arg(list, unsigned long);
	va_end(list);
	return airlock_fcntl(fd, command, argument);
}

EXPORT int fcntl64(int fd, int command, ...)
{
	va_list list;

	va_start(list, command);
	unsigned long argument = va_arg(list, unsigned long);
	va_end(list);
	return airlock_fcntl(fd, command, argument);
}
