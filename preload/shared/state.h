// SPDX-License-Identifier: MIT
// The mapping that the processes of an enclave share: which name a pool address stands for, which
// socket (by SO_COOKIE) is which stream, and what the gate's measurement said. It must survive
// fork, exec and SCM_RIGHTS, and a process that is killed while writing: so a file in /dev/shm, no
// locks, no pointers.
#ifndef AIRLOCK_PRELOAD_STATE_H
#define AIRLOCK_PRELOAD_STATE_H

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "preload/shared/name_pool.h"
#include "preload/shared/socket_table.h"
#include "wire/compiler.h"

#define STATE_ENVIRONMENT "AIRLOCK_STATE" // the file's path, set by `airlock run`

// Set by `airlock run` to GATE_ENVIRONMENT_OFF with GATE_DOES_NOT_WORK, for a program that has
// changed its user and cannot read the verdict in that file; else not set.
#define GATE_ENVIRONMENT     "AIRLOCK_GATE"
#define GATE_ENVIRONMENT_OFF "off"

enum gate_verdict {
	GATE_NOT_MEASURED = 0, // counts as working
	GATE_WORKS = 1,
	GATE_DOES_NOT_WORK = 2,
};

struct state {
	uint64_t magic;
	uint32_t layout;          // of this struct; another one's file is not used
	_Atomic uint32_t verdict; // enum gate_verdict
	struct name_pool names;
	struct socket_table sockets;
};

// Maps the file at path, creating it (O_NOFOLLOW, 0600, sparse). It must belong to the effective
// user and be private to it. path NULL: a path made of the directory, the effective user and
// digest, so that programs that share settings share state without any environment; it is also
// tried when the named file cannot be used. No file descriptor stays open. When nothing can be
// shared (no /dev/shm, a foreign file, no room) falls back to an anonymous mapping, shared with
// forked children only, and *is_shared says so. Returns NULL only when memory cannot be had.
struct state *state_open(const char *path, uint64_t digest, bool *is_shared) MUST_CHECK;

// Creates a fresh file with a unique name in /dev/shm, else in /tmp, for `airlock run`, which
// unlinks it. Returns 0 with its path, or -errno.
int state_create(char path[static PATH_MAX]) MUST_CHECK;

#endif
