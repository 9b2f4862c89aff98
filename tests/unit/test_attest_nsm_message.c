// SPDX-License-Identifier: MIT
#include "attest/nsm_message.h"

#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "tests/unit/support/bytes.h"

static bool is_same_view(struct bytes a, struct bytes b)
{
	return !a.data == !b.data && a.length == b.length &&
	       (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

static void assert_encoding(const uint8_t *out, size_t length, struct bytes expected, size_t row)
{
	cr_assert_eq(length, expected.length, "row %zu: %zu bytes", row, length);
	cr_assert_eq(memcmp(out, expected.data, length), 0, "row %zu", row);
}

// --- requests

static const struct {
	struct bytes encoded;
	struct nsm_request request;
} requests[] = {
	{BYTES("\x6B"
	       "DescribeNSM"),
		{.command = NSM_DESCRIBE_NSM}},
	{BYTES("\x69"
	       "GetRandom"),
		{.command = NSM_GET_RANDOM}},
	{BYTES("\xA1\x6B"
	       "DescribePCR\xA1\x65index\x03"),
		{.command = NSM_DESCRIBE_PCR, .index = 3}},
	{BYTES("\xA1\x69"
	       "ExtendPCR\xA2\x65index\x10\x64"
	       "data\x43"
	       "abc"),
		{.command = NSM_EXTEND_PCR, .index = 16, .data = BYTES("abc")}},
	{BYTES("\xA1\x69"
	       "ExtendPCR\xA2\x65index\x10\x64"
	       "data\x40"),
		{.command = NSM_EXTEND_PCR, .index = 16, .data = BYTES("")}},
	{BYTES("\xA1\x67LockPCR\xA1\x65index\x19\x01\x2C"),
		{.command = NSM_LOCK_PCR, .index = 300}},
	{BYTES("\xA1\x68LockPCRs\xA1\x65range\x18\x18"), {.command = NSM_LOCK_PCRS, .range = 24}},
	{BYTES("\xA1\x6B"
	       "Attestation\xA3\x69user_data\x41u\x65nonce\xF6\x6Apublic_key\x40"),
		{.command = NSM_ATTESTATION, .user_data = BYTES("u"), .public_key = BYTES("")}},
	{BYTES("\xA1\x6B"
	       "Attestation\xA3\x69user_data\xF6\x65nonce\x42\x00\xFF\x6Apublic_key\xF6"),
		{.command = NSM_ATTESTATION, .nonce = BYTES("\x00\xFF")}},
};

static void assert_same_request(
	const struct nsm_request *a, const struct nsm_request *b, size_t row)
{
	cr_assert_eq(a->command, b->command, "row %zu", row);
	cr_assert_eq(a->index, b->index, "row %zu", row);
	cr_assert_eq(a->range, b->range, "row %zu", row);
	cr_assert(is_same_view(a->data, b->data), "row %zu", row);
	cr_assert(is_same_view(a->user_data, b->user_data), "row %zu", row);
	cr_assert(is_same_view(a->nonce, b->nonce), "row %zu", row);
	cr_assert(is_same_view(a->public_key, b->public_key), "row %zu", row);
}

Test(nsm_message, each_request_has_exactly_this_encoding)
{
	uint8_t out[NSM_REQUEST_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
		assert_encoding(out, nsm_request_encode(&requests[i].request, out, sizeof(out)),
			requests[i].encoded, i);
}

Test(nsm_message, each_request_is_decoded_and_absent_is_not_empty)
{
	struct nsm_request request;
	struct attest_error error;

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		cr_assert(nsm_request_decode(requests[i].encoded.data, requests[i].encoded.length,
				  &request, &error),
			"row %zu: %s", i, error.message);
		assert_same_request(&request, &requests[i].request, i);
	}
}

Test(nsm_message, a_request_of_the_largest_fields_fits_the_device)
{
	static uint8_t field[1024];
	struct bytes full = {field, sizeof(field)};
	struct nsm_request request = {
		.command = NSM_ATTESTATION, .user_data = full, .nonce = full, .public_key = full};
	struct nsm_request again;
	uint8_t out[NSM_REQUEST_MAX];
	size_t length = nsm_request_encode(&request, out, sizeof(out));

	cr_assert_gt(length, 3 * 1024);
	cr_assert(nsm_request_decode(out, length, &again, NULL));
	assert_same_request(&again, &request, 0);
}

Test(nsm_message, what_does_not_fit_is_not_encoded)
{
	struct nsm_request unknown = {.command = 0}, beyond = {.command = NSM_ATTESTATION + 1};
	uint8_t out[64];

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		size_t length = requests[i].encoded.length;

		for (size_t size = 0; size < length; size++)
			cr_assert_eq(nsm_request_encode(&requests[i].request, out, size), 0);
		cr_assert_eq(nsm_request_encode(&requests[i].request, out, length), length);
	}
	cr_assert_eq(nsm_request_encode(&unknown, out, sizeof(out)), 0);
	cr_assert_eq(nsm_request_encode(&beyond, out, sizeof(out)), 0);
}

Test(nsm_message, maps_without_a_length_and_keys_in_any_order_are_read)
{
	static const struct bytes extend = BYTES("\xBF\x69"
						 "ExtendPCR\xBF\x64"
						 "data\x43"
						 "abc\x65index\x10\xFF\xFF");
	static const struct bytes attestation = BYTES("\xBF\x6B"
						      "Attestation\xBF\x65nonce\x41n\xFF\xFF");
	static const struct bytes empty = BYTES("\xA1\x6B"
						"Attestation\xA0");
	struct nsm_request request;

	cr_assert(nsm_request_decode(extend.data, extend.length, &request, NULL));
	assert_same_request(&request, &requests[3].request, 0);
	cr_assert(nsm_request_decode(attestation.data, attestation.length, &request, NULL));
	cr_assert_eq(request.nonce.length, 1);
	cr_assert_null(request.user_data.data);
	cr_assert(nsm_request_decode(empty.data, empty.length, &request, NULL));
	cr_assert_null(request.nonce.data);
}

struct refusal {
	const char *what;
	struct bytes encoded;
	const char *reason;
};

static const struct refusal refused_requests[] = {
	{"nothing", BYTES(""), "the input ends where an item should begin"},
	{"a number", BYTES("\x01"), "an unsigned number where a map should be"},
	{"an array",
		BYTES("\x81\x69"
		      "GetRandom"),
		"an array where a map should be"},
	{"a tagged request",
		BYTES("\xD2\x69"
		      "GetRandom"),
		"a tag where a map should be"},
	{"an unknown command", BYTES("\x68ResetPCR"), "no message of the NSM: ResetPCR"},
	{"another case", BYTES("\x69getrandom"), "no message of the NSM: getrandom"},
	{"a bare command that has fields", BYTES("\x67LockPCR"), "no message of the NSM: LockPCR"},
	{"fields that the command has not", BYTES("\xA1\x69GetRandom\xA0"),
		"no message of the NSM: GetRandom"},
	{"an answer",
		BYTES("\xA1\x65"
		      "Error\x61x"),
		"no message of the NSM: Error"},
	{"an empty map", BYTES("\xA0"), "not a map of one entry"},
	{"two commands", BYTES("\xA2\x67LockPCR\xA1\x65index\x01\x67LockPCR\xA1\x65index\x01"),
		"not a map of one entry"},
	{"two commands without a length",
		BYTES("\xBF\x67LockPCR\xA1\x65index\x01\x67LockPCR\xA1\x65index\x01\xFF"),
		"a text where a break should be"},
	{"no command", BYTES("\xBF\xFF"), "a break where a text should be"},
	{"a name of bytes", BYTES("\xA1\x47LockPCR\xA1\x65index\x01"),
		"a byte string where a text should be"},
	{"fields that are no map", BYTES("\xA1\x67LockPCR\x81\x01"),
		"an array where a map should be"},
	{"an unknown field",
		BYTES("\xA1\x67LockPCR\xA2\x65index\x01\x65"
		      "force\xF5"),
		"an unknown key"},
	{"a field of bytes", BYTES("\xA1\x67LockPCR\xA1\x45index\x01"),
		"a byte string where a text should be"},
	{"a field twice", BYTES("\xA1\x67LockPCR\xA2\x65index\x01\x65index\x01"),
		"a duplicate key"},
	{"an optional field twice",
		BYTES("\xA1\x6B"
		      "Attestation\xA2\x65nonce\xF6\x65nonce\x41n"),
		"a duplicate key"},
	{"no field", BYTES("\xA1\x67LockPCR\xA0"), "index is missing"},
	{"one field missing",
		BYTES("\xA1\x69"
		      "ExtendPCR\xA1\x65index\x01"),
		"data is missing"},
	{"an index above 16 bits", BYTES("\xA1\x67LockPCR\xA1\x65index\x1A\x00\x01\x00\x00"),
		"a number above 65535"},
	{"an index in a long form", BYTES("\xA1\x67LockPCR\xA1\x65index\x18\x01"),
		"a number that is not in its shortest form"},
	{"a negative index", BYTES("\xA1\x67LockPCR\xA1\x65index\x20"),
		"a negative number where an unsigned number should be"},
	{"an index of null", BYTES("\xA1\x67LockPCR\xA1\x65index\xF6"),
		"null where an unsigned number should be"},
	{"data of text",
		BYTES("\xA1\x69"
		      "ExtendPCR\xA2\x65index\x01\x64"
		      "data\x61x"),
		"a text where a byte string should be"},
	{"data of null",
		BYTES("\xA1\x69"
		      "ExtendPCR\xA2\x65index\x01\x64"
		      "data\xF6"),
		"null where a byte string should be"},
	{"a nonce in chunks",
		BYTES("\xA1\x6B"
		      "Attestation\xA1\x65nonce\x5F\x41n\xFF"),
		"a string in chunks"},
	{"a nonce of false",
		BYTES("\xA1\x6B"
		      "Attestation\xA1\x65nonce\xF4"),
		"false where a byte string should be"},
	{"a tagged nonce",
		BYTES("\xA1\x6B"
		      "Attestation\xA1\x65nonce\xC2\x41n"),
		"a tag where a byte string should be"},
	{"bytes after it", BYTES("\x69GetRandom\x00"), "bytes after the end"},
	{"bytes after a map", BYTES("\xA1\x67LockPCR\xA1\x65index\x01\xFF"), "bytes after the end"},
	{"no break", BYTES("\xBF\x67LockPCR\xA1\x65index\x01"),
		"the input ends where an item should begin"},
	{"no inner break", BYTES("\xA1\x67LockPCR\xBF\x65index\x01"),
		"the input ends before its break"},
};

Test(nsm_message, every_other_request_is_malformed)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused_requests); i++) {
		const struct refusal *row = &refused_requests[i];
		struct nsm_request request;
		struct attest_error error;

		cr_assert_not(nsm_request_decode(
				      row->encoded.data, row->encoded.length, &request, &error),
			"%s", row->what);
		cr_assert_str_eq(error.message, row->reason, "%s: %s", row->what, error.message);
		cr_assert_eq(error.fault, ATTEST_FAULT_MALFORMED);
		cr_assert_leq(error.offset, row->encoded.length);
		cr_assert_not(
			nsm_request_decode(row->encoded.data, row->encoded.length, &request, NULL));
	}
}

