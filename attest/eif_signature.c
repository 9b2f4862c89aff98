// SPDX-License-Identifier: MIT
// Theory. The section is CBOR as serde writes it: an array of one map {signing_certificate,
// signature}, both of them arrays of small numbers instead of byte strings. The first is PEM text,
// the second a COSE_Sign1 whose payload is PcrInfo, again with an array of numbers. One image has
// one right payload, so nothing of it is interpreted: it is compared with the one that this image's
// PCR0 gives. PCR8 is made from the certificate alone. Whether its issuer and its dates are worth
// anything is for whoever compares PCR8.
//
// Readers of PEM differ in which blocks they pass over (OpenSSL takes the label X509 CERTIFICATE
// too) and in what they bear inside of one: header lines, blanks. So the first block of the text
// must be the certificate, with nothing in it but lines of base64: all that take the first one then
// take this one.
#include "attest/eif_signature.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <string.h>

#include "attest/cbor_reader.h"
#include "attest/der.h"
#include "attest/document.h"
#include "attest/eif_algorithm.h"

#define COSE_SIGN1_TAG 18
#define COSE_ALGORITHM 1

static bool malformed(
	struct attest_error *error, const char *field, size_t offset, const char *reason)
{
	return attest_fail(error, ATTEST_FAULT_MALFORMED, field, offset, "%s", reason);
}

// --- algorithms

// RFC 9053 2.1, and the curve that each is used with here.
static const struct eif_algorithm algorithms[] = {
	{-7, GNUTLS_SIGN_ECDSA_SECP256R1_SHA256, GNUTLS_ECC_CURVE_SECP256R1, 32},
	{-35, GNUTLS_SIGN_ECDSA_SECP384R1_SHA384, GNUTLS_ECC_CURVE_SECP384R1, 48},
	{-36, GNUTLS_SIGN_ECDSA_SECP521R1_SHA512, GNUTLS_ECC_CURVE_SECP521R1, 66},
};

const struct eif_algorithm *eif_algorithm_by_cose(int64_t cose)
{
	for (size_t i = 0; i < ARRAY_SIZE(algorithms); i++) {
		if (algorithms[i].cose == cose)
			return &algorithms[i];
	}
	return NULL;
}

const struct eif_algorithm *eif_algorithm_by_curve(gnutls_ecc_curve_t curve)
{
	for (size_t i = 0; i < ARRAY_SIZE(algorithms); i++) {
		if (algorithms[i].curve == curve)
			return &algorithms[i];
	}
	return NULL;
}

// --- the section's CBOR

static bool expect_count(struct cbor_reader *reader, enum cbor_kind kind, uint64_t count,
	const char *field, struct attest_error *error)
{
	struct cbor_token token;

	if (!cbor_reader_expect(reader, kind, field, &token, error))
		return false;
	if (token.is_indefinite || token.value != count)
		return attest_fail(error, ATTEST_FAULT_MALFORMED, field, token.offset,
			"has not exactly %zu entries", (size_t)count);
	return true;
}

static bool expect_key(struct cbor_reader *reader, const char *key, struct attest_error *error)
{
	struct cbor_token token;

	if (!cbor_reader_expect(reader, CBOR_TEXT, key, &token, error))
		return false;
	if (token.bytes.length != strlen(key) ||
		memcmp(token.bytes.data, key, token.bytes.length) != 0)
		return malformed(error, key, token.offset, "another key stands in its place");
	return true;
}

// An array of numbers below 256, which is how serde writes bytes.
static bool read_numbers(struct cbor_reader *reader, const char *field, uint8_t *out, size_t size,
	size_t *length, struct attest_error *error)
{
	struct cbor_token token;
	size_t count;

	if (!cbor_reader_expect(reader, CBOR_ARRAY, field, &token, error))
		return false;
	if (token.is_indefinite || token.value == 0 || token.value > size)
		return attest_fail(error, ATTEST_FAULT_MALFORMED, field, token.offset,
			"is not 1 to %zu bytes", size);
	count = (size_t)token.value;
	for (size_t i = 0; i < count; i++) {
		if (!cbor_reader_expect(reader, CBOR_UINT, field, &token, error))
			return false;
		if (token.value > UINT8_MAX)
			return malformed(error, field, token.offset, "a number above 255");
		out[i] = (uint8_t)token.value;
	}
	*length = count;
	return true;
}

