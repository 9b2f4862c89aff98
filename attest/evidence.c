// SPDX-License-Identifier: MIT
// Theory of operation: a document that names only a key says that some enclave knows of that key,
// to whoever shows it, on whatever connection (CVE-2026-33697). So the document here names a value
// that only the two ends of one connection can compute: the exporter of TLS 1.3 (RFC 8446, 7.5),
// which depends on the whole handshake and its secrets. Somebody between two connections has two
// different ones, even with a copy of an end's certificate and key.
//
// The verifier's nonce is in it twice: as the document's nonce, which says that it was made now,
// and as the exporter's context. The role keeps a peer from sending our own evidence back to us.
#include "attest/evidence.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <string.h>

#define PREFIX "airlock attested-tls v1"

#define REFUSE(error, ...)                                                                         \
	attest_fail(error, ATTEST_FAULT_REFUSED, "session", ATTEST_NO_OFFSET, __VA_ARGS__)

// --- binding

bool evidence_hash_key(gnutls_x509_crt_t certificate, uint8_t hash[static EVIDENCE_HASH_SIZE])
{
	gnutls_datum_t encoded = {0};
	gnutls_pubkey_t key = NULL;
	bool is_done = gnutls_pubkey_init(&key) == 0 &&
		       gnutls_pubkey_import_x509(key, certificate, 0) == 0 &&
		       gnutls_pubkey_export2(key, GNUTLS_X509_FMT_DER, &encoded) == 0 &&
		       gnutls_hash_fast(GNUTLS_DIG_SHA256, encoded.data, encoded.size, hash) == 0;

	gnutls_free(encoded.data);
	gnutls_pubkey_deinit(key);
	return is_done;
}

// der NULL: no certificate, zeros.
static bool hash_key_of(const gnutls_datum_t *der, uint8_t hash[static EVIDENCE_HASH_SIZE])
{
	gnutls_x509_crt_t certificate;
	bool is_done;

	memset(hash, 0, EVIDENCE_HASH_SIZE);
	if (!der)
		return true;
	if (gnutls_x509_crt_init(&certificate) < 0)
		return false;
	is_done = gnutls_x509_crt_import(certificate, der, GNUTLS_X509_FMT_DER) == 0 &&
		  evidence_hash_key(certificate, hash);
	gnutls_x509_crt_deinit(certificate);
	return is_done;
}

bool evidence_is_agreed(gnutls_session_t session)
{
	gnutls_datum_t protocol;

	return gnutls_alpn_get_selected_protocol(session, &protocol) == 0 &&
	       protocol.size == strlen(EXCHANGE_PROTOCOL) &&
	       memcmp(protocol.data, EXCHANGE_PROTOCOL, protocol.size) == 0;
}

static bool check_session(gnutls_session_t session, struct attest_error *error)
{
	if (gnutls_protocol_get_version(session) != GNUTLS_TLS1_3)
		return REFUSE(error, "not of TLS 1.3");
	if (gnutls_session_is_resumed(session))
		return REFUSE(error, "resumed");
	if (!evidence_is_agreed(session))
		return REFUSE(error, "not for %s", EXCHANGE_PROTOCOL);
	return true;
}

bool evidence_bind(gnutls_session_t session, enum evidence_role self, enum evidence_role prover,
	const uint8_t nonce[static EXCHANGE_NONCE_SIZE], struct evidence_binding *binding,
	struct attest_error *error)
{
	unsigned count = 0;
	const gnutls_datum_t *peers = gnutls_certificate_get_peers(session, &count);
	bool is_ours = self == prover;

	binding->prover = prover;
	if (!check_session(session, error))
		return false;
	if (!hash_key_of(gnutls_certificate_get_ours(session),
		    is_ours ? binding->prover_key : binding->verifier_key) ||
		!hash_key_of(count > 0 ? peers : NULL,
			is_ours ? binding->verifier_key : binding->prover_key))
		return REFUSE(error, "the certificates' keys cannot be read");
	if (gnutls_prf_rfc5705(session, strlen(EVIDENCE_EXPORTER_LABEL), EVIDENCE_EXPORTER_LABEL,
		    EXCHANGE_NONCE_SIZE, (const char *)nonce, EVIDENCE_EXPORTER_SIZE,
		    (char *)binding->exporter) < 0)
		return REFUSE(error, "has no exporter");
	return true;
}

bool evidence_user_data(
	const struct evidence_binding *binding, uint8_t user_data[static EVIDENCE_USER_DATA])
{
	const char *role = binding->prover == EVIDENCE_CLIENT ? "client" : "server";
	gnutls_hash_hd_t hash;
	bool is_done;

	if (gnutls_hash_init(&hash, GNUTLS_DIG_SHA384) < 0)
		return false;
	is_done = gnutls_hash(hash, PREFIX, strlen(PREFIX)) == 0 &&
		  gnutls_hash(hash, role, strlen(role)) == 0 &&
		  gnutls_hash(hash, binding->prover_key, EVIDENCE_HASH_SIZE) == 0 &&
		  gnutls_hash(hash, binding->verifier_key, EVIDENCE_HASH_SIZE) == 0 &&
		  gnutls_hash(hash, binding->exporter, EVIDENCE_EXPORTER_SIZE) == 0;
	gnutls_hash_deinit(hash, user_data);
	return is_done;
}

// --- making and checking

bool evidence_make(struct nsm *nsm, const uint8_t user_data[static EVIDENCE_USER_DATA],
	const uint8_t nonce[static EXCHANGE_NONCE_SIZE], struct bytes *document,
	struct attest_error *error)
{
	struct nsm_request request = {
		.command = NSM_ATTESTATION,
		.user_data = {user_data, EVIDENCE_USER_DATA},
		.nonce = {nonce, EXCHANGE_NONCE_SIZE},
	};
	struct nsm_response response;

	if (!nsm_call(nsm, &request, &response, error))
		return false;
	if (response.data.length == 0 || response.data.length > DOCUMENT_MAX)
		return attest_fail(error, ATTEST_FAULT_DEVICE, "nsm", ATTEST_NO_OFFSET,
			"a document of %zu bytes", response.data.length);
	*document = response.data;
	return true;
}

bool evidence_check(struct bytes document, const struct verify_options *trusted,
	const uint8_t user_data[static EVIDENCE_USER_DATA],
	const uint8_t nonce[static EXCHANGE_NONCE_SIZE], struct attest_result **result,
	struct attest_error *error)
{
	struct verify_options options = *trusted;
	struct attest_result *verified;
	struct bytes found;

	options.clock = VERIFY_NOW;
	options.nonce = (struct bytes){nonce, EXCHANGE_NONCE_SIZE};
	if (!attest_verify(document.data, document.length, &options, &verified, error))
		return false;
	found = attest_result_user_data(verified);
	if (!found.data || found.length != EVIDENCE_USER_DATA ||
		gnutls_memcmp(found.data, user_data, EVIDENCE_USER_DATA) != 0) {
		attest_result_free(verified);
		return attest_fail(error, ATTEST_FAULT_REFUSED, "user_data", ATTEST_NO_OFFSET,
			"the document is not about this connection");
	}
	*result = verified;
	return true;
}
