// SPDX-License-Identifier: MIT
// HTTP CONNECT (RFC 9110, section 9.3.6; RFC 9112 for the syntax): one request, then one header
// section, read byte by byte so that its last byte is known exactly. Interim (1xx) answers are
// skipped.
//
//     begin -> [request sent] -> status line -> lines ... -> empty line: open, or failed
//
// SOCKS5 (RFC 1928), each step counting its own bytes:
//
//     begin -> [greeting sent] -> METHOD -> [request sent] -> REPLY: open, or failed
#include "hostd/upstream.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static enum upstream_progress fail(
	struct outcome *outcome, enum outcome_class class, const char *reason, unsigned number)
{
	outcome_set(outcome, OUTCOME_STAGE_DIAL, class, "upstream proxy: %s (%u)", reason, number);
	return UPSTREAM_HAS_FAILED;
}

// ---------------------------------------------------------------- HTTP CONNECT

#define HTTP_STATUS_AT  9 // the status code's offset in "HTTP/1.1 200"
#define HTTP_STATUS_END 12

enum http_step {
	HTTP_STATUS_LINE, // received counts from the line's start
	HTTP_LINE,        // on a line that has bytes
	HTTP_LINE_START,  // the next byte is a line's first
	HTTP_LINE_CR,     // after the CR of a line with bytes
	HTTP_EMPTY_CR,    // after the CR of an empty line
	HTTP_END,
	HTTP_BROKEN,
};

static void begin_http(struct upstream_handshake *handshake)
{
	char text[ADDRESS_TEXT_SIZE];
	char host[NAME_SIZE];
	if (handshake->name[0] != '\0')
		snprintf(host, sizeof(host), "%s", handshake->name);
	else if (handshake->address.family == ADDRESS_IPV6)
		snprintf(host, sizeof(host), "[%s]", address_format(&handshake->address, text));
	else
		snprintf(host, sizeof(host), "%s", address_format(&handshake->address, text));
	int length = snprintf((char *)handshake->output, sizeof(handshake->output),
		"CONNECT %s:%u HTTP/1.1\r\nHost: %s:%u\r\n\r\n", host, handshake->port, host,
		handshake->port);
	handshake->output_length = (size_t)length;
}

// "HTTP/1.", a digit, a blank, three digits; what follows is the reason phrase, for nobody.
static enum http_step take_status_byte(
	struct upstream_handshake *handshake, size_t position, uint8_t byte)
{
	static const char form[] = "HTTP/1.";
	bool is_digit = byte >= '0' && byte <= '9';
	if (position < sizeof(form) - 1)
		return byte == form[position] ? HTTP_STATUS_LINE : HTTP_BROKEN;
	if (position == HTTP_STATUS_AT - 1)
		return byte == ' ' ? HTTP_STATUS_LINE : HTTP_BROKEN;
	if (position < HTTP_STATUS_END) {
		if (position >= HTTP_STATUS_AT)
			handshake->status = handshake->status * 10 + (byte - '0');
		return is_digit ? HTTP_STATUS_LINE : HTTP_BROKEN;
	}
	// The byte after the code must end it.
	return byte == ' ' ? HTTP_LINE : byte == '\r' ? HTTP_LINE_CR : HTTP_BROKEN;
}

// A line ends in CR LF or, as RFC 9112 section 2.2 lets a reader accept, in LF alone; a CR
// elsewhere is malformed.
static enum http_step take_line_byte(enum http_step step, uint8_t byte)
{
	switch (step) {
	case HTTP_LINE_CR:
		return byte == '\n' ? HTTP_LINE_START : HTTP_BROKEN;
	case HTTP_EMPTY_CR:
		return byte == '\n' ? HTTP_END : HTTP_BROKEN;
	case HTTP_LINE_START:
		if (byte == '\n')
			return HTTP_END;
		return byte == '\r' ? HTTP_EMPTY_CR : HTTP_LINE;
	default:
		if (byte == '\n')
			return HTTP_LINE_START;
		return byte == '\r' ? HTTP_LINE_CR : HTTP_LINE;
	}
}

