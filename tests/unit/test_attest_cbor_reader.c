// SPDX-License-Identifier: MIT
#include "attest/cbor_reader.h"

#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "tests/unit/support/bytes.h"

// --- single items

static const struct {
	const char *what;
	struct bytes input;
	enum cbor_kind kind;
	uint64_t value;
	bool is_indefinite;
	struct bytes content;
} items[] = {
	{"0", BYTES("\x00"), CBOR_UINT, 0, false, {0}},
	{"23", BYTES("\x17"), CBOR_UINT, 23, false, {0}},
	{"24", BYTES("\x18\x18"), CBOR_UINT, 24, false, {0}},
	{"255", BYTES("\x18\xFF"), CBOR_UINT, 255, false, {0}},
	{"256", BYTES("\x19\x01\x00"), CBOR_UINT, 256, false, {0}},
	{"65536", BYTES("\x1A\x00\x01\x00\x00"), CBOR_UINT, 65536, false, {0}},
	{"2^32", BYTES("\x1B\x00\x00\x00\x01\x00\x00\x00\x00"), CBOR_UINT, 1ull << 32, false, {0}},
	{"2^64 - 1", BYTES("\x1B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), CBOR_UINT, UINT64_MAX, false,
		{0}},
	{"-1", BYTES("\x20"), CBOR_NEGATIVE, 0, false, {0}},
	{"-35", BYTES("\x38\x22"), CBOR_NEGATIVE, 34, false, {0}},
	{"-2^64", BYTES("\x3B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), CBOR_NEGATIVE, UINT64_MAX, false,
		{0}},
	{"empty bytes", BYTES("\x40"), CBOR_BYTES, 0, false, BYTES("")},
	{"bytes", BYTES("\x43\x00\xFF\x5F"), CBOR_BYTES, 0, false, BYTES("\x00\xFF\x5F")},
	{"empty text", BYTES("\x60"), CBOR_TEXT, 0, false, BYTES("")},
	{"text",
		BYTES("\x63"
		      "abc"),
		CBOR_TEXT, 0, false, BYTES("abc")},
	{"text beyond ASCII", BYTES("\x69\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"), CBOR_TEXT, 0,
		false, BYTES("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80")},
	{"U+0080, U+07FF", BYTES("\x64\xC2\x80\xDF\xBF"), CBOR_TEXT, 0, false,
		BYTES("\xC2\x80\xDF\xBF")},
	{"U+0800, U+D7FF, U+E000, U+FFFF",
		BYTES("\x6C\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF"), CBOR_TEXT, 0, false,
		BYTES("\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF")},
	{"U+10000, U+10FFFF", BYTES("\x68\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"), CBOR_TEXT, 0, false,
		BYTES("\xF0\x90\x80\x80\xF4\x8F\xBF\xBF")},
	{"an empty array", BYTES("\x80"), CBOR_ARRAY, 0, false, {0}},
	{"an array of as many items as bytes", BYTES("\x82\x00\x00"), CBOR_ARRAY, 2, false, {0}},
	{"an array without a length", BYTES("\x9F"), CBOR_ARRAY, 0, true, {0}},
	{"an empty map", BYTES("\xA0"), CBOR_MAP, 0, false, {0}},
	{"a map of as many pairs as bytes", BYTES("\xA1\x00\x00"), CBOR_MAP, 1, false, {0}},
	{"a map without a length", BYTES("\xBF"), CBOR_MAP, 0, true, {0}},
	{"tag 0", BYTES("\xC0"), CBOR_TAG, 0, false, {0}},
	{"tag 18", BYTES("\xD2"), CBOR_TAG, 18, false, {0}},
	{"tag 23", BYTES("\xD7"), CBOR_TAG, 23, false, {0}},
	{"tag 24", BYTES("\xD8\x18"), CBOR_TAG, 24, false, {0}},
	{"tag 2^64 - 1", BYTES("\xDB\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), CBOR_TAG, UINT64_MAX, false,
		{0}},
	{"false", BYTES("\xF4"), CBOR_FALSE, 0, false, {0}},
	{"true", BYTES("\xF5"), CBOR_TRUE, 0, false, {0}},
	{"null", BYTES("\xF6"), CBOR_NULL, 0, false, {0}},
	{"a break", BYTES("\xFF"), CBOR_BREAK, 0, false, {0}},
};

Test(cbor_reader, each_kind_of_item_is_read)
{
	for (size_t i = 0; i < ARRAY_SIZE(items); i++) {
		struct cbor_reader reader;
		struct cbor_token token;
		struct attest_error error;
		size_t head = items[i].input.length - items[i].content.length;

		cbor_reader_begin(&reader, items[i].input.data, items[i].input.length);
		cr_assert(cbor_reader_next(&reader, &token, &error), "%s: %s", items[i].what,
			error.message);
		cr_assert_eq(token.kind, items[i].kind, "%s", items[i].what);
		cr_assert_eq(token.offset, 0);
		cr_assert_eq(token.value, items[i].value, "%s", items[i].what);
		cr_assert_eq(token.is_indefinite, items[i].is_indefinite, "%s", items[i].what);
		cr_assert_eq(token.bytes.length, items[i].content.length, "%s", items[i].what);
		if (items[i].content.data)
			cr_assert_eq(token.bytes.data, items[i].input.data + head,
				"%s: within the input", items[i].what);
		else
			cr_assert_null(token.bytes.data);
	}
}

static const struct {
	const char *what;
	struct bytes input;
	const char *reason;
} refused[] = {
	{"nothing", BYTES(""), "the input ends where an item should begin"},
	{"half a number", BYTES("\x19\x01"), "an item that is longer than what is left"},
	{"bytes that are cut", BYTES("\x42\x00"), "an item that is longer than what is left"},
	{"text that is cut", BYTES("\x62\x61"), "an item that is longer than what is left"},
	{"bytes of 2^63", BYTES("\x5B\x80\x00\x00\x00\x00\x00\x00\x00z"),
		"an item that is longer than what is left"},
	{"bytes of 2^64 - 1", BYTES("\x5B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFFz"),
		"an item that is longer than what is left"},
	{"bytes of 2^64 - 9", BYTES("\x5B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xF7z"),
		"an item that is longer than what is left"},
	{"text of 2^63", BYTES("\x7B\x80\x00\x00\x00\x00\x00\x00\x00z"),
		"an item that is longer than what is left"},
	{"text of 2^32 - 1", BYTES("\x7A\xFF\xFF\xFF\xFFz"),
		"an item that is longer than what is left"},
	{"an array of 2^63", BYTES("\x9B\x80\x00\x00\x00\x00\x00\x00\x00z"),
		"more items than there are bytes left"},
	{"an array of one more", BYTES("\x82\x00"), "more items than there are bytes left"},
	{"a map of 2^63", BYTES("\xBB\x80\x00\x00\x00\x00\x00\x00\x00zz"),
		"more items than there are bytes left"},
	{"a map of one more", BYTES("\xA2\x00\x00\x00"), "more items than there are bytes left"},
	{"bytes in chunks", BYTES("\x5F\x41\x00\xFF"), "a string in chunks"},
	{"text in chunks", BYTES("\x7F\x61z\xFF"), "a string in chunks"},
	{"undefined", BYTES("\xF7"), "undefined"},
	{"a half float", BYTES("\xF9\x3C\x00"), "a floating-point number"},
	{"a float", BYTES("\xFA\x3F\x80\x00\x00"), "a floating-point number"},
	{"a double", BYTES("\xFB\x3F\xF0\x00\x00\x00\x00\x00\x00"), "a floating-point number"},
	{"simple value 0", BYTES("\xE0"), "a simple value"},
	{"simple value 19", BYTES("\xF3"), "a simple value"},
	{"false in two bytes", BYTES("\xF8\x14"), "a simple value"},
	{"simple value 255", BYTES("\xF8\xFF"), "a simple value"},
	{"reserved simple value", BYTES("\xFC"), "a reserved head"},
	{"a tag without a number", BYTES("\xDF"), "a reserved head"},
	{"tag 18 in two bytes", BYTES("\xD8\x12"), "a number that is not in its shortest form"},
	{"a lone continuation", BYTES("\x61\x80"), "text that is not UTF-8"},
	{"an overlong slash", BYTES("\x62\xC0\xAF"), "text that is not UTF-8"},
	{"an overlong U+007F", BYTES("\x62\xC1\xBF"), "text that is not UTF-8"},
	{"an overlong U+07FF", BYTES("\x63\xE0\x9F\xBF"), "text that is not UTF-8"},
	{"a surrogate", BYTES("\x63\xED\xA0\x80"), "text that is not UTF-8"},
	{"an overlong U+FFFF", BYTES("\x64\xF0\x8F\xBF\xBF"), "text that is not UTF-8"},
	{"beyond U+10FFFF", BYTES("\x64\xF4\x90\x80\x80"), "text that is not UTF-8"},
	{"five bytes", BYTES("\x65\xF8\x88\x80\x80\x80"), "text that is not UTF-8"},
	{"a character that is cut", BYTES("\x62\xE2\x82"), "text that is not UTF-8"},
	{"a character that is broken", BYTES("\x63\xE2\x82z"), "text that is not UTF-8"},
};

Test(cbor_reader, what_is_refused_says_why_and_where)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		uint8_t input[32] = {0x00}; // one item before it: the offset is 1
		struct cbor_reader reader;
		struct cbor_token token;
		struct attest_error error = {0};

		memcpy(input + 1, refused[i].input.data, refused[i].input.length);
		cbor_reader_begin(&reader, input, 1 + refused[i].input.length);
		cr_assert(cbor_reader_next(&reader, &token, &error));
		cr_assert_not(cbor_reader_next(&reader, &token, &error), "%s", refused[i].what);
		cr_assert_str_eq(
			error.message, refused[i].reason, "%s: %s", refused[i].what, error.message);
		cr_assert_eq(error.fault, ATTEST_FAULT_MALFORMED);
		cr_assert_eq(error.offset, 1, "%s", refused[i].what);
		cr_assert_eq(reader.offset, 1, "%s: not passed over", refused[i].what);
	}
}

Test(cbor_reader, reserved_heads_of_every_major_type_are_refused)
{
	for (unsigned major = 0; major < 8; major++) {
		for (unsigned low = 28; low < 32; low++) {
			uint8_t input[16] = {(uint8_t)(major << 5 | low)};
			bool has_meaning = low == 31 && (major == 4 || major == 5 || major == 7);
			struct cbor_reader reader;
			struct cbor_token token;

			cbor_reader_begin(&reader, input, sizeof(input));
			cr_assert_eq(cbor_reader_next(&reader, &token, NULL), has_meaning, "%02x",
				input[0]);
		}
	}
}

static size_t put_head(uint8_t *out, unsigned major, unsigned width, uint64_t value)
{
	static const uint8_t low[] = {[1] = 24, [2] = 25, [4] = 26, [8] = 27};

	out[0] = (uint8_t)(major << 5 | low[width]);
	for (unsigned i = 0; i < width; i++)
		out[1 + i] = (uint8_t)(value >> 8 * (width - 1 - i));
	return 1 + width;
}

Test(cbor_reader, a_number_that_a_shorter_form_holds_is_refused_in_every_major_type)
{
	static const uint64_t smallest[] = {
		[1] = 24, [2] = 1 << 8, [4] = 1 << 16, [8] = 1ull << 32};
	uint8_t *input = calloc(1, 200000);

	for (unsigned major = 0; major < 7; major++) {
		for (unsigned width = 1; width <= 8; width *= 2) {
			struct cbor_reader reader;
			struct cbor_token token;
			bool fits = smallest[width] <= 1 << 16 || major < 2 || major == 6;

			put_head(input, major, width, smallest[width] - 1);
			cbor_reader_begin(&reader, input, 200000);
			cr_assert_not(cbor_reader_next(&reader, &token, NULL),
				"major type %u, %u bytes", major, width);
			put_head(input, major, width, 0);
			cr_assert_not(cbor_reader_next(&reader, &token, NULL),
				"major type %u, 0 in %u bytes", major, width);
			put_head(input, major, width, smallest[width]);
			cr_assert_eq(cbor_reader_next(&reader, &token, NULL), fits,
				"major type %u, %u bytes", major, width);
		}
	}
	free(input);
}

// --- expecting and skipping

Test(cbor_reader, another_kind_than_expected_names_both_and_the_field)
{
	static const char *const inputs[] = {"\x00", "\x20", "\x40", "\x60", "\x80", "\xA0", "\xC0",
		"\xF4", "\xF5", "\xF6", "\xFF"};
	struct attest_error error;
	struct cbor_reader reader;
	struct cbor_token token;
	char text[128];

	for (unsigned is = 0; is < ARRAY_SIZE(inputs); is++) {
		for (unsigned wanted = 0; wanted < ARRAY_SIZE(inputs); wanted++) {
			cbor_reader_begin(&reader, inputs[is], 1);
			cr_assert_eq(cbor_reader_expect(
					     &reader, CBOR_UINT + wanted, "pcrs", &token, &error),
				is == wanted);
		}
	}
	cbor_reader_begin(&reader, "\x00\x61x", 3);
	cr_assert(cbor_reader_expect(&reader, CBOR_UINT, "first", &token, &error));
	cr_assert_not(cbor_reader_expect(&reader, CBOR_BYTES, "nonce", &token, &error));
	cr_assert_str_eq(attest_error_format(&error, text, sizeof(text)),
		"nonce, offset 1: a text where a byte string should be");
	cr_assert_not(cbor_reader_expect(&reader, CBOR_BYTES, "nonce", &token, &error));
	cr_assert_str_eq(attest_error_format(&error, text, sizeof(text)),
		"nonce, offset 3: the input ends where an item should begin");
}

static const struct {
	const char *what;
	struct bytes input;
	unsigned depth;
	size_t offset; // after it, or of what was refused
	const char *reason;
} skips[] = {
	{"a scalar",
		BYTES("\x43"
		      "abc\x00"),
		0, 4, NULL},
	{"an array of scalars", BYTES("\x83\x01\x41z\xF6\x00"), 1, 5, NULL},
	{"a map of scalars", BYTES("\xA1\x01\x02\x00"), 1, 3, NULL},
	{"an array without a length", BYTES("\x9F\x01\x02\xFF\x00"), 1, 4, NULL},
	{"a map without a length", BYTES("\xBF\x01\x02\xFF\x00"), 1, 4, NULL},
	{"nested as deep as allowed", BYTES("\x81\xA1\x00\x81\x9F\xFF\x00"), 4, 6, NULL},
	{"nested one deeper", BYTES("\x81\xA1\x00\x81\x9F\xFF\x00"), 3, 4, "nested too deep"},
	{"an array where only scalars may be", BYTES("\x80"), 0, 0, "nested too deep"},
	{"a deep key", BYTES("\xA1\x80\x00"), 1, 1, "nested too deep"},
	{"a tag", BYTES("\xC0\x00"), 9, 0, "a tag where a value should be"},
	{"a tag inside", BYTES("\x81\xD2\x00"), 9, 1, "a tag where a value should be"},
	{"a lone break", BYTES("\xFF"), 9, 0, "a break where a value should be"},
	{"a break in an array with a length", BYTES("\x82\x00\xFF"), 9, 2,
		"a break where a value should be"},
	{"a map with half a pair", BYTES("\xBF\x01\xFF\x00"), 9, 2,
		"a break where a value should be"},
	{"no break", BYTES("\x9F\x01"), 9, 2, "the input ends before its break"},
	{"too few items", BYTES("\x82\x41z"), 9, 3, "the input ends where an item should begin"},
	{"a float inside", BYTES("\x81\xF9\x00\x00"), 9, 1, "a floating-point number"},
};

Test(cbor_reader, whole_items_are_passed_over_within_a_depth)
{
	for (size_t i = 0; i < ARRAY_SIZE(skips); i++) {
		struct attest_error error = {0};
		struct cbor_reader reader;
		bool passed;

		cbor_reader_begin(&reader, skips[i].input.data, skips[i].input.length);
		passed = cbor_reader_skip(&reader, skips[i].depth, &error);
		cr_assert_eq(passed, !skips[i].reason, "%s: %s", skips[i].what, error.message);
		cr_assert_eq(passed ? reader.offset : error.offset, skips[i].offset, "%s",
			skips[i].what);
		if (!passed)
			cr_assert_str_eq(error.message, skips[i].reason, "%s: %s", skips[i].what,
				error.message);
	}
}

Test(cbor_reader, a_depth_bomb_is_given_up_at_the_depth)
{
	static uint8_t bomb[100000];
	struct attest_error error;
	struct cbor_reader reader;

	memset(bomb, 0x81, sizeof(bomb));
	cbor_reader_begin(&reader, bomb, sizeof(bomb));
	cr_assert_not(cbor_reader_skip(&reader, 3, &error));
	cr_assert_eq(error.offset, 3);
	memset(bomb, 0x9F, sizeof(bomb));
	cbor_reader_begin(&reader, bomb, sizeof(bomb));
	cr_assert_not(cbor_reader_skip(&reader, 3, &error));
	cr_assert_eq(error.offset, 3);
}

Test(cbor_reader, the_end_is_where_nothing_follows)
{
	struct attest_error error;
	struct cbor_reader reader;
	struct cbor_token token;

	cbor_reader_begin(&reader, "\x01\x02", 2);
	cr_assert(cbor_reader_next(&reader, &token, NULL));
	cr_assert_not(cbor_reader_end(&reader, &error));
	cr_assert_str_eq(error.message, "bytes after the end");
	cr_assert_eq(error.offset, 1);
	cr_assert(cbor_reader_next(&reader, &token, NULL));
	cr_assert(cbor_reader_end(&reader, NULL));
}
