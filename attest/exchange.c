// SPDX-License-Identifier: MIT
#include "attest/exchange.h"

#include <string.h>

enum frame_type {
	FRAME_HELLO = 1,
	FRAME_EVIDENCE = 2,
	FRAME_ACCEPTED = 3,
};

enum hello_flag {
	HELLO_OFFERS = 1 << 0,
	HELLO_WANTS = 1 << 1,
};

static const struct {
	const char *name;
	size_t minimum, maximum; // of the content
} types[] = {
	[FRAME_HELLO] = {"hello", 1 + EXCHANGE_NONCE_SIZE, 1 + EXCHANGE_NONCE_SIZE},
	[FRAME_EVIDENCE] = {"evidence", 1, DOCUMENT_MAX},
	[FRAME_ACCEPTED] = {"accepted", 0, 0},
};

static void write_header(enum frame_type type, size_t length, uint8_t *out)
{
	out[0] = (uint8_t)type;
	out[1] = (uint8_t)(length >> 8);
	out[2] = (uint8_t)length;
}

void exchange_begin(struct exchange *exchange, bool offers_proof, bool wants_proof,
	const uint8_t nonce[static EXCHANGE_NONCE_SIZE], uint8_t out[static EXCHANGE_HELLO_SIZE])
{
	*exchange = (struct exchange){.offers_proof = offers_proof, .wants_proof = wants_proof};
	memcpy(exchange->nonce, nonce, EXCHANGE_NONCE_SIZE);
	write_header(FRAME_HELLO, 1 + EXCHANGE_NONCE_SIZE, out);
	out[EXCHANGE_HEADER_SIZE] =
		(uint8_t)((offers_proof ? HELLO_OFFERS : 0) | (wants_proof ? HELLO_WANTS : 0));
	memcpy(out + EXCHANGE_HEADER_SIZE + 1, nonce, EXCHANGE_NONCE_SIZE);
}

static enum exchange_step refuse(
	struct attest_error *error, enum attest_fault fault, const char *field, const char *reason)
{
	attest_fail(error, fault, field, ATTEST_NO_OFFSET, "%s", reason);
	return EXCHANGE_REFUSED;
}

static bool expects(const struct exchange *exchange, enum frame_type type)
{
	switch (type) {
	case FRAME_HELLO:
		return !exchange->has_hello;
	case FRAME_EVIDENCE:
		return exchange->has_hello && exchange->wants_proof && !exchange->has_evidence;
	case FRAME_ACCEPTED:
		return exchange->has_proved && !exchange->is_accepted;
	}
	return false;
}

static enum exchange_step take_hello(
	struct exchange *exchange, const uint8_t *content, struct attest_error *error)
{
	uint8_t flags = content[0];

	if (flags & ~(HELLO_OFFERS | HELLO_WANTS))
		return refuse(error, ATTEST_FAULT_MALFORMED, "hello", "unknown flags");
	if (exchange->wants_proof && !(flags & HELLO_OFFERS))
		return refuse(error, ATTEST_FAULT_REFUSED, "hello",
			"the peer does not offer the proof that is wanted of it");
	exchange->has_hello = true;
	exchange->must_prove = exchange->offers_proof && (flags & HELLO_WANTS);
	memcpy(exchange->peer_nonce, content + 1, EXCHANGE_NONCE_SIZE);
	return EXCHANGE_HELLO;
}

static enum exchange_step take_content(struct exchange *exchange, enum frame_type type,
	struct bytes content, struct bytes *document, struct attest_error *error)
{
	switch (type) {
	case FRAME_HELLO:
		return take_hello(exchange, content.data, error);
	case FRAME_EVIDENCE:
		exchange->has_evidence = true;
		*document = content;
		return EXCHANGE_EVIDENCE;
	case FRAME_ACCEPTED:
		break;
	}
	exchange->is_accepted = true;
	return EXCHANGE_ACCEPTED;
}

enum exchange_step exchange_take(struct exchange *exchange, const uint8_t *data, size_t length,
	size_t *taken, struct bytes *document, struct attest_error *error)
{
	struct bytes content;
	enum frame_type type;

	*taken = 0;
	if (length == 0)
		return EXCHANGE_INCOMPLETE;
	if (data[0] < FRAME_HELLO || data[0] > FRAME_ACCEPTED)
		return refuse(error, ATTEST_FAULT_MALFORMED, "frame", "of an unknown type");
	type = (enum frame_type)data[0];
	if (!expects(exchange, type))
		return refuse(error, ATTEST_FAULT_MALFORMED, types[type].name, "out of turn");
	if (length < EXCHANGE_HEADER_SIZE)
		return EXCHANGE_INCOMPLETE;
	content = (struct bytes){data + EXCHANGE_HEADER_SIZE, (size_t)data[1] << 8 | data[2]};
	if (content.length < types[type].minimum || content.length > types[type].maximum)
		return refuse(error, ATTEST_FAULT_MALFORMED, types[type].name,
			"of a length that it cannot have");
	if (length - EXCHANGE_HEADER_SIZE < content.length)
		return EXCHANGE_INCOMPLETE;
	*taken = EXCHANGE_HEADER_SIZE + content.length;
	return take_content(exchange, type, content, document, error);
}

bool exchange_expects_more(const struct exchange *exchange)
{
	return !exchange->has_hello || (exchange->wants_proof && !exchange->has_evidence) ||
	       (exchange->must_prove && !exchange->is_accepted);
}

bool exchange_is_done(const struct exchange *exchange)
{
	return !exchange_expects_more(exchange) &&
	       (!exchange->wants_proof || exchange->has_accepted);
}

size_t exchange_prove(
	struct exchange *exchange, struct bytes document, uint8_t out[static EXCHANGE_FRAME_MAX])
{
	exchange->has_proved = true;
	write_header(FRAME_EVIDENCE, document.length, out);
	memcpy(out + EXCHANGE_HEADER_SIZE, document.data, document.length);
	return EXCHANGE_HEADER_SIZE + document.length;
}

void exchange_accept(struct exchange *exchange, uint8_t out[static EXCHANGE_ACCEPTED_SIZE])
{
	exchange->has_accepted = true;
	write_header(FRAME_ACCEPTED, 0, out);
}
