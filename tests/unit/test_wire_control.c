// SPDX-License-Identifier: MIT
#include "wire/control.h"

#include <string.h>

#include <criterion/criterion.h>

static struct address address_of(const char *text)
{
	struct address address;

	cr_assert(address_parse(text, strlen(text), &address, NULL));
	return address;
}

static struct control_answer answer_of(const void *payload, size_t length)
{
	struct control_answer answer = {.length = length};

	memcpy(answer.payload, payload, length);
	return answer;
}

// --- arguments

Test(control, asking_leaves_the_id_and_the_program_alone)
{
	struct request request = {.id = {7}, .program = "p"};

	control_ask_ping(&request);
	cr_assert_eq(request.verb, REQUEST_PING);
	cr_assert_eq(request.argument_length, 0);
	cr_assert_eq(request.id[0], 7);
	cr_assert_str_eq(request.program, "p");
}

Test(control, resolve_carries_a_name)
{
	struct request request = {.verb = 0};
	char name[NAME_SIZE];

	control_ask_resolve(&request, "example.com");
	cr_assert_eq(request.argument_length, 11);
	cr_assert(control_read_resolve(&request, name));
	cr_assert_str_eq(name, "example.com");
}

Test(control, resolve_refuses_a_name_not_in_wire_form_and_another_verb)
{
	struct request request = {.verb = 0};
	char name[NAME_SIZE];

	control_ask_resolve(&request, "Example.com");
	cr_assert_not(control_read_resolve(&request, name));
	control_ask_resolve(&request, "");
	cr_assert_not(control_read_resolve(&request, name));
	char too_long[300];
	for (size_t i = 0; i < sizeof(too_long) - 1; i++)
		too_long[i] = i % 64 == 63 ? '.' : 'z';
	too_long[sizeof(too_long) - 1] = '\0';
	control_ask_resolve(&request, too_long);
	cr_assert_not(control_read_resolve(&request, name), "not cut to another name");
	control_ask_resolve(&request, "a");
	request.verb = REQUEST_GATE;
	cr_assert_not(control_read_resolve(&request, name));
}

Test(control, status_carries_an_id_and_a_wait_flag)
{
	struct request request = {.verb = 0};
	uint8_t id[REQUEST_ID_SIZE] = {1, 2, 3}, back[REQUEST_ID_SIZE];
	bool wait;

	for (int flag = 0; flag <= 1; flag++) {
		control_ask_status(&request, id, flag);
		cr_assert_eq(request.argument_length, 17);
		cr_assert(control_read_status(&request, back, &wait));
		cr_assert_eq(wait, flag);
		cr_assert_eq(memcmp(id, back, sizeof(id)), 0);
	}
	request.argument[16] = 2;
	cr_assert_not(control_read_status(&request, back, &wait));
	request.argument[16] = 1;
	request.argument_length = 16;
	cr_assert_not(control_read_status(&request, back, &wait));
	request.argument_length = 18;
	cr_assert_not(control_read_status(&request, back, &wait));
	request.argument_length = 17;
	request.verb = REQUEST_PING;
	cr_assert_not(control_read_status(&request, back, &wait));
}

Test(control, gate_carries_at_most_a_thousand_milliseconds)
{
	struct request request = {.verb = 0};
	unsigned milliseconds;

	control_ask_gate(&request, 300);
	cr_assert_eq(request.argument[0], 1);
	cr_assert_eq(request.argument[1], 44);
	cr_assert(control_read_gate(&request, &milliseconds));
	cr_assert_eq(milliseconds, 300);
	control_ask_gate(&request, 70000);
	cr_assert(control_read_gate(&request, &milliseconds));
	cr_assert_eq(milliseconds, 1000);

	request.argument[1]++; // 1001
	cr_assert_not(control_read_gate(&request, &milliseconds));
	control_ask_gate(&request, 0);
	request.argument_length = 1;
	cr_assert_not(control_read_gate(&request, &milliseconds));
	request.argument_length = 3;
	cr_assert_not(control_read_gate(&request, &milliseconds));
	control_ask_gate(&request, 0);
	request.verb = REQUEST_STATUS;
	cr_assert_not(control_read_gate(&request, &milliseconds));
}

// --- the frame

