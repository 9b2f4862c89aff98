// SPDX-License-Identifier: MIT
// Arguments are read by hostd, from an enclave; answers by the enclave, from a parent that it does
// not trust. Both sides therefore check lengths exactly, bound counts and TTLs, and clean text.
#include "wire/control.h"

#include <string.h>

// --- arguments

static void ask(
	struct request *request, enum request_verb verb, const void *argument, size_t length)
{
	memset(request->argument, 0, sizeof(request->argument));
	request->verb = (uint8_t)verb;
	request->argument_length = length;
	memcpy(request->argument, argument, length);
}

void control_ask_ping(struct request *request)
{
	ask(request, REQUEST_PING, "", 0);
}

void control_ask_resolve(struct request *request, const char *name)
{
	ask(request, REQUEST_RESOLVE, name, strnlen(name, REQUEST_ARGUMENT_SIZE));
}

void control_ask_status(
	struct request *request, const uint8_t id[static REQUEST_ID_SIZE], bool wait)
{
	uint8_t argument[REQUEST_ID_SIZE + 1];

	memcpy(argument, id, REQUEST_ID_SIZE);
	argument[REQUEST_ID_SIZE] = wait;
	ask(request, REQUEST_STATUS, argument, sizeof(argument));
}

void control_ask_gate(struct request *request, unsigned milliseconds)
{
	unsigned bounded = milliseconds < CONTROL_MAX_GATE_MS ? milliseconds : CONTROL_MAX_GATE_MS;
	const uint8_t argument[] = {(uint8_t)(bounded >> 8), (uint8_t)bounded};

	ask(request, REQUEST_GATE, argument, sizeof(argument));
}

void control_ask_describe(struct request *request, const uint8_t id[static REQUEST_ID_SIZE])
{
	ask(request, REQUEST_DESCRIBE, id, REQUEST_ID_SIZE);
}

bool control_read_resolve(const struct request *request, char name[static NAME_SIZE])
{
	const char *argument = (const char *)request->argument;

	if (request->verb != REQUEST_RESOLVE ||
		!name_is_wire_form(argument, request->argument_length, NULL))
		return false;
	memcpy(name, argument, request->argument_length);
	name[request->argument_length] = '\0';
	return true;
}

bool control_read_status(
	const struct request *request, uint8_t id[static REQUEST_ID_SIZE], bool *wait)
{
	uint8_t flag = request->argument[REQUEST_ID_SIZE];

	if (request->verb != REQUEST_STATUS || request->argument_length != REQUEST_ID_SIZE + 1 ||
		flag > 1)
		return false;
	memcpy(id, request->argument, REQUEST_ID_SIZE);
	*wait = flag;
	return true;
}

bool control_read_gate(const struct request *request, unsigned *milliseconds)
{
	unsigned asked = (unsigned)request->argument[0] << 8 | request->argument[1];

	if (request->verb != REQUEST_GATE || request->argument_length != 2 ||
		asked > CONTROL_MAX_GATE_MS)
		return false;
	*milliseconds = asked;
	return true;
}

bool control_read_describe(const struct request *request, uint8_t id[static REQUEST_ID_SIZE])
{
	if (request->verb != REQUEST_DESCRIBE || request->argument_length != REQUEST_ID_SIZE)
		return false;
	memcpy(id, request->argument, REQUEST_ID_SIZE);
	return true;
}

// --- the frame

size_t control_encode_answer(
	const struct control_answer *answer, uint8_t out[static CONTROL_MAX_ANSWER])
{
	out[0] = CONTROL_VERSION;
	out[1] = (uint8_t)answer->status;
	out[2] = (uint8_t)(answer->length >> 8);
	out[3] = (uint8_t)answer->length;
	memcpy(out + CONTROL_HEADER_SIZE, answer->payload, answer->length);
	return CONTROL_HEADER_SIZE + answer->length;
}

bool control_decode_answer(
	const uint8_t *in, size_t length, struct control_answer *answer, struct parse_error *error)
{
	if (length < CONTROL_HEADER_SIZE)
		return parse_fail(error, length, "an answer cut off in its header");
	if (in[0] != CONTROL_VERSION)
		return parse_fail(error, 0, "answer version %d, not %d", in[0], CONTROL_VERSION);

	size_t payload_length = (size_t)in[2] << 8 | in[3];
	if (payload_length > CONTROL_MAX_PAYLOAD)
		return parse_fail(error, 2, "a payload over %d bytes", CONTROL_MAX_PAYLOAD);
	if (payload_length != length - CONTROL_HEADER_SIZE)
		return parse_fail(error, 2, "a payload of %zu bytes where %zu are announced",
			length - CONTROL_HEADER_SIZE, payload_length);
	memset(answer, 0, sizeof(*answer));
	answer->status = in[1];
	answer->length = payload_length;
	memcpy(answer->payload, in + CONTROL_HEADER_SIZE, payload_length);
	return true;
}