static enum upstream_progress judge_http(unsigned status, struct outcome *outcome)
{
	if (status >= 200 && status <= 299)
		return UPSTREAM_IS_OPEN;
	switch (status) {
	case 401:
	case 403:
	case 407:
		return fail(outcome, OUTCOME_DENIED, "denied", status);
	case 502: // the gateway heard a no from the destination
		return fail(outcome, OUTCOME_REFUSED, "bad gateway", status);
	case 503:
		return fail(outcome, OUTCOME_HOST_UNREACHABLE, "unavailable", status);
	case 504:
		return fail(outcome, OUTCOME_TIMED_OUT, "gateway timeout", status);
	default:
		return fail(outcome, OUTCOME_INTERNAL, "unexpected status", status);
	}
}

static enum upstream_progress take_http(struct upstream_handshake *handshake, const uint8_t *input,
	size_t length, size_t *taken, struct outcome *outcome)
{
	for (*taken = 0; *taken < length;) {
		uint8_t byte = input[(*taken)++];
		enum http_step step = handshake->step;
		if (handshake->received == UPSTREAM_MAX_INPUT)
			return fail(
				outcome, OUTCOME_INTERNAL, "endless answer", UPSTREAM_MAX_INPUT);
		if (step == HTTP_STATUS_LINE)
			step = take_status_byte(handshake, handshake->expected++, byte);
		else
			step = take_line_byte(step, byte);
		handshake->received++;
		handshake->step = step;
		if (step == HTTP_BROKEN)
			return fail(outcome, OUTCOME_INTERNAL, "not an HTTP answer, byte",
				(unsigned)handshake->received);
		if (step != HTTP_END)
			continue;
		if (handshake->status / 100 != 1 || handshake->status == 101)
			return judge_http(handshake->status, outcome);
		handshake->step = HTTP_STATUS_LINE;
		handshake->expected = 0;
		handshake->status = 0;
	}
	return UPSTREAM_NEEDS_INPUT;
}

// ---------------------------------------------------------------- SOCKS5

#define SOCKS_VERSION        5
#define SOCKS_NO_AUTH        0
#define SOCKS_CONNECT        1
#define SOCKS_ADDRESS_IPV4   1
#define SOCKS_ADDRESS_DOMAIN 3
#define SOCKS_ADDRESS_IPV6   4

enum socks_step {
	SOCKS_METHOD, // version, method
	SOCKS_REPLY,  // version, code, reserved, address type, bound address, bound port
};

static void begin_socks(struct upstream_handshake *handshake)
{
	static const uint8_t greeting[] = {SOCKS_VERSION, 1, SOCKS_NO_AUTH};
	memcpy(handshake->output, greeting, sizeof(greeting));
	handshake->output_length = sizeof(greeting);
}

static void put_socks_request(struct upstream_handshake *handshake)
{
	uint8_t *at = handshake->output;
	size_t name_length = strlen(handshake->name);
	*at++ = SOCKS_VERSION;
	*at++ = SOCKS_CONNECT;
	*at++ = 0;
	if (name_length > 0) {
		*at++ = SOCKS_ADDRESS_DOMAIN;
		*at++ = (uint8_t)name_length;
		memcpy(at, handshake->name, name_length);
		at += name_length;
	} else {
		bool is_ipv6 = handshake->address.family == ADDRESS_IPV6;
		size_t address_length = is_ipv6 ? 16 : 4;
		*at++ = is_ipv6 ? SOCKS_ADDRESS_IPV6 : SOCKS_ADDRESS_IPV4;
		memcpy(at, handshake->address.bytes, address_length);
		at += address_length;
	}
	*at++ = (uint8_t)(handshake->port >> 8);
	*at++ = (uint8_t)handshake->port;
	handshake->output_length = (size_t)(at - handshake->output);
}

static enum upstream_progress fail_socks_code(unsigned code, struct outcome *outcome)
{
	static const struct {
		enum outcome_class class;
		const char *reason;
	} codes[] = {
		[1] = {OUTCOME_INTERNAL, "general failure"},
		[2] = {OUTCOME_DENIED, "not allowed by its rules"},
		[3] = {OUTCOME_NET_UNREACHABLE, "network unreachable"},
		[4] = {OUTCOME_HOST_UNREACHABLE, "host unreachable"},
		[5] = {OUTCOME_REFUSED, "connection refused"},
		[6] = {OUTCOME_TIMED_OUT, "TTL expired"},
		[7] = {OUTCOME_INTERNAL, "command not supported"},
		[8] = {OUTCOME_INTERNAL, "address type not supported"},
	};
	if (code >= ARRAY_SIZE(codes))
		return fail(outcome, OUTCOME_INTERNAL, "unknown reply", code);
	return fail(outcome, codes[code].class, codes[code].reason, code);
}