Test(control, answers_round_trip_at_every_length)
{
	static const size_t lengths[] = {0, 1, 255, 256, CONTROL_MAX_PAYLOAD};

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct control_answer answer = {.status = CONTROL_BUSY, .length = lengths[i]}, back;
		uint8_t wire[CONTROL_MAX_ANSWER];
		memset(answer.payload, 0x5a, answer.length);
		size_t length = control_encode_answer(&answer, wire);
		cr_expect_eq(length, CONTROL_HEADER_SIZE + lengths[i]);
		cr_expect(control_decode_answer(wire, length, &back, NULL));
		cr_expect_eq(memcmp(&answer, &back, sizeof(back)), 0);
	}
}

Test(control, the_frame_is_version_status_and_a_big_endian_length)
{
	struct control_answer answer = {.status = CONTROL_DENIED, .length = 0x102};
	uint8_t wire[CONTROL_MAX_ANSWER];

	control_encode_answer(&answer, wire);
	cr_assert_eq(memcmp(wire, "\x01\x02\x01\x02", 4), 0);
}

Test(control, malformed_answers_are_refused_where_they_are_wrong)
{
	static const struct {
		const char *bytes;
		size_t length, offset;
	} cases[] = {
		{"", 0, 0},
		{"\x01\x00\x00", 3, 3},
		{"\x02\x00\x00\x00", 4, 0},
		{"\x00\x00\x00\x00", 4, 0},
		{"\x01\x00\x00\x01", 4, 2},
		{"\x01\x00\x00\x01xy", 6, 2},
		{"\x01\x00\x04\x01x", 5, 2},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct control_answer answer;
		struct parse_error error = {.offset = 99};
		cr_expect_not(control_decode_answer(
			(const uint8_t *)cases[i].bytes, cases[i].length, &answer, &error));
		cr_expect_eq(error.offset, cases[i].offset, "%zu: %zu", i, error.offset);
	}
}

// --- payloads

Test(control, texts_round_trip)
{
	struct control_answer answer = {.status = CONTROL_OK};
	char text[32];

	control_put_text(&answer, "airlock-hostd 1.0");
	cr_assert_eq(answer.length, 17);
	cr_assert(control_get_text(&answer, text, sizeof(text)));
	cr_assert_str_eq(text, "airlock-hostd 1.0");
	cr_assert(control_get_text(&answer, text, 18));
	cr_assert_not(control_get_text(&answer, text, 17), "no room for the NUL");
	answer = answer_of("a\x1b", 2);
	cr_assert(control_get_text(&answer, text, sizeof(text)));
	cr_assert_str_eq(text, "a?");
}

Test(control, a_text_over_the_payload_is_cut)
{
	static char text[2 * CONTROL_MAX_PAYLOAD];
	struct control_answer answer = {.status = CONTROL_OK};

	memset(text, 'v', sizeof(text) - 1);
	control_put_text(&answer, text);
	cr_assert_eq(answer.length, CONTROL_MAX_PAYLOAD);
}

Test(control, addresses_round_trip)
{
	struct control_addresses addresses = {.ttl = 300, .count = 3}, back;
	struct control_answer answer = {.status = CONTROL_OK};

	addresses.addresses[0] = address_of("1.2.3.4");
	addresses.addresses[1] = address_of("2001:db8::1");
	addresses.addresses[2] = address_of("5.6.7.8");
	control_put_addresses(&answer, &addresses);
	cr_assert_eq(answer.length, 5 + 5 + 17 + 5);
	cr_assert_eq(memcmp(answer.payload, "\0\0\0\x01\x2c\x04\x01\x02\x03\x04\x06\x20", 12), 0);
	cr_assert(control_get_addresses(&answer, &back));
	cr_assert_eq(memcmp(&addresses, &back, sizeof(back)), 0);
}

Test(control, a_failure_is_its_class_alone)
{
	struct control_addresses addresses = {.failure = OUTCOME_NO_SUCH_NAME, .count = 1}, back;
	struct control_answer answer = {.status = CONTROL_OK};

	control_put_addresses(&answer, &addresses);
	cr_assert_eq(answer.length, 1);
	cr_assert_eq(answer.payload[0], 6);
	cr_assert(control_get_addresses(&answer, &back));
	cr_assert_eq(back.failure, OUTCOME_NO_SUCH_NAME);
	cr_assert_eq(back.count, 0);
}

Test(control, thirty_two_addresses_are_the_most)
{
	struct control_addresses addresses = {.count = CONTROL_MAX_ADDRESSES + 5}, back;
	struct control_answer answer = {.status = CONTROL_OK};

	for (size_t i = 0; i < CONTROL_MAX_ADDRESSES; i++)
		addresses.addresses[i] = address_of("::1");
	control_put_addresses(&answer, &addresses);
	cr_assert_eq(answer.length, 5 + 17 * CONTROL_MAX_ADDRESSES);
	cr_assert(control_get_addresses(&answer, &back));
	cr_assert_eq(back.count, CONTROL_MAX_ADDRESSES);
	memcpy(answer.payload + answer.length, "\x04\x01\x02\x03\x04", 5);
	answer.length += 5;
	cr_assert_not(control_get_addresses(&answer, &back));
}

