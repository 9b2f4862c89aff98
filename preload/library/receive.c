// SPDX-License-Identifier: MIT
// Theory of operation: on an open stream libc's function runs first, with the program's own
// arguments, and what it gives is nearly always the answer. Only 0 bytes, and errors other than
// "not now", make us ask whether fd is a stream at all and what its end means. Everything else
// (pending, failed, shut, odd flags, a wish for the peer's address) goes by way of receive_stream.
#include "preload/library/transfer.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <time.h>

#include "preload/library/adopt.h"
#include "preload/library/fds.h"
#include "preload/library/real.h"
#include "preload/library/result.h"
#include "preload/library/settle.h"
#include "preload/library/user_memory.h"
#include "wire/clock.h"

// What TCP does with these a stream does not.
#define ODD_FLAGS (MSG_ERRQUEUE | MSG_OOB | MSG_TRUNC)

#define SCRATCH_SIZE   4096
#define SCRATCH_PIECES 256   // a discard takes at most 1 MiB at once, as recv() may
#define WHOLE_PIECE    65536 // of a receive that is larger than a vsock stream's allowance

static size_t total_length(const struct msghdr *message)
{
	size_t total = 0;

	for (size_t i = 0; i < message->msg_iovlen; i++)
		total += message->msg_iov[i].iov_len;
	return total;
}

// MSG_TRUNC throws the bytes away (tcp(7)): every piece is the same scratch memory.
static ssize_t discard(int fd, size_t length, int flags)
{
	char scratch[SCRATCH_SIZE];
	struct iovec pieces[SCRATCH_PIECES];
	struct msghdr message = {.msg_iov = pieces};

	while (length > 0 && message.msg_iovlen < SCRATCH_PIECES) {
		size_t part = length < SCRATCH_SIZE ? length : SCRATCH_SIZE;
		pieces[message.msg_iovlen++] = (struct iovec){scratch, part};
		length -= part;
	}
	return result_of(real_recvmsg(fd, &message, flags & ~MSG_TRUNC));
}

static ssize_t receive_once(int fd, struct msghdr *message, int flags)
{
	struct msghdr copy = *message;

	if (flags & MSG_TRUNC)
		return discard(fd, total_length(message), flags);
	copy.msg_name = NULL;
	copy.msg_namelen = 0;
	ssize_t result = result_of(real_recvmsg(fd, &copy, flags));
	message->msg_controllen = copy.msg_controllen;
	message->msg_flags = copy.msg_flags;
	return result;
}

// How many bytes a receive waits for.
static size_t wanted_length(int fd, const struct msghdr *message, int flags)
{
	size_t total = total_length(message);
	int lowest = 1;
	socklen_t size = sizeof(lowest);

	if ((flags & MSG_WAITALL) ||
		real_getsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &lowest, &size) < 0)
		return total;
	return total < (size_t)lowest ? total : (size_t)lowest;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

// vsock refuses (ENOMEM) to wait for more than its receive allowance, be it MSG_WAITALL or
// SO_RCVLOWAT: wait for it piece by piece.
static ssize_t receive_whole(int fd, const struct msghdr *message, int flags)
{
	size_t wanted = wanted_length(fd, message, flags), total = 0;

	for (size_t i = 0; i < message->msg_iovlen; i++) {
		char *bytes = message->msg_iov[i].iov_base;
		size_t length = least(message->msg_iov[i].iov_len, wanted - total);

		for (size_t done = 0; done < length;) {
			size_t part = least(length - done, WHOLE_PIECE);
			ssize_t count = real_recv(fd, bytes + done, part, flags | MSG_WAITALL);
			if (count <= 0)
				return total > 0 ? (ssize_t)total : result_of(count);
			done += (size_t)count;
			total += (size_t)count;
		}
	}
	return (ssize_t)total;
}

// A receive of nothing: on vsock it is always 0, on TCP it waits for something, or says EAGAIN,
// like any other. Only the calls with flags come here with some, so that read() of nothing stays 0.
static ssize_t receive_nothing(int fd, struct socket_entry *entry, int flags)
{
	char byte;
	ssize_t result = result_of(real_recv(fd, &byte, 1, flags | MSG_PEEK));

	if (result == 0)
		return -settle_judge_end(fd, entry);
	return result > 0 ? 0 : result;
}

