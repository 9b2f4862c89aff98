// SPDX-License-Identifier: MIT
// Theory of operation: a table says what each level of the genuine chain looks like; issuing a
// level makes a fresh key and a certificate signed by the level above. Before each use, the first
// level that has no more time left than one of the next level lasts, or that is not valid yet, is
// issued again, and so is all below it: no certificate outlives its issuer.
#include "attest/simulated_pki.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>

#include "attest/files.h"
#include "attest/simulated_root.h"

#define HOUR               3600
#define DAY                (24 * HOUR)
#define LEAF_MARGIN        (HOUR / 2) // what a document's readers have at least
#define SERIAL_SIZE        16
#define LEAF               (SIMULATED_PKI_LEVELS - 1)
#define KEY_IDENTIFIER_MAX 64

struct level {
	// RFC 4514, the identifier between them; the last part is the one that is encoded first.
	const char *before_identifier, *after_identifier;
	long lifetime;   // seconds
	long backdated;  // seconds
	int path_length; // -1: unlimited
	bool is_authority;
	unsigned usage;  // GNUTLS_KEY_*
	const char *crl; // a place that does not exist; genuine ones are named at these levels
};

#define FULL_USAGE (GNUTLS_KEY_DIGITAL_SIGNATURE | GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN)
#define CRL_URL    "http://crl.simulated.invalid/"
#define REGION     "local-1"
#define DOMAIN     "simulated.nitro-enclaves"
#define OWNER      ",OU=Simulated,O=Airlock,C=ZZ"
#define LONG_OWNER ",OU=Simulated,O=Airlock,L=Nowhere,ST=None,C=ZZ"

static const struct level levels[SIMULATED_PKI_LEVELS] = {
	{"CN=", DOMAIN OWNER, 30 * 365L * DAY, HOUR, -1, true, FULL_USAGE, NULL},
	{"CN=", "." REGION "." DOMAIN OWNER, 20 * DAY, HOUR, 2, true, FULL_USAGE,
		CRL_URL "regional.crl"},
	{"L=Nowhere,ST=None,C=ZZ,O=Airlock,OU=Simulated,CN=", ".zonal." REGION "." DOMAIN, 5 * DAY,
		HOUR, 1, true, FULL_USAGE, CRL_URL "zonal.crl"},
	{"CN=", "." REGION "." DOMAIN LONG_OWNER, DAY, 60, 0, true, GNUTLS_KEY_KEY_CERT_SIGN, NULL},
	{"CN=", "." REGION ".simulated" LONG_OWNER, 3 * HOUR, 3, -1, false, 0, NULL},
};

struct issued {
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t certificate;
	gnutls_datum_t der;
	time_t begins, expires;
	char identifier[SIMULATED_PKI_MODULE_ID_SIZE];
};

struct simulated_pki {
	struct issued levels[SIMULATED_PKI_LEVELS];
};

// Makes a function of GnuTLS results end at the first failure: each step runs when all before it
// have succeeded.
#define THEN(result, step) ((result) < 0 ? (result) : (step))

static bool fail_gnutls(struct attest_error *error, const char *what, int result)
{
	return attest_fail(
		error, ATTEST_FAULT_DEVICE, what, ATTEST_NO_OFFSET, "%s", gnutls_strerror(result));
}

static void clear_issued(struct issued *issued)
{
	gnutls_x509_crt_deinit(issued->certificate);
	gnutls_x509_privkey_deinit(issued->key);
	gnutls_free(issued->der.data);
	issued->certificate = NULL;
	issued->key = NULL;
	issued->der = (gnutls_datum_t){0};
}

void simulated_pki_free(struct simulated_pki *pki)
{
	if (!pki)
		return;
	for (size_t i = 0; i < SIMULATED_PKI_LEVELS; i++)
		clear_issued(&pki->levels[i]);
	free(pki);
}

// --- one certificate

static int generate_key(gnutls_x509_privkey_t *key)
{
	int result = gnutls_x509_privkey_init(key);

	return THEN(result, gnutls_x509_privkey_generate(*key, GNUTLS_PK_ECDSA,
				    GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP384R1), 0));
}

static int set_names(
	gnutls_x509_crt_t certificate, const struct level *level, const struct issued *issued)
{
	char name[256];

	snprintf(name, sizeof(name), "%s%s%s", level->before_identifier, issued->identifier,
		level->after_identifier);
	return gnutls_x509_crt_set_dn(certificate, name, NULL);
}

