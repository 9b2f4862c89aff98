// SPDX-License-Identifier: MIT
// attest verify|signatures|refuse N: microseconds of CPU per round, the mean of N rounds.
// verify      one document of the genuine shape, all 18 checks
// signatures  what cannot be saved of it: five ECDSA verifications on P-384
// refuse      16 KiB that begin like a document and are none
#include <gnutls/abstract.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "attest/verify.h"
#include "tests/support/attest_sign.h"

#define SIGNATURES 5

static struct attest_sign *sign;
static uint8_t document[DOCUMENT_MAX];
static size_t length;
static gnutls_pubkey_t public_key;
static gnutls_datum_t data, signature;

static void require(int is_good)
{
	if (!is_good)
		abort();
}

static void verify(void)
{
	struct verify_options options = {
		.clock = VERIFY_NOW, .any_image = true, .root = attest_sign_root(sign)};
	struct attest_result *result;

	require(attest_verify(document, length, &options, &result, NULL));
	attest_result_free(result);
}

static void verify_signatures(void)
{
	for (int i = 0; i < SIGNATURES; i++)
		require(gnutls_pubkey_verify_data2(public_key, GNUTLS_SIGN_ECDSA_SECP384R1_SHA384,
				0, &data, &signature) >= 0);
}

static void refuse(void)
{
	struct verify_options options = {.clock = VERIFY_NOW, .any_image = true};
	struct attest_result *result;

	require(!attest_verify(document, sizeof(document), &options, &result, NULL));
}

static void begin_signatures(void)
{
	gnutls_privkey_t key;

	data = (gnutls_datum_t){document, (unsigned)length};
	require(gnutls_privkey_init(&key) >= 0 && gnutls_pubkey_init(&public_key) >= 0);
	require(gnutls_privkey_generate(key, GNUTLS_PK_ECDSA,
			GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP384R1), 0) >= 0);
	require(gnutls_pubkey_import_privkey(public_key, key, 0, 0) >= 0);
	require(gnutls_privkey_sign_data2(
			key, GNUTLS_SIGN_ECDSA_SECP384R1_SHA384, 0, &data, &signature) >= 0);
}

// The envelope is good, the payload a map of keys that nobody knows.
static void begin_refuse(void)
{
	static const uint8_t head[] = {0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xa0, 0x59, 0x40, 0x00};

	memset(document, 0x60, sizeof(document)); // empty text strings
	memcpy(document, head, sizeof(head));
}

int main(int argc, char **argv)
{
	struct timespec begin, end;
	void (*round)(void) = verify;

	require(argc == 3);
	sign = attest_sign_open();
	length = attest_sign_document(sign, document);
	if (strcmp(argv[1], "signatures") == 0) {
		begin_signatures();
		round = verify_signatures;
	} else if (strcmp(argv[1], "refuse") == 0) {
		begin_refuse();
		round = refuse;
	}
	long rounds = atol(argv[2]);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
	for (long i = 0; i < rounds; i++)
		round();
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	printf("%.2f\n", ((double)(end.tv_sec - begin.tv_sec) * 1e6 +
				 (double)(end.tv_nsec - begin.tv_nsec) / 1e3) /
				 (double)rounds);
	return 0;
}
