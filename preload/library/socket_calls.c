// SPDX-License-Identifier: MIT
#include "preload/library/socket_calls.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include <linux/sockios.h>

#include "preload/library/adopt.h"
#include "preload/library/fds.h"
#include "preload/library/nsm_device.h"
#include "preload/library/real.h"
#include "preload/library/result.h"
#include "preload/library/settle.h"
#include "preload/library/user_memory.h"
#include "wire/nsm_socket.h"
#include "wire/stream.h"

#define PEEK_SIZE   4096
#define PEEK_PIECES 256

static struct socket_entry *find_stream(int fd)
{
	return (fds_classify(fd) & FD_CLASS) == FD_PLAIN ? NULL : fds_find(fd);
}

// --- addresses

// In the form of the program's socket: IPv4 on an IPv6 socket is IPv4-mapped.
static int put_address(const struct socket_entry *entry, const struct address *address,
	uint16_t port, struct sockaddr *to, socklen_t *length)
{
	struct address shown = *address;
	struct sockaddr_storage storage;

	if (entry->domain == AF_INET6 && address->family == ADDRESS_IPV4) {
		shown = (struct address){.family = ADDRESS_IPV6, .bytes = {[10] = 0xff, 0xff}};
		memcpy(shown.bytes + 12, address->bytes, 4);
	}
	socklen_t full = address_to_sockaddr(&shown, port, &storage);
	return user_memory_put_address(to, length, &storage, full);
}

// A TCP socket has no peer any more after an RST, nor after both sides have ended (state CLOSE). A
// bare close of the stream is the former, unless we have ended our side, when every close looks
// bare (wire/README.md); then the end of the data says whether the other side has.
static bool is_connected(int fd, struct socket_entry *entry)
{
	uint32_t flags;
	char byte;
	UNCANCELLED;

	if (settle_look(fd, entry) != SOCKET_PHASE_OPEN)
		return false;
	flags = atomic_load(&entry->flags);
	if (!(flags & SOCKET_FLAG_WRITE_SHUT))
		return stream_probe(fd) == 0;
	if (flags & SOCKET_FLAG_READ_SHUT)
		return true; // the end of the data is our own doing
	errno = 0;
	return real_recv(fd, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT) > 0 || errno == EAGAIN;
}

int airlock_getpeername(int fd, struct sockaddr *address, socklen_t *length)
{
	struct socket_entry *entry = find_stream(fd);
	int saved_errno = errno;
	int result = -ENOTCONN;

	if (!entry) {
		result = real_getpeername(fd, address, length);
		return result < 0 && adopt_stream(fd) ? airlock_getpeername(fd, address, length)
						      : result;
	}
	if (is_connected(fd, entry))
		result = put_address(entry, &entry->peer, entry->peer_port, address, length);
	return (int)result_return(result, saved_errno);
}

int airlock_getsockname(int fd, struct sockaddr *address, socklen_t *length)
{
	struct socket_entry *entry = find_stream(fd);
	int saved_errno = errno;

	if (!entry)
		return real_getsockname(fd, address, length);
	return (int)result_return(
		put_address(entry, &entry->local, entry->local_port, address, length), saved_errno);
}

// --- shutdown

// Giving a pending connect up: TCP's socket then holds ECONNRESET (tcp_disconnect in
// net/ipv4/tcp.c).
static int shut_pending(int fd, struct socket_entry *entry)
{
	uint32_t pending = SOCKET_PHASE_PENDING;

	atomic_store(&entry->error, ECONNRESET);
	atomic_compare_exchange_strong(&entry->phase, &pending, SOCKET_PHASE_FAILED);
	fds_set_stream(fd, entry);
	return real_shutdown(fd, SHUT_RDWR) < 0 ? -errno : 0;
}

static void believe(int duplicate, void *entry)
{
	fds_set_stream(duplicate, entry);
}