// Positive, so the first bit is clear (RFC 5280, 4.1.2.2).
static int set_serial(gnutls_x509_crt_t certificate)
{
	uint8_t serial[SERIAL_SIZE];
	int result = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial));

	serial[0] = (serial[0] & 0x3f) | 0x40;
	return THEN(result, gnutls_x509_crt_set_serial(certificate, serial, sizeof(serial)));
}

static int set_key_identifiers(gnutls_x509_crt_t certificate, gnutls_x509_crt_t issuer)
{
	uint8_t identifier[KEY_IDENTIFIER_MAX];
	size_t size = sizeof(identifier);
	int result = gnutls_x509_crt_get_key_id(certificate, 0, identifier, &size);

	result = THEN(result, gnutls_x509_crt_set_subject_key_id(certificate, identifier, size));
	if (!issuer)
		return result;
	size = sizeof(identifier);
	result = THEN(result, gnutls_x509_crt_get_subject_key_id(issuer, identifier, &size, NULL));
	return THEN(result, gnutls_x509_crt_set_authority_key_id(certificate, identifier, size));
}

static int set_authority_extensions(
	gnutls_x509_crt_t certificate, const struct level *level, gnutls_x509_crt_t issuer)
{
	int result = gnutls_x509_crt_set_basic_constraints(certificate, 1, level->path_length);

	result = THEN(result, set_key_identifiers(certificate, issuer));
	result = THEN(result, gnutls_x509_crt_set_key_usage(certificate, level->usage));
	if (!level->crl)
		return result;
	return THEN(result,
		gnutls_x509_crt_set_crl_dist_points(certificate, GNUTLS_SAN_URI, level->crl, 0));
}

// The genuine leaf's key usage is not critical, which gnutls_x509_crt_set_key_usage would make it.
// The bytes are a BIT STRING with digitalSignature and nonRepudiation (RFC 5280, 4.2.1.3).
static int set_leaf_extensions(gnutls_x509_crt_t certificate)
{
	static const uint8_t usage[] = {0x03, 0x02, 0x06, 0xc0};
	int result = gnutls_x509_crt_set_basic_constraints(certificate, 0, -1);

	return THEN(result, gnutls_x509_crt_set_extension_by_oid(
				    certificate, "2.5.29.15", usage, sizeof(usage), 0));
}

static int fill_certificate(
	struct issued *issued, const struct level *level, gnutls_x509_crt_t issuer, time_t now)
{
	gnutls_x509_crt_t certificate = issued->certificate;
	int result = gnutls_x509_crt_set_version(certificate, 3);

	issued->begins = now - level->backdated;
	issued->expires = now + level->lifetime;
	result = THEN(result, gnutls_x509_crt_set_key(certificate, issued->key));
	result = THEN(result, set_serial(certificate));
	result = THEN(result, set_names(certificate, level, issued));
	result = THEN(result, gnutls_x509_crt_set_activation_time(certificate, issued->begins));
	result = THEN(result, gnutls_x509_crt_set_expiration_time(certificate, issued->expires));
	return THEN(result, level->is_authority
				    ? set_authority_extensions(certificate, level, issuer)
				    : set_leaf_extensions(certificate));
}

// The level above signs; the root signs itself.
static bool issue(struct simulated_pki *pki, size_t at, time_t now, struct attest_error *error)
{
	struct issued *issued = &pki->levels[at];
	struct issued *above = at > 0 ? &pki->levels[at - 1] : issued;
	int result;

	clear_issued(issued);
	result = generate_key(&issued->key);
	result = THEN(result, gnutls_x509_crt_init(&issued->certificate));
	result = THEN(result,
		fill_certificate(issued, &levels[at], at > 0 ? above->certificate : NULL, now));
	result = THEN(result, gnutls_x509_crt_sign2(issued->certificate, above->certificate,
				      above->key, GNUTLS_DIG_SHA384, 0));
	result = THEN(result,
		gnutls_x509_crt_export2(issued->certificate, GNUTLS_X509_FMT_DER, &issued->der));
	return result < 0 ? fail_gnutls(error, "simulated PKI", result) : true;
}

// --- the whole

static bool keep_root(struct simulated_pki *pki, const char *directory, struct attest_error *error)
{
	__attribute__((cleanup(directory_unlock))) int lock = simulated_root_lock(directory, error);
	struct issued *root = &pki->levels[0];
	bool is_there;
	int result;

	if (lock < 0 ||
		!simulated_root_read(directory, &root->key, &root->certificate, &is_there, error))
		return false;
	if (!is_there)
		return issue(pki, 0, time(NULL), error) &&
		       simulated_root_write(directory, root->key, root->certificate, error);
	root->expires = gnutls_x509_crt_get_expiration_time(root->certificate);
	result = gnutls_x509_crt_export2(root->certificate, GNUTLS_X509_FMT_DER, &root->der);
	return result < 0 ? fail_gnutls(error, "simulated PKI", result) : true;
}

