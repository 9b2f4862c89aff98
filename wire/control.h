// SPDX-License-Identifier: MIT
// Arguments and answers of the control verbs. An answer is
// version (1 byte) | status (1) | length (2, big endian) | payload, and the stream closes.
#ifndef AIRLOCK_WIRE_CONTROL_H
#define AIRLOCK_WIRE_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/address.h"
#include "wire/compiler.h"
#include "wire/outcome.h"
#include "wire/parse.h"
#include "wire/request.h"

#define CONTROL_VERSION       1
#define CONTROL_HEADER_SIZE   4
#define CONTROL_MAX_PAYLOAD   1024
#define CONTROL_MAX_ANSWER    (CONTROL_HEADER_SIZE + CONTROL_MAX_PAYLOAD)
#define CONTROL_MAX_ADDRESSES 32   // more are dropped by the encoder
#define CONTROL_MAX_GATE_MS   1000 // GATE holds at most this long
#define CONTROL_TTL_MAX       86400

enum control_status {
	CONTROL_OK = 0,
	CONTROL_MALFORMED = 1,
	CONTROL_DENIED = 2,
	CONTROL_UNKNOWN_VERB = 3,
	CONTROL_BUSY = 4,
};

struct control_answer {
	enum control_status status;
	size_t length;
	uint8_t payload[CONTROL_MAX_PAYLOAD];
};

// RESOLVE's payload. On the wire: a class byte (enum outcome_class, 0 = found), then when found the
// TTL (4 bytes, big endian, seconds) and per address its family (one byte, 4 or 6) and 4 or 16
// bytes.
struct control_addresses {
	enum outcome_class failure; // OUTCOME_NONE, or NO_SUCH_NAME, TRY_AGAIN, INTERNAL
	uint32_t ttl;
	size_t count;
	struct address addresses[CONTROL_MAX_ADDRESSES];
};

// Fill verb and argument; the caller fills id and program. Milliseconds are cut to
// CONTROL_MAX_GATE_MS; a name that is too long stays so and is refused by the reader.
void control_ask_ping(struct request *request);
void control_ask_resolve(struct request *request, const char *name);
void control_ask_status(
	struct request *request, const uint8_t id[static REQUEST_ID_SIZE], bool wait);
void control_ask_gate(struct request *request, unsigned milliseconds);
void control_ask_describe(struct request *request, const uint8_t id[static REQUEST_ID_SIZE]);

// Read a control request's argument. name must have NAME_SIZE bytes.
bool control_read_resolve(const struct request *request, char name[static NAME_SIZE]) MUST_CHECK;
bool control_read_status(
	const struct request *request, uint8_t id[static REQUEST_ID_SIZE], bool *wait) MUST_CHECK;
bool control_read_gate(const struct request *request, unsigned *milliseconds) MUST_CHECK;
bool control_read_describe(
	const struct request *request, uint8_t id[static REQUEST_ID_SIZE]) MUST_CHECK;

// Returns the bytes written to out. answer->length is at most CONTROL_MAX_PAYLOAD.
size_t control_encode_answer(
	const struct control_answer *answer, uint8_t out[static CONTROL_MAX_ANSWER]);

// Decodes a whole answer. Returns false for a wrong version or a length that is not what came.
bool control_decode_answer(const uint8_t *in, size_t length, struct control_answer *answer,
	struct parse_error *error) MUST_CHECK;

// Payloads. put fills payload and length from the start and leaves the status alone; text that does
// not fit is cut. get refuses a payload that is not exactly of its form; an unknown class or stage
// is passed on as the number that came, and what is not printable ASCII becomes '?'.
void control_put_text(struct control_answer *answer, const char *text); // PING, DESCRIBE
void control_put_addresses(
	struct control_answer *answer, const struct control_addresses *addresses);
void control_put_outcome(struct control_answer *answer, const struct outcome *outcome);
bool control_get_text(const struct control_answer *answer, char *text, size_t size) MUST_CHECK;
bool control_get_addresses(
	const struct control_answer *answer, struct control_addresses *addresses) MUST_CHECK;
bool control_get_outcome(const struct control_answer *answer, struct outcome *outcome) MUST_CHECK;

#endif
