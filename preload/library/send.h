// SPDX-License-Identifier: MIT
// What the calls that send from a file or a pipe share with those that send from memory.
#ifndef AIRLOCK_PRELOAD_SEND_H
#define AIRLOCK_PRELOAD_SEND_H

#include "preload/shared/socket_table.h"
#include "wire/compiler.h"

// Returns 0 when the stream may be written to, after waiting for its answer where TCP would; else
// -EAGAIN, -EINTR, the connect's failure, or -EPIPE (the caller raises SIGPIPE).
int send_prepare(int fd, struct socket_entry *entry, int flags) MUST_CHECK;

// A real call on fd gave -1. Returns -errno, with the EPIPE of a reset stream turned into
// -ECONNRESET.
int send_explain(int fd) MUST_CHECK;

#endif