// SHUT_RD alone is only remembered: both transports would tell the peer, which TCP does not.
static int shut_open(int fd, struct socket_entry *entry, int how)
{
	uint32_t flags = 0;

	if (how != SHUT_WR)
		flags |= SOCKET_FLAG_READ_SHUT;
	if (how != SHUT_RD)
		flags |= SOCKET_FLAG_WRITE_SHUT;
	atomic_fetch_or(&entry->flags, flags);
	fds_set_stream(fd, entry);
	if (how != SHUT_WR && (fds_word(fd) & FD_SHARED))
		fds_visit_duplicates(fd, atomic_load(&entry->cookie), believe, entry);
	if (how == SHUT_RD)
		return 0;
	// SHUT_RDWR wakes threads that wait in recv(), as TCP's does.
	return real_shutdown(fd, how) < 0 ? -errno : 0;
}

static int shut_stream(int fd, struct socket_entry *entry, int how)
{
	if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
		return -EINVAL;
	switch (settle_look(fd, entry)) {
	case SOCKET_PHASE_OPEN:
		return is_connected(fd, entry) ? shut_open(fd, entry, how) : -ENOTCONN;
	case SOCKET_PHASE_PENDING:
		return shut_pending(fd, entry);
	default:
		return -ENOTCONN;
	}
}

int airlock_shutdown(int fd, int how)
{
	struct socket_entry *entry = find_stream(fd);
	int saved_errno = errno;

	if (!entry)
		return real_shutdown(fd, how);
	return (int)result_return(shut_stream(fd, entry, how), saved_errno);
}

// --- ioctl

// vsock has no FIONREAD before Linux 6.17. Every piece of the peek is the same memory.
static int count_readable(int fd)
{
	char scratch[PEEK_SIZE];
	struct iovec pieces[PEEK_PIECES];
	struct msghdr message = {.msg_iov = pieces, .msg_iovlen = PEEK_PIECES};
	UNCANCELLED;

	for (size_t i = 0; i < PEEK_PIECES; i++)
		pieces[i] = (struct iovec){scratch, sizeof(scratch)};
	ssize_t count = real_recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT);
	if (count < 0 && errno != EAGAIN)
		return -errno;
	return count < 0 ? 0 : (int)count;
}

static int answer_ioctl(int fd, unsigned long request, void *argument)
{
	int value = 0;

	if (request == SIOCATMARK) // there is no urgent data, so no mark
		return user_memory_write(argument, &value, sizeof(value));
	if (real_ioctl(fd, request, argument) == 0)
		return 0;
	if (errno != ENOTTY && errno != EOPNOTSUPP)
		return -errno;
	if (request == FIONREAD)
		value = count_readable(fd);
	else if (request != SIOCOUTQ && request != SIOCOUTQNSD)
		return -errno;
	return value < 0 ? value : user_memory_write(argument, &value, sizeof(value));
}

int airlock_ioctl(int fd, unsigned long request, void *argument)
{
	struct socket_entry *entry;
	int saved_errno = errno;

	// 32 bits are what the kernel looks at (SYSCALL_DEFINE3(ioctl) in fs/ioctl.c).
	if ((unsigned)request == NSM_IOCTL)
		return nsm_device_ioctl(fd, argument);
	if (request != FIONREAD && request != SIOCOUTQ && request != SIOCOUTQNSD &&
		request != SIOCATMARK)
		return real_ioctl(fd, request, argument);
	entry = find_stream(fd);
	if (!entry)
		return real_ioctl(fd, request, argument);
	return (int)result_return(answer_ioctl(fd, request, argument), saved_errno);
}

// --- duplicates

static int note(int from, int to)
{
	if (to >= 0 && to != from)
		fds_note_duplicate(from, to);
	return to;
}

int airlock_dup(int fd)
{
	return note(fd, real_dup(fd));
}

int airlock_dup2(int fd, int target)
{
	return note(fd, real_dup2(fd, target));
}

int airlock_dup3(int fd, int target, int flags)
{
	return note(fd, real_dup3(fd, target, flags));
}

int airlock_fcntl(int fd, int command, unsigned long argument)
{
	int result = real_fcntl(fd, command, argument);

	return command == F_DUPFD || command == F_DUPFD_CLOEXEC ? note(fd, result) : result;
}
