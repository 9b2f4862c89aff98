// SPDX-License-Identifier: MIT
#include "attest/der.h"

#include <criterion/criterion.h>
#include <string.h>

#define CASE(is_strict, text)                                                                      \
	{                                                                                          \
		is_strict, text, sizeof(text) - 1                                                  \
	}

static const struct {
	bool is_strict;
	const char *text;
	size_t length;
} cases[] = {
	CASE(true, "\x30\x00"), CASE(true, "\x30\x03\x01\x01\xff"), CASE(true, "\x02\x01\x00"),
	CASE(true, "\x02\x02\x00\x80"), CASE(true, "\x02\x01\x80"), CASE(true, "\x03\x01\x00"),
	CASE(true, "\x03\x02\x07\x80"), CASE(true, "\x05\x00"), CASE(true, "\x06\x03\x55\x1d\x13"),
	CASE(true, "\x17\x0d"
		   "260206082418Z"),
	CASE(true, "\x18\x0f"
		   "20500206082418Z"),
	CASE(true, "\xa0\x02\x05\x00"), CASE(true, "\x80\x01x"), CASE(false, ""),
	CASE(false, "\x30"), CASE(false, "\x30\x01"),
	CASE(false, "\x30\x00\x00"),             // something follows
	CASE(false, "\x30\x80\x00\x00"),         // indefinite
	CASE(false, "\x30\x81\x00"),             // long form of a short length
	CASE(false, "\x30\x82\x00\x01\x05"),     // the same
	CASE(false, "\x30\x84\x00\x00\x00\x00"), // longer than anything here
	CASE(false, "\x1f\x01\x00"),             // tag number above 30
	CASE(false, "\x01\x01\x00"),             // a default written out
	CASE(false, "\x01\x01\x01"),             // TRUE is ff
	CASE(false, "\x01\x02\xff\xff"), CASE(false, "\x02\x00"), CASE(false, "\x02\x02\x00\x7f"),
	CASE(false, "\x02\x02\xff\x80"), CASE(false, "\x03\x00"), CASE(false, "\x03\x01\x01"),
	CASE(false, "\x03\x02\x08\x00"), CASE(false, "\x03\x02\x07\x81"), // a spare bit
	CASE(false, "\x05\x01\x00"), CASE(false, "\x06\x00"), CASE(false, "\x06\x01\x80"),
	CASE(false, "\x06\x02\x80\x01"), CASE(false, "\x24\x03\x04\x01x"), // a constructed string
	CASE(false, "\x23\x03\x03\x01\x00"), CASE(false, "\x09\x01\x00"),  // REAL
	CASE(false, "\x17\x0b"
		    "2602060824Z"),
	CASE(false, "\x17\x0d"
		    "2602060824180"),
	CASE(false, "\x17\x0d"
		    "260006082418Z"),
	CASE(false, "\x17\x0d"
		    "260232082418Z"),
	CASE(false, "\x17\x0d"
		    "260230082418Z"),
	CASE(false, "\x17\x0d"
		    "260431082418Z"),
	CASE(false, "\x17\x0d"
		    "260229082418Z"),
	CASE(true, "\x17\x0d"
		   "280229082418Z"),
	CASE(true, "\x17\x0d"
		   "960229082418Z"),
	CASE(false, "\x18\x0f"
		    "21000229082418Z"),
	CASE(true, "\x18\x0f"
		   "24000229082418Z"),
	CASE(false, "\x17\x0d"
		    "260206242418Z"),
	CASE(false, "\x17\x0d"
		    "260206086018Z"),
	CASE(false, "\x17\x0d"
		    "260206082460Z"),
	CASE(false, "\x17\x0d"
		    "2602060824 8Z"),
	CASE(false, "\x18\x0d"
		    "260206082418Z"),
	CASE(false, "\x18\x11"
		    "20500206082418.5Z"),
	CASE(false, "\x30\x02\x02\x00"), // inside
};

Test(attest_der, is_strict)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bytes data = {(const uint8_t *)cases[i].text, cases[i].length};
		cr_expect_eq(der_is_strict(data), cases[i].is_strict, "case %zu", i);
	}
}

// n sequences around NULL.
static bool is_nested_strict(size_t n)
{
	uint8_t data[66];

	data[2 * n] = 0x05;
	data[2 * n + 1] = 0;
	for (size_t i = 0; i < n; i++) {
		data[2 * i] = 0x30;
		data[2 * i + 1] = (uint8_t)(2 * (n - i));
	}
	return der_is_strict((struct bytes){data, 2 * n + 2});
}

Test(attest_der, refuses_more_than_sixteen_levels)
{
	cr_assert(is_nested_strict(16));
	cr_assert_not(is_nested_strict(17));
	cr_assert_not(is_nested_strict(32));
}

Test(attest_der, reads_lengths_of_up_to_three_bytes)
{
	static uint8_t data[0x010000 + 5] = {0x04, 0x83, 0x01, 0x00, 0x00};
	struct bytes rest = {data, sizeof(data)};
	struct der_item item;

	cr_assert(der_expect(&rest, DER_OCTET_STRING, &item));
	cr_assert_eq(item.content.length, 0x010000);
	cr_assert_eq(rest.length, 0);
	rest = (struct bytes){data, sizeof(data) - 1};
	cr_assert_not(der_next(&rest, &item));
}
