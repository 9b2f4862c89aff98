// SPDX-License-Identifier: MIT
// GnuTLS reads and checks the key file; nettle, which has blinded private operations on raw numbers
// where GnuTLS has none for OAEP, then gets the numbers. Those are GMP's, whose allocator GnuTLS
// replaces by one that zeroes what it frees, for the whole process, when it is loaded.
#include "attest/kms_key.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>

static bool refuse(struct attest_error *error, const char *reason)
{
	return attest_fail(error, ATTEST_FAULT_USAGE, NULL, ATTEST_NO_OFFSET, "%s", reason);
}

static void clear_number(gnutls_datum_t *number)
{
	if (number->data)
		explicit_bzero(number->data, number->size);
	gnutls_free(number->data);
}

struct raw_key {
	gnutls_datum_t modulus, exponent, d, p, q, coefficient, d_p, d_q;
};

static void clear_raw(struct raw_key *raw)
{
	clear_number(&raw->modulus);
	clear_number(&raw->exponent);
	clear_number(&raw->d);
	clear_number(&raw->p);
	clear_number(&raw->q);
	clear_number(&raw->coefficient);
	clear_number(&raw->d_p);
	clear_number(&raw->d_q);
}

static void set_number(mpz_t out, const gnutls_datum_t *number)
{
	mpz_import(out, number->size, 1, 1, 0, 0, number->data);
}

static bool set_numbers(struct kms_key *key, const struct raw_key *raw)
{
	set_number(key->public_half.n, &raw->modulus);
	set_number(key->public_half.e, &raw->exponent);
	set_number(key->private_half.d, &raw->d);
	set_number(key->private_half.p, &raw->p);
	set_number(key->private_half.q, &raw->q);
	set_number(key->private_half.a, &raw->d_p);
	set_number(key->private_half.b, &raw->d_q);
	set_number(key->private_half.c, &raw->coefficient);
	return rsa_public_key_prepare(&key->public_half) &&
	       rsa_private_key_prepare(&key->private_half) &&
	       key->public_half.size == key->private_half.size;
}

static bool is_size_of_kms(const struct kms_key *key)
{
	size_t bits = mpz_sizeinbase(key->public_half.n, 2);

	return bits == 2048 || bits == 3072 || bits == 4096;
}

static void clear_handle(const gnutls_x509_privkey_t *handle)
{
	gnutls_x509_privkey_deinit(*handle);
}

static bool load(struct kms_key *key, const gnutls_datum_t *pem, struct attest_error *error)
{
	__attribute__((cleanup(clear_handle))) gnutls_x509_privkey_t handle = NULL;
	__attribute__((cleanup(clear_raw))) struct raw_key raw = {0};
	size_t size = sizeof(key->identifier);

	if (gnutls_x509_privkey_init(&handle) < 0)
		return refuse(error, "out of memory");
	if (gnutls_x509_privkey_import2(handle, pem, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN) <
		0)
		return refuse(error, "is not an unencrypted private key in PEM");
	if (gnutls_x509_privkey_get_pk_algorithm(handle) != GNUTLS_PK_RSA)
		return refuse(error, "is not an RSA key");
	if (gnutls_x509_privkey_verify_params(handle) < 0 ||
		gnutls_x509_privkey_export_rsa_raw2(handle, &raw.modulus, &raw.exponent, &raw.d,
			&raw.p, &raw.q, &raw.coefficient, &raw.d_p, &raw.d_q) < 0 ||
		gnutls_x509_privkey_get_key_id(
			handle, GNUTLS_KEYID_USE_SHA256, key->identifier, &size) < 0 ||
		!set_numbers(key, &raw))
		return refuse(error, "holds numbers that are no RSA key");
	if (!is_size_of_kms(key))
		return refuse(error, "has not 2048, 3072 or 4096 bits");
	return true;
}

struct kms_key *kms_key_parse(const void *pem, size_t length, struct attest_error *error)
{
	gnutls_datum_t text = {(unsigned char *)(uintptr_t)pem, (unsigned)length};
	struct kms_key *key = calloc(1, sizeof(*key));

	if (!key) {
		(void)refuse(error, "out of memory");
		return NULL;
	}
	rsa_public_key_init(&key->public_half);
	rsa_private_key_init(&key->private_half);
	if (load(key, &text, error))
		return key;
	kms_key_free(key);
	return NULL;
}

void kms_key_free(struct kms_key *key)
{
	if (!key)
		return;
	rsa_private_key_clear(&key->private_half);
	rsa_public_key_clear(&key->public_half);
	free(key);
}
