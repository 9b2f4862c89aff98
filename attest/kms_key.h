// SPDX-License-Identifier: MIT
// The RSA key whose public half an enclave has put into its attestation document.
#ifndef AIRLOCK_ATTEST_KMS_KEY_H
#define AIRLOCK_ATTEST_KMS_KEY_H

#include <nettle/rsa.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/error.h"
#include "attest/kms_envelope.h"
#include "wire/compiler.h"

struct kms_key {
	struct rsa_public_key public_half;
	struct rsa_private_key private_half;
	uint8_t identifier[KMS_KEY_IDENTIFIER_SIZE]; // SHA-256 of the SubjectPublicKeyInfo
};

// Reads an unencrypted PEM key, PKCS#8 or PKCS#1, of 2048, 3072 or 4096 bits: what KMS takes. Free
// with kms_key_free. NULL with *error filled (USAGE).
struct kms_key *kms_key_parse(
	const void *pem, size_t length, struct attest_error *error) MUST_CHECK;
void kms_key_free(struct kms_key *key);

#endif