Test(nsm_message, every_beginning_of_a_request_is_malformed)
{
	struct nsm_request request;

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		for (size_t length = 0; length < requests[i].encoded.length; length++)
			cr_assert_not(nsm_request_decode(
				requests[i].encoded.data, length, &request, NULL));
	}
}

Test(nsm_message, a_refused_field_is_named_with_its_offset)
{
	static const struct bytes encoded = BYTES("\xA1\x67LockPCR\xA1\x65index\xF6");
	struct nsm_request request;
	struct attest_error error;

	cr_assert_not(nsm_request_decode(encoded.data, encoded.length, &request, &error));
	cr_assert_str_eq(error.field, "LockPCR.index");
	cr_assert_eq(error.offset, 16);
}

Test(nsm_message, more_than_the_device_takes_is_malformed)
{
	static uint8_t data[NSM_RESPONSE_MAX];
	struct nsm_request request = {.command = NSM_EXTEND_PCR, .data = {data, 4070}};
	struct nsm_response response = {.command = NSM_ATTESTATION, .data = {data, 12263}};
	uint8_t out[NSM_RESPONSE_MAX + 64];
	size_t length = nsm_request_encode(&request, out, sizeof(out));

	cr_assert_eq(length, NSM_REQUEST_MAX + 1);
	cr_assert_not(nsm_request_decode(out, length, &request, NULL));
	request = (struct nsm_request){.command = NSM_EXTEND_PCR, .data = {data, 4069}};
	length = nsm_request_encode(&request, out, sizeof(out));
	cr_assert(nsm_request_decode(out, length, &request, NULL));

	length = nsm_response_encode(&response, out, sizeof(out));
	cr_assert_eq(length, NSM_RESPONSE_MAX + 1);
	cr_assert_not(nsm_response_decode(out, length, &response, NULL));
	response = (struct nsm_response){.command = NSM_ATTESTATION, .data = {data, 12262}};
	length = nsm_response_encode(&response, out, sizeof(out));
	cr_assert(nsm_response_decode(out, length, &response, NULL));
}

