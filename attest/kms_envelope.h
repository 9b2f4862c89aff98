// SPDX-License-Identifier: MIT
// CiphertextForRecipient: what AWS KMS answers to an enclave that has sent an attestation document.
// Pure: reading it needs no key.
#ifndef AIRLOCK_ATTEST_KMS_ENVELOPE_H
#define AIRLOCK_ATTEST_KMS_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/bytes.h"
#include "attest/error.h"
#include "wire/compiler.h"

// KMS's plaintexts are of at most 4096 bytes (Decrypt); private keys of GenerateDataKeyPair are
// shorter.
#define KMS_ENVELOPE_MAX        16384
#define KMS_KEY_IDENTIFIER_SIZE 32 // SHA-256 of a SubjectPublicKeyInfo
#define KMS_IV_SIZE             16

struct kms_envelope {
	// Views into the input.
	struct bytes key_identifier; // KMS_KEY_IDENTIFIER_SIZE bytes
	struct bytes encrypted_key;
	struct bytes iv; // KMS_IV_SIZE bytes
	// The content's chunks one after the other: a positive multiple of 16 bytes.
	size_t content_length;
	uint8_t content[KMS_ENVELOPE_MAX];
};

// Reads the CMS message and requires of every parameter the one value that KMS uses; the file's
// head lists them. MALFORMED. Allocates nothing.
bool kms_envelope_parse(const void *data, size_t length, struct kms_envelope *envelope,
	struct attest_error *error) MUST_CHECK;

#endif
