// SPDX-License-Identifier: MIT
// A thread for what takes milliseconds or, when the NSM is slow, minutes: the loop hands it a task
// and goes on. There are two: one asks the NSM, one judges what servers prove, so that a slow NSM
// does not hold up the other.
#ifndef AIRLOCK_TLS_ATTESTER_H
#define AIRLOCK_TLS_ATTESTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/evidence.h"
#include "preload/tls/attested.h"
#include "wire/compiler.h"
#include "wire/outcome.h"

struct attester;
struct tls_stream;

enum attester_job {
	ATTESTER_PROVES,
	ATTESTER_JUDGES,
};

struct attester_task {
	struct tls_stream *stream; // the loop's: who waits for it; NULL: nobody any more
	uint8_t user_data[EVIDENCE_USER_DATA];
	uint8_t nonce[EXCHANGE_NONCE_SIZE]; // the verifier's
	const struct attested *attested;    // JUDGES: by what
	size_t length;                      // of the document: JUDGES is given it, PROVES makes it
	uint8_t document[DOCUMENT_MAX];
	bool is_good;
	char text[OUTCOME_TEXT_SIZE]; // why not; or, judged, the policy's release that matched
	bool is_begun;                // the attester's, like what follows
	struct attester_task *next, *prev;
};

// nsm is the NSM's name, which outlives this; NULL: none is needed. It is opened now, before the
// sandbox forbids files; if that fails, tasks do, with the reason. Each finished task adds to the
// eventfd wake. NULL without memory.
struct attester *attester_open(enum attester_job job, const char *nsm, int wake) MUST_CHECK;

// Starts the thread. Returns 0 or -errno.
int attester_start(struct attester *attester) MUST_CHECK;

// The task, from malloc, is the attester's until it has been taken again.
void attester_submit(struct attester *attester, struct attester_task *task);

// One that is finished, which is the caller's then; NULL: none.
struct attester_task *attester_take(struct attester *attester);

// Nobody waits for it any more: it is freed, or, once begun, comes back without a stream.
void attester_forget(struct attester *attester, struct attester_task *task);

// Waits for the task that is being done, at most a second: one that takes longer waits for the NSM,
// and ends with the process.
void attester_close(struct attester *attester);

#endif
