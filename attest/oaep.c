// SPDX-License-Identifier: MIT
// Theory. Whoever may submit messages and see how decoding fails, or how long it takes to, decrypts
// any message with some thousand tries: Manger's attack asks only whether the first byte was zero,
// Vaudenay's only whether the padding was good. So nothing here branches or indexes by secret
// bytes: every check is a comparison that yields a mask, the masks are combined, and one bit comes
// out at the end. OAEP's message has a known length here, so the place of its separator is known
// too and nothing needs to be searched for.
#include "attest/kms_unwrap.h"

#include <nettle/memxor.h>
#include <nettle/pss-mgf1.h>
#include <nettle/sha2.h>
#include <string.h>

#define BLOCK_SIZE 16

// SHA-256 of the empty label.
static const uint8_t label_hash[SHA256_DIGEST_SIZE] = {0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c,
	0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b,
	0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55};

// All ones when value is zero.
static uint8_t mask_of_zero(unsigned value)
{
	return (uint8_t)((value - 1) >> 8 & ~value >> 8);
}

// data ^= MGF1-SHA-256(seed). length is at most that of an encoded message, 512 bytes.
static void apply_mask(uint8_t *data, size_t length, const uint8_t *seed, size_t seed_length)
{
	struct sha256_ctx hash;
	uint8_t mask[512];

	sha256_init(&hash);
	sha256_update(&hash, seed_length, seed);
	pss_mgf1(&hash, &nettle_sha256, length, mask);
	memxor(data, mask, length);
	explicit_bzero(mask, sizeof(mask));
	explicit_bzero(&hash, sizeof(hash));
}

uint8_t oaep_decode(uint8_t *encoded, size_t length, uint8_t *message, size_t size)
{
	uint8_t *seed = encoded + 1, *block = seed + SHA256_DIGEST_SIZE;
	size_t block_length = length - 1 - SHA256_DIGEST_SIZE;
	size_t separator = block_length - size - 1;
	unsigned wrong = encoded[0];

	apply_mask(seed, SHA256_DIGEST_SIZE, block, block_length);
	apply_mask(block, block_length, seed, SHA256_DIGEST_SIZE);
	for (size_t i = 0; i < SHA256_DIGEST_SIZE; i++)
		wrong |= block[i] ^ label_hash[i];
	for (size_t i = SHA256_DIGEST_SIZE; i < separator; i++)
		wrong |= block[i];
	wrong |= block[separator] ^ 1U;
	memcpy(message, block + separator + 1, size);
	return mask_of_zero(wrong);
}

uint8_t padding_check(const uint8_t *data, size_t length, size_t *padding)
{
	unsigned count = data[length - 1];
	// 1 to 16, and not 0: that less one has all bits set.
	unsigned wrong = (count - 1) & 0xf0;

	for (unsigned i = 1; i <= BLOCK_SIZE; i++) {
		// The sign bit of i - count - 1: whether this byte, counted from the end, is
		// padding.
		unsigned is_padding = 0U - ((i - count - 1) >> 31);

		wrong |= is_padding & (data[length - i] ^ count);
	}
	*padding = count;
	return mask_of_zero(wrong & 0xff);
}
