// SPDX-License-Identifier: MIT
// State PROXY: the connection to the upstream proxy stands; the handshake with it goes on.
#ifndef AIRLOCK_HOSTD_PROXY_H
#define AIRLOCK_HOSTD_PROXY_H

#include <stdint.h>

#include "hostd/session.h"

void proxy_start(struct session *session);
void proxy_on_destination(struct session *session, uint8_t part, uint32_t events);
void proxy_on_deadline(struct session *session);

#endif
