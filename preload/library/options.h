// SPDX-License-Identifier: MIT
// Socket options of streams. What TCP would answer is asked of TCP: a fresh TCP socket on which the
// recorded options are set again.
#ifndef AIRLOCK_PRELOAD_OPTIONS_H
#define AIRLOCK_PRELOAD_OPTIONS_H

#include <stdint.h>
#include <sys/socket.h>

#include "preload/shared/socket_table.h"
#include "wire/compiler.h"

// Records: level (1 byte), name (1 byte), length (1 byte), value. The latest setting of an option
// replaces the earlier one; one that does not fit any more is forgotten.
struct option_records {
	uint32_t length;
	uint8_t bytes[SOCKET_ENTRY_OPTION_BYTES];
};

// setsockopt(2) and getsockopt(2) as programs see them.
int airlock_setsockopt(int fd, int level, int name, const void *value, socklen_t length);
int airlock_getsockopt(int fd, int level, int name, void *value, socklen_t *length);

// The options of a TCP socket that differ from a fresh one's.
void options_capture(int fd, struct option_records *records);

// Sets those of the records that mean something to a stream: timeouts, SO_RCVLOWAT, SO_LINGER.
void options_apply_to_stream(int fd, const struct option_records *records);

void options_store(struct socket_entry *entry, const struct option_records *records);

// A fresh TCP socket of the entry's domain with its recorded options set. Returns a descriptor of
// the caller's, or -errno as swap_open_tcp.
int options_open_tcp(const struct socket_entry *entry) MUST_CHECK;

// Records a setting of a stream that TCP accepted.
void options_record(
	struct option_records *records, int level, int name, const void *value, socklen_t length);

// Fills records from the entry.
void options_load(const struct socket_entry *entry, struct option_records *records);

#endif
