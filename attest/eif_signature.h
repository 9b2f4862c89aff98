// SPDX-License-Identifier: MIT
// The signature section of an enclave image: who signed its PCR0. Apart from verifying it, making
// one. Source: aws-nitro-enclaves-image-format, src/defs/mod.rs and src/utils/eif_signer.rs.
#ifndef AIRLOCK_ATTEST_EIF_SIGNATURE_H
#define AIRLOCK_ATTEST_EIF_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/bytes.h"
#include "attest/eif.h"
#include "attest/error.h"
#include "wire/compiler.h"

#define EIF_CERTIFICATE_TEXT_MAX 16384
#define EIF_COSE_MAX             1024
// The text as CBOR writes it, two bytes for most of its own, and room for the rest.
#define EIF_SIGNATURE_MAX (2 * (EIF_CERTIFICATE_TEXT_MAX + EIF_COSE_MAX) + 256)

struct eif_signature {
	size_t text_length;
	uint8_t text[EIF_CERTIFICATE_TEXT_MAX]; // PEM
	size_t cose_length;
	uint8_t cose[EIF_COSE_MAX];
	int64_t algorithm; // COSE's: -35 is ES384
	// Views into cose.
	struct bytes protected_header, payload, value;
	// DER, a view into der: the text's first certificate.
	struct bytes certificate;
	uint8_t der[EIF_CERTIFICATE_TEXT_MAX];
};

// Reads the section's CBOR, the COSE_Sign1 in it and the certificate's PEM; verifies nothing. The
// first block of the text must be the certificate, with lines of base64 and nothing else in it;
// what is behind it is not looked at. MALFORMED; offsets are the section's.
bool eif_signature_parse(const struct bytes *section, struct eif_signature *signature,
	struct attest_error *error) MUST_CHECK;

// The certificate's key must have signed this PCR0. REFUSED; MALFORMED for a certificate that
// cannot be read.
bool eif_signature_verify(const struct eif_signature *signature, const uint8_t pcr0[EIF_PCR_SIZE],
	struct attest_error *error) MUST_CHECK;

// Signs a PCR0 with a PEM private key (an EC key on P-256, P-384 or P-521) in the name of a PEM
// certificate, which must be the key's. The section's data goes to *out, which the caller frees.
// The same input gives the same bytes (RFC 6979). USAGE.
bool eif_signature_make(const struct bytes *key_text, const struct bytes *certificate_text,
	const uint8_t pcr0[EIF_PCR_SIZE], uint8_t **out, size_t *length,
	struct attest_error *error) MUST_CHECK;

// PcrInfo, which is what is signed: {"register_index": 0, "register_value": [48 numbers]}.
#define EIF_PCR_INFO_MAX 160
size_t eif_pcr_info(const uint8_t pcr0[EIF_PCR_SIZE], uint8_t out[EIF_PCR_INFO_MAX]);

#endif
