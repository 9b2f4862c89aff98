// SPDX-License-Identifier: MIT
// The 1024 bytes that open a stream: a PROXY protocol v2 header (HAProxy's proxy-protocol.txt,
// section 2.2) padded with PP2_TYPE_NOOP. wire/README.md has the table of fields.
#ifndef AIRLOCK_WIRE_REQUEST_H
#define AIRLOCK_WIRE_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/address.h"
#include "wire/compiler.h"
#include "wire/name.h"
#include "wire/parse.h"

#define REQUEST_SIZE          1024
#define REQUEST_VERSION       1
#define REQUEST_ID_SIZE       16
#define REQUEST_ID_TEXT_SIZE  (2 * REQUEST_ID_SIZE + 1)
#define REQUEST_PROGRAM_SIZE  16  // 15 bytes and a NUL
#define REQUEST_ARGUMENT_SIZE 256 // of a control verb, in bytes

enum request_verb {
	REQUEST_CONNECT = 0, // PROXY command: not a verb on the wire
	REQUEST_PING = 1,
	REQUEST_RESOLVE = 2,
	REQUEST_STATUS = 3,
	REQUEST_GATE = 4,
	REQUEST_DESCRIBE = 5, // answered by airlock-tls only
};

struct request {
	uint8_t verb; // enum request_verb; decoded as it came, so that an unknown one can be
		      // answered
	uint8_t flags;
	uint8_t id[REQUEST_ID_SIZE];
	char program[REQUEST_PROGRAM_SIZE]; // printable ASCII (others become '?'), may be empty,
					    // never trusted

	// REQUEST_CONNECT only. Both addresses are of one family.
	struct address source;
	struct address destination;
	uint16_t source_port; // host order
	uint16_t destination_port;
	char name[NAME_SIZE]; // wire form; empty when the program asked for an address

	// control verbs only
	uint8_t argument[REQUEST_ARGUMENT_SIZE];
	size_t argument_length;
};

// Writes exactly REQUEST_SIZE bytes. The request must be valid (a connect has two addresses of
// one family; a longer program name is cut): it is the caller's own, not input.
void request_encode(const struct request *request, uint8_t out[static REQUEST_SIZE]);

// Refuses, with the offset: bad signature, version, family, length; a TLV past the end; a
// mandatory TLV that is absent; a duplicate of any TLV but NOOP; a name not in wire form; an
// argument on a connect, none on a control request; a version other than REQUEST_VERSION. Unknown
// TLVs are skipped.
bool request_decode(const uint8_t in[static REQUEST_SIZE], struct request *request,
	struct parse_error *error) MUST_CHECK;

// True while the length bytes at in could still become a request: lets a listener refuse
// garbage at its first wrong byte instead of waiting for 1024.
bool request_may_begin(const uint8_t *in, size_t length);

// 32 hex digits and a NUL. Returns text.
const char *request_id_format(
	const uint8_t id[static REQUEST_ID_SIZE], char text[static REQUEST_ID_TEXT_SIZE]);
bool request_id_parse(
	const char *text, size_t length, uint8_t id[static REQUEST_ID_SIZE]) MUST_CHECK;

#endif
