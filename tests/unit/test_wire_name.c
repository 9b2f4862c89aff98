// SPDX-License-Identifier: MIT
#include "wire/name.h"

#include <string.h>

#include <criterion/criterion.h>

// Labels of 63 bytes and a last one, length bytes in all (not one more than a multiple of 64).
static void make_name(char *name, size_t length)
{
	for (size_t i = 0; i < length; i++)
		name[i] = i % 64 == 63 ? '.' : 'a';
	name[length] = '\0';
}

Test(name, the_wire_form_is_accepted)
{
	static const char *const cases[] = {
		"a",
		"localhost",
		"example.com",
		"a-b.c_d.example",
		"_443._tcp.example.com",
		"xn--bcher-kva.example",
		"1.2.3.4.in-addr.arpa",
		"3com.com",
		"1a",
		"0xg",
		"0xx",
		"x0",
		"-a.b-",
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		cr_expect(name_is_wire_form(cases[i], strlen(cases[i]), NULL), "`%s`", cases[i]);
}

Test(name, everything_else_is_refused_where_it_is_wrong)
{
	static const struct {
		const char *text;
		size_t offset;
	} cases[] = {
		{"", 0},
		{".", 0},
		{".example", 0},
		{"example.", 8},
		{"a..b", 2},
		{"Example.com", 0},
		{"exa mple", 3},
		{"exam\xc3\xa9", 4},
		{"a/b", 1},
		{"a:80", 1},
		{"*.example", 0},
		{"1.2.3.4", 6},
		{"127.1", 4},
		{"example.0", 8},
		{"0x7f000001", 0},
		{"a.0x", 2},
		{"a.0xff", 2},
		{"2130706433", 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct parse_error error;
		cr_expect_not(name_is_wire_form(cases[i].text, strlen(cases[i].text), &error),
			"`%s`", cases[i].text);
		cr_expect_eq(error.offset, cases[i].offset, "`%s`", cases[i].text);
	}
}

Test(name, a_nul_byte_is_refused)
{
	cr_assert_not(name_is_wire_form("a\0b", 3, NULL));
}

Test(name, length_253_is_the_longest)
{
	char name[300];

	make_name(name, 253);
	cr_assert(name_is_wire_form(name, 253, NULL));
	make_name(name, 254);
	cr_assert_not(name_is_wire_form(name, 254, NULL));
}

Test(name, label_of_63_is_the_longest)
{
	char name[80];

	memset(name, 'b', sizeof(name));
	cr_assert(name_is_wire_form(name, 63, NULL));
	cr_assert_not(name_is_wire_form(name, 64, NULL));
	memcpy(name, "a.", 2);
	cr_assert(name_is_wire_form(name, 65, NULL));
	cr_assert_not(name_is_wire_form(name, 66, NULL));
}

Test(name, text_is_lowered_and_loses_one_trailing_dot)
{
	static const struct {
		const char *text, *name; // NULL: refused
	} cases[] = {
		{"Example.COM", "example.com"},
		{"example.com.", "example.com"},
		{"AZ", "az"},
		{"example.com..", NULL},
		{".", NULL},
		{"", NULL},
		{"b\xc3\xbc"
		 "cher.example",
			NULL},
		{"1.2.3.4.", NULL},
		{"0X7F", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char name[NAME_SIZE] = "untouched";
		bool ok = name_from_text(cases[i].text, strlen(cases[i].text), name, NULL);
		cr_expect_eq(ok, cases[i].name != NULL, "`%s`", cases[i].text);
		cr_expect_str_eq(name, cases[i].name ? cases[i].name : "untouched");
	}
}

Test(name, a_trailing_dot_does_not_count_towards_253)
{
	char text[300], name[NAME_SIZE];

	make_name(text, 253);
	strcat(text, ".");
	cr_assert(name_from_text(text, 254, name, NULL));
	cr_assert_eq(strlen(name), 253);
	make_name(text, 254);
	strcat(text, ".");
	cr_assert_not(name_from_text(text, 255, name, NULL));
}
