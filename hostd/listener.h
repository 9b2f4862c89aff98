// SPDX-License-Identifier: MIT
// The sockets that streams arrive on. All workers watch all of them; a set is immutable and
// counted, so a reload publishes a new set that shares the sockets which stay, and a socket is
// closed when the last worker has let go of it.
#ifndef AIRLOCK_HOSTD_LISTENER_H
#define AIRLOCK_HOSTD_LISTENER_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "hostd/config.h"
#include "wire/compiler.h"
#include "wire/endpoint.h"

struct listener_socket {
	atomic_uint references;
	int fd;
	struct endpoint endpoint;
	uint32_t index; // of the port in endpoint
};

struct listener {
	struct listener_socket *socket;
	uint32_t cid; // unix: whom its peers stand for
};

struct listener_set {
	atomic_uint references;
	size_t count;
	struct listener listeners[];
};

// Opens what config lists, taking over the sockets of previous (may be NULL) that it lists again.
// On failure nothing has changed, and message says which endpoint and why. The set has one
// reference.
struct listener_set *listener_set_open(const struct config *config,
	const struct listener_set *previous, char *message, size_t size) MUST_CHECK;

struct listener_set *listener_set_hold(struct listener_set *set);
void listener_set_release(struct listener_set *set); // NULL: nothing

// Accepts one stream, non-blocking and close-on-exec, and says whose it is. Returns the fd or
// -errno.
int listener_accept(const struct listener *listener, uint32_t *cid) MUST_CHECK;

#endif
