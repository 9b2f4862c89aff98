// SPDX-License-Identifier: MIT
// Opens an envelope with the private key that it was made for.
#ifndef AIRLOCK_ATTEST_KMS_UNWRAP_H
#define AIRLOCK_ATTEST_KMS_UNWRAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/error.h"
#include "attest/kms_envelope.h"
#include "attest/kms_key.h"
#include "wire/compiler.h"

// Writes the plaintext to out (KMS_ENVELOPE_MAX bytes), which the caller wipes. False, and nothing
// in out: an envelope for another key (REFUSED), an encrypted key of another size than the modulus
// (MALFORMED), and one failure (REFUSED) for all that depends on the private key, in text and in
// time.
bool kms_unwrap(const struct kms_envelope *envelope, const struct kms_key *key,
	uint8_t out[KMS_ENVELOPE_MAX], size_t *length, struct attest_error *error) MUST_CHECK;

// RSAES-OAEP's decoding (RFC 8017 7.1.2 step 3) with SHA-256, MGF1-SHA-256 and no label, of a
// message that must have exactly size bytes. Works in encoded, in time that depends on its length
// alone. Returns all ones for a good encoding, else zero; message then holds bytes of no meaning.
uint8_t oaep_decode(uint8_t *encoded, size_t length, uint8_t *message, size_t size);

// PKCS#7's padding of whole AES blocks (RFC 5652 6.3), in time that depends on length alone.
// Returns all ones when it is good, else zero; *padding is then of no meaning.
uint8_t padding_check(const uint8_t *data, size_t length, size_t *padding);

#endif
