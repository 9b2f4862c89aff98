// SPDX-License-Identifier: MIT
// Makes attestation documents as the genuine NSM does since spring 2025: the payload's map is
// indefinite, all else definite; no COSE tag.
#ifndef AIRLOCK_ATTEST_SIMULATED_DOCUMENT_H
#define AIRLOCK_ATTEST_SIMULATED_DOCUMENT_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "attest/bytes.h"
#include "attest/simulated_bank.h"
#include "attest/simulated_pki.h"
#include "wire/compiler.h"

struct simulated_claims {
	const struct simulated_bank *bank; // the locked PCRs are attested
	uint64_t timestamp;                // milliseconds since the epoch
	struct bytes user_data, nonce, public_key;
};

// Writes a document signed by the PKI's leaf to out and its size to *length. False with *error
// filled (no room, no memory, no signature).
bool simulated_document_make(const struct simulated_pki *pki, const struct simulated_claims *claims,
	uint8_t *out, size_t size, size_t *length, struct attest_error *error) MUST_CHECK;

#endif