// --- payloads

// Cut to what is left of the payload.
static void put_bytes(struct control_answer *answer, const void *bytes, size_t length)
{
	size_t space = CONTROL_MAX_PAYLOAD - answer->length;
	size_t used = length < space ? length : space;

	memcpy(answer->payload + answer->length, bytes, used);
	answer->length += used;
}

static void put_byte(struct control_answer *answer, uint8_t byte)
{
	put_bytes(answer, &byte, 1);
}

static uint32_t bounded_ttl(uint32_t ttl)
{
	return ttl < CONTROL_TTL_MAX ? ttl : CONTROL_TTL_MAX;
}

static size_t address_size(unsigned family)
{
	return family == ADDRESS_IPV4 ? 4 : 16;
}

void control_put_text(struct control_answer *answer, const char *text)
{
	answer->length = 0;
	put_bytes(answer, text, strlen(text));
}

void control_put_addresses(struct control_answer *answer, const struct control_addresses *addresses)
{
	uint32_t ttl = bounded_ttl(addresses->ttl);
	const uint8_t ttl_bytes[] = {
		(uint8_t)(ttl >> 24), (uint8_t)(ttl >> 16), (uint8_t)(ttl >> 8), (uint8_t)ttl};

	answer->length = 0;
	put_byte(answer, (uint8_t)addresses->failure);
	if (addresses->failure != OUTCOME_NONE)
		return;
	put_bytes(answer, ttl_bytes, sizeof(ttl_bytes));
	for (size_t i = 0; i < addresses->count && i < CONTROL_MAX_ADDRESSES; i++) {
		const struct address *address = &addresses->addresses[i];
		put_byte(answer, (uint8_t)address->family);
		put_bytes(answer, address->bytes, address_size(address->family));
	}
}

void control_put_outcome(struct control_answer *answer, const struct outcome *outcome)
{
	answer->length = 0;
	put_byte(answer, (uint8_t)outcome->stage);
	put_byte(answer, (uint8_t)outcome->class);
	put_bytes(answer, outcome->text, strnlen(outcome->text, OUTCOME_TEXT_SIZE - 1));
}

bool control_get_text(const struct control_answer *answer, char *text, size_t size)
{
	if (answer->length >= size)
		return false;
	parse_copy_printable(text, size, answer->payload, answer->length);
	return true;
}

// One address at *offset. Returns false for an unknown family or when it runs past the end.
static bool get_address(
	const struct control_answer *answer, size_t *offset, struct address *address)
{
	unsigned family = answer->payload[*offset];
	size_t size = address_size(family);

	if ((family != ADDRESS_IPV4 && family != ADDRESS_IPV6) ||
		size > answer->length - *offset - 1)
		return false;
	address->family = family;
	memcpy(address->bytes, answer->payload + *offset + 1, size);
	*offset += 1 + size;
	return true;
}

bool control_get_addresses(const struct control_answer *answer, struct control_addresses *addresses)
{
	const uint8_t *payload = answer->payload;
	size_t offset = 5;

	memset(addresses, 0, sizeof(*addresses));
	if (answer->length < 1)
		return false;
	addresses->failure = payload[0];
	if (addresses->failure != OUTCOME_NONE)
		return answer->length == 1;
	if (answer->length < offset)
		return false;
	addresses->ttl = bounded_ttl((uint32_t)payload[1] << 24 | (uint32_t)payload[2] << 16 |
				     (uint32_t)payload[3] << 8 | payload[4]);
	while (offset < answer->length) {
		if (addresses->count == CONTROL_MAX_ADDRESSES ||
			!get_address(answer, &offset, &addresses->addresses[addresses->count]))
			return false;
		addresses->count++;
	}
	return true;
}

bool control_get_outcome(const struct control_answer *answer, struct outcome *outcome)
{
	if (answer->length < 2 || answer->length > 2 + OUTCOME_TEXT_SIZE - 1)
		return false;
	outcome->stage = answer->payload[0];
	outcome->class = answer->payload[1];
	parse_copy_printable(
		outcome->text, sizeof(outcome->text), answer->payload + 2, answer->length - 2);
	return true;
}