// What a receive on an open stream gave: is it what TCP would have given?
static ssize_t judge_result(
	int fd, struct socket_entry *entry, ssize_t result, const struct msghdr *message, int flags)
{
	bool is_vsock = atomic_load(&entry->flags) & SOCKET_FLAG_VSOCK;

	if (result == -ENOMEM && is_vsock &&
		!user_memory_is_readable(message->msg_iov, message->msg_iovlen))
		return -EFAULT; // what Linux 6.1 says of a bad pointer
	if (result == -ENOMEM && is_vsock && !(flags & MSG_PEEK))
		result = receive_whole(fd, message, flags);
	if (result == 0 && total_length(message) > 0)
		return -settle_judge_end(fd, entry);
	if (result == 0 && is_vsock && flags)
		return receive_nothing(fd, entry, flags);
	if (result == -ECONNRESET)
		settle_note_reset(entry);
	return result;
}

// recv() on a connect that failed tells why, once, then 0 (tcp_recvmsg_locked in net/ipv4/tcp.c).
static ssize_t receive_failed(struct socket_entry *entry)
{
	return -settle_take_error(entry);
}

static ssize_t receive_stream(int fd, struct socket_entry *entry, struct msghdr *message, int flags)
{
	enum socket_phase phase = settle_look(fd, entry);
	bool is_shut = atomic_load(&entry->flags) & SOCKET_FLAG_READ_SHUT;
	ssize_t result;

	if (message->msg_name)
		message->msg_namelen = 0;
	if (flags & MSG_ERRQUEUE)
		return -EAGAIN;
	if (phase == SOCKET_PHASE_FAILED)
		return receive_failed(entry);
	if (flags & MSG_OOB)
		return -EINVAL; // no urgent data (recv on TCP without any)
	result = receive_once(fd, message, is_shut ? flags | MSG_DONTWAIT : flags);
	if (is_shut)
		return result > 0 ? result : 0;
	if (result > 0 || result == -EAGAIN || result == -EINTR)
		return result;
	if (phase == SOCKET_PHASE_PENDING && settle_look(fd, entry) == SOCKET_PHASE_FAILED)
		return receive_failed(entry);
	return judge_result(fd, entry, result, message, flags);
}

static ssize_t receive_slowly(int fd, struct socket_entry *entry, struct msghdr *message, int flags)
{
	int saved_errno = errno;

	return result_return(receive_stream(fd, entry, message, flags), saved_errno);
}

// libc's function gave `returned`, which was not positive, on what is probably an open stream.
static ssize_t finish(int fd, ssize_t returned, const struct msghdr *message, int flags)
{
	int saved_errno = errno;
	ssize_t result = result_of(returned);
	struct socket_entry *entry;

	if (result == -EAGAIN || result == -EINTR)
		return returned;
	entry = fds_find(fd);
	if (entry)
		result = judge_result(fd, entry, result, message, flags);
	return result_return(result, saved_errno);
}

// How a call may proceed.
enum path {
	PATH_PLAIN,  // libc's function is all
	PATH_FIRST,  // libc's function first
	PATH_STREAM, // receive_stream
};

static enum path choose_path(int fd, bool is_odd, struct socket_entry **entry)
{
	uint8_t class = fds_classify(fd) & FD_CLASS;

	if (class == FD_PLAIN)
		return PATH_PLAIN;
	if (class == FD_OPEN && !is_odd)
		return PATH_FIRST;
	*entry = fds_find(fd);
	return *entry ? PATH_STREAM : PATH_PLAIN;
}

static ssize_t receive_buffer(int fd, enum path path, struct socket_entry *entry, ssize_t returned,
	const struct iovec *pieces, size_t count, int flags)
{
	struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)pieces, .msg_iovlen = count};

	if (path == PATH_FIRST)
		return finish(fd, returned, &message, flags);
	return receive_slowly(fd, entry, &message, flags);
}

ssize_t airlock_recv(int fd, void *buffer, size_t length, int flags)
{
	struct socket_entry *entry = NULL;
	enum path path = choose_path(fd, flags & ODD_FLAGS, &entry);
	ssize_t returned = path != PATH_STREAM ? real_recv(fd, buffer, length, flags) : 0;

	if (returned > 0)
		return returned;
	if (path == PATH_PLAIN)
		return returned < 0 && adopt_stream(fd) ? airlock_recv(fd, buffer, length, flags)
							: returned;
	return receive_buffer(fd, path, entry, returned, &(struct iovec){buffer, length}, 1, flags);
}

