// SPDX-License-Identifier: MIT
// GnuTLS looks at a certificate's common name when there is no subjectAltName, takes an address for
// a name where that may help, and a `*` for a part of a label. None is wanted (RFC 9525, section
// 6), so both the library and peer_names.h must find the name.
//
// A resumed session brings no certificate but has the one that was shown when its ticket came.
// Nothing of what makes a chain good changes between two connections but the time, so a good
// verdict about the same chain for the same name and route is kept until the first certificate of
// it ends.
#include "preload/tls/verify.h"

#include <gnutls/crypto.h>
#include <gnutls/ocsp.h>
#include <gnutls/x509.h>
#include <string.h>
#include <time.h>

#include "preload/tls/peer_names.h"

#define PRINTED_SIZE 100 // of what a certificate says about itself

const char *verify_target_format(const struct verify_target *target, char text[static NAME_SIZE])
{
	if (target->name[0] != '\0')
		return strcpy(text, target->name);
	return address_format(&target->address, text);
}

static bool fail(struct outcome *outcome, const char *sentence)
{
	outcome_set(outcome, OUTCOME_STAGE_TLS, OUTCOME_TLS_FAILED, "%s", sentence);
	return false;
}

// --- what the certificate says

static void print_date(time_t when, char text[static 32])
{
	struct tm parts;

	gmtime_r(&when, &parts);
	strftime(text, 32, "%Y-%m-%d %H:%M:%SZ", &parts);
}

// --- the sentences

static bool fail_expired(gnutls_x509_crt_t leaf, struct outcome *outcome)
{
	time_t end = gnutls_x509_crt_get_expiration_time(leaf);
	char date[32];

	if (end >= time(NULL))
		return fail(outcome, "a certificate of the chain has expired");
	print_date(end, date);
	outcome_set(outcome, OUTCOME_STAGE_TLS, OUTCOME_TLS_FAILED, "the certificate expired on %s",
		date);
	return false;
}

static bool fail_not_yet(gnutls_x509_crt_t leaf, struct outcome *outcome)
{
	time_t start = gnutls_x509_crt_get_activation_time(leaf);
	char date[32];

	if (start <= time(NULL))
		return fail(outcome, "a certificate of the chain is not yet valid");
	print_date(start, date);
	outcome_set(outcome, OUTCOME_STAGE_TLS, OUTCOME_TLS_FAILED,
		"the certificate is not yet valid, only from %s on", date);
	return false;
}

static bool fail_unknown_issuer(gnutls_x509_crt_t leaf, struct outcome *outcome)
{
	char issuer[PRINTED_SIZE] = "";
	size_t size = sizeof(issuer);

	if (gnutls_x509_crt_check_issuer(leaf, leaf) == 1)
		return fail(outcome, "the certificate is self-signed and not among the anchors");
	if (gnutls_x509_crt_get_issuer_dn(leaf, issuer, &size) < 0)
		issuer[0] = '\0';
	outcome_set(outcome, OUTCOME_STAGE_TLS, OUTCOME_TLS_FAILED,
		"the certificate has an unknown issuer: %s", issuer);
	return false;
}

// Whose it is matters: the server's own can be replaced by whoever runs it, an issuer's not.
static bool fail_weak(gnutls_x509_crt_t leaf, struct outcome *outcome)
{
	unsigned bits = 0;
	int key = gnutls_x509_crt_get_pk_algorithm(leaf, &bits);
	int signature = gnutls_x509_crt_get_signature_algorithm(leaf);

	if (gnutls_sign_is_secure2(
		    (gnutls_sign_algorithm_t)signature, GNUTLS_SIGN_FLAG_SECURE_FOR_CERTS) &&
		gnutls_pk_bits_to_sec_param((gnutls_pk_algorithm_t)key, bits) >=
			GNUTLS_SEC_PARAM_MEDIUM)
		return fail(outcome, "a weak key or signature above the server's certificate, in "
				     "its chain or among the anchors");
	outcome_set(outcome, OUTCOME_STAGE_TLS, OUTCOME_TLS_FAILED,
		"a weak key or signature: the certificate has %s of %u bits, signed with %s",
		gnutls_pk_algorithm_get_name((gnutls_pk_algorithm_t)key), bits,
		gnutls_sign_get_name((gnutls_sign_algorithm_t)signature));
	return false;
}