// --- responses

#define SIXTEEN "0123456789abcdef"
#define PCR     SIXTEEN SIXTEEN SIXTEEN

static const struct {
	struct bytes encoded;
	struct nsm_response response;
} responses[] = {
	{BYTES("\xA1\x6B"
	       "DescribeNSM\xA7\x6Dversion_major\x01\x6Dversion_minor\x02\x6Dversion_patch"
	       "\x19\x01\x2C\x69module_id\x63i-1\x68max_pcrs\x18\x20\x6Blocked_pcrs"
	       "\x83\x00\x01\x18\x1F\x66"
	       "digest\x66SHA384"),
		{.command = NSM_DESCRIBE_NSM,
			.describe = {1, 2, 300, "i-1", 32, 3, {0, 1, 31}, "SHA384"}}},
	{BYTES("\xA1\x6B"
	       "DescribePCR\xA2\x64lock\xF5\x64"
	       "data\x58\x30" PCR),
		{.command = NSM_DESCRIBE_PCR, .is_locked = true, .data = BYTES(PCR)}},
	{BYTES("\xA1\x6B"
	       "DescribePCR\xA2\x64lock\xF4\x64"
	       "data\x58\x30" PCR),
		{.command = NSM_DESCRIBE_PCR, .data = BYTES(PCR)}},
	{BYTES("\xA1\x69"
	       "ExtendPCR\xA1\x64"
	       "data\x58\x30" PCR),
		{.command = NSM_EXTEND_PCR, .data = BYTES(PCR)}},
	{BYTES("\x67LockPCR"), {.command = NSM_LOCK_PCR}},
	{BYTES("\x68LockPCRs"), {.command = NSM_LOCK_PCRS}},
	{BYTES("\xA1\x6B"
	       "Attestation\xA1\x68"
	       "document\x42\x01\x02"),
		{.command = NSM_ATTESTATION, .data = BYTES("\x01\x02")}},
	{BYTES("\xA1\x69GetRandom\xA1\x66random\x42\x01\x02"),
		{.command = NSM_GET_RANDOM, .data = BYTES("\x01\x02")}},
	{BYTES("\xA1\x65"
	       "Error\x6FInvalidArgument"),
		{.error = "InvalidArgument"}},
};