static bool parse_section(
	const struct bytes *section, struct eif_signature *signature, struct attest_error *error)
{
	struct cbor_reader reader;

	cbor_reader_begin(&reader, section->data, section->length);
	return expect_count(&reader, CBOR_ARRAY, 1, "signature section", error) &&
	       expect_count(&reader, CBOR_MAP, 2, "signature section", error) &&
	       expect_key(&reader, "signing_certificate", error) &&
	       read_numbers(&reader, "signing_certificate", signature->text,
		       sizeof(signature->text), &signature->text_length, error) &&
	       expect_key(&reader, "signature", error) &&
	       read_numbers(&reader, "signature", signature->cose, sizeof(signature->cose),
		       &signature->cose_length, error) &&
	       cbor_reader_end(&reader, error);
}

// --- the COSE_Sign1 (RFC 9052 4.2)

static bool skip_tag(struct cbor_reader *reader, struct attest_error *error)
{
	struct cbor_reader ahead = *reader;
	struct cbor_token token;

	if (!cbor_reader_next(&ahead, &token, error))
		return false;
	if (token.kind != CBOR_TAG)
		return true;
	if (token.value != COSE_SIGN1_TAG)
		return malformed(error, "signature", token.offset, "has another tag than 18");
	*reader = ahead;
	return true;
}

static bool parse_cose(struct eif_signature *signature, struct attest_error *error)
{
	struct cbor_token protected_header, payload, value;
	struct cbor_reader reader;

	cbor_reader_begin(&reader, signature->cose, signature->cose_length);
	if (!skip_tag(&reader, error) || !expect_count(&reader, CBOR_ARRAY, 4, "signature", error))
		return false;
	if (!cbor_reader_expect(
		    &reader, CBOR_BYTES, "protected header", &protected_header, error) ||
		!expect_count(&reader, CBOR_MAP, 0, "unprotected header", error) ||
		!cbor_reader_expect(&reader, CBOR_BYTES, "payload", &payload, error) ||
		!cbor_reader_expect(&reader, CBOR_BYTES, "signature", &value, error) ||
		!cbor_reader_end(&reader, error))
		return false;
	signature->protected_header = protected_header.bytes;
	signature->payload = payload.bytes;
	signature->value = value.bytes;
	return true;
}

// Exactly {1: algorithm}.
static bool parse_protected_header(struct eif_signature *signature, struct attest_error *error)
{
	const struct eif_algorithm *algorithm;
	struct cbor_token key, value;
	struct cbor_reader reader;

	cbor_reader_begin(
		&reader, signature->protected_header.data, signature->protected_header.length);
	if (!expect_count(&reader, CBOR_MAP, 1, "protected header", error) ||
		!cbor_reader_expect(&reader, CBOR_UINT, "protected header", &key, error) ||
		!cbor_reader_expect(&reader, CBOR_NEGATIVE, "algorithm", &value, error) ||
		!cbor_reader_end(&reader, error))
		return false;
	if (key.value != COSE_ALGORITHM || value.value > 255)
		return malformed(error, "protected header", 0, "names no known algorithm");
	signature->algorithm = -1 - (int64_t)value.value;
	algorithm = eif_algorithm_by_cose(signature->algorithm);
	if (!algorithm)
		return malformed(error, "protected header", 0, "names no known algorithm");
	if (signature->value.length != 2 * algorithm->size)
		return malformed(error, "signature", ATTEST_NO_OFFSET,
			"has not the length of its algorithm");
	return true;
}

// --- the certificate

