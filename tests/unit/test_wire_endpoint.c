// SPDX-License-Identifier: MIT
#include "wire/endpoint.h"

#include <string.h>

#include <linux/vm_sockets.h>

#include <criterion/criterion.h>

static struct endpoint endpoint_of(const char *text)
{
	struct endpoint endpoint;
	struct parse_error error;

	cr_assert(endpoint_parse(text, strlen(text), true, &endpoint, &error), "`%s`: %s", text,
		error.reason);
	return endpoint;
}

Test(endpoint, vsock_words_and_ranges_are_read)
{
	static const struct {
		const char *text;
		uint32_t cid, first, last, count;
		const char *canonical;
	} cases[] = {
		{"vsock:parent:9000-9015", 3, 9000, 9015, 16, "vsock:3:9000-9015"},
		{"vsock:host:1", 2, 1, 1, 1, "vsock:2:1"},
		{"vsock:local:5-5", 1, 5, 5, 1, "vsock:1:5"},
		{"vsock:16:4294967294", 16, 4294967294, 4294967294, 1, "vsock:16:4294967294"},
		{"vsock:4294967294:9", 4294967294, 9, 9, 1, "vsock:4294967294:9"},
		{"vsock:any:1-1024", VMADDR_CID_ANY, 1, 1024, 1024, "vsock:any:1-1024"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[ENDPOINT_TEXT_SIZE];
		struct endpoint endpoint = endpoint_of(cases[i].text);
		cr_expect_eq(endpoint.transport, ENDPOINT_VSOCK);
		cr_expect_eq(endpoint.cid, cases[i].cid);
		cr_expect_eq(endpoint.port_first, cases[i].first);
		cr_expect_eq(endpoint.port_last, cases[i].last);
		cr_expect_eq(endpoint_count(&endpoint), cases[i].count);
		cr_expect_str_eq(endpoint_format(&endpoint, text), cases[i].canonical);
	}
}

Test(endpoint, malformed_ones_are_refused_where_they_are_wrong)
{
	static const struct {
		const char *text;
		size_t offset;
	} cases[] = {
		{"", 0},
		{"vsock", 0},
		{"tcp:1.2.3.4:80", 0},
		{"VSOCK:3:1", 0},
		{"vsock:", 6},
		{"vsock:3", 6},
		{"vsock::9000", 6},
		{"vsock:Parent:9000", 6},
		{"vsock:4294967295:9000", 6},
		{"vsock:-1:9000", 6},
		{"vsock:3:", 8},
		{"vsock:3:0", 8},
		{"vsock:3:4294967295", 8},
		{"vsock:3:x", 8},
		{"vsock:3:9000-", 13},
		{"vsock:3:9000-8999", 13},
		{"vsock:3:9000-9001-9002", 13},
		{"vsock:3:1-1025", 8},
		{"unix:", 5},
		{"unix:@", 5},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct endpoint endpoint;
		struct parse_error error = {.offset = 99};
		cr_expect_not(endpoint_parse(cases[i].text, strlen(cases[i].text), true, &endpoint,
				      &error),
			"`%s`", cases[i].text);
		cr_expect_eq(
			error.offset, cases[i].offset, "`%s`: %zu", cases[i].text, error.offset);
	}
}

Test(endpoint, any_is_for_listeners_only)
{
	struct endpoint endpoint;
	const char *text = "vsock:any:9000";

	cr_assert(endpoint_parse(text, strlen(text), true, &endpoint, NULL));
	cr_assert_not(endpoint_parse(text, strlen(text), false, &endpoint, NULL));
}

Test(endpoint, unix_paths_and_abstract_names_round_trip)
{
	static const char *const cases[] = {
		"unix:/run/airlock/hostd.sock", "unix:relative", "unix:@name", "unix:./@file"};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[ENDPOINT_TEXT_SIZE];
		struct endpoint endpoint = endpoint_of(cases[i]);
		cr_expect_eq(endpoint.transport, ENDPOINT_UNIX);
		cr_expect_eq(endpoint_count(&endpoint), 1);
		cr_expect_str_eq(endpoint_format(&endpoint, text), cases[i]);
	}
}

Test(endpoint, a_path_of_107_bytes_is_the_longest)
{
	char text[200] = "unix:", back[ENDPOINT_TEXT_SIZE];
	struct endpoint endpoint;

	memset(text + 5, 'p', 108);
	cr_assert(endpoint_parse(text, 5 + 107, false, &endpoint, NULL));
	cr_assert_eq(strlen(endpoint_format(&endpoint, back)), 112);
	cr_assert_not(endpoint_parse(text, 5 + 108, false, &endpoint, NULL));
	text[5] = '@';
	cr_assert(endpoint_parse(text, 5 + 107, false, &endpoint, NULL));
	cr_assert_eq(strlen(endpoint_format(&endpoint, back)), 112);
	cr_assert_not(endpoint_parse(text, 5 + 108, false, &endpoint, NULL));
}

Test(endpoint, a_nul_in_a_path_is_refused)
{
	struct endpoint endpoint;

	cr_assert_not(endpoint_parse("unix:a\0b", 8, false, &endpoint, NULL));
}

Test(endpoint, socket_addresses_carry_the_port_at_the_index)
{
	struct endpoint endpoint = endpoint_of("vsock:parent:9000-9015");
	struct sockaddr_storage storage;
	const struct sockaddr_vm *address = (const struct sockaddr_vm *)&storage;

	cr_assert_eq(endpoint_to_sockaddr(&endpoint, 15, &storage), sizeof(*address));
	cr_assert_eq(address->svm_family, AF_VSOCK);
	cr_assert_eq(address->svm_cid, 3);
	cr_assert_eq(address->svm_port, 9015);
}

Test(endpoint, socket_addresses_count_the_nul_of_a_path_but_not_of_a_name)
{
	struct sockaddr_storage storage;
	const struct sockaddr_un *address = (const struct sockaddr_un *)&storage;
	struct endpoint endpoint = endpoint_of("unix:/a/b");

	cr_assert_eq(endpoint_to_sockaddr(&endpoint, 0, &storage), 2 + 5);
	cr_assert_str_eq(address->sun_path, "/a/b");
	endpoint = endpoint_of("unix:@ab");
	cr_assert_eq(endpoint_to_sockaddr(&endpoint, 0, &storage), 2 + 3);
	cr_assert_eq(memcmp(address->sun_path, "\0ab", 3), 0);
}
