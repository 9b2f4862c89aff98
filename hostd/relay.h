// SPDX-License-Identifier: MIT
// State RELAY: bytes pass both ways, each direction on its own, until both have ended.
#ifndef AIRLOCK_HOSTD_RELAY_H
#define AIRLOCK_HOSTD_RELAY_H

#include <stdint.h>

#include "hostd/session.h"

void relay_start(struct session *session);

// Moves what can be moved, up to a bound; what is left is done in a later turn.
void relay_run(struct session *session);

// The outcome that session->failure, which is set, ends in.
void relay_describe_failure(const struct session *session, struct outcome *outcome);

void relay_on_opener(struct session *session, uint32_t events);
void relay_on_destination(struct session *session, uint8_t part, uint32_t events);
void relay_on_deadline(struct session *session);

#endif