#define PEM_LABEL    "CERTIFICATE"
#define PEM_BEGIN    "-----BEGIN "
#define PEM_FIRST    PEM_BEGIN PEM_LABEL "-----"
#define PEM_LAST     "-----END " PEM_LABEL "-----"
#define PEM_LINE_MAX 76 // characters; RFC 7468 asks for 64, MIME allows 76
#define PEM_ALPHABET "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// The next line without its end, which is a newline, a carriage return and one, or the text's.
static bool take_line(struct bytes *text, struct bytes *line)
{
	const uint8_t *end = memchr(text->data, '\n', text->length);
	size_t length = end ? (size_t)(end - text->data) : text->length;
	size_t taken = end ? length + 1 : length;

	if (text->length == 0)
		return false;
	if (end && length > 0 && text->data[length - 1] == '\r')
		length--;
	*line = (struct bytes){text->data, length};
	text->data += taken;
	text->length -= taken;
	return true;
}

static bool is_line(const struct bytes *line, const char *text)
{
	return line->length == strlen(text) && memcmp(line->data, text, line->length) == 0;
}

static bool is_base64(const struct bytes *line)
{
	size_t padding = 0;

	for (size_t i = 0; i < line->length; i++) {
		if (line->data[i] == '=')
			padding++;
		else if (padding > 0 || line->data[i] == 0 || !strchr(PEM_ALPHABET, line->data[i]))
			return false;
	}
	return line->length > 0 && line->length <= PEM_LINE_MAX;
}

static bool is_padded(const struct bytes *line)
{
	return line->data[line->length - 1] == '=';
}

// Whether the first block, behind text without any, is the only thing that it can be taken for.
static bool is_plain_pem(struct bytes text)
{
	struct bytes line;
	const uint8_t *first = memmem(text.data, text.length, PEM_BEGIN, strlen(PEM_BEGIN));
	bool is_last = false;

	if (!first || (first != text.data && first[-1] != '\n') ||
		memchr(text.data, 0, (size_t)(first - text.data)))
		return false;
	text.length -= (size_t)(first - text.data);
	text.data = first;
	if (!take_line(&text, &line) || !is_line(&line, PEM_FIRST))
		return false;
	while (take_line(&text, &line) && !is_line(&line, PEM_LAST)) {
		if (is_last || !is_base64(&line))
			return false;
		is_last = is_padded(&line);
	}
	return is_line(&line, PEM_LAST);
}

// The hash is over the certificate itself, so what PEM encodes must be one DER item and no more.
static bool parse_certificate(struct eif_signature *signature, struct attest_error *error)
{
	gnutls_datum_t text = {signature->text, (unsigned)signature->text_length};
	gnutls_datum_t der = {NULL, 0};
	struct bytes rest;
	struct der_item item;
	bool is_read;

	if (!is_plain_pem((struct bytes){signature->text, signature->text_length}))
		return malformed(error, "signing_certificate", 0,
			"its first PEM block is not plainly one certificate");
	if (gnutls_pem_base64_decode2(PEM_LABEL, &text, &der) < 0)
		return malformed(error, "signing_certificate", ATTEST_NO_OFFSET,
			"is not a certificate in PEM");
	is_read = der.size <= sizeof(signature->der);
	if (is_read)
		memcpy(signature->der, der.data, der.size);
	signature->certificate = (struct bytes){signature->der, der.size};
	gnutls_free(der.data);
	rest = signature->certificate;
	if (!is_read || !der_expect(&rest, DER_SEQUENCE, &item) || rest.length != 0)
		return malformed(error, "signing_certificate", ATTEST_NO_OFFSET,
			"is not one certificate in DER");
	return true;
}

bool eif_signature_parse(
	const struct bytes *section, struct eif_signature *signature, struct attest_error *error)
{
	return parse_section(section, signature, error) && parse_cose(signature, error) &&
	       parse_protected_header(signature, error) && parse_certificate(signature, error);
}

// --- verification