static void assert_same_response(
	const struct nsm_response *a, const struct nsm_response *b, size_t row)
{
	cr_assert_eq(a->command, b->command, "row %zu", row);
	cr_assert_str_eq(a->error, b->error, "row %zu", row);
	cr_assert_eq(a->is_locked, b->is_locked, "row %zu", row);
	cr_assert(is_same_view(a->data, b->data), "row %zu", row);
	cr_assert_eq(a->describe.version_major, b->describe.version_major);
	cr_assert_eq(a->describe.version_minor, b->describe.version_minor);
	cr_assert_eq(a->describe.version_patch, b->describe.version_patch);
	cr_assert_str_eq(a->describe.module_id, b->describe.module_id);
	cr_assert_eq(a->describe.max_pcrs, b->describe.max_pcrs);
	cr_assert_eq(a->describe.locked_count, b->describe.locked_count);
	for (size_t i = 0; i < a->describe.locked_count; i++)
		cr_assert_eq(a->describe.locked_pcrs[i], b->describe.locked_pcrs[i]);
	cr_assert_str_eq(a->describe.digest, b->describe.digest);
}

Test(nsm_message, each_response_has_exactly_this_encoding)
{
	uint8_t out[NSM_RESPONSE_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(responses); i++)
		assert_encoding(out, nsm_response_encode(&responses[i].response, out, sizeof(out)),
			responses[i].encoded, i);
}

