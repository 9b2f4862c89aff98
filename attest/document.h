// SPDX-License-Identifier: MIT
// The parts of an attestation document, as found: nothing here has been verified. Only verify.c and
// `airlock-attest show` use it; everybody else gets a struct attest_result from attest_verify().
#ifndef AIRLOCK_ATTEST_DOCUMENT_H
#define AIRLOCK_ATTEST_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/bytes.h"
#include "attest/error.h"
#include "wire/compiler.h"

#define DOCUMENT_PAYLOAD_MAX     16384
#define DOCUMENT_MAX             (DOCUMENT_PAYLOAD_MAX + 128) // its COSE envelope is about 110 bytes
#define DOCUMENT_SIGNATURE_SIZE  96
#define DOCUMENT_PCRS            32
#define DOCUMENT_PCR_SIZE        48
#define DOCUMENT_CABUNDLE_MAX    8
#define DOCUMENT_CERTIFICATE_MAX 1024
#define DOCUMENT_FIELD_MAX       1024 // user_data, nonce, public_key

// All views point into the document's bytes.
struct document {
	const uint8_t *start;          // of them
	struct bytes protected_header; // the content of the byte string
	struct bytes payload;
	struct bytes signature; // r || s
	struct bytes module_id; // printable ASCII
	uint64_t timestamp;     // milliseconds since the epoch
	size_t timestamp_offset;
	const uint8_t *pcrs[DOCUMENT_PCRS]; // DOCUMENT_PCR_SIZE bytes each, NULL where absent
	struct bytes certificate;
	size_t cabundle_count;                        // 1 to DOCUMENT_CABUNDLE_MAX
	struct bytes cabundle[DOCUMENT_CABUNDLE_MAX]; // root first
	struct bytes public_key;
	struct bytes user_data;
	struct bytes nonce;
};

// Checks 1 to 9 (README.md), in that order, without allocating. Of check 9 the sizes and counts and
// that each certificate is exactly one DER object by its outermost length. MALFORMED is what is no
// attestation document, REFUSED (check 6) a well formed one of something else than an enclave, and
// *document is all zero then. Offsets in *error and all views are relative to data.
bool document_parse(const void *data, size_t length, struct document *document,
	struct attest_error *error) MUST_CHECK;

// Where the content of a view begins; ATTEST_NO_OFFSET when it is absent.
size_t document_offset(const struct document *document, const uint8_t *view);

// COSE's Sig_structure ["Signature1", protected, h'', payload] (RFC 9052 4.4), which is what is
// signed: written to out, whose size must be at least DOCUMENT_MAX. Returns the bytes written.
size_t document_signed_bytes(const struct document *document, uint8_t *out, size_t size);

#endif
