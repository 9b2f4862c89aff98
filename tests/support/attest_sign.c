// SPDX-License-Identifier: MIT
#include "tests/support/attest_sign.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "attest/simulated_document.h"

struct attest_sign {
	struct simulated_pki *pki;
	uint64_t timestamp;
};

static const uint8_t protected_header[] = {0xa1, 0x01, 0x38, 0x22};

static void require(bool condition)
{
	if (!condition)
		abort();
}

struct attest_sign *attest_sign_open(void)
{
	struct attest_sign *sign = calloc(1, sizeof(*sign));
	time_t now = time(NULL);

	require(sign != NULL);
	sign->pki = simulated_pki_open(NULL, NULL);
	require(sign->pki && simulated_pki_renew(sign->pki, now, NULL));
	sign->timestamp = (uint64_t)now * 1000;
	return sign;
}

void attest_sign_close(struct attest_sign *sign)
{
	simulated_pki_free(sign->pki);
	free(sign);
}

struct bytes attest_sign_root(const struct attest_sign *sign)
{
	return simulated_pki_certificate(sign->pki, 0);
}

size_t attest_sign_document(const struct attest_sign *sign, uint8_t out[static DOCUMENT_MAX])
{
	struct simulated_bank bank;
	struct simulated_claims claims = {.bank = &bank,
		.timestamp = sign->timestamp,
		.user_data = {(const uint8_t *)"user data", 9},
		.nonce = {(const uint8_t *)"0123456789abcdef", 16},
		.public_key = {(const uint8_t *)"a public key", 12}};
	size_t length;

	simulated_bank_boot(&bank);
	require(simulated_document_make(sign->pki, &claims, out, DOCUMENT_MAX, &length, NULL));
	return length;
}

// RFC 8949 3: a byte string of up to 65535 bytes, in the shortest form.
static uint8_t *put_bytes(uint8_t *out, const void *data, size_t length)
{
	if (length < 24) {
		*out++ = (uint8_t)(0x40 | length);
	} else if (length < 256) {
		*out++ = 0x58;
		*out++ = (uint8_t)length;
	} else {
		*out++ = 0x59;
		*out++ = (uint8_t)(length >> 8);
		*out++ = (uint8_t)length;
	}
	memcpy(out, data, length);
	return out + length;
}

size_t attest_sign_payload(
	const struct attest_sign *sign, struct bytes payload, uint8_t out[static DOCUMENT_MAX])
{
	struct document document = {
		.protected_header = {protected_header, sizeof(protected_header)},
		.payload = payload};
	uint8_t to_sign[DOCUMENT_MAX], signature[DOCUMENT_SIGNATURE_SIZE], *next = out;
	struct bytes data = {to_sign, 0};

	require(payload.length > 0 && payload.length <= DOCUMENT_PAYLOAD_MAX);
	data.length = document_signed_bytes(&document, to_sign, sizeof(to_sign));
	require(simulated_pki_sign(sign->pki, data, signature, NULL));
	*next++ = 0x84;
	next = put_bytes(next, protected_header, sizeof(protected_header));
	*next++ = 0xa0;
	next = put_bytes(next, payload.data, payload.length);
	next = put_bytes(next, signature, sizeof(signature));
	return (size_t)(next - out);
}