Test(nsm_message, each_response_is_decoded)
{
	struct nsm_response response;
	struct attest_error error;

	for (size_t i = 0; i < ARRAY_SIZE(responses); i++) {
		cr_assert(nsm_response_decode(responses[i].encoded.data,
				  responses[i].encoded.length, &response, &error),
			"row %zu: %s", i, error.message);
		assert_same_response(&response, &responses[i].response, i);
	}
}

Test(nsm_message, a_response_that_does_not_fit_or_is_none_is_not_encoded)
{
	struct nsm_response unknown = {.command = 0}, many = responses[0].response;
	uint8_t out[256];

	for (size_t i = 0; i < ARRAY_SIZE(responses); i++) {
		for (size_t size = 0; size < responses[i].encoded.length; size++)
			cr_assert_eq(nsm_response_encode(&responses[i].response, out, size), 0);
	}
	cr_assert_eq(nsm_response_encode(&unknown, out, sizeof(out)), 0);
	many.describe.locked_count = DOCUMENT_PCRS + 1;
	cr_assert_eq(nsm_response_encode(&many, out, sizeof(out)), 0);
}

#define DESCRIBE_UP_TO_MODULE_ID                                                                   \
	"\xA1\x6B"                                                                                 \
	"DescribeNSM\xA7\x6Dversion_major\x01\x6Dversion_minor\x02\x6Dversion_"                    \
	"patch\x03\x69module_id"
#define DESCRIBE_UP_TO_LOCKED_PCRS                                                                 \
	DESCRIBE_UP_TO_MODULE_ID "\x63i-1\x68max_pcrs\x18\x20\x6Blocked_pcrs"
#define THIRTY_TWO                                                                                 \
	"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0A\x0B\x0C\x0D\x0E\x0F"                         \
	"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0A\x0B\x0C\x0D\x0E\x0F"

