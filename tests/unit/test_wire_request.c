// SPDX-License-Identifier: MIT
#include "wire/request.h"

#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

static struct address address_of(const char *text)
{
	struct address address;

	cr_assert(address_parse(text, strlen(text), &address, NULL));
	return address;
}

static struct request connect_request(const char *source, const char *destination, const char *name)
{
	struct request request = {
		.verb = REQUEST_CONNECT,
		.flags = 5,
		.program = "curl",
		.source = address_of(source),
		.destination = address_of(destination),
		.source_port = 40000,
		.destination_port = 443,
	};

	for (uint8_t i = 0; i < REQUEST_ID_SIZE; i++)
		request.id[i] = (uint8_t)(0xa0 + i);
	snprintf(request.name, sizeof(request.name), "%s", name);
	return request;
}

static struct request control_request(uint8_t verb, const char *argument)
{
	struct request request = {.verb = verb, .program = "airlock", .id = {1, 2, 3}};

	request.argument_length = strlen(argument);
	memcpy(request.argument, argument, request.argument_length);
	return request;
}

static void assert_round_trip(const struct request *request)
{
	uint8_t wire[REQUEST_SIZE], again[REQUEST_SIZE];
	struct request decoded;
	struct parse_error error = {.reason = ""};

	request_encode(request, wire);
	cr_assert(request_decode(wire, &decoded, &error), "%zu: %s", error.offset, error.reason);
	cr_assert_eq(memcmp(request, &decoded, sizeof(decoded)), 0);
	request_encode(&decoded, again);
	cr_assert_eq(memcmp(wire, again, sizeof(wire)), 0);
}

// --- building requests by hand, so that what is refused can be written at all

struct draft {
	uint8_t bytes[REQUEST_SIZE];
	size_t length;
};

static void add(struct draft *draft, const void *bytes, size_t length)
{
	cr_assert_leq(draft->length + length, sizeof(draft->bytes));
	memcpy(draft->bytes + draft->length, bytes, length);
	draft->length += length;
}

static void add_tlv(struct draft *draft, uint8_t type, const void *value, size_t length)
{
	const uint8_t header[] = {type, (uint8_t)(length >> 8), (uint8_t)length};

	add(draft, header, sizeof(header));
	add(draft, value, length);
}

static void pad(struct draft *draft)
{
	static const uint8_t zeros[REQUEST_SIZE];

	add_tlv(draft, 0x04, zeros, REQUEST_SIZE - draft->length - 3);
}

static const uint8_t some_id[16] = {9};
static const uint8_t some_version[2] = {1, 0};

#define SIGNATURE "\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a"

static struct draft begin_connect(void)
{
	struct draft draft = {.length = 0};

	add(&draft, SIGNATURE "\x21\x11\x03\xf0", 16);
	add(&draft, "\x0a\x00\x00\x01\xc6\x12\x00\x02\x9c\x40\x01\xbb", 12);
	return draft;
}

static struct draft begin_control(void)
{
	struct draft draft = {.length = 0};

	add(&draft, SIGNATURE "\x20\x00\x03\xf0", 16);
	return draft;
}

static void add_mandatory(struct draft *draft)
{
	add_tlv(draft, 0x05, some_id, sizeof(some_id));
	add_tlv(draft, 0xe0, some_version, sizeof(some_version));
}

static void assert_accepted(struct draft *draft, struct request *request)
{
	struct parse_error error = {.reason = ""};

	pad(draft);
	cr_assert(request_decode(draft->bytes, request, &error), "%zu: %s", error.offset,
		error.reason);
}

static void assert_refused(const struct draft *draft, size_t offset)
{
	struct request request;
	struct parse_error error = {.offset = 9999, .reason = ""};

	cr_assert_not(request_decode(draft->bytes, &request, &error));
	cr_expect_eq(error.offset, offset, "%zu: %s", error.offset, error.reason);
	cr_expect_neq(error.reason[0], '\0');
	cr_expect_not(request_decode(draft->bytes, &request, NULL));
}

// --- round trips