static bool fail_wrong_name(
	gnutls_x509_crt_t leaf, const struct verify_target *target, struct outcome *outcome)
{
	char wanted[NAME_SIZE], names[PRINTED_SIZE];
	bool is_name = target->name[0] != '\0';

	verify_target_format(target, wanted);
	if (!peer_names_print(leaf, names, sizeof(names)))
		outcome_set(outcome, OUTCOME_STAGE_TLS, OUTCOME_TLS_FAILED,
			"wrong name: the certificate is not for %.80s, it has no subjectAltName "
			"and a common name does not count",
			wanted);
	else
		outcome_set(outcome, OUTCOME_STAGE_TLS, OUTCOME_TLS_FAILED,
			"wrong name: the certificate is not for %s%.80s but for %s",
			is_name ? "" : "the address (iPAddress) ", wanted, names);
	return false;
}

static bool fail_otherwise(unsigned status, struct outcome *outcome)
{
	gnutls_datum_t text;
	size_t length;

	if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) < 0)
		return fail(outcome, "the certificate is not acceptable");
	length = strlen((const char *)text.data); // it ends in a blank
	if (length > 0 && text.data[length - 1] == ' ')
		text.data[length - 1] = '\0';
	(void)fail(outcome, (const char *)text.data);
	gnutls_free(text.data);
	return false;
}

static bool fail_with_status(unsigned status, gnutls_x509_crt_t leaf,
	const struct verify_target *target, struct outcome *outcome)
{
	if (status & GNUTLS_CERT_SIGNER_NOT_FOUND)
		return fail_unknown_issuer(leaf, outcome);
	if (status & GNUTLS_CERT_INSECURE_ALGORITHM)
		return fail_weak(leaf, outcome);
	if (status & GNUTLS_CERT_EXPIRED)
		return fail_expired(leaf, outcome);
	if (status & GNUTLS_CERT_NOT_ACTIVATED)
		return fail_not_yet(leaf, outcome);
	if (status & GNUTLS_CERT_UNEXPECTED_OWNER)
		return fail_wrong_name(leaf, target, outcome);
	return fail_otherwise(status, outcome);
}

// --- the checks

static int ask_library(
	gnutls_session_t session, const struct verify_target *target, unsigned *status)
{
	char name[NAME_SIZE], purpose[] = GNUTLS_KP_TLS_WWW_SERVER;
	struct address address = target->address;
	gnutls_typed_vdata_st data[] = {
		{.type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)purpose},
		{.type = GNUTLS_DT_DNS_HOSTNAME, .data = (unsigned char *)name},
	};

	strcpy(name, target->name);
	if (name[0] == '\0') {
		data[1].type = GNUTLS_DT_IP_ADDRESS;
		data[1].data = address.bytes;
		data[1].size = address.family == ADDRESS_IPV4 ? 4 : 16;
	}
	return gnutls_certificate_verify_peers(session, data, 2, status);
}

static bool verify_leaf(gnutls_session_t session, gnutls_x509_crt_t leaf,
	const struct verify_target *target, struct outcome *outcome)
{
	unsigned status = GNUTLS_CERT_INVALID;
	int error = ask_library(session, target, &status);

	if (error < 0) {
		outcome_set(outcome, OUTCOME_STAGE_TLS, OUTCOME_TLS_FAILED,
			"the certificate's chain cannot be judged: %s", gnutls_strerror(error));
		return false;
	}
	if (status != 0)
		return fail_with_status(status, leaf, target, outcome);
	return peer_names_include(leaf, target) || fail_wrong_name(leaf, target, outcome);
}