ssize_t airlock_read(int fd, void *buffer, size_t length)
{
	struct socket_entry *entry = NULL;
	enum path path = choose_path(fd, false, &entry);
	ssize_t returned = path != PATH_STREAM ? real_read(fd, buffer, length) : 0;

	if (returned > 0)
		return returned;
	if (path == PATH_PLAIN)
		return returned < 0 && adopt_stream(fd) ? airlock_read(fd, buffer, length)
							: returned;
	return receive_buffer(fd, path, entry, returned, &(struct iovec){buffer, length}, 1, 0);
}

ssize_t airlock_readv(int fd, const struct iovec *pieces, int count)
{
	struct socket_entry *entry = NULL;
	enum path path = choose_path(fd, false, &entry);
	ssize_t returned = path != PATH_STREAM || count < 0 || count > IOV_MAX
				   ? real_readv(fd, pieces, count)
				   : 0;

	if (path == PATH_PLAIN || returned > 0 || count < 0 || count > IOV_MAX)
		return returned;
	return receive_buffer(fd, path, entry, returned, pieces, (size_t)count, 0);
}

// A stream has no address to give, as TCP has none here: the length becomes 0.
ssize_t airlock_recvfrom(int fd, void *buffer, size_t length, int flags, struct sockaddr *address,
	socklen_t *address_length)
{
	struct socket_entry *entry = NULL;
	enum path path = choose_path(fd, (flags & ODD_FLAGS) || address, &entry);
	int saved_errno = errno;
	ssize_t returned;

	if (path != PATH_STREAM)
		returned = real_recvfrom(fd, buffer, length, flags, address, address_length);
	else
		returned = 0;
	if (path == PATH_PLAIN || returned > 0)
		return returned;
	returned = receive_buffer(
		fd, path, entry, returned, &(struct iovec){buffer, length}, 1, flags);
	if (returned < 0 || !address)
		return returned;
	int error = user_memory_put_address(address, address_length, NULL, 0);
	return error < 0 ? result_return(error, saved_errno) : returned;
}

// Descriptors that came in a message may be streams.
static void note_received_descriptors(struct msghdr *message)
{
	for (struct cmsghdr *item = CMSG_FIRSTHDR(message); item;
		item = CMSG_NXTHDR(message, item)) {
		if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS ||
			item->cmsg_len < CMSG_LEN(0))
			continue;
		size_t count = (item->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++)
			fds_set_unknown(((const int *)(const void *)CMSG_DATA(item))[i]);
	}
}

ssize_t airlock_recvmsg(int fd, struct msghdr *message, int flags)
{
	struct socket_entry *entry = NULL;
	bool is_odd = (flags & ODD_FLAGS) || (message && message->msg_name);
	enum path path = choose_path(fd, is_odd, &entry);

	if (path == PATH_STREAM)
		return receive_slowly(fd, entry, message, flags);
	ssize_t returned = real_recvmsg(fd, message, flags);
	if (returned >= 0 && message->msg_controllen > 0)
		note_received_descriptors(message);
	if (path == PATH_PLAIN || returned > 0 || !message)
		return returned;
	return finish(fd, returned, message, flags);
}

static bool is_past(const struct timespec *deadline)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > deadline->tv_sec ||
	       (now.tv_sec == deadline->tv_sec && now.tv_nsec >= deadline->tv_nsec);
}

// One message after the other: the timeout is looked at between them (recvmmsg(2), BUGS).
static int receive_each(int fd, struct mmsghdr *messages, unsigned count, int flags,
	const struct timespec *deadline)
{
	unsigned done = 0;

	while (done < count) {
		ssize_t length =
			airlock_recvmsg(fd, &messages[done].msg_hdr, flags & ~MSG_WAITFORONE);
		if (length < 0)
			return done > 0 ? (int)done : -1;
		messages[done++].msg_len = (unsigned)length;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		if (length == 0 || (deadline && is_past(deadline)))
			break;
	}
	return (int)done;
}

static void note_received_by_each(struct mmsghdr *messages, int count)
{
	for (int i = 0; i < count; i++) {
		if (messages[i].msg_hdr.msg_controllen > 0)
			note_received_descriptors(&messages[i].msg_hdr);
	}
}

int airlock_recvmmsg(
	int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)
{
	struct socket_entry *entry = NULL;
	struct timespec deadline;

	if (choose_path(fd, true, &entry) == PATH_PLAIN) {
		int received = real_recvmmsg(fd, messages, count, flags, timeout);
		note_received_by_each(messages, received);
		return received;
	}
	if (!timeout)
		return receive_each(fd, messages, count, flags, NULL);
	deadline = clock_after(timeout);
	return receive_each(fd, messages, count, flags, &deadline);
}
