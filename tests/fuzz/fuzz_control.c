// SPDX-License-Identifier: MIT
// The first byte of the input chooses: an answer frame with its payloads, or a control verb's
// argument. What decodes must come back the same from its own encoding.
#include "wire/control.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check_addresses(const struct control_answer *answer)
{
	struct control_addresses addresses, again;
	struct control_answer encoded = {.status = CONTROL_OK};

	if (!control_get_addresses(answer, &addresses))
		return;
	require(addresses.count <= CONTROL_MAX_ADDRESSES && addresses.ttl <= CONTROL_TTL_MAX);
	control_put_addresses(&encoded, &addresses);
	require(encoded.length == answer->length);
	require(control_get_addresses(&encoded, &again));
	require(memcmp(&addresses, &again, sizeof(again)) == 0);
}

static void check_outcome(const struct control_answer *answer)
{
	struct outcome outcome, again;
	struct control_answer encoded = {.status = CONTROL_OK};

	if (!control_get_outcome(answer, &outcome))
		return;
	require(outcome_class_name(outcome.class) && outcome_stage_name(outcome.stage));
	control_put_outcome(&encoded, &outcome);
	require(encoded.length == answer->length);
	require(control_get_outcome(&encoded, &again));
	require(outcome.stage == again.stage && outcome.class == again.class);
	require(strcmp(outcome.text, again.text) == 0);
}

static void check_text(const struct control_answer *answer)
{
	char text[CONTROL_MAX_PAYLOAD + 1], again[CONTROL_MAX_PAYLOAD + 1];
	struct control_answer encoded = {.status = CONTROL_OK};

	require(control_get_text(answer, text, sizeof(text)));
	control_put_text(&encoded, text);
	require(encoded.length == answer->length);
	require(control_get_text(&encoded, again, sizeof(again)));
	require(strcmp(text, again) == 0);
}

static void check_answer(const uint8_t *data, size_t size)
{
	struct control_answer answer, again;
	struct parse_error error;
	uint8_t wire[CONTROL_MAX_ANSWER];

	if (!control_decode_answer(data, size, &answer, &error)) {
		require(error.offset <= size);
		return;
	}
	size_t length = control_encode_answer(&answer, wire);
	require(length == size && memcmp(wire, data, length) == 0);
	require(control_decode_answer(wire, length, &again, NULL));
	require(memcmp(&answer, &again, sizeof(again)) == 0);
	check_addresses(&answer);
	check_outcome(&answer);
	check_text(&answer);
}

static void check_argument(uint8_t verb, const uint8_t *data, size_t size)
{
	struct request request = {.verb = verb}, again = {.verb = 0};
	char name[NAME_SIZE];
	uint8_t id[REQUEST_ID_SIZE];
	unsigned milliseconds;
	bool wait;

	request.argument_length = size < REQUEST_ARGUMENT_SIZE ? size : REQUEST_ARGUMENT_SIZE;
	memcpy(request.argument, data, request.argument_length);
	if (control_read_resolve(&request, name))
		control_ask_resolve(&again, name);
	else if (control_read_status(&request, id, &wait))
		control_ask_status(&again, id, wait);
	else if (control_read_gate(&request, &milliseconds))
		control_ask_gate(&again, milliseconds);
	else
		return;
	require(memcmp(&request, &again, sizeof(again)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] == 0)
		check_answer(data + 1, size - 1);
	else
		check_argument(data[0], data + 1, size - 1);
	return 0;
}