Test(control, the_ttl_is_bounded_to_a_day_on_both_sides)
{
	struct control_addresses addresses = {.ttl = 86401}, back;
	struct control_answer answer = {.status = CONTROL_OK};

	control_put_addresses(&answer, &addresses);
	cr_assert_eq(memcmp(answer.payload, "\0\0\x01\x51\x80", 5), 0);
	answer = answer_of("\0\xff\xff\xff\xff", 5);
	cr_assert(control_get_addresses(&answer, &back));
	cr_assert_eq(back.ttl, CONTROL_TTL_MAX);
	cr_assert_eq(back.count, 0);
}

Test(control, malformed_addresses_are_refused)
{
	static const struct {
		const char *payload;
		size_t length;
	} cases[] = {
		{"", 0},
		{"\0", 1},
		{"\0\0\0\0", 4},
		{"\x06\0", 2},
		{"\0\0\0\0\0\x04", 6},
		{"\0\0\0\0\0\x04\x01\x02\x03", 9},
		{"\0\0\0\0\0\x05\x01\x02\x03\x04", 10},
		{"\0\0\0\0\0\x00\x01\x02\x03\x04", 10},
		{"\0\0\0\0\0\x06\x01\x02\x03\x04", 10},
		{"\0\0\0\0\0\x04\x01\x02\x03\x04\x06", 11},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct control_answer answer = answer_of(cases[i].payload, cases[i].length);
		struct control_addresses addresses;
		cr_expect_not(control_get_addresses(&answer, &addresses), "%zu", i);
	}
}

Test(control, outcomes_round_trip)
{
	struct outcome outcome = {.text = ""}, back = {.text = ""};
	struct control_answer answer = {.status = CONTROL_OK};

	outcome_set(&outcome, OUTCOME_STAGE_DIAL, OUTCOME_TIMED_OUT, "no answer in %d s", 10);
	control_put_outcome(&answer, &outcome);
	cr_assert_eq(memcmp(answer.payload, "\x03\x02no answer", 11), 0);
	cr_assert(control_get_outcome(&answer, &back));
	cr_assert_eq(back.stage, OUTCOME_STAGE_DIAL);
	cr_assert_eq(back.class, OUTCOME_TIMED_OUT);
	cr_assert_str_eq(back.text, "no answer in 10 s");
}

Test(control, an_outcome_without_text_is_two_bytes)
{
	struct outcome outcome = {.stage = OUTCOME_STAGE_OPEN}, back;
	struct control_answer answer = {.status = CONTROL_OK};

	control_put_outcome(&answer, &outcome);
	cr_assert_eq(answer.length, 2);
	cr_assert(control_get_outcome(&answer, &back));
	cr_assert_str_eq(back.text, "");
	answer.length = 1;
	cr_assert_not(control_get_outcome(&answer, &back));
}

Test(control, outcome_text_is_bounded_and_cleaned)
{
	struct control_answer answer = answer_of("\x03\x01\x1b[2J", 6);
	struct outcome outcome;

	cr_assert(control_get_outcome(&answer, &outcome));
	cr_assert_str_eq(outcome.text, "?[2J");
	memset(answer.payload, 'a', sizeof(answer.payload));
	answer.length = 2 + OUTCOME_TEXT_SIZE - 1;
	cr_assert(control_get_outcome(&answer, &outcome));
	cr_assert_eq(strlen(outcome.text), OUTCOME_TEXT_SIZE - 1);
	answer.length++;
	cr_assert_not(control_get_outcome(&answer, &outcome));
}

Test(control, describe_carries_an_id_and_nothing_else)
{
	uint8_t id[REQUEST_ID_SIZE] = {1, 2, 3}, read[REQUEST_ID_SIZE] = {0};
	struct request request = {.verb = 0};

	control_ask_describe(&request, id);
	cr_assert_eq(request.verb, REQUEST_DESCRIBE);
	cr_assert(control_read_describe(&request, read));
	cr_assert_arr_eq(read, id, sizeof(id));
	request.argument_length--;
	cr_assert_not(control_read_describe(&request, read));
	control_ask_status(&request, id, true);
	cr_assert_not(control_read_describe(&request, read));
}
