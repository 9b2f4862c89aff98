// SPDX-License-Identifier: MIT
#include "wire/parse.h"

#include <limits.h>
#include <string.h>

#include <criterion/criterion.h>

Test(parse, failing_fills_the_offset_and_the_reason)
{
	struct parse_error error;

	cr_assert_not(parse_fail(&error, 7, "%s %d", "word", 3));
	cr_assert_eq(error.offset, 7);
	cr_assert_str_eq(error.reason, "word 3");
}

Test(parse, failing_without_an_error_object_is_allowed)
{
	cr_assert_not(parse_fail(NULL, 7, "%s", "word"));
}

Test(parse, a_long_reason_is_cut)
{
	struct parse_error error;
	char text[2 * PARSE_REASON_SIZE];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	cr_assert_not(parse_fail(&error, 0, "%s", text));
	cr_assert_eq(strlen(error.reason), PARSE_REASON_SIZE - 1);
}

Test(parse, numbers_are_plain_decimals_up_to_the_maximum)
{
	static const struct {
		const char *text;
		unsigned long maximum;
		bool ok;
		unsigned long value;
	} cases[] = {
		{"0", 0, true, 0},
		{"1", 1, true, 1},
		{"65535", 65535, true, 65535},
		{"65536", 65535, false, 0},
		{"18446744073709551615", ULONG_MAX, true, ULONG_MAX},
		{"18446744073709551616", ULONG_MAX, false, 0},
		{"99999999999999999999999", ULONG_MAX, false, 0},
		{"", 9, false, 0},
		{"00", 9, false, 0},
		{"01", 9, false, 0},
		{"-1", 9, false, 0},
		{"+1", 9, false, 0},
		{" 1", 9, false, 0},
		{"1 ", 9, false, 0},
		{"1a", 99, false, 0},
		{"0x1", 99, false, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned long value = 4711;
		bool ok = parse_number(
			cases[i].text, strlen(cases[i].text), cases[i].maximum, &value);
		cr_expect_eq(ok, cases[i].ok, "`%s`", cases[i].text);
		cr_expect_eq(value, cases[i].ok ? cases[i].value : 4711, "`%s`", cases[i].text);
	}
}

Test(parse, numbers_end_at_their_length)
{
	unsigned long value;

	cr_assert(parse_number("1234", 2, 99, &value));
	cr_assert_eq(value, 12);
}

Test(parse, copied_text_is_printable_and_cut)
{
	char out[5];

	parse_copy_printable(out, sizeof(out), "a\n\xc3\x7f~z", 6);
	cr_assert_str_eq(out, "a???");
	parse_copy_printable(out, sizeof(out), "a b", 3);
	cr_assert_str_eq(out, "a b");
	parse_copy_printable(out, sizeof(out), "x\0y", 3);
	cr_assert_str_eq(out, "x?y");
	parse_copy_printable(out, 1, "abc", 3);
	cr_assert_str_eq(out, "");
}