// Of the genuine form: "i-" and 17 digits for the instance, "-enc" and 16 more for the enclave.
static int make_identifiers(struct simulated_pki *pki)
{
	uint8_t random[33];
	char digits[2 * sizeof(random) + 1];
	int result = gnutls_rnd(GNUTLS_RND_NONCE, random, sizeof(random));

	hex_encode(random, sizeof(random), digits);
	sprintf(pki->levels[1].identifier, "%.16s", digits);
	sprintf(pki->levels[2].identifier, "%.16s", digits + 16);
	sprintf(pki->levels[3].identifier, "i-%.17s", digits + 32);
	sprintf(pki->levels[LEAF].identifier, "i-%.17s-enc%.16s", digits + 32, digits + 49);
	return result;
}

struct simulated_pki *simulated_pki_open(const char *directory, struct attest_error *error)
{
	struct simulated_pki *pki = calloc(1, sizeof(*pki));
	int result;

	if (!pki) {
		attest_fail(error, ATTEST_FAULT_DEVICE, NULL, ATTEST_NO_OFFSET, "out of memory");
		return NULL;
	}
	result = make_identifiers(pki);
	if (result < 0)
		fail_gnutls(error, "random numbers", result);
	else if ((directory ? keep_root(pki, directory, error)
			    : issue(pki, 0, time(NULL), error)) &&
		 simulated_pki_renew(pki, time(NULL), error))
		return pki;
	simulated_pki_free(pki);
	return NULL;
}

const char *simulated_pki_module_id(const struct simulated_pki *pki)
{
	return pki->levels[LEAF].identifier;
}

static long margin(size_t level)
{
	return level < LEAF ? levels[level + 1].lifetime : LEAF_MARGIN;
}

bool simulated_pki_renew(struct simulated_pki *pki, time_t now, struct attest_error *error)
{
	size_t at = 1;

	while (at < SIMULATED_PKI_LEVELS && pki->levels[at].begins <= now &&
		pki->levels[at].expires - now > margin(at))
		at++;
	for (; at < SIMULATED_PKI_LEVELS; at++) {
		if (!issue(pki, at, now, error))
			return false;
	}
	return true;
}

struct bytes simulated_pki_certificate(const struct simulated_pki *pki, size_t level)
{
	const gnutls_datum_t *der = &pki->levels[level].der;

	return (struct bytes){der->data, der->size};
}

// A big-endian number, perhaps with a zero before it or shorter than size, in exactly size bytes.
static bool pad_number(const gnutls_datum_t *number, uint8_t *out, size_t size)
{
	const uint8_t *data = number->data;
	size_t length = number->size;

	while (length > size && *data == 0) {
		data++;
		length--;
	}
	if (length > size)
		return false;
	memset(out, 0, size - length);
	memcpy(out + size - length, data, length);
	return true;
}

static int sign(gnutls_x509_privkey_t key, struct bytes data, gnutls_datum_t *signature)
{
	gnutls_datum_t input = {
		.data = (uint8_t *)(uintptr_t)data.data, .size = (unsigned)data.length};
	gnutls_privkey_t signer;
	int result = gnutls_privkey_init(&signer);

	if (result < 0)
		return result;
	result = gnutls_privkey_import_x509(signer, key, 0);
	result = THEN(result,
		gnutls_privkey_sign_data2(signer, GNUTLS_SIGN_ECDSA_SHA384, 0, &input, signature));
	gnutls_privkey_deinit(signer);
	return result;
}

bool simulated_pki_sign(const struct simulated_pki *pki, struct bytes data,
	uint8_t signature[static DOCUMENT_SIGNATURE_SIZE], struct attest_error *error)
{
	const size_t half = DOCUMENT_SIGNATURE_SIZE / 2;
	gnutls_datum_t der = {0}, r = {0}, s = {0};
	int result = sign(pki->levels[LEAF].key, data, &der);

	result = THEN(result, gnutls_decode_rs_value(&der, &r, &s));
	if (result >= 0 &&
		(!pad_number(&r, signature, half) || !pad_number(&s, signature + half, half)))
		result = GNUTLS_E_PK_SIGN_FAILED;
	gnutls_free(der.data);
	gnutls_free(r.data);
	gnutls_free(s.data);
	return result < 0 ? fail_gnutls(error, "signature", result) : true;
}
