// SPDX-License-Identifier: MIT
// What binds an attestation document to one TLS connection and to who made it in which role; making
// such a document, and checking one. README.md, "Attested TLS".
#ifndef AIRLOCK_ATTEST_EVIDENCE_H
#define AIRLOCK_ATTEST_EVIDENCE_H

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stdint.h>

#include "attest/bytes.h"
#include "attest/error.h"
#include "attest/exchange.h"
#include "attest/nsm.h"
#include "attest/verify.h"
#include "wire/compiler.h"

#define EVIDENCE_HASH_SIZE     32 // SHA-256
#define EVIDENCE_EXPORTER_SIZE 32
#define EVIDENCE_USER_DATA     48 // SHA-384

// Labels that are not registered begin like this (RFC 5705, section 4).
#define EVIDENCE_EXPORTER_LABEL "EXPERIMENTAL airlock attested-tls v1"

enum evidence_role {
	EVIDENCE_CLIENT = 1,
	EVIDENCE_SERVER,
};

// As the prover sees it. A key is the SHA-256 of the SubjectPublicKeyInfo in the certificate that
// was shown in this handshake; zeros when none was.
struct evidence_binding {
	enum evidence_role prover;
	uint8_t prover_key[EVIDENCE_HASH_SIZE];
	uint8_t verifier_key[EVIDENCE_HASH_SIZE];
	uint8_t exporter[EVIDENCE_EXPORTER_SIZE]; // the verifier's nonce is its context
};

// SHA-256 of the certificate's SubjectPublicKeyInfo. False when GnuTLS cannot.
bool evidence_hash_key(
	gnutls_x509_crt_t certificate, uint8_t hash[static EVIDENCE_HASH_SIZE]) MUST_CHECK;

// Whether the handshake has agreed on EXCHANGE_PROTOCOL.
bool evidence_is_agreed(gnutls_session_t session);

// From a session whose handshake is over: self is our role in it, prover the one of whose evidence
// it is about; nonce is the verifier's. Fails (REFUSED) unless the session is of TLS 1.3, full (not
// resumed) and for EXCHANGE_PROTOCOL.
bool evidence_bind(gnutls_session_t session, enum evidence_role self, enum evidence_role prover,
	const uint8_t nonce[static EXCHANGE_NONCE_SIZE], struct evidence_binding *binding,
	struct attest_error *error) MUST_CHECK;

// SHA-384("airlock attested-tls v1" || "client" or "server" || prover_key || verifier_key ||
// exporter), each part of fixed size. False when GnuTLS cannot.
bool evidence_user_data(const struct evidence_binding *binding,
	uint8_t user_data[static EVIDENCE_USER_DATA]) MUST_CHECK;

// Asks the NSM for a document about user_data and the verifier's nonce. *document stays valid until
// the next call on this nsm, and is at most DOCUMENT_MAX bytes long.
bool evidence_make(struct nsm *nsm, const uint8_t user_data[static EVIDENCE_USER_DATA],
	const uint8_t nonce[static EXCHANGE_NONCE_SIZE], struct bytes *document,
	struct attest_error *error) MUST_CHECK;

// Verifies the document now, with the policy and the root of trusted (its clock, nonce and time are
// not used), then that it is about user_data and our own nonce. *result is as attest_verify's.
bool evidence_check(struct bytes document, const struct verify_options *trusted,
	const uint8_t user_data[static EVIDENCE_USER_DATA],
	const uint8_t nonce[static EXCHANGE_NONCE_SIZE], struct attest_result **result,
	struct attest_error *error) MUST_CHECK;

#endif
