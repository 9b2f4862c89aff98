// SPDX-License-Identifier: MIT
// Theory of operation: on an open stream the real call runs first, always with MSG_NOSIGNAL: where
// TCP gives ECONNRESET a stream gives EPIPE, and only after the reason is known is it clear whether
// the program gets SIGPIPE. Pending and failed streams, addresses, odd flags, and sends that vsock
// must not see in one piece go by way of send_stream.
#include "preload/library/transfer.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "preload/library/connect.h"
#include "preload/library/fds.h"
#include "preload/library/real.h"
#include "preload/library/result.h"
#include "preload/library/send.h"
#include "preload/library/settle.h"
#include "preload/library/user_memory.h"
#include "wire/stream.h"

#define ODD_FLAGS    (MSG_OOB | MSG_FASTOPEN)
#define PIECE_VECTOR 64

// --- the errors of a send

// The EPIPE of an open stream: ECONNRESET, once, when that is why.
static int explain_broken_pipe(int fd, struct socket_entry *entry)
{
	int error = 0;

	if (!(atomic_load(&entry->flags) & SOCKET_FLAG_WRITE_SHUT))
		error = settle_judge_end(fd, entry);
	return error ? -error : -EPIPE;
}

static ssize_t send_return(ssize_t result, int flags, int saved_errno)
{
	if (result == -EPIPE && !(flags & MSG_NOSIGNAL))
		raise(SIGPIPE);
	return result_return(result, saved_errno);
}

// vsock says ENOMEM of memory that it cannot read, too (virtio_transport_alloc_skb in the kernel's
// net/vmw_vsock/virtio_transport_common.c).
static ssize_t explain_no_memory(const struct socket_entry *entry, const struct msghdr *message)
{
	bool is_vsock = atomic_load(&entry->flags) & SOCKET_FLAG_VSOCK;

	if (is_vsock && !user_memory_is_readable(message->msg_iov, message->msg_iovlen))
		return -EFAULT;
	return -ENOMEM;
}

static ssize_t explain(
	int fd, struct socket_entry *entry, ssize_t result, const struct msghdr *message)
{
	if (result == -EPIPE)
		return explain_broken_pipe(fd, entry);
	return result == -ENOMEM ? explain_no_memory(entry, message) : result;
}

// The real call gave -1 on what is probably an open stream.
static ssize_t finish(int fd, const struct msghdr *message, int flags)
{
	int saved_errno = errno;
	ssize_t result = -errno;
	struct socket_entry *entry;

	if (result == -EAGAIN || result == -EINTR)
		return -1;
	entry = fds_find(fd);
	if (entry)
		result = explain(fd, entry, result, message);
	return send_return(result, flags, saved_errno);
}

static ssize_t finish_buffer(int fd, const void *buffer, size_t length, int flags)
{
	struct iovec piece = {(void *)(uintptr_t)buffer, length};

	return finish(fd, &(struct msghdr){.msg_iov = &piece, .msg_iovlen = 1}, flags);
}

// --- readiness

static bool is_nonblocking(int fd, int flags)
{
	return (flags & MSG_DONTWAIT) || (real_fcntl(fd, F_GETFL) & O_NONBLOCK);
}

int send_prepare(int fd, struct socket_entry *entry, int flags)
{
	enum socket_phase phase = settle_look(fd, entry);
	int result;

	if (phase == SOCKET_PHASE_PENDING) {
		if (is_nonblocking(fd, flags))
			return -EAGAIN;
		result = settle_wait(fd, entry);
		return result == -EINPROGRESS ? -EAGAIN : result;
	}
	if (phase == SOCKET_PHASE_FAILED) {
		result = settle_take_error(entry);
		return result ? -result : -EPIPE;
	}
	return 0;
}

// --- sending in pieces

struct cursor {
	const struct iovec *pieces;
	size_t count;
	size_t index;
	size_t offset; // in pieces[index]
};

// The next bytes, at most limit. Returns how many; window gets them in *window_count parts.
static size_t cursor_window(const struct cursor *cursor, size_t limit,
	struct iovec window[static PIECE_VECTOR], size_t *window_count)
{
	size_t total = 0, offset = cursor->offset;

	*window_count = 0;
	for (size_t i = cursor->index;
		i < cursor->count && *window_count < PIECE_VECTOR && total < limit; i++) {
		size_t part = cursor->pieces[i].iov_len - offset;

		if (part > limit - total)
			part = limit - total;
		window[(*window_count)++] =
			(struct iovec){(char *)cursor->pieces[i].iov_base + offset, part};
		total += part;
		offset = 0;
	}
	return total;
}

