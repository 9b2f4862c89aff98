// SPDX-License-Identifier: MIT
#include "attest/certificate.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "attest/der.h"

// ecdsa-with-SHA384, parameters absent (RFC 5758 3.2).
static const uint8_t ecdsa_sha384[] = {
	0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03};
// id-ecPublicKey, secp384r1, and an uncompressed point of 96 bytes (RFC 5480 2).
static const uint8_t p384_key[] = {0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d,
	0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00, 0x04};
#define P384_KEY_SIZE (sizeof(p384_key) + 96)

bool bytes_are_equal(struct bytes a, struct bytes b)
{
	return a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
}

bool certificate_refuse(const struct certificate *certificate, int check,
	struct attest_error *error, const char *format, ...)
{
	char message[sizeof(error->message)];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	return attest_fail_check(error, check, ATTEST_FAULT_REFUSED, certificate->field,
		certificate->offset, "%s", message);
}

static bool malformed(
	const struct certificate *certificate, struct attest_error *error, const char *reason)
{
	return attest_fail_check(error, 9, ATTEST_FAULT_MALFORMED, certificate->field,
		certificate->offset, "%s", reason);
}

const struct certificate_extension *certificate_find_extension(
	const struct certificate *certificate, struct bytes oid)
{
	for (size_t i = 0; i < certificate->extension_count; i++) {
		if (bytes_are_equal(certificate->extensions[i].oid, oid))
			return &certificate->extensions[i];
	}
	return NULL;
}

// Those of RFC 5280 4.2.1. What another one holds is for its owners, and looked at by nobody here.
static bool is_standard(struct bytes oid)
{
	return oid.length == 3 && memcmp(oid.data, (const uint8_t[]){0x55, 0x1d}, 2) == 0;
}

static bool read_extension(struct bytes content, struct certificate_extension *extension)
{
	struct der_item item;

	if (!der_expect(&content, DER_OID, &item))
		return false;
	extension->oid = item.content;
	if (!der_next(&content, &item))
		return false;
	extension->is_critical = item.tag == DER_BOOLEAN;
	if (extension->is_critical && !der_next(&content, &item))
		return false;
	extension->value = item.content;
	return item.tag == DER_OCTET_STRING && content.length == 0 &&
	       (!is_standard(extension->oid) || der_is_strict(extension->value));
}

static bool read_extensions(struct certificate *certificate, struct bytes content)
{
	struct der_item list, item;

	if (!der_expect(&content, DER_SEQUENCE, &list) || content.length != 0 ||
		list.content.length == 0)
		return false;
	while (list.content.length > 0) {
		struct certificate_extension extension;
		if (certificate->extension_count == CERTIFICATE_EXTENSIONS_MAX ||
			!der_expect(&list.content, DER_SEQUENCE, &item) ||
			!read_extension(item.content, &extension) ||
			certificate_find_extension(certificate, extension.oid))
			return false;
		certificate->extensions[certificate->extension_count++] = extension;
	}
	return true;
}

// Version [0], serial number, signature, issuer, validity, subject, key, extensions [3]. Issuer's
// and subject's unique identifiers ([1], [2]) are not known here, and so refused.
static bool read_signed_part(struct certificate *certificate, struct bytes content)
{
	struct der_item item;
	struct bytes *const fields[] = {&certificate->algorithm, &certificate->issuer, NULL,
		&certificate->subject, &certificate->key};

	if (!der_next(&content, &item))
		return false;
	if (item.tag == DER_CONTEXT) {
		struct der_item version;
		if (!der_expect(&item.content, DER_INTEGER, &version) || item.content.length != 0)
			return false;
		certificate->version = version.content;
		if (!der_next(&content, &item))
			return false;
	}
	if (item.tag != DER_INTEGER)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (!der_expect(&content, DER_SEQUENCE, &item))
			return false;
		if (fields[i])
			*fields[i] = item.whole;
	}
	if (content.length == 0)
		return true;
	return der_next(&content, &item) && item.tag == DER_CONTEXT + 3 && content.length == 0 &&
	       read_extensions(certificate, item.content);
}

