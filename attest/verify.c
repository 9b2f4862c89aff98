// SPDX-License-Identifier: MIT
// The 18 checks: 1 to 9 by document.c, 9 to 14 by chain.c, 15 to 17 here, 18 by policy_check.c.
//
// Until check 15 has passed nothing of the payload is known to be true, and only what is needed to
// get there is looked at: its form, its certificates, and with VERIFY_DOCUMENT its timestamp, at
// which the certificates must have been valid. Lying about that timestamp needs the key of a leaf
// that was valid at that time. The result is made after everything has passed.
#include "attest/verify.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <string.h>

#include "attest/chain.h"
#include "attest/policy_check.h"
#include "attest/result.h"

// Milliseconds that an enclave's clock may be ahead of the verifier's.
#define SKEW_MAX 60000

static bool refuse(
	int check, const char *field, size_t offset, struct attest_error *error, const char *reason)
{
	return attest_fail_check(error, check, ATTEST_FAULT_REFUSED, field, offset, "%s", reason);
}

// Milliseconds since the epoch.
static int64_t find_time(const struct verify_options *options, const struct document *document)
{
	struct timespec now;

	switch (options->clock) {
	case VERIFY_DOCUMENT:
		return (int64_t)document->timestamp;
	case VERIFY_STATED:
		return (int64_t)options->stated * 1000;
	case VERIFY_NOW:
		break;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// Check 15.
static bool check_signature(
	const struct document *document, const struct chain *chain, struct attest_error *error)
{
	uint8_t buffer[DOCUMENT_MAX];
	// GnuTLS does not write to what it reads.
	uint8_t *pair = (uint8_t *)(uintptr_t)document->signature.data;
	size_t offset = document_offset(document, pair);
	unsigned half = DOCUMENT_SIGNATURE_SIZE / 2;
	gnutls_datum_t r = {pair, half}, s = {pair + half, half}, signature;
	gnutls_datum_t data = {
		buffer, (unsigned)document_signed_bytes(document, buffer, sizeof(buffer))};
	int rc;

	if (document->signature.length != DOCUMENT_SIGNATURE_SIZE ||
		gnutls_encode_rs_value(&signature, &r, &s) < 0)
		return refuse(15, "signature", offset, error, "not a pair of 48 bytes each");
	rc = gnutls_pubkey_verify_data2(chain_leaf(chain)->public_key,
		GNUTLS_SIGN_ECDSA_SECP384R1_SHA384, 0, &data, &signature);
	gnutls_free(signature.data);
	return rc >= 0 ||
	       refuse(15, "signature", offset, error, "not by the key of the certificate");
}

// Check 16. *age is in milliseconds, and negative when the document's clock is ahead.
static bool check_timestamp(const struct verify_options *options, const struct document *document,
	const struct chain *chain, int64_t now, int64_t *age, struct attest_error *error)
{
	time_t seconds = (time_t)(document->timestamp / 1000);
	size_t offset = document->timestamp_offset;
	uint64_t policy_limit = options->policy ? policy_max_age(options->policy) : 0;

	*age = now - (int64_t)document->timestamp;
	if (seconds < chain_leaf(chain)->not_before || seconds > chain_leaf(chain)->not_after)
		return refuse(
			16, "timestamp", offset, error, "outside the validity of the certificate");
	if (*age < -SKEW_MAX)
		return refuse(
			16, "timestamp", offset, error, "in the future, by more than a minute");
	if (options->clock == VERIFY_DOCUMENT && (policy_limit || options->max_age))
		return refuse(16, "timestamp", offset, error,
			"a maximum age says nothing at the document's own time");
	if ((policy_limit && *age > (int64_t)policy_limit) ||
		(options->max_age && *age > (int64_t)options->max_age))
		return refuse(16, "timestamp", offset, error, "older than the maximum age");
	return true;
}

// Check 17: "i-0123456789abcdef0-enc0123456789abcdef.us-east-1.aws".
static bool check_module_id(
	const struct document *document, const struct chain *chain, struct attest_error *error)
{
	gnutls_x509_crt_t leaf = chain_leaf(chain)->handle;
	const struct bytes *id = &document->module_id;
	char name[256], other[256];
	size_t size = sizeof(name), other_size = sizeof(other);

	if (gnutls_x509_crt_get_dn_by_oid(leaf, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name, &size) <
			0 ||
		gnutls_x509_crt_get_dn_by_oid(leaf, GNUTLS_OID_X520_COMMON_NAME, 1, 0, other,
			&other_size) != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
		return refuse(17, "certificate", chain_leaf(chain)->offset, error,
			"has not exactly one common name");
	if (id->length == 0 || size <= id->length || memcmp(name, id->data, id->length) != 0 ||
		name[id->length] != '.')
		return refuse(17, "module_id", document_offset(document, id->data), error,
			"the certificate's common name does not begin with it and a dot");
	return true;
}

static bool check_all(const void *data, const struct document *document, struct chain *chain,
	const struct verify_options *options, struct attest_result **result,
	struct attest_error *error)
{
	int64_t now = find_time(options, document), age;
	const char *release;

	if (!chain_verify(chain, document, data, options, (time_t)(now / 1000), error) ||
		!check_signature(document, chain, error) ||
		!check_timestamp(options, document, chain, now, &age, error) ||
		!check_module_id(document, chain, error) ||
		!policy_check(options, document, chain, &release, error)) // check 18
		return false;
	*result = result_create(document, chain, policy_is_debug(document), age, release);
	return *result ||
	       attest_fail(error, ATTEST_FAULT_DEVICE, NULL, ATTEST_NO_OFFSET, "out of memory");
}

bool attest_verify(const void *data, size_t length, const struct verify_options *options,
	struct attest_result **result, struct attest_error *error)
{
	struct document document;
	struct chain chain = {0};
	bool is_verified;

	*result = NULL;
	if (!document_parse(data, length, &document, error)) // checks 1 to 9
		return false;
	is_verified = check_all(data, &document, &chain, options, result, error);
	chain_clear(&chain);
	return is_verified;
}
