// SPDX-License-Identifier: MIT
// Verifies attestation documents: the 18 checks of README.md, in their order, the first failure
// ending it. No network, ever. Thread safe: there is no state between calls.
#ifndef AIRLOCK_ATTEST_VERIFY_H
#define AIRLOCK_ATTEST_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "attest/bytes.h"
#include "attest/document.h"
#include "attest/error.h"
#include "attest/policy.h"
#include "wire/compiler.h"

enum verify_clock {
	VERIFY_NOW = 1,  // this machine's clock
	VERIFY_DOCUMENT, // the document's own timestamp, as it claims before its signature is
			 // checked: says what was true then, not that it is fresh
	VERIFY_STATED,   // options.stated
};

enum attest_platform {
	ATTEST_NITRO_ENCLAVE = 1, // chains to a root of AWS
	ATTEST_NAMED_ROOT = 2, // to another that the caller named: a simulated NSM's, a private one
};

enum attest_partition {
	ATTEST_AWS = 1,
	ATTEST_AWS_US_GOV = 2,
	ATTEST_NO_PARTITION = 3, // of a named root
};

struct verify_options {
	enum verify_clock clock;
	time_t stated;
	// DER of the one root to trust; it may be one of AWS's. data NULL: AWS's roots.
	struct bytes root;
	// NULL refuses every document, unless any_image says that no policy is wanted.
	const struct policy *policy;
	bool any_image;
	bool allow_debug;   // beside what the policy says
	struct bytes nonce; // expected beside what the policy says; absent: not compared
	// Milliseconds from the document's timestamp to the time of verification, beside what the
	// policy says; 0: no limit. Neither can be kept with VERIFY_DOCUMENT, which refuses then.
	uint64_t max_age;
	// DER or PEM CRLs, for check 14; a chain certificate whose issuer has none here is
	// accepted, a revoked one or a CRL that is not validly signed, or out of date at the time
	// of verification, refuses, and so do CRLs of which none is by an issuer of the chain.
	const struct bytes *crls;
	size_t crl_count;
};

// What is known to be true of a verified document. Opaque: it exists only once every check has
// passed.
struct attest_result;

// Returns true and a new *result, freed with attest_result_free, or false with *error filled. The
// result does not point into data.
bool attest_verify(const void *data, size_t length, const struct verify_options *options,
	struct attest_result **result, struct attest_error *error) MUST_CHECK;
void attest_result_free(struct attest_result *result);

enum attest_platform attest_result_platform(const struct attest_result *result);
enum attest_partition attest_result_partition(const struct attest_result *result);
bool attest_result_is_debug(const struct attest_result *result);
uint64_t attest_result_timestamp(const struct attest_result *result); // ms since the epoch
int64_t attest_result_age(const struct attest_result *result); // ms at the time of verification
const char *attest_result_module_id(const struct attest_result *result);
const uint8_t *attest_result_pcr(
	const struct attest_result *result, unsigned index); // 48 bytes or NULL
struct bytes attest_result_user_data(const struct attest_result *result);
struct bytes attest_result_nonce(const struct attest_result *result);
struct bytes attest_result_public_key(const struct attest_result *result);
// How many certificates of the chain a CRL covered.
unsigned attest_result_revocation_checked(const struct attest_result *result);
// The release of the policy that matched; NULL without a policy or an unnamed match.
const char *attest_result_release(const struct attest_result *result);

#endif
