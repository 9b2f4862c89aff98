// SPDX-License-Identifier: MIT
// Makes the signature section that eif_signature.c reads. ECDSA's random number is derived from the
// key and the message (RFC 6979), so that building an image twice gives the same file.
#include "attest/eif_signature.h"

#include <cbor.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>

#include "attest/document.h"
#include "attest/eif_algorithm.h"

static bool refuse_input(struct attest_error *error, const char *field, const char *reason)
{
	return attest_fail(error, ATTEST_FAULT_USAGE, field, ATTEST_NO_OFFSET, "%s", reason);
}

static void clear_key(const gnutls_privkey_t *key)
{
	gnutls_privkey_deinit(*key);
}

static void clear_data(const gnutls_datum_t *data)
{
	gnutls_free(data->data);
}

static const struct eif_algorithm *load_key(
	const struct bytes *text, gnutls_privkey_t key, struct attest_error *error)
{
	gnutls_datum_t pem = {(unsigned char *)(uintptr_t)text->data, (unsigned)text->length};
	const struct eif_algorithm *algorithm;
	gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_INVALID;

	if (gnutls_privkey_import_x509_raw(
		    key, &pem, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN) < 0) {
		(void)refuse_input(
			error, "signing key", "is not an unencrypted private key in PEM");
		return NULL;
	}
	if (gnutls_privkey_get_pk_algorithm(key, NULL) == GNUTLS_PK_ECDSA &&
		gnutls_privkey_export_ecc_raw(key, &curve, NULL, NULL, NULL) < 0)
		curve = GNUTLS_ECC_CURVE_INVALID;
	algorithm = eif_algorithm_by_curve(curve);
	if (!algorithm)
		(void)refuse_input(error, "signing key", "is no EC key on P-256, P-384 or P-521");
	return algorithm;
}

// A big-endian number as GnuTLS gives it, with or without leading zeros, to exactly size bytes.
static bool copy_number(uint8_t *out, size_t size, const gnutls_datum_t *number)
{
	const uint8_t *from = number->data;
	size_t length = number->size;

	while (length > size && *from == 0) {
		from++;
		length--;
	}
	if (length > size)
		return false;
	memset(out, 0, size - length);
	memcpy(out + size - length, from, length);
	return true;
}

static bool sign(gnutls_privkey_t key, const struct eif_algorithm *algorithm,
	const struct document *cose, uint8_t *value)
{
	__attribute__((cleanup(clear_data))) gnutls_datum_t der = {NULL, 0};
	__attribute__((cleanup(clear_data))) gnutls_datum_t r = {NULL, 0};
	__attribute__((cleanup(clear_data))) gnutls_datum_t s = {NULL, 0};
	uint8_t bytes[DOCUMENT_MAX];
	gnutls_datum_t message = {
		bytes, (unsigned)document_signed_bytes(cose, bytes, sizeof(bytes))};

	return gnutls_privkey_sign_data2(key, algorithm->gnutls, GNUTLS_PRIVKEY_FLAG_REPRODUCIBLE,
		       &message, &der) >= 0 &&
	       gnutls_decode_rs_value(&der, &r, &s) >= 0 &&
	       copy_number(value, algorithm->size, &r) &&
	       copy_number(value + algorithm->size, algorithm->size, &s);
}

static size_t append_bytes(uint8_t *out, size_t at, size_t size, const uint8_t *data, size_t length)
{
	at += cbor_encode_bytestring_start(length, out + at, size - at);
	memcpy(out + at, data, length);
	return at + length;
}

// Protected header, empty unprotected header, payload, signature; no tag.
static bool make_cose(gnutls_privkey_t key, const struct eif_algorithm *algorithm,
	const uint8_t pcr0[EIF_PCR_SIZE], struct eif_signature *signature)
{
	uint8_t header[8], payload[EIF_PCR_INFO_MAX], value[2 * 66], *out = signature->cose;
	struct document cose = {
		.protected_header = {header, 0}, .payload = {payload, eif_pcr_info(pcr0, payload)}};
	size_t at, size = sizeof(signature->cose);

	at = cbor_encode_map_start(1, header, sizeof(header));
	at += cbor_encode_uint(1, header + at, sizeof(header) - at);
	at += cbor_encode_negint(
		(uint64_t)(-1 - algorithm->cose), header + at, sizeof(header) - at);
	cose.protected_header.length = at;
	if (!sign(key, algorithm, &cose, value))
		return false;
	at = cbor_encode_array_start(4, out, size);
	at = append_bytes(out, at, size, header, cose.protected_header.length);
	at += cbor_encode_map_start(0, out + at, size - at);
	at = append_bytes(out, at, size, payload, cose.payload.length);
	signature->cose_length = append_bytes(out, at, size, value, 2 * algorithm->size);
	return true;
}

static size_t append_text(uint8_t *out, size_t at, size_t size, const char *text)
{
	at += cbor_encode_string_start(strlen(text), out + at, size - at);
	memcpy(out + at, text, strlen(text));
	return at + strlen(text);
}

// As serde writes bytes: an array of numbers.
static size_t append_numbers(
	uint8_t *out, size_t at, size_t size, const uint8_t *data, size_t length)
{
	at += cbor_encode_array_start(length, out + at, size - at);
	for (size_t i = 0; i < length; i++)
		at += cbor_encode_uint(data[i], out + at, size - at);
	return at;
}

static size_t write_section(const struct eif_signature *signature, uint8_t *out, size_t size)
{
	size_t at = cbor_encode_array_start(1, out, size);

	at += cbor_encode_map_start(2, out + at, size - at);
	at = append_text(out, at, size, "signing_certificate");
	at = append_numbers(out, at, size, signature->text, signature->text_length);
	at = append_text(out, at, size, "signature");
	return append_numbers(out, at, size, signature->cose, signature->cose_length);
}

// What was made is read again, which also finds a certificate that is not the key's.
static bool check_section(
	const struct bytes *section, const uint8_t pcr0[EIF_PCR_SIZE], struct attest_error *error)
{
	struct eif_signature again;

	if (eif_signature_parse(section, &again, error) &&
		eif_signature_verify(&again, pcr0, error))
		return true;
	if (error)
		error->fault = ATTEST_FAULT_USAGE;
	return false;
}

bool eif_signature_make(const struct bytes *key_text, const struct bytes *certificate_text,
	const uint8_t pcr0[EIF_PCR_SIZE], uint8_t **out, size_t *length, struct attest_error *error)
{
	__attribute__((cleanup(clear_key))) gnutls_privkey_t key = NULL;
	const struct eif_algorithm *algorithm;
	struct eif_signature signature;
	struct bytes section;

	*out = NULL;
	if (certificate_text->length > sizeof(signature.text))
		return refuse_input(error, "signing certificate", "is larger than 16384 bytes");
	memcpy(signature.text, certificate_text->data, certificate_text->length);
	signature.text_length = certificate_text->length;
	if (gnutls_privkey_init(&key) < 0)
		return refuse_input(error, "signing key", "out of memory");
	algorithm = load_key(key_text, key, error);
	if (!algorithm)
		return false;
	if (!make_cose(key, algorithm, pcr0, &signature))
		return refuse_input(error, "signing key", "cannot sign");
	*out = malloc(EIF_SIGNATURE_MAX);
	if (!*out)
		return refuse_input(error, "signing key", "out of memory");
	section = (struct bytes){*out, write_section(&signature, *out, EIF_SIGNATURE_MAX)};
	*length = section.length;
	if (check_section(&section, pcr0, error))
		return true;
	free(*out);
	*out = NULL;
	return false;
}
