// SPDX-License-Identifier: MIT
// Theory. What comes before the private key is used is public: whom the envelope names and how long
// its parts are. From then on there is one path, whatever happens on it: a key that does not decode
// is replaced by a random one (so that the content is decrypted in any case), the failures are
// combined as masks (oaep.c), and the one question "did it open?" is answered at the end with one
// text.
//
// What cannot be hidden is that answer itself: CBC has no authentication, so a program that
// unwraps whatever it is sent and tells the sender whether that worked tells it the content. Take
// envelopes from KMS over TLS only.
#include "attest/kms_unwrap.h"

#include <gnutls/crypto.h>
#include <nettle/aes.h>
#include <nettle/cbc.h>
#include <string.h>

#include "attest/files.h"

#define ENCODED_MAX 512 // RSA-4096

struct randomness {
	bool has_failed;
};

// For the blinding; nettle's callback cannot say that it failed.
static void fill_random(void *context, size_t length, uint8_t *out)
{
	struct randomness *randomness = context;

	if (gnutls_rnd(GNUTLS_RND_KEY, out, length) < 0)
		randomness->has_failed = true;
}

// Big-endian, without telling how many of the leading bytes are zero as mpz_export() would: every
// byte is taken from its limb. The count of limbs does show, but a good encoding's first 64 bits
// are zero with a chance of 2^-56.
static void export_number(const mpz_t number, uint8_t *out, size_t size)
{
	const mp_limb_t *limbs = mpz_limbs_read(number);
	size_t count = mpz_size(number);

	for (size_t i = 0; i < size; i++) {
		size_t limb = i / sizeof(mp_limb_t);
		mp_limb_t value = limb < count ? limbs[limb] : 0;
		unsigned shift = 8 * (unsigned)(i % sizeof(mp_limb_t));

		out[size - 1 - i] = (uint8_t)(value >> shift);
	}
}

// The raw private operation with blinding, its result verified with the public exponent. Returns a
// mask. A number that is not below the modulus is known to be bad, and is reduced to go the same
// way.
static uint8_t raise(const struct kms_key *key, const struct bytes *encrypted, uint8_t *encoded)
{
	struct randomness randomness = {false};
	bool is_good, is_computed;
	mpz_t number;

	mpz_init(number);
	mpz_import(number, encrypted->length, 1, 1, 0, 0, encrypted->data);
	is_good = mpz_cmp(number, key->public_half.n) < 0;
	mpz_mod(number, number, key->public_half.n);
	is_computed = rsa_compute_root_tr(
		&key->public_half, &key->private_half, &randomness, fill_random, number, number);
	export_number(number, encoded, encrypted->length);
	mpz_clear(number);
	return is_good && is_computed && !randomness.has_failed ? 0xff : 0;
}

// Always gives a content key: the sent one, or where mask comes out zero a random one.
static uint8_t recover_content_key(const struct kms_envelope *envelope, const struct kms_key *key,
	uint8_t content_key[AES256_KEY_SIZE])
{
	uint8_t encoded[ENCODED_MAX], instead[AES256_KEY_SIZE], mask;

	// Zeros where there is no randomness: the mask is zero then.
	mask = gnutls_rnd(GNUTLS_RND_KEY, instead, sizeof(instead)) < 0 ? 0 : 0xff;
	mask &= raise(key, &envelope->encrypted_key, encoded);
	mask &= oaep_decode(encoded, envelope->encrypted_key.length, content_key, AES256_KEY_SIZE);
	for (size_t i = 0; i < AES256_KEY_SIZE; i++)
		content_key[i] = (uint8_t)((content_key[i] & mask) | (instead[i] & ~mask));
	explicit_bzero(encoded, sizeof(encoded));
	explicit_bzero(instead, sizeof(instead));
	return mask;
}

static void decrypt_content(const struct kms_envelope *envelope,
	const uint8_t content_key[AES256_KEY_SIZE], uint8_t *out)
{
	struct CBC_CTX(struct aes256_ctx, AES_BLOCK_SIZE) cipher;

	aes256_set_decrypt_key(&cipher.ctx, content_key);
	CBC_SET_IV(&cipher, envelope->iv.data);
	CBC_DECRYPT(&cipher, aes256_decrypt, envelope->content_length, out, envelope->content);
	explicit_bzero(&cipher, sizeof(cipher));
}

static bool check_recipient(
	const struct kms_envelope *envelope, const struct kms_key *key, struct attest_error *error)
{
	char theirs[2 * KMS_KEY_IDENTIFIER_SIZE + 1], ours[2 * KMS_KEY_IDENTIFIER_SIZE + 1];

	if (memcmp(envelope->key_identifier.data, key->identifier, KMS_KEY_IDENTIFIER_SIZE) != 0)
		return attest_fail(error, ATTEST_FAULT_REFUSED, "recipient", ATTEST_NO_OFFSET,
			"is for key %.16s..., and this key is %.16s...",
			hex_encode(envelope->key_identifier.data, KMS_KEY_IDENTIFIER_SIZE, theirs),
			hex_encode(key->identifier, KMS_KEY_IDENTIFIER_SIZE, ours));
	if (envelope->encrypted_key.length != key->public_half.size)
		return attest_fail(error, ATTEST_FAULT_MALFORMED, "encrypted key", ATTEST_NO_OFFSET,
			"has %zu bytes, not the %zu of the key", envelope->encrypted_key.length,
			key->public_half.size);
	return true;
}

bool kms_unwrap(const struct kms_envelope *envelope, const struct kms_key *key,
	uint8_t out[KMS_ENVELOPE_MAX], size_t *length, struct attest_error *error)
{
	uint8_t content_key[AES256_KEY_SIZE], mask;
	size_t padding;

	*length = 0;
	if (!check_recipient(envelope, key, error))
		return false;
	mask = recover_content_key(envelope, key, content_key);
	decrypt_content(envelope, content_key, out);
	explicit_bzero(content_key, sizeof(content_key));
	mask &= padding_check(out, envelope->content_length, &padding);
	if (!mask) {
		explicit_bzero(out, envelope->content_length);
		return attest_fail(error, ATTEST_FAULT_REFUSED, NULL, ATTEST_NO_OFFSET,
			"does not decrypt with this key");
	}
	*length = envelope->content_length - padding;
	return true;
}
