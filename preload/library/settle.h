// SPDX-License-Identifier: MIT
// From "request sent" to what became of it, and from "end of data" to why it ended.
#ifndef AIRLOCK_PRELOAD_SETTLE_H
#define AIRLOCK_PRELOAD_SETTLE_H

#include "preload/shared/socket_table.h"
#include "wire/compiler.h"

// Looks, without waiting for it, whether the destination's answer has come, and records it: OPEN,
// FAILED with the errno in entry->error, or still PENDING. Asks STATUS when the stream was closed.
enum socket_phase settle_look(int fd, struct socket_entry *entry) MUST_CHECK;

// Waits for the answer as a blocking connect() does. Returns 0 when open; -EINPROGRESS when
// SO_SNDTIMEO expired; -EINTR after a signal whose handler does not restart; -EBADF when another
// thread closed fd; else the failure, which this tells. A cancellation point.
int settle_wait(int fd, struct socket_entry *entry) MUST_CHECK;

// The failure that has not been told yet, as a positive errno, or 0. It is then told.
int settle_take_error(struct socket_entry *entry);

// A receive gave 0 bytes, or a send gave EPIPE. Returns 0 when that is the whole truth, or, once, a
// positive errno: the other side was reset, or closed before it ever answered.
int settle_judge_end(int fd, struct socket_entry *entry) MUST_CHECK;

// A receive gave ECONNRESET by itself: settle_judge_end has nothing to add any more.
void settle_note_reset(struct socket_entry *entry);

#endif
