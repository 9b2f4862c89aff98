// SPDX-License-Identifier: MIT
// Routed streams by socket cookie (SO_COOKIE, socket(7): unique for the system's lifetime and equal
// on duplicates). Shared by processes, lock-free. There is no removal: programs close sockets
// unseen. A full neighbourhood evicts the entry that is most surely dead: one whose process is
// gone or has no such socket under that number any more, and of these first one that nobody else
// was seen to have; else the oldest.
#ifndef AIRLOCK_PRELOAD_SOCKET_TABLE_H
#define AIRLOCK_PRELOAD_SOCKET_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "wire/address.h"
#include "wire/compiler.h"
#include "wire/request.h"

#define SOCKET_TABLE_ENTRIES      65536 // a power of two
#define SOCKET_ENTRY_OPTION_BYTES 256

enum socket_phase {
	SOCKET_PHASE_NONE = 0,    // not filled yet: treat as not routed
	SOCKET_PHASE_PENDING = 1, // request sent, no answer seen yet
	SOCKET_PHASE_OPEN = 2,
	SOCKET_PHASE_FAILED = 3, // error holds the errno until it is told once
	SOCKET_PHASE_MOVED =
		4, // not a stream: a socket that became one elsewhere (preload/library/adopt.c)
};

enum socket_flags {                // bits
	SOCKET_FLAG_READ_SHUT = 1, // shutdown(SHUT_RD), emulated
	SOCKET_FLAG_WRITE_SHUT = 2,
	SOCKET_FLAG_TLS = 4,           // dialled to airlock-tls: STATUS is asked there
	SOCKET_FLAG_VSOCK = 8,         // sends are cut to STREAM_VSOCK_MAX_SEND
	SOCKET_FLAG_RESET_TOLD = 16,   // why the stream ended has been asked and told
	SOCKET_FLAG_CONNECT_TOLD = 32, // connect() has reported success: the next one is EISCONN
	SOCKET_FLAG_SHARED = 64, // has had other numbers or processes: owner and fd prove little
};

// Fields without _Atomic are written before phase leaves NONE and are constant afterwards.
struct socket_entry {
	_Atomic uint64_t cookie; // 0: free
	_Atomic uint32_t phase;
	_Atomic uint32_t flags;
	_Atomic int32_t error;
	_Atomic int32_t owner;     // pid that dialled
	_Atomic int32_t fd;        // its number there, a hint for eviction
	int32_t send_buffer;       // SO_SNDBUF to restore once open (stand-in only), 0: none
	_Atomic uint64_t sequence; // age, for eviction
	_Atomic uint64_t inode;    // the stream's, as /proc/OWNER/fd/FD shows it
	uint16_t domain;           // AF_INET or AF_INET6: the program's socket
	uint16_t peer_port;
	uint16_t local_port;
	uint16_t reserved;
	struct address peer;
	struct address local;
	uint8_t id[REQUEST_ID_SIZE];
	_Atomic uint32_t option_length; // see preload/library/options.c
	uint8_t options[SOCKET_ENTRY_OPTION_BYTES];
};

// Whether somebody still has an entry's stream, as far as can be told.
enum socket_use {
	SOCKET_UNUSED,
	SOCKET_PERHAPS_USED, // by somebody who did not dial it
	SOCKET_USED,
};

struct socket_table {
	_Atomic uint64_t next_sequence;
	struct socket_entry entries[SOCKET_TABLE_ENTRIES];
};

// The entry of a cookie, or NULL.
struct socket_entry *socket_table_find(struct socket_table *table, uint64_t cookie);

// A fresh entry for a cookie in phase NONE: the caller fills it and then publishes it with
// socket_entry_publish. Never fails: evicts, what use_of(entry) says is the least in use, and of
// these the oldest.
struct socket_entry *socket_table_insert(struct socket_table *table, uint64_t cookie,
	enum socket_use (*use_of)(const struct socket_entry *entry)) MUST_CHECK;

void socket_entry_publish(struct socket_entry *entry, enum socket_phase phase);

#endif
