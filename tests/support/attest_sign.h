// SPDX-License-Identifier: MIT
// Documents of the genuine shape for unit tests, fuzzers and benchmarks: signed by a PKI of this
// process alone.
#ifndef AIRLOCK_TESTS_ATTEST_SIGN_H
#define AIRLOCK_TESTS_ATTEST_SIGN_H

#include <stddef.h>
#include <stdint.h>

#include "attest/bytes.h"
#include "attest/document.h"

// Each aborts when it cannot do what it says.
struct attest_sign;

// Its certificates are valid now.
struct attest_sign *attest_sign_open(void);
void attest_sign_close(struct attest_sign *sign);

struct bytes attest_sign_root(const struct attest_sign *sign);

// A document of now, with user_data, nonce and public_key. Returns its size.
size_t attest_sign_document(const struct attest_sign *sign, uint8_t out[static DOCUMENT_MAX]);

// Any 1 to DOCUMENT_PAYLOAD_MAX bytes as payload, with a good signature.
size_t attest_sign_payload(
	const struct attest_sign *sign, struct bytes payload, uint8_t out[static DOCUMENT_MAX]);

#endif
