// SPDX-License-Identifier: MIT
// One certificate of a document, taken apart: its bytes by der.h, its meaning by GnuTLS. Which
// values are accepted is chain.c's business.
#ifndef AIRLOCK_ATTEST_CERTIFICATE_H
#define AIRLOCK_ATTEST_CERTIFICATE_H

#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "attest/bytes.h"
#include "attest/error.h"
#include "wire/compiler.h"

#define CERTIFICATE_EXTENSIONS_MAX 16

struct certificate_extension {
	struct bytes oid; // content of the OBJECT IDENTIFIER
	struct bytes value;
	bool is_critical;
};

// The views point into the bytes that certificate_read was given.
struct certificate {
	char field[16]; // "cabundle[1]", "certificate"
	size_t offset;  // in the document
	struct bytes whole;
	struct bytes version;               // the INTEGER's content; absent in version 1
	struct bytes signed_part;           // TBSCertificate, RFC 5280 4.1
	struct bytes algorithm, algorithm2; // AlgorithmIdentifiers, inside and outside the above
	struct bytes issuer, subject;       // Names
	struct bytes key;                   // SubjectPublicKeyInfo
	struct bytes signature;             // the BIT STRING's bytes
	size_t extension_count;
	struct certificate_extension extensions[CERTIFICATE_EXTENSIONS_MAX];
	time_t not_before, not_after;
	gnutls_x509_crt_t handle;
	gnutls_pubkey_t public_key; // NULL until certificate_load_key
};

// Check 9: strict DER of the shape of RFC 5280, no unique identifiers, at most
// CERTIFICATE_EXTENSIONS_MAX extensions, each once and those of RFC 5280 of one strict DER item,
// and GnuTLS understands it. field and offset of *certificate are set by the caller. Free with
// certificate_clear, also after false.
bool certificate_read(
	struct certificate *certificate, struct bytes der, struct attest_error *error) MUST_CHECK;
void certificate_clear(struct certificate *certificate);

// Check 11: whether key and both algorithms are ECDSA on P-384 with SHA-384, in exactly the bytes
// that RFC 5480 and RFC 5758 give them; loads the public key (a point that is not on the curve is
// refused).
bool certificate_load_key(struct certificate *certificate, struct attest_error *error) MUST_CHECK;

// Whether signature (an ECDSA-Sig-Value) over data is by the loaded key, with SHA-384.
bool certificate_has_signed(
	const struct certificate *issuer, struct bytes data, struct bytes signature) MUST_CHECK;

// By the content of the object identifier; NULL when there is none.
const struct certificate_extension *certificate_find_extension(
	const struct certificate *certificate, struct bytes oid);

// attest_fail_check with the certificate's field and offset and ATTEST_FAULT_REFUSED.
bool certificate_refuse(const struct certificate *certificate, int check,
	struct attest_error *error, const char *format, ...) PRINTF_LIKE(4, 5);

bool bytes_are_equal(struct bytes a, struct bytes b);

#endif
