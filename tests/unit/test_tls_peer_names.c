// SPDX-License-Identifier: MIT
#include "preload/tls/peer_names.h"

#include <criterion/criterion.h>
#include <string.h>

struct name_case {
	const char *pattern;
	size_t length; // 0: strlen
	const char *name;
	bool matches;
};

static const struct name_case cases[] = {
	{"host.example.test", 0, "host.example.test", true},
	{"HOST.Example.Test", 0, "host.example.test", true},
	{"*.example.test", 0, "host.example.test", true},
	{"*.example.test", 0, "xn--bcher-kva.example.test", true},
	{"*.example.test", 0, "example.test", false},
	{"*.example.test", 0, "a.host.example.test", false},
	{"*t.example.test", 0, "host.example.test", false},
	{"h*.example.test", 0, "host.example.test", false},
	{"h*t.example.test", 0, "host.example.test", false},
	{"host.*.test", 0, "host.example.test", false},
	{"*.*.test", 0, "host.example.test", false},
	{"*", 0, "host", false},
	{"*.", 0, "host", false},
	{"", 0, "host", false},
	{"host.example.test.", 0, "host.example.test", false},
	{".example.test", 0, "host.example.test", false},
	{"host.example.test\0.evil.test", 28, "host.example.test", false},
	{"host.example.test\0", 18, "host.example.test", false},
	{"*.example.test\0x", 16, "host.example.test", false},
};

Test(tls_peer_names, a_star_is_a_whole_first_label_and_bytes_are_all_compared)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct name_case *one = &cases[i];
		size_t length = one->length ? one->length : strlen(one->pattern);

		cr_expect_eq(peer_names_match(one->pattern, length, one->name), one->matches,
			"%s for %s", one->pattern, one->name);
	}
}
