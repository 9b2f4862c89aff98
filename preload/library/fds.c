// SPDX-License-Identifier: MIT
#include "preload/library/fds.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "preload/library/library.h"
#include "preload/library/real.h"

_Atomic uint8_t fds_words[FDS_COUNT];

static _Atomic int highest_shared = -1; // no descriptor above it carries FD_SHARED
static _Atomic int highest_stream = -1; // no descriptor above it has been OPEN or CAREFUL

static void raise_highest(_Atomic int *highest, int fd)
{
	int now = atomic_load_explicit(highest, memory_order_relaxed);

	while (fd > now && !atomic_compare_exchange_weak(highest, &now, fd))
		;
}

static bool is_stream_class(uint8_t word)
{
	return (word & FD_CLASS) == FD_OPEN || (word & FD_CLASS) == FD_CAREFUL;
}

uint64_t fds_cookie(int fd)
{
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);
	int saved_errno = errno;

	if (real_getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) < 0) {
		errno = saved_errno;
		return 0;
	}
	return cookie;
}

static void set_class(int fd, uint8_t class_and_cut)
{
	const uint8_t kept = FD_SHARED | FD_TOUCHED;

	if ((unsigned)fd >= FDS_COUNT)
		return;
	uint8_t old = atomic_load_explicit(&fds_words[fd], memory_order_relaxed);
	uint8_t new = (uint8_t)((old & kept) | class_and_cut);
	if (old == new)
		return;
	atomic_store_explicit(&fds_words[fd], new, memory_order_relaxed);
	if (is_stream_class(new))
		raise_highest(&highest_stream, fd);
}

static void settle_for_plain(int fd)
{
	const uint8_t kept = FD_SHARED | FD_TOUCHED;

	if ((unsigned)fd >= FDS_COUNT)
		return;
	uint8_t unknown = fds_word(fd) & kept;
	atomic_compare_exchange_strong(&fds_words[fd], &unknown, unknown | FD_PLAIN);
}

static uint8_t class_of(const struct socket_entry *entry)
{
	uint32_t flags = atomic_load_explicit(&entry->flags, memory_order_relaxed);
	uint32_t phase = atomic_load_explicit(&entry->phase, memory_order_relaxed);
	uint8_t cut = flags & SOCKET_FLAG_VSOCK ? FD_CUT : 0;

	if (phase == SOCKET_PHASE_OPEN && !(flags & SOCKET_FLAG_READ_SHUT))
		return FD_OPEN | cut;
	return FD_CAREFUL | cut;
}

void fds_set_stream(int fd, const struct socket_entry *entry)
{
	set_class(fd, class_of(entry));
}

void fds_set_unknown(int fd)
{
	set_class(fd, FD_UNKNOWN);
}

void fds_set_plain(int fd)
{
	set_class(fd, FD_PLAIN);
}

void fds_add_bits(int fd, uint8_t bits)
{
	if ((unsigned)fd >= FDS_COUNT)
		return;
	atomic_fetch_or_explicit(&fds_words[fd], bits, memory_order_relaxed);
	if (bits & FD_SHARED)
		raise_highest(&highest_shared, fd);
}

void fds_clear_bits(int fd, uint8_t bits)
{
	if ((unsigned)fd < FDS_COUNT)
		atomic_fetch_and_explicit(&fds_words[fd], (uint8_t)~bits, memory_order_relaxed);
}

// Streams are unix or vsock sockets: anything else is told apart without mapping the state.
static bool may_be_stream(int fd)
{
	int domain = 0;
	socklen_t size = sizeof(domain);
	int saved_errno = errno;
	int result = real_getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size);

	errno = saved_errno;
	return result == 0 && (domain == AF_UNIX || domain == AF_VSOCK);
}

static struct socket_entry *look_up(int fd)
{
	struct socket_entry *entry;
	struct state *state;
	uint64_t cookie;

	if (!library_mapped_state() && !may_be_stream(fd))
		return NULL;
	cookie = fds_cookie(fd);
	state = cookie ? library_state() : NULL;
	entry = state ? socket_table_find(&state->sockets, cookie) : NULL;
	return entry && atomic_load(&entry->phase) != SOCKET_PHASE_MOVED ? entry : NULL;
}

static void note_shared(struct socket_entry *entry)
{
	atomic_fetch_or_explicit(&entry->flags, SOCKET_FLAG_SHARED, memory_order_relaxed);
}

// Inherited through exec, received, or a duplicate.
static void note_if_elsewhere(int fd, struct socket_entry *entry)
{
	if (atomic_load(&entry->fd) != fd || atomic_load(&entry->owner) != getpid())
		note_shared(entry);
}

