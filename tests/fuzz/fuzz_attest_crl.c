// SPDX-License-Identifier: MIT
// CRLs by the issuer of a chain of two. The input is a file of CRLs (its first byte even) or, so
// that the signature does not hide the code behind it, the TBSCertList of one that is then signed.
// What is accepted must be readable by GnuTLS, current, and without the certificate's serial
// number.
#include "attest/chain.h"

#include <stdlib.h>
#include <string.h>

#define NOW           1700000000 // 2023-11-14
#define LIST_MAX      4096
#define SIGNATURE_MAX 128
#define SERIAL        0x2a

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct chain chain;
static gnutls_privkey_t key;
static uint8_t stored[2][DOCUMENT_CERTIFICATE_MAX];

static void require(bool condition)
{
	if (!condition)
		abort();
}

// --- a root and what it has issued

static void issue(unsigned place, gnutls_x509_privkey_t own, gnutls_x509_crt_t issuer,
	gnutls_x509_privkey_t issuer_key)
{
	const uint8_t serial = SERIAL;
	struct certificate *read = &chain.certificates[place];
	size_t length = sizeof(stored[place]);
	gnutls_x509_crt_t made;

	require(gnutls_x509_crt_init(&made) == 0 && gnutls_x509_crt_set_version(made, 3) == 0 &&
		gnutls_x509_crt_set_dn(made, place == 0 ? "CN=root" : "CN=below", NULL) == 0 &&
		gnutls_x509_crt_set_serial(made, &serial, sizeof(serial)) == 0 &&
		gnutls_x509_crt_set_activation_time(made, NOW - 1) == 0 &&
		gnutls_x509_crt_set_expiration_time(made, NOW + 1) == 0 &&
		gnutls_x509_crt_set_key(made, own) == 0 &&
		gnutls_x509_crt_set_key_usage(made, GNUTLS_KEY_CRL_SIGN) == 0);
	require(gnutls_x509_crt_sign2(
			made, issuer ? issuer : made, issuer_key, GNUTLS_DIG_SHA384, 0) == 0 &&
		gnutls_x509_crt_export(made, GNUTLS_X509_FMT_DER, stored[place], &length) == 0);
	gnutls_x509_crt_deinit(made);
	require(certificate_read(read, (struct bytes){stored[place], length}, NULL) &&
		certificate_load_key(read, NULL));
	chain.count++;
}

static void begin(void)
{
	gnutls_x509_privkey_t root_key;

	require(gnutls_x509_privkey_init(&root_key) == 0 &&
		gnutls_x509_privkey_generate(root_key, GNUTLS_PK_ECDSA,
			GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP384R1), 0) == 0 &&
		gnutls_privkey_init(&key) == 0 &&
		gnutls_privkey_import_x509(key, root_key, GNUTLS_PRIVKEY_IMPORT_COPY) == 0);
	issue(0, root_key, NULL, root_key);
	issue(1, root_key, chain.certificates[0].handle, root_key);
	gnutls_x509_privkey_deinit(root_key);
}

// --- signing

// The head of an item of DER with a length of two bytes, or of one where that is shorter.
static size_t put_head(uint8_t *out, uint8_t tag, size_t length)
{
	size_t at = 0;

	out[at++] = tag;
	if (length >= 0x100)
		out[at++] = 0x82;
	else if (length >= 0x80)
		out[at++] = 0x81;
	if (length >= 0x100)
		out[at++] = (uint8_t)(length >> 8);
	out[at++] = (uint8_t)length;
	return at;
}

static size_t put(uint8_t *out, const void *data, size_t length)
{
	memcpy(out, data, length);
	return length;
}

// CertificateList ::= SEQUENCE { TBSCertList, AlgorithmIdentifier, BIT STRING } (RFC 5280 5.1)
static size_t sign(const uint8_t *list, size_t length, uint8_t out[LIST_MAX + SIGNATURE_MAX])
{
	const gnutls_datum_t data = {(unsigned char *)(uintptr_t)list, (unsigned)length};
	struct bytes algorithm = chain.certificates[0].algorithm;
	gnutls_datum_t signature;
	uint8_t head[4];
	size_t at;

	require(gnutls_privkey_sign_data2(key, GNUTLS_SIGN_ECDSA_SHA384, 0, &data, &signature) ==
		0);
	at = put_head(out, 0x30,
		length + algorithm.length + put_head(head, 0x03, signature.size + 1) +
			signature.size + 1);
	at += put(out + at, list, length);
	at += put(out + at, algorithm.data, algorithm.length);
	at += put_head(out + at, 0x03, signature.size + 1);
	out[at++] = 0;
	at += put(out + at, signature.data, signature.size);
	gnutls_free(signature.data);
	return at;
}

// --- checking

// Of one CRL in DER.
static void check_accepted(struct bytes file)
{
	gnutls_datum_t datum = {(unsigned char *)(uintptr_t)file.data, (unsigned)file.length};
	gnutls_x509_crl_t crl;

	require(gnutls_x509_crl_init(&crl) == 0 &&
		gnutls_x509_crl_import(crl, &datum, GNUTLS_X509_FMT_DER) == 0);
	require(gnutls_x509_crl_get_this_update(crl) <= NOW &&
		gnutls_x509_crl_get_next_update(crl) >= NOW);
	for (int i = 0; i < gnutls_x509_crl_get_crt_count(crl); i++) {
		uint8_t serial[LIST_MAX];
		size_t size = sizeof(serial);
		time_t when;

		require(gnutls_x509_crl_get_crt_serial(crl, i, serial, &size, &when) == 0);
		require(size != 1 || serial[0] != SERIAL);
	}
	gnutls_x509_crl_deinit(crl);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t signed_list[LIST_MAX + SIGNATURE_MAX];
	struct attest_error error = {0};
	struct bytes file;

	if (chain.count == 0)
		begin();
	if (size < 1 || size > LIST_MAX)
		return 0;
	file = (struct bytes){data + 1, size - 1};
	if (data[0] % 2 == 1)
		file = (struct bytes){signed_list, sign(data + 1, size - 1, signed_list)};
	if (!revocation_check(&chain, &file, 1, NOW, &error)) {
		require(error.check == 14 && error.message[0] != '\0');
		return 0;
	}
	require(chain.revocation_checked == 1);
	if (data[0] % 2 == 1)
		check_accepted(file);
	return 0;
}