Test(request, connects_round_trip)
{
	static const struct {
		const char *source, *destination, *name;
	} cases[] = {
		{"10.0.0.1", "93.184.216.34", ""},
		{"10.0.0.1", "198.18.0.2", "example.com"},
		{"::1", "2001:db8::1", ""},
		{"fd00::1", "fd61:6972:6c6f::7", "a.b"},
		{"::ffff:10.0.0.1", "::ffff:198.18.0.2", "x"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct request request =
			connect_request(cases[i].source, cases[i].destination, cases[i].name);
		assert_round_trip(&request);
	}
}

Test(request, the_longest_name_and_program_fit)
{
	struct request request = connect_request("::1", "2001:db8::1", "");

	for (size_t i = 0; i < NAME_MAX_LENGTH; i++)
		request.name[i] = i % 64 == 63 ? '.' : 'z';
	memcpy(request.program, "fifteen-letters", 16);
	assert_round_trip(&request);
}

Test(request, an_empty_program_round_trips)
{
	struct request request = connect_request("10.0.0.1", "10.0.0.2", "a");

	memset(request.program, 0, sizeof(request.program));
	assert_round_trip(&request);
}

Test(request, control_verbs_round_trip)
{
	struct request ping = control_request(REQUEST_PING, "");
	struct request resolve = control_request(REQUEST_RESOLVE, "example.com");
	struct request unknown = control_request(200, "whatever it is");

	assert_round_trip(&ping);
	assert_round_trip(&resolve);
	assert_round_trip(&unknown);
}

Test(request, the_longest_argument_fits)
{
	struct request request = control_request(9, "");

	request.argument_length = REQUEST_ARGUMENT_SIZE;
	memset(request.argument, 0xee, REQUEST_ARGUMENT_SIZE);
	assert_round_trip(&request);
}

Test(request, a_program_name_without_a_nul_is_cut)
{
	struct request request = connect_request("10.0.0.1", "10.0.0.2", ""), decoded;
	uint8_t wire[REQUEST_SIZE];

	memset(request.program, 'p', sizeof(request.program));
	request_encode(&request, wire);
	cr_assert(request_decode(wire, &decoded, NULL));
	cr_assert_str_eq(decoded.program, "ppppppppppppppp");
}

Test(request, the_bytes_are_those_of_the_proxy_protocol)
{
	struct request request = connect_request("10.0.0.1", "198.18.0.2", "ab");
	uint8_t wire[REQUEST_SIZE];
	static const uint8_t expected[] = SIGNATURE
		"\x21\x11\x03\xf0"
		"\x0a\x00\x00\x01\xc6\x12\x00\x02\x9c\x40\x01\xbb"
		"\x02\x00\x02"
		"ab"
		"\x05\x00\x10\xa0\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xab\xac\xad\xae\xaf"
		"\xe0\x00\x02\x01\x05"
		"\xe2\x00\x04"
		"curl"
		"\x04\x03\xbd";

	request_encode(&request, wire);
	cr_assert_eq(memcmp(wire, expected, sizeof(expected) - 1), 0);
	for (size_t i = sizeof(expected) - 1; i < REQUEST_SIZE; i++)
		cr_assert_eq(wire[i], 0);
}

// --- what is accepted

Test(request, tlvs_may_come_in_any_order)
{
	struct draft draft = begin_connect();
	struct request request;

	add_tlv(&draft, 0xe2, "nc", 2);
	add_tlv(&draft, 0xe0, some_version, 2);
	add_tlv(&draft, 0x04, "", 0);
	add_tlv(&draft, 0x05, some_id, 16);
	add_tlv(&draft, 0x02, "example.com", 11);
	assert_accepted(&draft, &request);
	cr_assert_str_eq(request.name, "example.com");
	cr_assert_str_eq(request.program, "nc");
	cr_assert_eq(request.destination_port, 443);
	cr_assert_eq(request.source_port, 40000);
}

Test(request, unknown_tlvs_are_skipped)
{
	struct draft draft = begin_connect();
	struct request request;

	add_mandatory(&draft);
	add_tlv(&draft, 0x03, "crc!", 4);
	add_tlv(&draft, 0x20, "", 0);
	add_tlv(&draft, 0xff, "future", 6);
	assert_accepted(&draft, &request);
}

Test(request, padding_may_be_several_noops)
{
	struct draft draft = begin_connect();
	struct request request;

	add_mandatory(&draft);
	for (int i = 0; i < 10; i++)
		add_tlv(&draft, 0x04, "xyz", 3);
	assert_accepted(&draft, &request);
}

Test(request, unprintable_program_bytes_become_question_marks)
{
	struct draft draft = begin_connect();
	struct request request;

	add_mandatory(&draft);
	add_tlv(&draft, 0xe2, "a\nb\0c\xff", 6);
	assert_accepted(&draft, &request);
	cr_assert_str_eq(request.program, "a?b?c?");
}

// --- what is refused, and where

Test(request, a_wrong_byte_of_the_header_is_refused_at_its_offset)
{
	for (size_t offset = 0; offset < 16; offset++) {
		struct draft draft = begin_connect();
		add_mandatory(&draft);
		pad(&draft);
		draft.bytes[offset] ^= 0x40;
		assert_refused(&draft, offset);
	}
}

Test(request, commands_and_families_that_are_not_ours_are_refused)
{
	static const struct {
		uint8_t command, family;
		size_t offset;
	} cases[] = {
		{0x11, 0x11, 12}, // version 1
		{0x22, 0x11, 12}, // command 2
		{0x31, 0x11, 12}, // version 3
		{0x21, 0x00, 13}, // PROXY without addresses
		{0x21, 0x12, 13}, // UDP over IPv4
		{0x21, 0x22, 13}, // UDP over IPv6
		{0x21, 0x31, 13}, // unix stream
		{0x20, 0x11, 13}, // LOCAL with addresses
		{0x20, 0x21, 13},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct draft draft = begin_connect();
		add_mandatory(&draft);
		pad(&draft);
		draft.bytes[12] = cases[i].command;
		draft.bytes[13] = cases[i].family;
		assert_refused(&draft, cases[i].offset);
	}
}

Test(request, every_other_length_is_refused)
{
	static const uint16_t lengths[] = {0, 12, 1007, 1009, 1024, 65535};

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct draft draft = begin_connect();
		add_mandatory(&draft);
		pad(&draft);
		draft.bytes[14] = (uint8_t)(lengths[i] >> 8);
		draft.bytes[15] = (uint8_t)lengths[i];
		assert_refused(&draft, lengths[i] >> 8 == 3 ? 15 : 14);
	}
}

