// SPDX-License-Identifier: MIT
#include "attest/ber.h"

#include <string.h>

#include <criterion/criterion.h>

Test(ber, primitive_items_are_taken_one_after_the_other)
{
	static const uint8_t data[] = {0x02, 0x01, 0x05, 0x04, 0x00, 0x04, 0x02, 0xaa, 0xbb};
	struct ber_reader reader;
	struct bytes content;

	ber_begin(&reader, data, sizeof(data));
	cr_assert(ber_read(&reader, BER_INTEGER, "a", &content, NULL));
	cr_assert(content.length == 1 && content.data == data + 2);
	cr_assert_eq(ber_peek(&reader), BER_OCTET_STRING);
	cr_assert(ber_read(&reader, BER_OCTET_STRING, "b", &content, NULL));
	cr_assert_eq(content.length, 0);
	cr_assert(ber_read(&reader, BER_OCTET_STRING, "c", &content, NULL));
	cr_assert(content.length == 2 && content.data == data + 7);
	cr_assert(ber_is_end(&reader));
	cr_assert_eq(ber_peek(&reader), 0);
	cr_assert_not(ber_read(&reader, BER_INTEGER, "d", &content, NULL));
}

Test(ber, lengths_of_every_form_are_read)
{
	static const struct {
		size_t length, head;
		uint8_t bytes[6];
	} cases[] = {
		{0, 2, {0x04, 0x00}},
		{127, 2, {0x04, 0x7f}},
		{128, 3, {0x04, 0x81, 0x80}},
		{255, 3, {0x04, 0x81, 0xff}},
		{256, 4, {0x04, 0x82, 0x01, 0x00}},
		{65535, 4, {0x04, 0x82, 0xff, 0xff}},
		{65536, 5, {0x04, 0x83, 0x01, 0x00, 0x00}},
		{16777216, 6, {0x04, 0x84, 0x01, 0x00, 0x00, 0x00}},
	};
	static uint8_t data[16777216 + 6];
	struct ber_reader reader;
	struct bytes content;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memcpy(data, cases[i].bytes, cases[i].head);
		ber_begin(&reader, data, cases[i].head + cases[i].length);
		cr_assert(ber_read(&reader, BER_OCTET_STRING, "a", &content, NULL), "%zu", i);
		cr_assert_eq(content.length, cases[i].length);
		cr_assert(ber_is_end(&reader));
		// One byte less is not enough, and it is seen before the content is.
		ber_begin(&reader, data, cases[i].head + cases[i].length - 1);
		cr_assert_not(ber_read(&reader, BER_OCTET_STRING, "a", &content, NULL), "%zu", i);
	}
}

Test(ber, lengths_of_other_forms_are_refused)
{
	static const struct {
		const char *name;
		size_t length;
		uint8_t bytes[8];
	} cases[] = {
		{"nothing", 0, {0}},
		{"a tag alone", 1, {0x04}},
		{"another tag", 2, {0x05, 0x00}},
		{"indefinite and primitive", 4, {0x04, 0x80, 0x00, 0x00}},
		{"reserved", 3, {0x04, 0xff, 0x00}},
		{"81 below 128", 4, {0x04, 0x81, 0x01, 0x00}},
		{"82 below 256", 5, {0x04, 0x82, 0x00, 0x01, 0x00}},
		{"five bytes", 7, {0x04, 0x85, 0x01, 0x00, 0x00, 0x00, 0x00}},
		{"length cut", 3, {0x04, 0x82, 0x01}},
		{"length missing", 2, {0x04, 0x84}},
		{"beyond the end", 3, {0x04, 0x02, 0x00}},
		{"far beyond the end", 6, {0x04, 0x84, 0xff, 0xff, 0xff, 0xff}},
	};
	struct attest_error error;
	struct ber_reader reader;
	struct bytes content;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ber_begin(&reader, cases[i].bytes, cases[i].length);
		cr_assert_not(ber_read(&reader, BER_OCTET_STRING, "field", &content, &error), "%s",
			cases[i].name);
		cr_assert_eq(error.fault, ATTEST_FAULT_MALFORMED);
		cr_assert_str_eq(error.field, "field");
		cr_assert_eq(reader.offset, 0);
	}
}

Test(ber, an_inner_item_cannot_end_outside_its_outer_one)
{
	static const uint8_t data[] = {
		0x30, 0x80, 0xa0, 0x05, 0x30, 0x80, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x00};
	struct ber_reader input, outer, tagged, inner;
	struct bytes content;

	// The tagged item says 5 bytes, and what it holds needs 6.
	ber_begin(&input, data, sizeof(data));
	cr_assert(ber_enter(&input, BER_SEQUENCE, "outer", &outer, NULL));
	cr_assert(ber_enter(&outer, BER_CONTEXT_0_CONSTRUCTED, "tagged", &tagged, NULL));
	cr_assert(ber_enter(&tagged, BER_SEQUENCE, "inner", &inner, NULL));
	cr_assert(ber_read(&inner, BER_NULL, "null", &content, NULL));
	cr_assert_not(ber_is_end(&inner));
	cr_assert_not(ber_leave(&tagged, &inner, "inner", NULL));
}

Test(ber, leaving_goes_behind_the_item)
{
	static const uint8_t data[] = {
		0x30, 0x80, 0xa0, 0x06, 0x30, 0x80, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x00};
	struct ber_reader input, outer, tagged, inner;
	struct bytes content;

	ber_begin(&input, data, sizeof(data));
	cr_assert(ber_enter(&input, BER_SEQUENCE, "outer", &outer, NULL));
	cr_assert(ber_enter(&outer, BER_CONTEXT_0_CONSTRUCTED, "tagged", &tagged, NULL));
	cr_assert(ber_enter(&tagged, BER_SEQUENCE, "inner", &inner, NULL));
	cr_assert_not(ber_leave(&tagged, &inner, "inner", NULL), "its NULL has not been taken");
	cr_assert(ber_read(&inner, BER_NULL, "null", &content, NULL));
	cr_assert(ber_leave(&tagged, &inner, "inner", NULL));
	cr_assert(ber_leave(&outer, &tagged, "tagged", NULL));
	cr_assert(ber_leave(&input, &outer, "outer", NULL));
	cr_assert_eq(input.offset, 12);
	cr_assert(ber_read(&input, BER_NULL, "null", &content, NULL));
	cr_assert(ber_is_end(&input));
}

Test(ber, an_indefinite_item_needs_both_bytes_of_its_end)
{
	static const uint8_t data[] = {0x30, 0x80, 0x05, 0x00, 0x00, 0x00};
	struct ber_reader input, outer;
	struct bytes content;

	for (size_t length = 4; length < 6; length++) {
		ber_begin(&input, data, length);
		cr_assert(ber_enter(&input, BER_SEQUENCE, "outer", &outer, NULL));
		cr_assert(ber_read(&outer, BER_NULL, "null", &content, NULL));
		cr_assert_not(ber_is_end(&outer));
		cr_assert_not(ber_leave(&input, &outer, "outer", NULL));
	}
}
