// SPDX-License-Identifier: MIT
#include "attest/kms_unwrap.h"

#include <string.h>

#include <criterion/criterion.h>
#include <nettle/memxor.h>
#include <nettle/pss-mgf1.h>
#include <nettle/sha2.h>

#define ENCODED 256
#define MESSAGE 32
// Of the parts of an encoded message, before it is masked.
#define SEED       1
#define LABEL_HASH 33
#define FILLER     65
#define SEPARATOR  (ENCODED - MESSAGE - 1)

static void mask(uint8_t *data, size_t length, const uint8_t *seed, size_t seed_length)
{
	struct sha256_ctx hash;
	uint8_t bytes[ENCODED];

	sha256_init(&hash);
	sha256_update(&hash, seed_length, seed);
	pss_mgf1(&hash, &nettle_sha256, length, bytes);
	memxor(data, bytes, length);
}

// EME-OAEP of a message of 32 times 'm', with byte `at` made different by `change`.
static void encode(uint8_t encoded[ENCODED], size_t at, uint8_t change)
{
	struct sha256_ctx hash;

	memset(encoded, 0, ENCODED);
	memset(encoded + SEED, 's', 32);
	sha256_init(&hash);
	sha256_digest(&hash, 32, encoded + LABEL_HASH);
	encoded[SEPARATOR] = 1;
	memset(encoded + SEPARATOR + 1, 'm', MESSAGE);
	encoded[at] ^= change;
	mask(encoded + LABEL_HASH, ENCODED - LABEL_HASH, encoded + SEED, 32);
	mask(encoded + SEED, 32, encoded + LABEL_HASH, ENCODED - LABEL_HASH);
}

Test(oaep, a_good_encoding_gives_its_message)
{
	uint8_t encoded[ENCODED], message[MESSAGE], expected[MESSAGE];

	memset(expected, 'm', sizeof(expected));
	encode(encoded, 0, 0);
	cr_assert_eq(oaep_decode(encoded, ENCODED, message, MESSAGE), 0xff);
	cr_assert_eq(memcmp(message, expected, MESSAGE), 0);
}

Test(oaep, every_bit_that_is_not_seed_or_message_is_checked)
{
	uint8_t encoded[ENCODED], message[MESSAGE];

	for (size_t at = 0; at <= SEPARATOR; at++) {
		bool is_seed = at >= SEED && at < LABEL_HASH;

		for (unsigned bit = 0; bit < 8; bit++) {
			encode(encoded, at, (uint8_t)(1U << bit));
			cr_assert_eq(oaep_decode(encoded, ENCODED, message, MESSAGE),
				is_seed ? 0xff : 0, "byte %zu bit %u", at, bit);
		}
	}
}

Test(oaep, a_message_of_another_length_is_none)
{
	uint8_t encoded[ENCODED], message[MESSAGE + 1];

	for (size_t size = 1; size <= sizeof(message); size++) {
		encode(encoded, 0, 0);
		cr_assert_eq(oaep_decode(encoded, ENCODED, message, size),
			size == MESSAGE ? 0xff : 0, "%zu", size);
	}
}

Test(padding, every_count_with_every_wrong_byte)
{
	uint8_t data[32];
	size_t count;

	for (unsigned last = 0; last < 256; last++) {
		memset(data, 0x77, sizeof(data));
		memset(data + sizeof(data) - (last < 32 ? last : 32), (int)last,
			last < 32 ? last : 32);
		data[31] = (uint8_t)last;
		cr_assert_eq(padding_check(data, sizeof(data), &count),
			last >= 1 && last <= 16 ? 0xff : 0, "%u", last);
		if (last < 1 || last > 16)
			continue;
		cr_assert_eq(count, last);
		for (unsigned at = 1; at <= 32; at++) {
			data[32 - at] ^= 0x80;
			cr_assert_eq(padding_check(data, sizeof(data), &count),
				at > last ? 0xff : 0, "%u of %u", at, last);
			data[32 - at] ^= 0x80;
		}
	}
}

Test(padding, one_block_is_enough)
{
	uint8_t data[16];
	size_t count;

	memset(data, 16, sizeof(data));
	cr_assert_eq(padding_check(data, sizeof(data), &count), 0xff);
	cr_assert_eq(count, 16);
}