Test(request, a_tlv_past_the_end_is_refused)
{
	struct draft draft = begin_connect();

	add_mandatory(&draft);
	size_t start = draft.length;
	pad(&draft);
	draft.bytes[start + 2]++;
	assert_refused(&draft, start);
	draft.bytes[start + 1] = draft.bytes[start + 2] = 0xff;
	assert_refused(&draft, start);
}

Test(request, one_or_two_bytes_after_the_last_tlv_are_refused)
{
	for (size_t left = 1; left <= 2; left++) {
		struct draft draft = begin_connect();
		add_mandatory(&draft);
		size_t start = draft.length, length = REQUEST_SIZE - start - 3 - left;
		pad(&draft);
		draft.bytes[start + 1] = (uint8_t)(length >> 8);
		draft.bytes[start + 2] = (uint8_t)length;
		assert_refused(&draft, REQUEST_SIZE - left);
	}
}

Test(request, an_absent_mandatory_tlv_is_refused)
{
	struct draft draft = begin_connect();
	add_tlv(&draft, 0xe0, some_version, 2);
	pad(&draft);
	assert_refused(&draft, REQUEST_SIZE);

	draft = begin_connect();
	add_tlv(&draft, 0x05, some_id, 16);
	pad(&draft);
	assert_refused(&draft, REQUEST_SIZE);

	draft = begin_control();
	add_mandatory(&draft);
	pad(&draft);
	assert_refused(&draft, REQUEST_SIZE);
}

Test(request, a_duplicate_of_any_tlv_but_noop_is_refused)
{
	static const struct {
		uint8_t type;
		const char *value;
		size_t length;
	} cases[] = {{0x02, "a.b", 3}, {0x05, "0123456789abcdef", 16}, {0xe0, "\x01\x00", 2},
		{0xe2, "nc", 2}, {0x03, "crc!", 4}, {0xff, "", 0}, {0x00, "", 0}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct draft draft = begin_connect();
		bool is_mandatory = cases[i].type == 0x05 || cases[i].type == 0xe0;
		add_mandatory(&draft);
		if (!is_mandatory)
			add_tlv(&draft, cases[i].type, cases[i].value, cases[i].length);
		size_t second = draft.length;
		add_tlv(&draft, cases[i].type, cases[i].value, cases[i].length);
		pad(&draft);
		assert_refused(&draft, second);
	}
}

Test(request, a_duplicate_verb_is_refused)
{
	struct draft draft = begin_control();

	add_mandatory(&draft);
	add_tlv(&draft, 0xe1, "\x01", 1);
	size_t second = draft.length;
	add_tlv(&draft, 0xe1, "\x01", 1);
	pad(&draft);
	assert_refused(&draft, second);
}

