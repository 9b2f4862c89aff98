// SPDX-License-Identifier: MIT
#include "attest/policy.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define X16  "abababababababab"
#define X96  X16 X16 X16 X16 X16 X16
#define X64  X16 X16 X16 X16
#define ZERO "0000000000000000"
#define Z96  ZERO ZERO ZERO ZERO ZERO ZERO

static struct policy *parse(const char *text, struct conf_error *error)
{
	return policy_parse(text, strlen(text), error);
}

static const char *const good[] = {
	"pcr0 " X96,
	"pcr31 " X96 "\n",
	"# measured from image.eif\nrelease image\n  pcr0 " X96 "\n  pcr1 " X96 "\n  pcr2 " X96
	"\n  pcr8 " X96 "\n",
	"release a\n\tpcr0 " X96 "\nrelease b\n\n  pcr0 " X96 " # same\n",
	"release a/b:1.2_3\n pcr4 " X96,
	"pcr8 " X96 "\nrelease a\n pcr8 " X96,
	"release a\n pcr0 " X96 "\npcr8 " X96,
	"debug allow\n",
	"debug allow\npcr3 " X96 "\nmax-age 5m\nnonce 00\nuser_data sha256:" X64
	"\npublic_key 0A0b\nplatform nitro-enclave\npartition aws aws-us-gov\n",
};

Test(attest_policy, parses_what_is_good)
{
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct conf_error error = {0};
		struct policy *policy = parse(good[i], &error);
		cr_expect_not_null(policy, "%s: %s", good[i], error.reason);
		policy_free(policy);
	}
}

// The place and the token that the error must name.
static const struct {
	const char *text;
	const char *place;
	const char *token;
} bad[] = {
	{"", "1:1", ""},
	{"# nothing\n\n", "2:1", ""},
	{"max-age 5m\n", "1:1", ""},
	{"release a\n", "1:9", "a"},
	{"release a\nrelease b\n pcr0 " X96, "1:9", "a"},
	{"release a\n pcr0 " X96 "\nrelease b\n", "3:9", "b"},
	{"release a\n pcr0 " X96 "\nrelease a\n pcr0 " X96, "3:9", "a"},
	{"release\n pcr0 " X96, "1:1", "release"},
	{"release a b\n pcr0 " X96, "1:11", "b"},
	{"release \xc3\xa4\n pcr0 " X96, "1:9", "??"},
	{"release " X96 "\n pcr0 " X96, "1:9", NULL},
	{"release a\n nonce 00\n", "2:2", "nonce"},
	{"  pcr0 " X96, "1:3", "pcr0"},
	{"pcr8 " X96 "\n  pcr0 " X96, "2:3", "pcr0"},
	{"release a\n pcr0 " X96 "\nmax-age 5m\n pcr1 " X96, "4:2", "pcr1"},
	{"release a\n pcr0 " X96 "\n pcr0 " X96, "3:2", "pcr0"},
	{"pcr0 " X96 "\npcr0 " X96, "2:1", "pcr0"},
	{"pcr0", "1:1", "pcr0"},
	{"pcr0 " X96 " x", "1:103", "x"},
	{"pcr0 " X64, "1:6", NULL},
	{"pcr0 " X96 "ab", "1:6", NULL},
	{"pcr0 sha256:" X64, "1:6", NULL},
	{"pcr0 " Z96, "1:6", NULL},
	{"pcr0 0x" X64 X16 "abababababab", "1:6", NULL},
	{"pcr32 " X96, "1:1", "pcr32"},
	{"pcr00 " X96, "1:1", "pcr00"},
	{"pcr " X96, "1:1", "pcr"},
	{"pcr-1 " X96, "1:1", "pcr-1"},
	{"PCR0 " X96, "1:1", "PCR0"},
	{"pcr0=" X96, "1:1", NULL},
	{"allow everything\n", "1:1", "allow"},
	{"nonce\n", "1:1", "nonce"},
	{"nonce 0\n", "1:7", "0"},
	{"nonce xx\n", "1:7", "xx"},
	{"nonce 00\nnonce 00\n", "2:1", "nonce"},
	{"nonce sha256:" X64, "1:7", NULL},
	{"user_data sha256:00", "1:11", "sha256:00"},
	{"user_data sha256:", "1:11", "sha256:"},
	{"public_key 00 00\n", "1:15", "00"},
	{"platform\n", "1:1", "platform"},
	{"platform laptop\n", "1:10", "laptop"},
	{"platform nitro-enclave nitro-enclave\n", "1:24", "nitro-enclave"},
	{"platform nitro-enclave\nplatform named-root\n", "2:1", "platform"},
	{"partition aws-cn\n", "1:11", "aws-cn"},
	{"debug\n", "1:1", "debug"},
	{"debug deny\n", "1:7", "deny"},
	{"debug allow\ndebug allow\n", "2:1", "debug"},
	{"max-age 5\n", "1:9", "5"},
	{"max-age 0\n", "1:9", "0"},
	{"max-age 5m\nmax-age 5m\n", "2:1", "max-age"},
	{"pcr0 " X96 "\x01", "1:102", "?"},
};

Test(attest_policy, refuses_what_is_not_with_its_place)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct conf_error error = {0};
		struct policy *policy = parse(bad[i].text, &error);
		char place[32];
		cr_expect_null(policy, "%s", bad[i].text);
		policy_free(policy);
		snprintf(place, sizeof(place), "%u:%u", error.line, error.column);
		cr_expect_str_eq(
			place, bad[i].place, "%s: %s %s", bad[i].text, place, error.reason);
		if (bad[i].token)
			cr_expect_str_eq(error.token, bad[i].token, "%s", bad[i].text);
		cr_expect_neq(error.reason[0], '\0');
	}
}

Test(attest_policy, says_what_verify_asks_before_the_rest)
{
	struct conf_error error;
	struct policy *policy = parse("debug allow\nmax-age 5m\n", &error);

	cr_assert_eq(policy_max_age(policy), 300000);
	cr_assert(policy_allows_debug(policy));
	policy_free(policy);
	policy = parse("pcr0 " X96, &error);
	cr_assert_eq(policy_max_age(policy), 0);
	cr_assert_not(policy_allows_debug(policy));
	policy_free(policy);
	policy_free(NULL);
}

Test(attest_policy, takes_a_thousand_releases_and_no_more)
{
	static char text[1025 * 140];
	struct conf_error error;
	struct policy *policy;
	size_t length = 0, at_most = 0;

	for (unsigned i = 0; i < 1025; i++) {
		at_most = length;
		length += (size_t)sprintf(text + length, "release %u\n pcr0 %s\n", i, X96);
	}
	policy = policy_parse(text, at_most, &error);
	cr_assert_not_null(policy);
	policy_free(policy);
	cr_assert_null(policy_parse(text, length, &error));
	cr_assert_eq(error.line, 2049);
}
