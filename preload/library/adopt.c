// SPDX-License-Identifier: MIT
// Theory of operation: the announcement is an entry of the shared table under the old socket's
// cookie, in phase MOVED, whose `id` begins with the stream's cookie. It is made only in processes
// that have forked or were forked, and it is followed only from a failure, so nobody else pays for
// it.
#include "preload/library/adopt.h"

#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "preload/library/fds.h"
#include "preload/library/library.h"
#include "preload/library/result.h"
#include "preload/library/swap.h"

void adopt_announce(int fd, uint64_t old_cookie, uint64_t stream_cookie)
{
	struct state *state = library_state();
	struct socket_entry *entry, *stream;

	if (!state || old_cookie == 0)
		return;
	stream = socket_table_find(&state->sockets, stream_cookie);
	entry = socket_table_insert(&state->sockets, old_cookie, fds_use_of);
	atomic_store(&entry->owner, getpid());
	atomic_store(&entry->fd, fd);
	atomic_store(&entry->inode, stream ? atomic_load(&stream->inode) : 0);
	memcpy(entry->id, &stream_cookie, sizeof(stream_cookie));
	socket_entry_publish(entry, SOCKET_PHASE_MOVED);
}

// Returns a descriptor of the caller's, or -1.
static int fetch(const struct socket_entry *entry)
{
	uint64_t stream_cookie;
	int process = pidfd_open(atomic_load(&entry->owner), 0);
	int fetched = -1;

	if (process < 0)
		return -1;
	fetched = pidfd_getfd(process, entry->fd, 0);
	close(process);
	memcpy(&stream_cookie, entry->id, sizeof(stream_cookie));
	if (fetched >= 0 && fds_cookie(fetched) == stream_cookie)
		return fetched;
	if (fetched >= 0)
		close(fetched);
	return -1;
}

bool adopt_stream_slowly(int fd)
{
	struct state *state = library_state();
	uint64_t cookie = fds_cookie(fd);
	int saved_errno = errno;
	struct socket_entry *entry;
	bool is_adopted = false;
	int stream = -1;
	UNCANCELLED;
	FORK_GUARDED;

	entry = state && cookie ? socket_table_find(&state->sockets, cookie) : NULL;
	if (entry && atomic_load(&entry->phase) == SOCKET_PHASE_MOVED)
		stream = fetch(entry);
	if (stream >= 0)
		is_adopted = swap_socket(fd, cookie, stream) == 0;
	if (is_adopted)
		fds_set_unknown(fd);
	errno = saved_errno;
	return is_adopted;
}
