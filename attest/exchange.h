// SPDX-License-Identifier: MIT
// The frames of attested TLS, and whose turn it is: what two peers say between the end of a TLS 1.3
// handshake and the first application byte. Pure; both sides use it. README.md, "Attested TLS".
//
// A frame is a type (1 byte), the content's length (2 bytes, big endian) and the content:
//
//	1 hello     33 bytes: flags (bit 0: I offer a proof, bit 1: I want one; the others are
//	            zero), a nonce of 32 bytes
//	2 evidence  an attestation document, 1 to DOCUMENT_MAX bytes
//	3 accepted  empty: the evidence has been verified
//
// Each side sends its hello at once. One that offers a proof to one that wants it sends its
// evidence next: it is about the other's nonce. One that wanted it verifies and accepts it, or
// leaves with the alert access_denied. Application bytes follow once a side has accepted what it
// wanted and has been accepted.
#ifndef AIRLOCK_ATTEST_EXCHANGE_H
#define AIRLOCK_ATTEST_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/bytes.h"
#include "attest/document.h"
#include "attest/error.h"
#include "wire/compiler.h"

#define EXCHANGE_PROTOCOL      "airlock-attested-tls/1" // by ALPN (RFC 7301)
#define EXCHANGE_NONCE_SIZE    32
#define EXCHANGE_HEADER_SIZE   3
#define EXCHANGE_HELLO_SIZE    (EXCHANGE_HEADER_SIZE + 1 + EXCHANGE_NONCE_SIZE)
#define EXCHANGE_ACCEPTED_SIZE EXCHANGE_HEADER_SIZE
#define EXCHANGE_FRAME_MAX     (EXCHANGE_HEADER_SIZE + DOCUMENT_MAX)

struct exchange {
	bool offers_proof; // we do
	bool wants_proof;
	uint8_t nonce[EXCHANGE_NONCE_SIZE]; // ours, which the peer's evidence is about
	bool has_hello;                     // the peer's has come; the next two are set then
	bool must_prove;                    // it wants what we offer
	uint8_t peer_nonce[EXCHANGE_NONCE_SIZE];
	bool has_proved;   // our evidence is on its way
	bool is_accepted;  // by the peer
	bool has_evidence; // the peer's has come
	bool has_accepted; // we have accepted it
};

enum exchange_step {
	EXCHANGE_INCOMPLETE, // no whole frame yet
	EXCHANGE_HELLO,      // if it must prove, it knows now about what
	EXCHANGE_EVIDENCE,   // to be verified
	EXCHANGE_ACCEPTED,
	EXCHANGE_REFUSED, // *error says why
};

// nonce is random and has never been used. Writes our hello to out.
void exchange_begin(struct exchange *exchange, bool offers_proof, bool wants_proof,
	const uint8_t nonce[static EXCHANGE_NONCE_SIZE], uint8_t out[static EXCHANGE_HELLO_SIZE]);

// Takes one frame from the beginning of data: *taken bytes, 0 when it is incomplete, of which then
// nothing is kept. *document is EVIDENCE's and points into data. Refused are types and lengths that
// cannot be, by their header already; frames that are not expected; a hello without the proof that
// we want.
enum exchange_step exchange_take(struct exchange *exchange, const uint8_t *data, size_t length,
	size_t *taken, struct bytes *document, struct attest_error *error) MUST_CHECK;

// Whether a frame is still to come. What follows the last one are application bytes.
bool exchange_expects_more(const struct exchange *exchange);

// Whether application bytes may pass.
bool exchange_is_done(const struct exchange *exchange);

// Writes our evidence's frame, which must be due; returns its size. A document is at most
// DOCUMENT_MAX bytes long.
size_t exchange_prove(
	struct exchange *exchange, struct bytes document, uint8_t out[static EXCHANGE_FRAME_MAX]);

// The peer's evidence holds: writes the frame that says so.
void exchange_accept(struct exchange *exchange, uint8_t out[static EXCHANGE_ACCEPTED_SIZE]);

#endif
