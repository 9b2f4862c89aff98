// SPDX-License-Identifier: MIT
// Included before everything else when wire/ and preload/shared/ are compiled for the library (see
// the Makefile): the calls that the library interposes then mean libc's own functions. The headers
// that declare them come first, so that no declaration is renamed. Names become names, not
// expressions, so that a structure's member called `read` is merely called something else.
#ifndef AIRLOCK_PRELOAD_REAL_NAMES_H
#define AIRLOCK_PRELOAD_REAL_NAMES_H

#include "preload/library/real.h"

#define REAL_NAME(result, name, parameters, arguments)                                             \
	static inline result libc_##name parameters                                                \
	{                                                                                          \
		return REAL(name) arguments;                                                       \
	}

REAL_NAME(int, connect, (int fd, const struct sockaddr *address, socklen_t length),
	(fd, address, length))
REAL_NAME(ssize_t, send, (int fd, const void *buffer, size_t length, int flags),
	(fd, buffer, length, flags))
REAL_NAME(ssize_t, sendto,
	(int fd, const void *buffer, size_t length, int flags, const struct sockaddr *address,
		socklen_t address_length),
	(fd, buffer, length, flags, address, address_length))
REAL_NAME(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
REAL_NAME(ssize_t, write, (int fd, const void *buffer, size_t length), (fd, buffer, length))
REAL_NAME(ssize_t, writev, (int fd, const struct iovec *pieces, int count), (fd, pieces, count))
REAL_NAME(ssize_t, recv, (int fd, void *buffer, size_t length, int flags),
	(fd, buffer, length, flags))
REAL_NAME(ssize_t, recvfrom,
	(int fd, void *buffer, size_t length, int flags, struct sockaddr *address,
		socklen_t *address_length),
	(fd, buffer, length, flags, address, address_length))
REAL_NAME(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))
REAL_NAME(ssize_t, read, (int fd, void *buffer, size_t length), (fd, buffer, length))
REAL_NAME(ssize_t, readv, (int fd, const struct iovec *pieces, int count), (fd, pieces, count))
REAL_NAME(int, getpeername, (int fd, struct sockaddr *address, socklen_t *length),
	(fd, address, length))
REAL_NAME(int, getsockname, (int fd, struct sockaddr *address, socklen_t *length),
	(fd, address, length))
REAL_NAME(int, getsockopt, (int fd, int level, int name, void *value, socklen_t *length),
	(fd, level, name, value, length))
REAL_NAME(int, setsockopt, (int fd, int level, int name, const void *value, socklen_t length),
	(fd, level, name, value, length))
REAL_NAME(int, shutdown, (int fd, int how), (fd, how))
REAL_NAME(int, epoll_ctl, (int set, int operation, int fd, struct epoll_event *event),
	(set, operation, fd, event))
REAL_NAME(int, dup, (int fd), (fd))
REAL_NAME(int, dup2, (int fd, int target), (fd, target))
REAL_NAME(int, dup3, (int fd, int target, int flags), (fd, target, flags))
REAL_NAME(int, getaddrinfo,
	(const char *node, const char *service, const struct addrinfo *hints,
		struct addrinfo **found),
	(node, service, hints, found))
REAL_NAME(int, getnameinfo,
	(const struct sockaddr *address, socklen_t length, char *host, socklen_t host_size,
		char *service, socklen_t service_size, int flags),
	(address, length, host, host_size, service, service_size, flags))

#undef REAL_NAME

// clang-format off
#define connect     libc_connect
#define send        libc_send
#define sendto      libc_sendto
#define sendmsg     libc_sendmsg
#define write       libc_write
#define writev      libc_writev
#define recv        libc_recv
#define recvfrom    libc_recvfrom
#define recvmsg     libc_recvmsg
#define read        libc_read
#define readv       libc_readv
#define getpeername libc_getpeername
#define getsockname libc_getsockname
#define getsockopt  libc_getsockopt
#define setsockopt  libc_setsockopt
#define shutdown    libc_shutdown
#define epoll_ctl   libc_epoll_ctl
#define dup         libc_dup
#define dup2        libc_dup2
#define dup3        libc_dup3
#define getaddrinfo libc_getaddrinfo
#define getnameinfo libc_getnameinfo

// These take a varying number of arguments.
#define open(...)    real_open(__VA_ARGS__)
#define fcntl(...)   real_fcntl(__VA_ARGS__)
#define ioctl(...)   real_ioctl(__VA_ARGS__)
#define syscall(...) real_syscall(__VA_ARGS__)
// clang-format on

#endif
