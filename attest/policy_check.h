// SPDX-License-Identifier: MIT
// Check 18: whether what a document says is what was asked for.
#ifndef AIRLOCK_ATTEST_POLICY_CHECK_H
#define AIRLOCK_ATTEST_POLICY_CHECK_H

#include "attest/chain.h"
#include "attest/document.h"
#include "attest/verify.h"

// *release (which belongs to the policy) is the one that matched, or NULL. Every check before has
// passed.
bool policy_check(const struct verify_options *options, const struct document *document,
	const struct chain *chain, const char **release, struct attest_error *error) MUST_CHECK;

// A debug enclave: none of PCR0, 1 and 2 holds anything but zeros.
bool policy_is_debug(const struct document *document);

#endif