static enum upstream_progress take_method_byte(struct upstream_handshake *handshake,
	size_t position, uint8_t byte, struct outcome *outcome)
{
	if (position == 0)
		return UPSTREAM_NEEDS_INPUT;
	if (byte != SOCKS_NO_AUTH)
		return fail(outcome, OUTCOME_DENIED, "wants authentication, method", byte);
	put_socks_request(handshake);
	handshake->step = SOCKS_REPLY;
	handshake->received = 0;
	return UPSTREAM_NEEDS_INPUT;
}

static enum upstream_progress take_reply_byte(struct upstream_handshake *handshake, size_t position,
	uint8_t byte, struct outcome *outcome)
{
	enum { CODE = 1, ADDRESS_TYPE = 3, DOMAIN_LENGTH = 4, PORT_LENGTH = 2 };
	if (position == CODE && byte != 0)
		return fail_socks_code(byte, outcome);
	if (position == ADDRESS_TYPE) {
		handshake->status = byte;
		if (byte == SOCKS_ADDRESS_IPV4)
			handshake->expected = ADDRESS_TYPE + 1 + 4 + PORT_LENGTH;
		else if (byte == SOCKS_ADDRESS_IPV6)
			handshake->expected = ADDRESS_TYPE + 1 + 16 + PORT_LENGTH;
		else if (byte != SOCKS_ADDRESS_DOMAIN)
			return fail(outcome, OUTCOME_INTERNAL, "unknown address type", byte);
	}
	if (position == DOMAIN_LENGTH && handshake->status == SOCKS_ADDRESS_DOMAIN)
		handshake->expected = DOMAIN_LENGTH + 1 + (size_t)byte + PORT_LENGTH;
	if (handshake->expected != 0 && position + 1 == handshake->expected)
		return UPSTREAM_IS_OPEN;
	return UPSTREAM_NEEDS_INPUT;
}

static enum upstream_progress take_socks(struct upstream_handshake *handshake, const uint8_t *input,
	size_t length, size_t *taken, struct outcome *outcome)
{
	enum upstream_progress progress = UPSTREAM_NEEDS_INPUT;
	// New output ends the answer to what was sent before: the proxy cannot have answered that
	// yet.
	for (*taken = 0; *taken < length && handshake->output_length == 0;) {
		uint8_t byte = input[(*taken)++];
		size_t position = handshake->received++;
		if (position == 0 && byte != SOCKS_VERSION)
			return fail(
				outcome, OUTCOME_INTERNAL, "not a SOCKS5 answer, version", byte);
		if (handshake->step == SOCKS_METHOD)
			progress = take_method_byte(handshake, position, byte, outcome);
		else
			progress = take_reply_byte(handshake, position, byte, outcome);
		if (progress != UPSTREAM_NEEDS_INPUT)
			break;
	}
	return progress;
}

// ---------------------------------------------------------------- both

void upstream_begin(struct upstream_handshake *handshake, enum upstream_kind kind, const char *name,
	const struct address *address, uint16_t port)
{
	memset(handshake, 0, sizeof(*handshake));
	handshake->kind = kind;
	handshake->port = port;
	snprintf(handshake->name, sizeof(handshake->name), "%s", name);
	if (name[0] == '\0')
		handshake->address = address_unmap(address);
	if (kind == UPSTREAM_HTTP)
		begin_http(handshake);
	else
		begin_socks(handshake);
}

enum upstream_progress upstream_take(struct upstream_handshake *handshake, const uint8_t *input,
	size_t length, size_t *taken, struct outcome *outcome)
{
	if (handshake->output_length != 0) {
		*taken = length;
		return fail(outcome, OUTCOME_INTERNAL, "answered before it was asked, bytes",
			(unsigned)length);
	}
	if (handshake->kind == UPSTREAM_HTTP)
		return take_http(handshake, input, length, taken, outcome);
	return take_socks(handshake, input, length, taken, outcome);
}