struct socket_entry *fds_find(int fd)
{
	struct socket_entry *entry = look_up(fd);

	// PLAIN is never doubted again, and another thread may put a stream here meanwhile: then
	// the second look finds it, or its class is there when ours is to replace UNKNOWN.
	if (!entry && !fds_is_plain(fd)) {
		set_class(fd, FD_UNKNOWN);
		entry = look_up(fd);
		if (!entry)
			settle_for_plain(fd);
	}
	if (entry && (fds_word(fd) & FD_CLASS) == FD_UNKNOWN)
		note_if_elsewhere(fd, entry);
	if (entry)
		set_class(fd, class_of(entry));
	return entry;
}

uint8_t fds_classify_slowly(int fd)
{
	struct socket_entry *entry = fds_find(fd);

	return entry ? class_of(entry) : FD_PLAIN;
}

void fds_note_fork(void)
{
	int highest = atomic_load(&highest_stream);

	for (int fd = 0; fd <= highest; fd++) {
		struct socket_entry *entry = is_stream_class(fds_word(fd)) ? look_up(fd) : NULL;
		if (entry)
			note_shared(entry);
	}
}

void fds_note_duplicate(int from, int to)
{
	uint8_t word = fds_word(from);
	struct socket_entry *entry = is_stream_class(word) ? look_up(from) : NULL;

	if (entry)
		note_shared(entry);
	if (is_stream_class(word))
		set_class(to, word & (FD_CLASS | FD_CUT));
	else if ((word & FD_CLASS) == FD_UNKNOWN && fds_is_plain(to))
		fds_set_unknown(to);
	// Of a stream too: the word may be that of a closed one, whose number a fresh socket has.
	if (word & FD_TOUCHED)
		fds_add_bits(to, FD_TOUCHED);
	fds_add_bits(from, FD_SHARED);
	fds_add_bits(to, FD_SHARED);
}

void fds_visit_duplicates(
	int fd, uint64_t cookie, void (*visit)(int duplicate, void *context), void *context)
{
	int highest = atomic_load(&highest_shared);

	for (int other = 0; other <= highest; other++) {
		if (other != fd && (fds_word(other) & FD_SHARED) && fds_cookie(other) == cookie)
			visit(other, context);
	}
}

uint64_t fds_inode(int fd)
{
	int saved_errno = errno;
	struct stat status;
	bool is_socket = fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);

	errno = saved_errno;
	return is_socket ? status.st_ino : 0;
}

// Like stpcpy; connect() may be called in a signal handler, snprintf may not.
static char *put_number(char *end, uint64_t number)
{
	if (number >= 10)
		end = put_number(end, number / 10);
	*end++ = (char)('0' + number % 10);
	*end = 0;
	return end;
}

// The link's text (proc_pid_fd(5)) is one of "socket:[INODE]". A missing link is a closed
// descriptor only when other links of the process can be read: /proc may not be there, and a
// process whose first thread has ended shows neither `exe` nor any of the descriptors that it has.
static bool has_closed(pid_t process, int fd, uint64_t inode)
{
	char path[64], expected[32], found[sizeof(expected)];
	char *folder_end = put_number(stpcpy(path, "/proc/"), (uint64_t)process);
	char *expected_end = put_number(stpcpy(expected, "socket:["), inode);
	ssize_t length;

	put_number(stpcpy(folder_end, "/fd/"), (uint64_t)fd);
	expected_end = stpcpy(expected_end, "]");
	length = readlink(path, found, sizeof(found));
	if (length >= 0)
		return length != expected_end - expected ||
		       memcmp(found, expected, (size_t)length) != 0;
	if (errno != ENOENT)
		return false;
	stpcpy(folder_end, "/exe");
	return readlink(path, found, sizeof(found)) >= 0;
}

enum socket_use fds_use_of(const struct socket_entry *entry)
{
	pid_t owner = atomic_load(&entry->owner);
	int fd = atomic_load(&entry->fd);
	uint64_t inode = atomic_load(&entry->inode);
	int saved_errno = errno;
	bool is_closed;

	// A place that is being filled still has the owner and the descriptor of what was there.
	if (atomic_load(&entry->phase) == SOCKET_PHASE_NONE)
		return SOCKET_USED;
	if (owner == getpid())
		is_closed = fds_inode(fd) != inode;
	else
		is_closed = (kill(owner, 0) < 0 && errno == ESRCH) || has_closed(owner, fd, inode);
	errno = saved_errno;
	if (!is_closed)
		return SOCKET_USED;
	return atomic_load(&entry->flags) & SOCKET_FLAG_SHARED ? SOCKET_PERHAPS_USED
							       : SOCKET_UNUSED;
}
