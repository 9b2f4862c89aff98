// SPDX-License-Identifier: MIT
#include "wire/pattern.h"

#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

static struct pattern pattern_of(const char *text)
{
	struct pattern pattern;
	struct parse_error error;

	cr_assert(pattern_parse(text, strlen(text), &pattern, &error), "`%s`: %s", text,
		error.reason);
	return pattern;
}

static bool matches_address(const struct pattern *pattern, const char *text, uint16_t port)
{
	struct address address;

	cr_assert(address_parse(text, strlen(text), &address, NULL));
	return pattern_matches_address(pattern, &address, port);
}

Test(pattern, every_form_is_written_as_it_is_read)
{
	static const struct {
		const char *text, *canonical;
	} cases[] = {
		{"*", "*"},
		{"*:443", "*:443"},
		{"Example.com.", "example.com"},
		{"example.com:443", "example.com:443"},
		{"*.example.com:80,443,8000-8100", "*.example.com:80,443,8000-8100"},
		{"*.com", "*.com"},
		{"10.0.0.0/8", "10.0.0.0/8"},
		{"10.0.0.0/8:1-65535", "10.0.0.0/8:1-65535"},
		{"127.0.0.1:8000-8000", "127.0.0.1:8000"},
		{"1.2.3.4/32", "1.2.3.4"},
		{"0.0.0.0/0", "0.0.0.0/0"},
		{"::1", "::1"},
		{"[::1]", "::1"},
		{"[::1]:80", "[::1]:80"},
		{"fd00::/8", "fd00::/8"},
		{"[fd00::/8]:443", "[fd00::/8]:443"},
		{"::ffff:10.0.0.0/104", "10.0.0.0/8"},
		{"::ffff:1.2.3.4", "1.2.3.4"},
		{"::/0", "::/0"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[512];
		struct pattern pattern = pattern_of(cases[i].text);
		cr_expect_str_eq(pattern_format(&pattern, text, sizeof(text)), cases[i].canonical);
		struct pattern again = pattern_of(text);
		cr_expect_eq(memcmp(&pattern, &again, sizeof(pattern)), 0, "%s", text);
	}
}

Test(pattern, malformed_ones_are_refused_where_they_are_wrong)
{
	static const struct {
		const char *text;
		size_t offset;
	} cases[] = {
		{"", 0},
		{":80", 0},
		{"*:", 2},
		{"*:0", 2},
		{"*:65536", 2},
		{"*:80-79", 2},
		{"*:80,", 5},
		{"*:,80", 2},
		{"*:80,x", 5},
		{"*:1-2-3", 2},
		{"*.", 2},
		{"**", 0},
		{"*example.com", 0},
		{"a.*.com", 2},
		{"*.*.com", 2},
		{"*.10.0.0.1", 9},
		{"exa_mple..com", 9},
		{"10.0.0.1/8", 0},
		{"10.0.0.0/33", 9},
		{"1.2.3", 4},
		{"1.2.3.4.5", 8},
		{"[::1", 0},
		{"[::1]80", 5},
		{"[::1]:", 6},
		{"[1.2.3.4]:80", 1},
		{"[example.com]:80", 1},
		{"[]", 1},
		{"[::1]:80:90", 6},
		{"fe80::1%eth0", 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct pattern pattern;
		struct parse_error error = {.offset = 99};
		cr_expect_not(pattern_parse(cases[i].text, strlen(cases[i].text), &pattern, &error),
			"`%s`", cases[i].text);
		cr_expect_eq(
			error.offset, cases[i].offset, "`%s`: %zu", cases[i].text, error.offset);
		cr_expect_not(pattern_parse(cases[i].text, strlen(cases[i].text), &pattern, NULL));
	}
}

Test(pattern, sixteen_port_ranges_are_the_most)
{
	struct port_range ports[PATTERN_MAX_PORT_RANGES];
	struct parse_error error;
	const char *sixteen = "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16";
	const char *seventeen = "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17";

	cr_assert_eq(pattern_parse_ports(sixteen, strlen(sixteen), ports, &error), 16);
	cr_assert_eq(ports[15].last, 16);
	cr_assert_eq(pattern_parse_ports(seventeen, strlen(seventeen), ports, &error), 0);
	cr_assert_eq(error.offset, strlen(sixteen) + 1);
	cr_assert_eq(pattern_parse_ports("", 0, ports, &error), 0);
}

Test(pattern, names_match_exactly_or_by_suffix)
{
	static const struct {
		const char *pattern, *name;
		bool matches;
	} cases[] = {
		{"example.com", "example.com", true},
		{"example.com", "www.example.com", false},
		{"example.com", "example.co", false},
		{"*.example.com", "www.example.com", true},
		{"*.example.com", "a.b.example.com", true},
		{"*.example.com", "example.com", false},
		{"*.example.com", "notexample.com", false},
		{"*.example.com", ".example.com", false},
		{"*.example.com", "www.example.com.evil", false},
		{"*", "anything", true},
		{"10.0.0.0/8", "ten.example", false},
		{"0.0.0.0/0", "a", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct pattern pattern = pattern_of(cases[i].pattern);
		cr_expect_eq(pattern_matches_name(&pattern, cases[i].name, 80), cases[i].matches,
			"%s against %s", cases[i].name, cases[i].pattern);
	}
}

Test(pattern, addresses_match_blocks_and_the_star)
{
	static const struct {
		const char *pattern, *address;
		bool matches;
	} cases[] = {
		{"*", "1.2.3.4", true},
		{"*", "::1", true},
		{"10.0.0.0/8", "10.1.2.3", true},
		{"10.0.0.0/8", "::ffff:10.1.2.3", true},
		{"::ffff:10.0.0.0/104", "10.1.2.3", true},
		{"::ffff:10.0.0.0/104", "::ffff:10.1.2.3", true},
		{"10.0.0.0/8", "11.1.2.3", false},
		{"::/0", "10.1.2.3", false},
		{"::/0", "::ffff:10.1.2.3", false},
		{"::/0", "2001:db8::1", true},
		{"fd00::/8", "fd61::1", true},
		{"example.com", "1.2.3.4", false},
		{"*.example.com", "1.2.3.4", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct pattern pattern = pattern_of(cases[i].pattern);
		cr_expect_eq(matches_address(&pattern, cases[i].address, 80), cases[i].matches,
			"%s against %s", cases[i].address, cases[i].pattern);
	}
}

Test(pattern, ports_narrow_names_and_addresses_alike)
{
	struct pattern name = pattern_of("example.com:80,443,8000-8100");
	struct pattern block = pattern_of("10.0.0.0/8:443");
	static const struct {
		uint16_t port;
		bool matches;
	} cases[] = {{79, false}, {80, true}, {81, false}, {443, true}, {7999, false}, {8000, true},
		{8100, true}, {8101, false}, {0, false}, {65535, false}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cr_expect_eq(pattern_matches_port(&name, cases[i].port), cases[i].matches);
		cr_expect_eq(pattern_matches_name(&name, "example.com", cases[i].port),
			cases[i].matches);
	}
	cr_expect(matches_address(&block, "10.0.0.1", 443));
	cr_expect_not(matches_address(&block, "10.0.0.1", 80));
}

Test(pattern, without_ports_every_port_matches)
{
	struct pattern pattern = pattern_of("example.com");

	cr_assert(pattern_matches_port(&pattern, 0));
	cr_assert(pattern_matches_port(&pattern, 65535));
}

Test(pattern, formatting_is_cut_to_the_size_given)
{
	char text[12] = "";
	struct pattern pattern = pattern_of("*.example.com:80,443");

	cr_assert_str_eq(pattern_format(&pattern, text, sizeof(text)), "*.example.c");
	cr_assert_str_eq(pattern_format(&pattern, text, 1), "");
}
