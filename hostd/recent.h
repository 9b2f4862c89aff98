// SPDX-License-Identifier: MIT
// Ids of the streams that were granted last. A STATUS may overtake the request that it asks about
// (two streams, two workers), and the table of outcomes does not tell "not come yet" from
// "granted": this does, for as long as it matters. Thread-safe.
#ifndef AIRLOCK_HOSTD_RECENT_H
#define AIRLOCK_HOSTD_RECENT_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/compiler.h"
#include "wire/request.h"

struct recent;

struct recent *recent_create(void) MUST_CHECK;
void recent_destroy(struct recent *recent); // NULL: nothing

void recent_add(struct recent *recent, uint32_t cid, const uint8_t id[static REQUEST_ID_SIZE]);

// False also for one that a later stream has displaced.
bool recent_has(struct recent *recent, uint32_t cid, const uint8_t id[static REQUEST_ID_SIZE]);

#endif
