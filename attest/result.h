// SPDX-License-Identifier: MIT
// Making a struct attest_result, for verify.c alone: whoever holds one holds a verified document.
#ifndef AIRLOCK_ATTEST_RESULT_H
#define AIRLOCK_ATTEST_RESULT_H

#include "attest/chain.h"
#include "attest/document.h"
#include "attest/verify.h"

// Copies all that it keeps. age is in milliseconds; release may be NULL. NULL when out of memory.
struct attest_result *result_create(const struct document *document, const struct chain *chain,
	bool is_debug, int64_t age, const char *release);

#endif