static const struct refusal refused_responses[] = {
	{"a request", BYTES("\x69GetRandom"), "no message of the NSM: GetRandom"},
	{"a bare error",
		BYTES("\x65"
		      "Error"),
		"no message of the NSM: Error"},
	{"a lock with fields", BYTES("\xA1\x67LockPCR\xA0"), "no message of the NSM: LockPCR"},
	{"an error without a text",
		BYTES("\xA1\x65"
		      "Error\x60"),
		"not a printable text of 1 to 63 bytes"},
	{"an error that is too long",
		BYTES("\xA1\x65"
		      "Error\x78\x40"
		      "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
		"not a printable text of 1 to 63 bytes"},
	{"an error with a NUL",
		BYTES("\xA1\x65"
		      "Error\x63"
		      "a\0b"),
		"not a printable text of 1 to 63 bytes"},
	{"an error of a number",
		BYTES("\xA1\x65"
		      "Error\x05"),
		"an unsigned number where a text should be"},
	{"an error that is not UTF-8",
		BYTES("\xA1\x65"
		      "Error\x61\xFF"),
		"text that is not UTF-8"},
	{"bytes after an error",
		BYTES("\xA1\x65"
		      "Error\x61x\x00"),
		"bytes after the end"},
	{"a lock of null",
		BYTES("\xA1\x6B"
		      "DescribePCR\xA2\x64lock\xF6\x64"
		      "data\x40"),
		"null where false should be"},
	{"a lock of 1",
		BYTES("\xA1\x6B"
		      "DescribePCR\xA2\x64lock\x01\x64"
		      "data\x40"),
		"an unsigned number where false should be"},
	{"random numbers in an array", BYTES("\xA1\x69GetRandom\xA1\x66random\x82\x01\x02"),
		"an array where a byte string should be"},
	{"a PCR of 47 bytes",
		BYTES("\xA1\x6B"
		      "DescribePCR\xA2\x64lock\xF5\x64"
		      "data\x58\x2F" SIXTEEN SIXTEEN "0123456789abcde"),
		"47 bytes, not 48 to 48"},
	{"an extended PCR of no bytes",
		BYTES("\xA1\x69"
		      "ExtendPCR\xA1\x64"
		      "data\x40"),
		"0 bytes, not 48 to 48"},
	{"no random bytes", BYTES("\xA1\x69GetRandom\xA1\x66random\x40"), "0 bytes, not 1 to 256"},
	{"257 random bytes",
		BYTES("\xA1\x69GetRandom\xA1\x66random\x59\x01\x01" PCR PCR PCR PCR PCR SIXTEEN
		      "x"),
		"257 bytes, not 1 to 256"},
	{"an empty document",
		BYTES("\xA1\x6B"
		      "Attestation\xA1\x68"
		      "document\x40"),
		"0 bytes, not 1 to 12288"},
	{"no document",
		BYTES("\xA1\x6B"
		      "Attestation\xA0"),
		"document is missing"},
	{"a module_id of bytes", BYTES(DESCRIBE_UP_TO_MODULE_ID "\x43i-1"),
		"a byte string where a text should be"},
	{"an empty module_id", BYTES(DESCRIBE_UP_TO_MODULE_ID "\x60"),
		"not a printable text of 1 to 127 bytes"},
	{"a module_id for terminals", BYTES(DESCRIBE_UP_TO_MODULE_ID "\x65i\x1B[2J"),
		"not a printable text of 1 to 127 bytes"},
	{"33 locked PCRs", BYTES(DESCRIBE_UP_TO_LOCKED_PCRS "\x98\x21" THIRTY_TWO "\x10"),
		"not an array of at most 32"},
	{"locked PCRs without a length", BYTES(DESCRIBE_UP_TO_LOCKED_PCRS "\x9F\x00\xFF"),
		"not an array of at most 32"},
	{"locked PCRs in a map", BYTES(DESCRIBE_UP_TO_LOCKED_PCRS "\xA0"),
		"a map where an array should be"},
	{"a locked PCR of text", BYTES(DESCRIBE_UP_TO_LOCKED_PCRS "\x81\x61x"),
		"a text where an unsigned number should be"},
	{"no digest", BYTES(DESCRIBE_UP_TO_LOCKED_PCRS "\x98\x20" THIRTY_TWO),
		"the input ends where an item should begin"},
};

Test(nsm_message, every_other_response_is_malformed)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused_responses); i++) {
		const struct refusal *row = &refused_responses[i];
		struct nsm_response response;
		struct attest_error error;

		cr_assert_not(nsm_response_decode(
				      row->encoded.data, row->encoded.length, &response, &error),
			"%s", row->what);
		cr_assert_str_eq(error.message, row->reason, "%s: %s", row->what, error.message);
		cr_assert_eq(error.fault, ATTEST_FAULT_MALFORMED);
	}
}

Test(nsm_message, every_beginning_of_a_response_is_malformed)
{
	struct nsm_response response;

	for (size_t i = 0; i < ARRAY_SIZE(responses); i++) {
		for (size_t length = 0; length < responses[i].encoded.length; length++)
			cr_assert_not(nsm_response_decode(
				responses[i].encoded.data, length, &response, NULL));
	}
}
