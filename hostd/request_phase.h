// SPDX-License-Identifier: MIT
// State REQUEST: the stream's first 1024 bytes are awaited and read without being consumed.
#ifndef AIRLOCK_HOSTD_REQUEST_PHASE_H
#define AIRLOCK_HOSTD_REQUEST_PHASE_H

#include <stdint.h>

#include "hostd/session.h"

void request_phase_on_opener(struct session *session, uint32_t events);
void request_phase_on_deadline(struct session *session);

#endif
