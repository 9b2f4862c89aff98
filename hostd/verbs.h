// SPDX-License-Identifier: MIT
// Control verbs: answered at once, or after a lookup (state LOOKUP), a decision (STATUS) or a time
// (GATE); then the opener is given a moment to read the answer (LINGER).
#ifndef AIRLOCK_HOSTD_VERBS_H
#define AIRLOCK_HOSTD_VERBS_H

#include <stdint.h>

#include "hostd/session.h"
#include "wire/control.h"
#include "wire/request.h"

void verbs_begin(struct session *session, const struct request *request);

// A dial was decided: answers those STATUS requests that waited for it.
void verbs_answer_waiters(struct worker *worker);

// Takes the session out of the lists kept here, if it is in one. Part of session_close.
void verbs_forget(struct session *session);

void verbs_on_opener(struct session *session, uint32_t events);
void verbs_on_names(
	struct session *session, const struct control_addresses *answer, const char *text);
void verbs_on_lookup_deadline(struct session *session);
void verbs_on_status_deadline(struct session *session);
void verbs_on_gate_deadline(struct session *session);
void verbs_on_lingering_opener(struct session *session, uint32_t events);
void verbs_on_linger_deadline(struct session *session);

#endif
