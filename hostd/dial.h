// SPDX-License-Identifier: MIT
// State DIAL: connects to the first of several addresses that answers, in the manner of RFC 8305.
#ifndef AIRLOCK_HOSTD_DIAL_H
#define AIRLOCK_HOSTD_DIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hostd/policy.h"
#include "hostd/session.h"
#include "hostd/timers.h"
#include "hostd/upstream.h"
#include "wire/address.h"
#include "wire/compiler.h"
#include "wire/control.h"
#include "wire/outcome.h"

// What a session needs from its request to its grant, and no longer.
struct dial {
	const struct rule *rule; // that allowed the name or address; NULL with a default
	enum address_family first_family;
	uint16_t port;
	struct address addresses[CONTROL_MAX_ADDRESSES];
	int attempts[CONTROL_MAX_ADDRESSES]; // descriptors, in the order of addresses; -1: not
					     // running
	size_t count;
	size_t next;    // address to be tried
	size_t running; // attempts
	struct timer stagger;
	struct outcome failure; // the most telling one so far
	int failure_rank;
	struct upstream_handshake handshake; // with a proxy, once connected
};

// first_family: of the address that the program was given for the name. 0 or -ENOMEM.
int dial_create(struct session *session, enum address_family first_family) MUST_CHECK;
void dial_destroy(struct session *session); // running attempts are closed

// One more address, in order of preference; more than CONTROL_MAX_ADDRESSES are dropped.
void dial_add_address(struct dial *dial, const struct address *address);

// All addresses are there: begins. Ends in connect_grant, proxy_start or the session's end.
void dial_start(struct session *session);

void dial_on_destination(struct session *session, uint8_t part, uint32_t events);
void dial_on_deadline(struct session *session);

#endif
