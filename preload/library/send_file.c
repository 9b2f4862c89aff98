// SPDX-License-Identifier: MIT
// sendfile and splice: the kernel moves the bytes, we only see to their sizes and their errors.
// Neither takes MSG_NOSIGNAL, so SIGPIPE waits until it is known whether TCP would have raised it.
#include "preload/library/transfer.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>

#include "preload/library/fds.h"
#include "preload/library/real.h"
#include "preload/library/result.h"
#include "preload/library/send.h"
#include "preload/library/settle.h"
#include "wire/stream.h"

// The stream behind fd when the call needs more than the kernel's own: NULL leaves it alone.
static struct socket_entry *find_stream(int fd)
{
	return (fds_classify(fd) & FD_CLASS) == FD_PLAIN ? NULL : fds_find(fd);
}

// --- SIGPIPE held back in this thread

struct held_signal {
	sigset_t before;
	bool was_pending; // the program's own, which stays
};

static sigset_t only_sigpipe(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	return set;
}

static void hold_sigpipe(struct held_signal *held)
{
	const sigset_t set = only_sigpipe();
	sigset_t pending;

	pthread_sigmask(SIG_BLOCK, &set, &held->before);
	held->was_pending = sigismember(&held->before, SIGPIPE) == 1 && sigpending(&pending) == 0 &&
			    sigismember(&pending, SIGPIPE) == 1;
}

static void forget_sigpipe(const struct held_signal *held)
{
	const struct timespec now = {0};
	const sigset_t set = only_sigpipe();

	while (!held->was_pending && sigtimedwait(&set, NULL, &now) < 0 && errno == EINTR)
		;
}

static ssize_t broken(ssize_t result)
{
	if (result == -EPIPE)
		raise(SIGPIPE);
	return result;
}

// The real call gave `returned`. Whether the kernel has raised SIGPIPE beside EPIPE differs between
// transports and kernels. Returns what is to be returned, or -errno.
static ssize_t finish(int to, const struct held_signal *held, ssize_t returned, size_t asked)
{
	// A short count may hide the EPIPE of a later piece.
	bool is_broken = returned < 0 ? errno == EPIPE : (size_t)returned < asked;
	ssize_t result = returned < 0 ? send_explain(to) : returned;

	if (is_broken)
		forget_sigpipe(held);
	pthread_sigmask(SIG_SETMASK, &held->before, NULL);
	return broken(result);
}

// --- the calls

// Until all is sent, the file ends, or the kernel takes no more. Returns -1 and errno.
static ssize_t sendfile_pieces(int to, int from, off_t *offset, size_t count)
{
	size_t total = 0;

	while (total < count) {
		size_t part = count - total < STREAM_VSOCK_MAX_SEND ? count - total
								    : STREAM_VSOCK_MAX_SEND;
		ssize_t sent = real_sendfile(to, from, offset, part);
		if (sent <= 0)
			return total > 0 || sent == 0 ? (ssize_t)total : -1;
		total += (size_t)sent;
	}
	return (ssize_t)total;
}

static ssize_t send_file(
	int to, const struct socket_entry *entry, int from, off_t *offset, size_t count)
{
	if (atomic_load(&entry->flags) & SOCKET_FLAG_VSOCK)
		return sendfile_pieces(to, from, offset, count);
	return real_sendfile(to, from, offset, count);
}

ssize_t airlock_sendfile(int to, int from, off_t *offset, size_t count)
{
	struct socket_entry *entry = find_stream(to);
	int saved_errno = errno;
	struct held_signal held;
	ssize_t result;

	if (!entry)
		return real_sendfile(to, from, offset, count);
	UNCANCELLED; // splice() is a cancellation point of glibc's, sendfile() is none
	result = broken(send_prepare(to, entry, 0));
	if (result == 0) {
		hold_sigpipe(&held);
		result = finish(to, &held, send_file(to, entry, from, offset, count), count);
	}
	return result_return(result, saved_errno);
}

// A pipe's other end is a stream. One piece at a time: splice() returns short counts anyway.
static ssize_t splice_into(struct socket_entry *entry, int from, off64_t *from_offset, int to,
	size_t length, unsigned flags)
{
	bool is_vsock = atomic_load(&entry->flags) & SOCKET_FLAG_VSOCK;
	int result = send_prepare(to, entry, flags & SPLICE_F_NONBLOCK ? MSG_DONTWAIT : 0);
	struct held_signal held;

	if (result < 0)
		return broken(result);
	if (is_vsock && length > STREAM_VSOCK_MAX_SEND)
		length = STREAM_VSOCK_MAX_SEND;
	hold_sigpipe(&held);
	return finish(to, &held, real_splice(from, from_offset, to, NULL, length, flags), length);
}

static ssize_t splice_out_of(struct socket_entry *entry, int from, int to, off64_t *to_offset,
	size_t length, unsigned flags)
{
	enum socket_phase phase = settle_look(from, entry);
	ssize_t result;

	if (phase == SOCKET_PHASE_FAILED)
		return -settle_take_error(entry);
	result = result_of(real_splice(from, NULL, to, to_offset, length, flags));
	if (result == -ECONNRESET)
		settle_note_reset(entry);
	return result == 0 && length > 0 ? -settle_judge_end(from, entry) : result;
}

ssize_t airlock_splice(
	int from, off64_t *from_offset, int to, off64_t *to_offset, size_t length, unsigned flags)
{
	struct socket_entry *target = to_offset ? NULL : find_stream(to);
	struct socket_entry *source = target || from_offset ? NULL : find_stream(from);
	int saved_errno = errno;

	if (target)
		return result_return(
			splice_into(target, from, from_offset, to, length, flags), saved_errno);
	if (source)
		return result_return(
			splice_out_of(source, from, to, to_offset, length, flags), saved_errno);
	return real_splice(from, from_offset, to, to_offset, length, flags);
}
