// SPDX-License-Identifier: MIT
// An unconnected socket that two processes share since a fork, and that one of them connects: with
// TCP both have the connection then. Here the other one fetches the stream when it finds its own
// socket not connected.
#ifndef AIRLOCK_PRELOAD_ADOPT_H
#define AIRLOCK_PRELOAD_ADOPT_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "preload/library/fork_guard.h"

// The TCP socket with old_cookie is about to become the stream with stream_cookie behind this
// process's fd.
void adopt_announce(int fd, uint64_t old_cookie, uint64_t stream_cookie);

// Puts the stream behind fd when another process has announced one for its socket. Needs what
// pidfd_getfd(2) needs: the same user, and where Yama's ptrace_scope is 1 to be an ancestor. Leaves
// errno alone.
bool adopt_stream_slowly(int fd);

// For a call of libc's that failed on fd: true when fd is a stream now and the call is to be made
// again.
static inline bool adopt_stream(int fd)
{
	return errno == ENOTCONN && fork_guard_has_forked() && adopt_stream_slowly(fd);
}

#endif
