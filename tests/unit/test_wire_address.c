// SPDX-License-Identifier: MIT
#include "wire/address.h"

#include <netinet/in.h>
#include <string.h>

#include <criterion/criterion.h>

static struct address address_of(const char *text)
{
	struct address address;

	cr_assert(address_parse(text, strlen(text), &address, NULL), "`%s`", text);
	return address;
}

static struct address_block block_of(const char *text)
{
	struct address_block block;

	cr_assert(address_block_parse(text, strlen(text), &block, NULL), "`%s`", text);
	return block;
}

Test(address, every_valid_spelling_is_written_in_its_canonical_form)
{
	static const struct {
		const char *text, *canonical;
	} cases[] = {
		{"0.0.0.0", "0.0.0.0"},
		{"127.0.0.1", "127.0.0.1"},
		{"255.255.255.255", "255.255.255.255"},
		{"::", "::"},
		{"::1", "::1"},
		{"2001:DB8::0:1", "2001:db8::1"},
		{"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
		{"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
		{"::ffff:10.1.2.3", "::ffff:10.1.2.3"},
		{"::ffff:0a01:0203", "::ffff:10.1.2.3"},
		{"fd61:6972:6c6f::", "fd61:6972:6c6f::"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
			"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[ADDRESS_TEXT_SIZE];
		struct address address = address_of(cases[i].text);
		cr_expect_str_eq(address_format(&address, text), cases[i].canonical);
	}
}

Test(address, other_spellings_are_refused)
{
	static const char *const cases[] = {
		"",
		"1",
		"127.1",
		"1.2.3",
		"1.2.3.4.5",
		"1.2.3.256",
		"01.2.3.4",
		"0x7f.0.0.1",
		"2130706433",
		"1.2.3.4 ",
		" 1.2.3.4",
		"1.2.3.4:80",
		"[::1]",
		"fe80::1%eth0",
		":::",
		"1::2::3",
		"12345::",
		"::1/128",
		"example.com",
		"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555",
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct address address;
		struct parse_error error;
		cr_expect_not(address_parse(cases[i], strlen(cases[i]), &address, &error), "`%s`",
			cases[i]);
	}
}

Test(address, a_nul_inside_the_text_is_refused)
{
	struct address address;

	cr_assert_not(address_parse("1.2.3.4\0x", 9, &address, NULL));
}

Test(address, equality_looks_at_family_and_bytes)
{
	struct address a = address_of("10.0.0.1"), b = address_of("10.0.0.2");
	struct address mapped = address_of("::ffff:10.0.0.1");

	cr_assert(address_is_equal(&a, &a));
	cr_assert_not(address_is_equal(&a, &b));
	cr_assert_not(address_is_equal(&a, &mapped));
}

Test(address, only_mapped_addresses_are_unmapped)
{
	struct address mapped = address_of("::ffff:10.0.0.1"), plain = address_of("10.0.0.1");
	struct address compatible = address_of("::10.0.0.1");
	struct address unmapped = address_unmap(&mapped);

	cr_assert(address_is_equal(&unmapped, &plain));
	unmapped = address_unmap(&compatible);
	cr_assert(address_is_equal(&unmapped, &compatible));
	unmapped = address_unmap(&plain);
	cr_assert(address_is_equal(&unmapped, &plain));
}

Test(address, blocks_contain_exactly_their_addresses)
{
	static const struct {
		const char *block, *address;
		bool contains;
	} cases[] = {
		{"0.0.0.0/0", "255.1.2.3", true},
		{"0.0.0.0/0", "::", false},
		{"::/0", "ffff::", true},
		{"::/0", "1.2.3.4", false},
		{"10.0.0.0/8", "10.255.255.255", true},
		{"10.0.0.0/8", "11.0.0.0", false},
		{"10.0.0.0/8", "9.255.255.255", false},
		{"198.18.0.0/15", "198.19.255.255", true},
		{"198.18.0.0/15", "198.20.0.0", false},
		{"192.168.1.64/27", "192.168.1.95", true},
		{"192.168.1.64/27", "192.168.1.96", false},
		{"1.2.3.4", "1.2.3.4", true},
		{"1.2.3.4", "1.2.3.5", false},
		{"1.2.3.4/31", "1.2.3.5", true},
		{"fd61:6972:6c6f::/96", "fd61:6972:6c6f::ffff:ffff", true},
		{"fd61:6972:6c6f::/96", "fd61:6972:6c6f::1:0:0", false},
		{"2001:db8::/33", "2001:db8:7fff::", true},
		{"2001:db8::/33", "2001:db8:8000::", false},
		{"::1", "::1", true},
		{"::1", "::", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct address_block block = block_of(cases[i].block);
		struct address address = address_of(cases[i].address);
		cr_expect_eq(address_block_contains(&block, &address), cases[i].contains,
			"%s in %s", cases[i].address, cases[i].block);
	}
}

Test(address, malformed_blocks_are_refused_where_they_are_wrong)
{
	static const struct {
		const char *text;
		size_t offset;
	} cases[] = {
		{"", 0},
		{"/8", 0},
		{"10.0.0.0/", 9},
		{"10.0.0.0/33", 9},
		{"10.0.0.0/08", 9},
		{"10.0.0.0/-1", 9},
		{"10.0.0.0/8/8", 9},
		{"10.0.0.1/8", 0},
		{"::1/127", 0},
		{"::/129", 3},
		{"10.0.0.0/255.0.0.0", 9},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct address_block block;
		struct parse_error error;
		cr_expect_not(
			address_block_parse(cases[i].text, strlen(cases[i].text), &block, &error),
			"`%s`", cases[i].text);
		cr_expect_eq(error.offset, cases[i].offset, "`%s`", cases[i].text);
	}
}

Test(address, socket_addresses_round_trip)
{
	static const char *const cases[] = {"1.2.3.4", "2001:db8::5", "::ffff:1.2.3.4"};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct address in = address_of(cases[i]), out;
		struct sockaddr_storage storage;
		uint16_t port;
		socklen_t length = address_to_sockaddr(&in, 8443, &storage);
		cr_expect_eq(length, in.family == ADDRESS_IPV4 ? sizeof(struct sockaddr_in)
							       : sizeof(struct sockaddr_in6));
		cr_expect(address_from_sockaddr(
			(const struct sockaddr *)&storage, length, &out, &port));
		cr_expect(address_is_equal(&in, &out));
		cr_expect_eq(port, 8443);
	}
}

Test(address, short_and_foreign_socket_addresses_are_refused)
{
	struct address address;
	struct sockaddr_storage storage;
	const struct sockaddr *sockaddr = (const struct sockaddr *)&storage;
	uint16_t port;

	address = address_of("1.2.3.4");
	socklen_t length = address_to_sockaddr(&address, 1, &storage);
	cr_assert_not(address_from_sockaddr(sockaddr, length - 1, &address, &port));
	cr_assert_not(address_from_sockaddr(sockaddr, 1, &address, &port));
	cr_assert_not(address_from_sockaddr(sockaddr, 0, &address, &port));

	address = address_of("::1");
	address_to_sockaddr(&address, 1, &storage);
	cr_assert(address_from_sockaddr(sockaddr, 24, &address, &port), "without a scope id");
	cr_assert_not(address_from_sockaddr(sockaddr, 23, &address, &port));

	storage.ss_family = AF_UNIX;
	cr_assert_not(address_from_sockaddr(sockaddr, sizeof(storage), &address, &port));
}