size_t eif_pcr_info(const uint8_t pcr0[EIF_PCR_SIZE], uint8_t out[EIF_PCR_INFO_MAX])
{
	static const uint8_t head[] = "\xa2"
				      "\x6eregister_index\x00"
				      "\x6eregister_value\x98\x30";
	size_t at = sizeof(head) - 1;

	_Static_assert(sizeof(head) - 1 + 2 * EIF_PCR_SIZE <= EIF_PCR_INFO_MAX, "it fits");
	memcpy(out, head, at);
	for (size_t i = 0; i < EIF_PCR_SIZE; i++) {
		if (pcr0[i] >= 24)
			out[at++] = 0x18;
		out[at++] = pcr0[i];
	}
	return at;
}

// GnuTLS's inputs are not const; it does not write to them.
static gnutls_datum_t datum(const uint8_t *data, size_t length)
{
	return (gnutls_datum_t){(unsigned char *)(uintptr_t)data, (unsigned)length};
}

static void clear_certificate(const gnutls_x509_crt_t *certificate)
{
	gnutls_x509_crt_deinit(*certificate);
}

static void clear_key(const gnutls_pubkey_t *key)
{
	gnutls_pubkey_deinit(*key);
}

static bool load_key(
	const struct eif_signature *signature, gnutls_pubkey_t key, struct attest_error *error)
{
	__attribute__((cleanup(clear_certificate))) gnutls_x509_crt_t certificate = NULL;
	gnutls_datum_t der = datum(signature->der, signature->certificate.length);

	if (gnutls_x509_crt_init(&certificate) < 0 ||
		gnutls_x509_crt_import(certificate, &der, GNUTLS_X509_FMT_DER) < 0 ||
		gnutls_pubkey_import_x509(key, certificate, 0) < 0)
		return malformed(error, "signing_certificate", ATTEST_NO_OFFSET,
			"is not a certificate with a known key");
	return true;
}

static bool verify_value(
	const struct eif_signature *signature, gnutls_pubkey_t key, struct attest_error *error)
{
	const struct eif_algorithm *algorithm = eif_algorithm_by_cose(signature->algorithm);
	struct document cose = {
		.protected_header = signature->protected_header, .payload = signature->payload};
	gnutls_datum_t r = datum(signature->value.data, algorithm->size);
	gnutls_datum_t s = datum(signature->value.data + algorithm->size, algorithm->size);
	gnutls_datum_t signed_bytes, value;
	uint8_t bytes[DOCUMENT_MAX];
	int status;

	signed_bytes = datum(bytes, document_signed_bytes(&cose, bytes, sizeof(bytes)));
	if (gnutls_encode_rs_value(&value, &r, &s) < 0)
		return attest_fail(
			error, ATTEST_FAULT_DEVICE, NULL, ATTEST_NO_OFFSET, "out of memory");
	status = gnutls_pubkey_verify_data2(key, algorithm->gnutls, 0, &signed_bytes, &value);
	gnutls_free(value.data);
	if (status < 0)
		return attest_fail(error, ATTEST_FAULT_REFUSED, "signature", ATTEST_NO_OFFSET,
			"does not verify with the signing certificate");
	return true;
}

bool eif_signature_verify(const struct eif_signature *signature, const uint8_t pcr0[EIF_PCR_SIZE],
	struct attest_error *error)
{
	__attribute__((cleanup(clear_key))) gnutls_pubkey_t key = NULL;
	uint8_t expected[EIF_PCR_INFO_MAX];
	size_t length = eif_pcr_info(pcr0, expected);

	if (gnutls_pubkey_init(&key) < 0)
		return attest_fail(
			error, ATTEST_FAULT_DEVICE, NULL, ATTEST_NO_OFFSET, "out of memory");
	if (!load_key(signature, key, error) || !verify_value(signature, key, error))
		return false;
	if (signature->payload.length != length ||
		memcmp(signature->payload.data, expected, length) != 0)
		return attest_fail(error, ATTEST_FAULT_REFUSED, "signature", ATTEST_NO_OFFSET,
			"signs something else than this image's PCR0");
	return true;
}