static bool read_shape(struct certificate *certificate, struct bytes der)
{
	struct der_item outer, signed_part, algorithm, signature;

	if (!der_is_strict(der) || !der_expect(&der, DER_SEQUENCE, &outer) ||
		!der_expect(&outer.content, DER_SEQUENCE, &signed_part) ||
		!der_expect(&outer.content, DER_SEQUENCE, &algorithm) ||
		!der_expect(&outer.content, DER_BIT_STRING, &signature) ||
		outer.content.length != 0 || signature.content.data[0] != 0)
		return false;
	certificate->whole = outer.whole;
	certificate->signed_part = signed_part.whole;
	certificate->algorithm2 = algorithm.whole;
	certificate->signature =
		(struct bytes){signature.content.data + 1, signature.content.length - 1};
	return read_signed_part(certificate, signed_part.content);
}

bool certificate_read(struct certificate *certificate, struct bytes der, struct attest_error *error)
{
	// GnuTLS does not write to what it reads.
	gnutls_datum_t datum = {(unsigned char *)(uintptr_t)der.data, (unsigned)der.length};

	if (!read_shape(certificate, der))
		return malformed(certificate, error,
			"not a certificate in strict DER, or an extension is there twice");
	if (gnutls_x509_crt_init(&certificate->handle) < 0)
		return malformed(certificate, error, "out of memory");
	int rc = gnutls_x509_crt_import(certificate->handle, &datum, GNUTLS_X509_FMT_DER);
	if (rc < 0)
		return malformed(certificate, error, gnutls_strerror(rc));
	certificate->not_before = gnutls_x509_crt_get_activation_time(certificate->handle);
	certificate->not_after = gnutls_x509_crt_get_expiration_time(certificate->handle);
	if (certificate->not_before == (time_t)-1 || certificate->not_after == (time_t)-1)
		return malformed(certificate, error, "its validity is not readable");
	return true;
}

void certificate_clear(struct certificate *certificate)
{
	if (certificate->public_key)
		gnutls_pubkey_deinit(certificate->public_key);
	if (certificate->handle)
		gnutls_x509_crt_deinit(certificate->handle);
	certificate->public_key = NULL;
	certificate->handle = NULL;
}

static bool is_ecdsa_sha384(struct bytes algorithm)
{
	return bytes_are_equal(algorithm, (struct bytes){ecdsa_sha384, sizeof(ecdsa_sha384)});
}

bool certificate_load_key(struct certificate *certificate, struct attest_error *error)
{
	struct bytes signature = certificate->signature, r_and_s;
	struct der_item item;

	if (certificate->key.length != P384_KEY_SIZE ||
		memcmp(certificate->key.data, p384_key, sizeof(p384_key)) != 0)
		return certificate_refuse(
			certificate, 11, error, "its key is not an uncompressed one on P-384");
	if (!is_ecdsa_sha384(certificate->algorithm) || !is_ecdsa_sha384(certificate->algorithm2))
		return certificate_refuse(
			certificate, 11, error, "its signature algorithm is not ecdsa-with-SHA384");
	if (!der_is_strict(signature) || !der_expect(&signature, DER_SEQUENCE, &item))
		return certificate_refuse(
			certificate, 11, error, "its signature is not a pair in strict DER");
	r_and_s = item.content;
	if (!der_expect(&r_and_s, DER_INTEGER, &item) ||
		!der_expect(&r_and_s, DER_INTEGER, &item) || r_and_s.length != 0)
		return certificate_refuse(
			certificate, 11, error, "its signature is not a pair of integers");
	if (gnutls_pubkey_init(&certificate->public_key) < 0 ||
		gnutls_pubkey_import_x509(certificate->public_key, certificate->handle, 0) < 0 ||
		gnutls_pubkey_verify_params(certificate->public_key) < 0)
		return certificate_refuse(
			certificate, 11, error, "its key is not a point of the curve");
	return true;
}

bool certificate_has_signed(
	const struct certificate *issuer, struct bytes data, struct bytes signature)
{
	// GnuTLS does not write to what it reads.
	gnutls_datum_t data_datum = {(unsigned char *)(uintptr_t)data.data, (unsigned)data.length};
	gnutls_datum_t signature_datum = {
		(unsigned char *)(uintptr_t)signature.data, (unsigned)signature.length};

	return gnutls_pubkey_verify_data2(issuer->public_key, GNUTLS_SIGN_ECDSA_SECP384R1_SHA384, 0,
		       &data_datum, &signature_datum) >= 0;
}
