// SPDX-License-Identifier: MIT
// libc's own functions, under the name real_*: what hooks call, and what the shared code means by
// connect() and friends inside the library (real_names.h). real.c is the only file that calls
// dlsym.
#ifndef AIRLOCK_PRELOAD_REAL_H
#define AIRLOCK_PRELOAD_REAL_H

#include <fcntl.h>
#include <netdb.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

// X(result, name, parameters). The first group is looked up in the constructor: hooks of it run in
// signal handlers and in children of vfork, where dlsym must not be called.
#define REAL_SOCKET_FUNCTIONS(X)                                                                   \
	X(int, connect, (int, const struct sockaddr *, socklen_t))                                 \
	X(ssize_t, send, (int, const void *, size_t, int))                                         \
	X(ssize_t, sendto, (int, const void *, size_t, int, const struct sockaddr *, socklen_t))   \
	X(ssize_t, sendmsg, (int, const struct msghdr *, int))                                     \
	X(int, sendmmsg, (int, struct mmsghdr *, unsigned, int))                                   \
	X(ssize_t, write, (int, const void *, size_t))                                             \
	X(ssize_t, writev, (int, const struct iovec *, int))                                       \
	X(ssize_t, recv, (int, void *, size_t, int))                                               \
	X(ssize_t, recvfrom, (int, void *, size_t, int, struct sockaddr *, socklen_t *))           \
	X(ssize_t, recvmsg, (int, struct msghdr *, int))                                           \
	X(int, recvmmsg, (int, struct mmsghdr *, unsigned, int, struct timespec *))                \
	X(ssize_t, read, (int, void *, size_t))                                                    \
	X(ssize_t, readv, (int, const struct iovec *, int))                                        \
	X(ssize_t, sendfile, (int, int, off_t *, size_t))                                          \
	X(ssize_t, splice, (int, off64_t *, int, off64_t *, size_t, unsigned))                     \
	X(int, getpeername, (int, struct sockaddr *, socklen_t *))                                 \
	X(int, getsockname, (int, struct sockaddr *, socklen_t *))                                 \
	X(int, getsockopt, (int, int, int, void *, socklen_t *))                                   \
	X(int, setsockopt, (int, int, int, const void *, socklen_t))                               \
	X(int, open, (const char *, int, ...))                                                     \
	X(int, openat, (int, const char *, int, ...))                                              \
	X(int, ioctl, (int, unsigned long, ...))                                                   \
	X(int, shutdown, (int, int))                                                               \
	X(int, epoll_ctl, (int, int, int, struct epoll_event *))                                   \
	X(int, dup, (int))                                                                         \
	X(int, dup2, (int, int))                                                                   \
	X(int, dup3, (int, int, int))                                                              \
	X(int, fcntl, (int, int, ...))                                                             \
	X(long, syscall, (long, ...))

// The second group is looked up at its first use.
#define REAL_OTHER_FUNCTIONS(X)                                                                    \
	X(int, __open_2, (const char *, int))                                                      \
	X(int, __openat_2, (int, const char *, int))                                               \
	X(ssize_t, __read_chk, (int, void *, size_t, size_t))                                      \
	X(ssize_t, __recv_chk, (int, void *, size_t, size_t, int))                                 \
	X(ssize_t, __recvfrom_chk,                                                                 \
		(int, void *, size_t, size_t, int, struct sockaddr *, socklen_t *))                \
	X(void *, dlopen, (const char *, int))                                                     \
	X(int, getaddrinfo,                                                                        \
		(const char *, const char *, const struct addrinfo *, struct addrinfo **))         \
	X(int, getnameinfo,                                                                        \
		(const struct sockaddr *, socklen_t, char *, socklen_t, char *, socklen_t, int))   \
	X(struct hostent *, gethostbyname2, (const char *, int))                                   \
	X(int, gethostbyname2_r,                                                                   \
		(const char *, int, struct hostent *, char *, size_t, struct hostent **, int *))   \
	X(struct hostent *, gethostbyaddr, (const void *, socklen_t, int))                         \
	X(int, gethostbyaddr_r,                                                                    \
		(const void *, socklen_t, int, struct hostent *, char *, size_t,                   \
			struct hostent **, int *))

#define REAL_FUNCTIONS(X)                                                                          \
	REAL_SOCKET_FUNCTIONS(X)                                                                   \
	REAL_OTHER_FUNCTIONS(X)

#define REAL_ENUMERATE(result, name, parameters) REAL_INDEX_##name,
#define REAL_DECLARE(result, name, parameters)   typedef result real_##name##_function parameters;
enum real_index { REAL_FUNCTIONS(REAL_ENUMERATE) REAL_COUNT };
REAL_FUNCTIONS(REAL_DECLARE)
#undef REAL_ENUMERATE
#undef REAL_DECLARE

// Looks the first group up. Idempotent; called by the library's constructor.
void real_initialise(void);

extern void *real_pointers[REAL_COUNT];

// Looks one function up and remembers it: for hooks that run before the constructor, and for the
// second group.
void *real_find(enum real_index index);

// A function of a library that libairlock.so does not link: loads the library when it is there.
// NULL when it is not. May allocate.
void *real_find_in_library(const char *library, const char *function);

static inline void *real_pointer(enum real_index index)
{
	void *pointer = __atomic_load_n(&real_pointers[index], __ATOMIC_RELAXED);

	return __builtin_expect(pointer != NULL, 1) ? pointer : real_find(index);
}

#define REAL(name) ((real_##name##_function *)real_pointer(REAL_INDEX_##name))

// clang-format off
#define real_connect           REAL(connect)
#define real_send              REAL(send)
#define real_sendto            REAL(sendto)
#define real_sendmsg           REAL(sendmsg)
#define real_sendmmsg          REAL(sendmmsg)
#define real_write             REAL(write)
#define real_writev            REAL(writev)
#define real_recv              REAL(recv)
#define real_recvfrom          REAL(recvfrom)
#define real_recvmsg           REAL(recvmsg)
#define real_recvmmsg          REAL(recvmmsg)
#define real_read              REAL(read)
#define real_readv             REAL(readv)
#define real_sendfile          REAL(sendfile)
#define real_splice            REAL(splice)
#define real_getpeername       REAL(getpeername)
#define real_getsockname       REAL(getsockname)
#define real_getsockopt        REAL(getsockopt)
#define real_setsockopt        REAL(setsockopt)
#define real_open              REAL(open)
#define real_openat            REAL(openat)
#define real_ioctl             REAL(ioctl)
#define real_shutdown          REAL(shutdown)
#define real_epoll_ctl         REAL(epoll_ctl)
#define real_dup               REAL(dup)
#define real_dup2              REAL(dup2)
#define real_dup3              REAL(dup3)
#define real_fcntl             REAL(fcntl)
#define real_syscall           REAL(syscall)
#define real_dlopen            REAL(dlopen)
#define real___open_2          REAL(__open_2)
#define real___openat_2        REAL(__openat_2)
#define real___read_chk        REAL(__read_chk)
#define real___recv_chk        REAL(__recv_chk)
#define real___recvfrom_chk    REAL(__recvfrom_chk)
#define real_getaddrinfo       REAL(getaddrinfo)
#define real_getnameinfo       REAL(getnameinfo)
#define real_gethostbyname2    REAL(gethostbyname2)
#define real_gethostbyname2_r  REAL(gethostbyname2_r)
#define real_gethostbyaddr     REAL(gethostbyaddr)
#define real_gethostbyaddr_r   REAL(gethostbyaddr_r)
// clang-format on

#endif