static bool verify_chain(gnutls_session_t session, const struct verify_target *target,
	const struct trust *trust, const gnutls_datum_t *chain, struct outcome *outcome)
{
	gnutls_x509_crt_t leaf;
	bool is_good;

	if (gnutls_x509_crt_init(&leaf) < 0)
		return fail(outcome, "out of memory");
	is_good = gnutls_x509_crt_import(leaf, &chain[0], GNUTLS_X509_FMT_DER) == 0
			  ? verify_leaf(session, leaf, target, outcome)
			  : fail(outcome, "the certificate cannot be read");
	gnutls_x509_crt_deinit(leaf);
	if (is_good && trust->pin_count > 0 && !trust_has_pin(trust, &chain[0]))
		return fail(outcome, "pin mismatch: the certificate's public key is none of the "
				     "route's pins");
	return is_good;
}

// --- verdicts

static bool digest(gnutls_hash_hd_t hash, const void *data, uint32_t length)
{
	return gnutls_hash(hash, &length, sizeof(length)) == 0 &&
	       gnutls_hash(hash, data, length) == 0;
}

bool verify_format_key(const struct verify_target *target, const struct trust *trust,
	const gnutls_datum_t *chain, unsigned count, uint8_t key[static VERDICTS_KEY_SIZE])
{
	gnutls_hash_hd_t hash;
	bool is_done;

	if (gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) < 0)
		return false;
	is_done = digest(hash, &trust, sizeof(trust)) &&
		  digest(hash, target->name, (uint32_t)strlen(target->name)) &&
		  digest(hash, &target->address.family, sizeof(target->address.family)) &&
		  digest(hash, target->address.bytes, sizeof(target->address.bytes));
	for (unsigned i = 0; i < count && is_done; i++)
		is_done = digest(hash, chain[i].data, chain[i].size);
	gnutls_hash_deinit(hash, key);
	return is_done;
}

// A stapled answer is about now: whoever sends one is looked at in full each time.
static bool has_stapled_answer(gnutls_session_t session, unsigned count)
{
	gnutls_datum_t answer;

	for (unsigned i = 0; i < count; i++) {
		if (gnutls_ocsp_status_request_get2(session, i, &answer) == 0)
			return true;
	}
	return false;
}

// The second in which the certificate or the anchor that issued it ends, whichever is first.
static time_t find_end(const gnutls_datum_t *der, const struct trust *trust)
{
	gnutls_x509_crt_t certificate, anchor;
	time_t end = -1;

	if (gnutls_x509_crt_init(&certificate) < 0)
		return end;
	if (gnutls_x509_crt_import(certificate, der, GNUTLS_X509_FMT_DER) == 0) {
		end = gnutls_x509_crt_get_expiration_time(certificate);
		if (gnutls_certificate_get_issuer(trust->credentials, certificate, &anchor, 0) ==
				0 &&
			gnutls_x509_crt_get_expiration_time(anchor) < end)
			end = gnutls_x509_crt_get_expiration_time(anchor);
	}
	gnutls_x509_crt_deinit(certificate);
	return end;
}

static void keep_verdict(struct verdicts *verdicts, const struct trust *trust,
	const gnutls_datum_t *chain, unsigned count, const uint8_t key[static VERDICTS_KEY_SIZE])
{
	time_t first = find_end(&chain[0], trust);

	for (unsigned i = 1; i < count; i++) {
		time_t end = find_end(&chain[i], trust);

		if (end < first)
			first = end;
	}
	verdicts_put(verdicts, key, time(NULL), first);
}

bool verify_peer(gnutls_session_t session, const struct verify_target *target,
	const struct trust *trust, struct verdicts *verdicts, struct outcome *outcome)
{
	unsigned count = 0;
	const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &count);
	uint8_t key[VERDICTS_KEY_SIZE];
	bool has_key;

	if (!chain || count == 0 ||
		gnutls_certificate_type_get2(session, GNUTLS_CTYPE_SERVER) != GNUTLS_CRT_X509)
		return fail(outcome, "the server has shown no certificate");
	has_key = !has_stapled_answer(session, count) &&
		  verify_format_key(target, trust, chain, count, key);
	if (has_key && verdicts_find(verdicts, key, time(NULL)))
		return true;
	if (!verify_chain(session, target, trust, chain, outcome))
		return false;
	if (has_key)
		keep_verdict(verdicts, trust, chain, count, key);
	return true;
}
