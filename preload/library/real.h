// SPDX-License-Identifier: MIT
// libc's own functions, under the name real_*: what hooks call, and what the shared code means by connect()
// and friends inside the library (real_names.h). real.c is the only file that calls dlsym.
#ifndef AIRLOCK_PRELOAD_REAL_H
#define AIRLOCK_PRELOAD_REAL_H

#include <netdb.h>
#include <poll.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

// X(result, name, parameters)
#define REAL_FUNCTIONS(X) \
	X(int, connect, (int, const struct sockaddr *, socklen_t)) \
	X(ssize_t, send, (int, const void *, size_t, int)) \
	X(ssize_t, sendto, (int, const void *, size_t, int, const struct sockaddr *, socklen_t)) \
	X(ssize_t, sendmsg, (int, const struct msghdr *, int)) \
	X(int, sendmmsg, (int, struct mmsghdr *, unsigned, int)) \
	X(ssize_t, write, (int, const void *, size_t)) \
	X(ssize_t, writev, (int, const struct iovec *, int)) \
	X(ssize_t, recv, (int, void *, size_t, int)) \
	X(ssize_t, recvfrom, (int, void *, size_t, int, struct sockaddr *, socklen_t *)) \
	X(ssize_t, recvmsg, (int, struct msghdr *, int)) \
	X(int, recvmmsg, (int, struct mmsghdr *, unsigned, int, struct timespec *)) \
	X(ssize_t, read, (int, void *, size_t)) \
	X(ssize_t, readv, (int, const struct iovec *, int)) \
	X(ssize_t, sendfile, (int, int, off_t *, size_t)) \
	X(ssize_t, splice, (int, off64_t *, int, off64_t *, size_t, unsigned)) \
	X(int, getpeername, (int, struct sockaddr *, socklen_t *)) \
	X(int, getsockname, (int, struct sockaddr *, socklen_t *)) \
	X(int, getsockopt, (int, int, int, void *, socklen_t *)) \
	X(int, setsockopt, (int, int, int, const void *, socklen_t)) \
	X(int, ioctl, (int, unsigned long, ...)) \
	X(int, shutdown, (int, int)) \
	X(int, epoll_ctl, (int, int, int, struct epoll_event *)) \
	X(int, dup, (int)) \
	X(int, dup2, (int, int)) \
	X(int, dup3, (int, int, int)) \
	X(int, fcntl, (int, int, ...)) \
	X(long, syscall, (long, ...)) \
	X(int, getaddrinfo, \
		(const char *, const char *, const struct addrinfo *, struct addrinfo **)) \
	X(int, getnameinfo, \
		(const struct sockaddr *, socklen_t, char *, socklen_t, char *, socklen_t, int)) \
	X(struct hostent *, gethostbyname, (const char *)) \
	X(struct hostent *, gethostbyname2, (const char *, int)) \
	X(int, gethostbyname_r, \
		(const char *, struct hostent *, char *, size_t, struct hostent **, int *)) \
	X(int, gethostbyname2_r, \
		(const char *, int, struct hostent *, char *, size_t, struct hostent **, int *)) \
	X(struct hostent *, gethostbyaddr, (const void *, socklen_t, int)) \
	X(int, gethostbyaddr_r, \
		(const void *, socklen_t, int, struct hostent *, char *, size_t, struct hostent **, \
			int *)) \
	X(int, getaddrinfo_a, (int, struct gaicb **, int, struct sigevent *)) \
	X(int, gai_suspend, (const struct gaicb *const *, int, const struct timespec *)) \
	X(int, gai_cancel, (struct gaicb *))

struct sigevent;

#define REAL_DECLARE(result, name, parameters) extern result(*real_##name##_pointer) parameters;
REAL_FUNCTIONS(REAL_DECLARE)
#undef REAL_DECLARE

// Looks every function up. Idempotent, called by the constructor and by the first hook that runs
// before it (another library's constructor may connect).
void real_initialise(void);

#endif