static void cursor_advance(struct cursor *cursor, size_t length)
{
	while (cursor->index < cursor->count) {
		size_t left = cursor->pieces[cursor->index].iov_len - cursor->offset;

		if (length < left) {
			cursor->offset += length;
			return;
		}
		length -= left;
		cursor->index++;
		cursor->offset = 0;
	}
}

// Goes on until all is sent or the kernel takes no more, also when that makes several short sends:
// an edge-triggered program takes a short count for "wait for the next edge".
static ssize_t send_pieces(int fd, const struct msghdr *message, int flags)
{
	struct cursor cursor = {.pieces = message->msg_iov, .count = message->msg_iovlen};
	struct iovec window[PIECE_VECTOR];
	struct msghdr piece = {.msg_iov = window};
	size_t total = 0;

	for (;;) {
		size_t length =
			cursor_window(&cursor, STREAM_VSOCK_MAX_SEND, window, &piece.msg_iovlen);
		if (length == 0 && cursor.index >= cursor.count)
			return (ssize_t)total;
		ssize_t sent = real_sendmsg(fd, &piece, flags | MSG_NOSIGNAL);
		if (sent < 0)
			return total > 0 ? (ssize_t)total : -errno;
		total += (size_t)sent;
		cursor_advance(&cursor, (size_t)sent);
	}
}

static ssize_t send_stream(
	int fd, struct socket_entry *entry, const struct msghdr *message, int flags)
{
	struct msghdr bare = {.msg_iov = message->msg_iov, .msg_iovlen = message->msg_iovlen};
	ssize_t result = send_prepare(fd, entry, flags);

	if (result < 0)
		return result;
	if (flags & MSG_OOB)
		return -EOPNOTSUPP; // a stream has no urgent pointer
	if (flags & MSG_FASTOPEN)
		return -EISCONN;
	if (atomic_load(&entry->flags) & SOCKET_FLAG_VSOCK)
		result = send_pieces(fd, &bare, flags);
	else
		result = result_of(real_sendmsg(fd, &bare, flags | MSG_NOSIGNAL));
	return explain(fd, entry, result, &bare);
}

static ssize_t send_slowly(
	int fd, struct socket_entry *entry, const struct msghdr *message, int flags)
{
	int saved_errno = errno;

	return send_return(send_stream(fd, entry, message, flags), flags, saved_errno);
}

static ssize_t send_buffer(
	int fd, struct socket_entry *entry, const void *buffer, size_t length, int flags)
{
	struct iovec piece = {(void *)(uintptr_t)buffer, length};
	struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};

	return send_slowly(fd, entry, &message, flags);
}

// --- MSG_FASTOPEN: connect() and send() in one (tcp(7)). A SYN without data is what TCP itself
// sends when it has no cookie for the peer, and connects of our own need no saved round trip.

// Returns true when the call has been dealt with and *returned is its value.
static bool send_opening(int fd, const struct msghdr *message, int flags, ssize_t *returned)
{
	int saved_errno = errno;
	int result = connect_route(fd, message->msg_name, message->msg_namelen);
	struct socket_entry *entry;

	if (result == CONNECT_TO_KERNEL) {
		errno = saved_errno;
		return false;
	}
	entry = result == 0 ? fds_find(fd) : NULL;
	if (entry)
		*returned = send_slowly(fd, entry, message, flags & ~MSG_FASTOPEN);
	else
		*returned = result_return(result == 0 ? -EBADF : result, saved_errno);
	return true;
}

// --- the calls

enum path {
	PATH_PLAIN,  // libc's function is all
	PATH_FIRST,  // the real call first
	PATH_STREAM, // send_stream
};

static enum path choose_path(int fd, bool is_odd, size_t length, struct socket_entry **entry)
{
	uint8_t word = fds_classify(fd);

	if ((word & FD_CLASS) == FD_PLAIN)
		return PATH_PLAIN;
	if ((word & FD_CLASS) == FD_OPEN && !is_odd &&
		(!(word & FD_CUT) || length <= STREAM_VSOCK_MAX_SEND))
		return PATH_FIRST;
	*entry = fds_find(fd);
	return *entry ? PATH_STREAM : PATH_PLAIN;
}

ssize_t airlock_send(int fd, const void *buffer, size_t length, int flags)
{
	struct socket_entry *entry = NULL;
	enum path path = choose_path(fd, flags & ODD_FLAGS, length, &entry);
	ssize_t sent;

	if (path == PATH_PLAIN)
		return real_send(fd, buffer, length, flags);
	if (path == PATH_STREAM)
		return send_buffer(fd, entry, buffer, length, flags);
	sent = real_send(fd, buffer, length, flags | MSG_NOSIGNAL);
	return sent >= 0 ? sent : finish_buffer(fd, buffer, length, flags);
}

