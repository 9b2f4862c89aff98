// SPDX-License-Identifier: MIT
// Name resolution by c-ares for one worker. The resolver keeps its sockets and its clock in an
// epoll of its own, so that a worker watches one descriptor. Not thread-safe: one a worker.
#ifndef AIRLOCK_HOSTD_RESOLVER_H
#define AIRLOCK_HOSTD_RESOLVER_H

#include <stdint.h>

#include "wire/compiler.h"
#include "wire/control.h"

#define RESOLVER_MAX_LOOKUPS 16384 // under way at a time; more are TRY_AGAIN

struct resolver;

// answer->failure is OUTCOME_NONE with at least one address, or NO_SUCH_NAME, TRY_AGAIN, INTERNAL.
// Addresses are in RFC 6724 order as c-ares sorts them, unmapped, without duplicates. text is a
// sentence about a failure, else "".
typedef void (*resolver_callback)(
	void *context, uint64_t token, const struct control_addresses *answer, const char *text);

// servers: as struct config's resolvers, "" for the system's, read from resolv.conf now and never
// again. Returns NULL when c-ares cannot start.
struct resolver *resolver_create(
	const char *servers, resolver_callback callback, void *context) MUST_CHECK;

// Outstanding lookups are dropped without a callback. Not from inside a callback.
void resolver_destroy(struct resolver *resolver);

// Starts a lookup of A and AAAA for a name in wire form. The callback comes with token, never from
// inside this call, after about 5 s at the latest. There is no cancel: the owner of a token that is
// gone ignores it. Without memory no callback comes, and the owner's own deadline ends the matter.
void resolver_start(struct resolver *resolver, const char *name, uint64_t token);

int resolver_descriptor(const struct resolver *resolver); // readable when resolver_process has work
void resolver_process(struct resolver *resolver); // calls callbacks, which may start lookups

#endif