Test(request, a_name_not_in_wire_form_is_refused_at_its_byte)
{
	static const struct {
		const char *name;
		size_t offset;
	} cases[] = {
		{"", 0},
		{"Example.com", 0},
		{"exa mple", 3},
		{"a..b", 2},
		{"a.b.", 4},
		{"a/b", 1},
		{"1.2.3.4", 6},
		{"b\xc3\xbc", 1},
		{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct draft draft = begin_connect();
		size_t value = draft.length + 3;
		add_tlv(&draft, 0x02, cases[i].name, strlen(cases[i].name));
		add_mandatory(&draft);
		pad(&draft);
		assert_refused(&draft, value + cases[i].offset);
	}
}

Test(request, a_name_of_254_bytes_is_refused)
{
	struct draft draft = begin_connect();
	char name[254];

	for (size_t i = 0; i < sizeof(name); i++)
		name[i] = i % 64 == 63 ? '.' : 'z';
	add_tlv(&draft, 0x02, name, sizeof(name));
	add_mandatory(&draft);
	pad(&draft);
	assert_refused(&draft, 28 + 3 + 253);
}

Test(request, another_protocol_version_is_refused)
{
	struct draft draft = begin_connect();

	add_tlv(&draft, 0x05, some_id, 16);
	size_t value = draft.length + 3;
	add_tlv(&draft, 0xe0, "\x02\x00", 2);
	pad(&draft);
	assert_refused(&draft, value);
}

Test(request, known_tlvs_of_another_length_are_refused)
{
	static const struct {
		uint8_t type;
		size_t length;
	} cases[] = {
		{0x05, 0}, {0x05, 15}, {0x05, 17}, {0xe0, 0}, {0xe0, 1}, {0xe0, 3}, {0xe2, 16}};
	static const uint8_t value[32] = {1};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct draft draft = begin_connect();
		add_tlv(&draft, cases[i].type, value, cases[i].length);
		pad(&draft);
		assert_refused(&draft, 28);
	}
}

Test(request, a_verb_on_a_connect_is_refused)
{
	struct draft draft = begin_connect();

	add_mandatory(&draft);
	size_t start = draft.length;
	add_tlv(&draft, 0xe1, "\x01", 1);
	pad(&draft);
	assert_refused(&draft, start);
}

Test(request, a_control_request_needs_a_verb_that_is_not_zero_and_has_no_name)
{
	static const struct {
		uint8_t type;
		const char *value;
		size_t length, offset;
	} cases[] = {
		{0xe1, "", 0, 16},
		{0xe1, "\x00\x01", 2, 19},
		{0x02, "a.b", 3, 16},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct draft draft = begin_control();
		add_tlv(&draft, cases[i].type, cases[i].value, cases[i].length);
		add_mandatory(&draft);
		pad(&draft);
		assert_refused(&draft, cases[i].offset);
	}
}

Test(request, an_argument_over_256_bytes_is_refused)
{
	static const uint8_t value[1 + REQUEST_ARGUMENT_SIZE + 1] = {1};
	struct draft draft = begin_control();

	add_tlv(&draft, 0xe1, value, sizeof(value));
	add_mandatory(&draft);
	pad(&draft);
	assert_refused(&draft, 16);
}

Test(request, garbage_is_known_by_its_first_wrong_byte)
{
	struct draft draft = begin_connect();

	add_mandatory(&draft);
	pad(&draft);
	for (size_t length = 0; length <= 20; length++)
		cr_expect(request_may_begin(draft.bytes, length), "%zu", length);
	cr_expect(request_may_begin(draft.bytes, REQUEST_SIZE));
	for (size_t offset = 0; offset < 16; offset++) {
		uint8_t bytes[REQUEST_SIZE];
		memcpy(bytes, draft.bytes, sizeof(bytes));
		bytes[offset] ^= 0x80;
		cr_expect(request_may_begin(bytes, offset), "%zu", offset);
		cr_expect_not(request_may_begin(bytes, offset + 1), "%zu", offset);
		cr_expect_not(request_may_begin(bytes, REQUEST_SIZE), "%zu", offset);
	}
	cr_expect_not(request_may_begin((const uint8_t *)"GET / HTTP/1.1", 14));
}

// --- ids

Test(request, ids_round_trip_as_hex)
{
	uint8_t id[REQUEST_ID_SIZE], back[REQUEST_ID_SIZE];
	char text[REQUEST_ID_TEXT_SIZE];

	for (uint8_t i = 0; i < REQUEST_ID_SIZE; i++)
		id[i] = (uint8_t)(i * 17);
	cr_assert_str_eq(request_id_format(id, text), "00112233445566778899aabbccddeeff");
	cr_assert(request_id_parse(text, 32, back));
	cr_assert_eq(memcmp(id, back, sizeof(id)), 0);
	cr_assert(request_id_parse("00112233445566778899AABBCCDDEEFF", 32, back));
	cr_assert_eq(memcmp(id, back, sizeof(id)), 0);
}

Test(request, ids_of_another_form_are_refused)
{
	uint8_t id[REQUEST_ID_SIZE];

	cr_assert_not(request_id_parse("", 0, id));
	cr_assert_not(request_id_parse("00112233445566778899aabbccddeef", 31, id));
	cr_assert_not(request_id_parse("00112233445566778899aabbccddeeff0", 33, id));
	cr_assert_not(request_id_parse("0011223344556677-899aabbccddeeff", 32, id));
	cr_assert_not(request_id_parse("00112233445566778899aabbccddeefg", 32, id));
}