ssize_t airlock_write(int fd, const void *buffer, size_t length)
{
	struct socket_entry *entry = NULL;
	enum path path = choose_path(fd, false, length, &entry);
	int saved_errno = errno;
	ssize_t sent;

	if (path == PATH_PLAIN)
		return real_write(fd, buffer, length);
	if (path == PATH_STREAM)
		return send_buffer(fd, entry, buffer, length, 0);
	sent = real_send(fd, buffer, length, MSG_NOSIGNAL);
	if (sent >= 0 || errno != ENOTSOCK)
		return sent >= 0 ? sent : finish_buffer(fd, buffer, length, 0);
	(void)fds_find(fd); // closed unseen, and the number is something else's now
	errno = saved_errno;
	return real_write(fd, buffer, length);
}

static size_t vector_length(const struct iovec *pieces, size_t count)
{
	size_t total = 0;

	for (size_t i = 0; i < count; i++)
		total += pieces[i].iov_len;
	return total;
}

ssize_t airlock_writev(int fd, const struct iovec *pieces, int count)
{
	struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)pieces};
	struct socket_entry *entry = NULL;
	int saved_errno = errno;
	ssize_t sent;

	if (fds_is_plain(fd) || count < 0 || count > IOV_MAX)
		return real_writev(fd, pieces, count);
	message.msg_iovlen = (size_t)count;
	switch (choose_path(fd, false, vector_length(pieces, (size_t)count), &entry)) {
	case PATH_PLAIN:
		return real_writev(fd, pieces, count);
	case PATH_STREAM:
		return send_slowly(fd, entry, &message, 0);
	default:
		sent = real_sendmsg(fd, &message, MSG_NOSIGNAL);
	}
	if (sent >= 0 || errno != ENOTSOCK)
		return sent >= 0 ? sent : finish(fd, &message, 0);
	(void)fds_find(fd);
	errno = saved_errno;
	return real_writev(fd, pieces, count);
}

ssize_t airlock_sendto(int fd, const void *buffer, size_t length, int flags,
	const struct sockaddr *address, socklen_t address_length)
{
	struct iovec piece = {(void *)(uintptr_t)buffer, length};
	struct msghdr message = {.msg_name = (void *)(uintptr_t)address,
		.msg_namelen = address_length,
		.msg_iov = &piece,
		.msg_iovlen = 1};
	struct socket_entry *entry = NULL;
	ssize_t returned;

	if (!address)
		return airlock_send(fd, buffer, length, flags);
	if (choose_path(fd, true, length, &entry) == PATH_STREAM)
		return send_slowly(fd, entry, &message, flags);
	if ((flags & MSG_FASTOPEN) && send_opening(fd, &message, flags, &returned))
		return returned;
	return real_sendto(fd, buffer, length, flags, address, address_length);
}

ssize_t airlock_sendmsg(int fd, const struct msghdr *message, int flags)
{
	struct socket_entry *entry = NULL;
	enum path path;
	ssize_t returned;
	bool is_odd;

	if (!message)
		return real_sendmsg(fd, message, flags);
	is_odd = (flags & ODD_FLAGS) || message->msg_name || message->msg_controllen > 0;
	if (fds_is_plain(fd))
		path = PATH_PLAIN;
	else
		path = choose_path(
			fd, is_odd, vector_length(message->msg_iov, message->msg_iovlen), &entry);
	if (path == PATH_STREAM)
		return send_slowly(fd, entry, message, flags);
	if (path == PATH_PLAIN && (flags & MSG_FASTOPEN) && message->msg_name &&
		send_opening(fd, message, flags, &returned))
		return returned;
	returned = real_sendmsg(fd, message, path == PATH_FIRST ? flags | MSG_NOSIGNAL : flags);
	return returned >= 0 || path == PATH_PLAIN ? returned : finish(fd, message, flags);
}

int airlock_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
	unsigned done = 0;

	if ((fds_classify(fd) & FD_CLASS) == FD_PLAIN)
		return real_sendmmsg(fd, messages, count, flags);
	while (done < count) {
		ssize_t sent = airlock_sendmsg(fd, &messages[done].msg_hdr, flags);
		if (sent < 0)
			return done > 0 ? (int)done : -1;
		messages[done++].msg_len = (unsigned)sent;
	}
	return (int)done;
}

int send_explain(int fd)
{
	int result = -errno;
	struct socket_entry *entry;

	if (result != -EPIPE)
		return result;
	entry = fds_find(fd);
	return entry ? explain_broken_pipe(fd, entry) : result;
}
