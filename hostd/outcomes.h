// SPDX-License-Identifier: MIT
// The table behind STATUS: abnormal outcomes by stream id, kept 60 s, bounded, told only to the CID
// that opened the stream. Streams still being dialled are in it too, so that STATUS can wait.
// Thread-safe.
#ifndef AIRLOCK_HOSTD_OUTCOMES_H
#define AIRLOCK_HOSTD_OUTCOMES_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/compiler.h"
#include "wire/outcome.h"
#include "wire/request.h"

#define OUTCOMES_LIFETIME 60000 // ms
#define OUTCOMES_MAX      65536 // decided ones kept; then the oldest of the CID that has most go first

struct outcomes;

struct outcomes *outcomes_create(void) MUST_CHECK;
void outcomes_destroy(struct outcomes *outcomes);

// The stream's dial has begun. Returns false when the CID already has this id pending (the request
// is then malformed), or without memory.
bool outcomes_begin(struct outcomes *outcomes, uint32_t cid,
	const uint8_t id[static REQUEST_ID_SIZE], uint64_t now_ms) MUST_CHECK;

// Decides. OUTCOME_NONE removes the entry. May be called again later (a reset after an open), and
// without a begin.
void outcomes_store(struct outcomes *outcomes, uint32_t cid,
	const uint8_t id[static REQUEST_ID_SIZE], const struct outcome *outcome, uint64_t now_ms);

enum outcomes_answer {
	OUTCOMES_UNKNOWN, // ended normally, never came, or another CID's
	OUTCOMES_PENDING,
	OUTCOMES_DECIDED, // *outcome is filled
};
enum outcomes_answer outcomes_find(struct outcomes *outcomes, uint32_t cid,
	const uint8_t id[static REQUEST_ID_SIZE], uint64_t now_ms, struct outcome *outcome);

// eventfd is written (8 bytes, the number 1) once when the entry is decided; the waiter then calls
// outcomes_find. It may wait for several entries, and waiting twice for one is waiting once.
// Returns false when the entry is not pending (any more), or without memory.
bool outcomes_wait(struct outcomes *outcomes, uint32_t cid,
	const uint8_t id[static REQUEST_ID_SIZE], int eventfd) MUST_CHECK;

// Before eventfd is closed: it waits for nothing any more. Visits the whole table.
void outcomes_forget_waiter(struct outcomes *outcomes, int eventfd);

#endif
