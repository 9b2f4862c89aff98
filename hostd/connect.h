// SPDX-License-Identifier: MIT
// From a connect request to the grant: limits, policy, names (state RESOLVE), and what all phases
// before the grant share. dial.c opens the connection.
#ifndef AIRLOCK_HOSTD_CONNECT_H
#define AIRLOCK_HOSTD_CONNECT_H

#include <stdint.h>

#include "hostd/session.h"
#include "wire/control.h"
#include "wire/request.h"

// The request is whole and asks for a connection.
void connect_begin(struct session *session, const struct request *request);

// The destination is connected, through the proxy if there is one: opens the gate and relays.
void connect_grant(struct session *session);

// States RESOLVE, DIAL and PROXY: ends the session when the opener has gone away.
void connect_on_opener(struct session *session, uint32_t events);

// State RESOLVE. The name is the session's, or the upstream proxy's.
const char *connect_name_to_resolve(const struct session *session);
void connect_on_names(
	struct session *session, const struct control_addresses *answer, const char *text);
void connect_on_deadline(struct session *session);

#endif
