// SPDX-License-Identifier: MIT
#include "wire/outcome.h"

#include <errno.h>
#include <string.h>

#include <criterion/criterion.h>

Test(outcome, every_class_gives_the_errno_of_the_protocol)
{
	static const struct {
		enum outcome_class class;
		int number;
		int error;
		const char *name;
	} cases[] = {
		{OUTCOME_NONE, 0, 0, "none"},
		{OUTCOME_REFUSED, 1, ECONNREFUSED, "refused"},
		{OUTCOME_TIMED_OUT, 2, ETIMEDOUT, "timed-out"},
		{OUTCOME_HOST_UNREACHABLE, 3, EHOSTUNREACH, "host-unreachable"},
		{OUTCOME_NET_UNREACHABLE, 4, ENETUNREACH, "net-unreachable"},
		{OUTCOME_DENIED, 5, EACCES, "denied"},
		{OUTCOME_NO_SUCH_NAME, 6, EHOSTUNREACH, "no-such-name"},
		{OUTCOME_TRY_AGAIN, 7, EHOSTUNREACH, "try-again"},
		{OUTCOME_LIMIT, 8, ECONNREFUSED, "limit"},
		{OUTCOME_RESET, 9, ECONNRESET, "reset"},
		{OUTCOME_TLS_FAILED, 10, EPROTO, "tls-failed"},
		{OUTCOME_INTERNAL, 11, ENETUNREACH, "internal"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cr_expect_eq((int)cases[i].class, cases[i].number, "%s", cases[i].name);
		cr_expect_eq(outcome_errno(cases[i].class), cases[i].error, "%s", cases[i].name);
		cr_expect_str_eq(outcome_class_name(cases[i].class), cases[i].name);
	}
}

Test(outcome, a_class_of_a_newer_peer_is_unreachable_and_unknown)
{
	cr_assert_eq(outcome_errno((enum outcome_class)12), ENETUNREACH);
	cr_assert_eq(outcome_errno((enum outcome_class)255), ENETUNREACH);
	cr_assert_str_eq(outcome_class_name((enum outcome_class)12), "unknown");
	cr_assert_str_eq(outcome_stage_name((enum outcome_stage)8), "unknown");
}

Test(outcome, stages_have_the_numbers_and_words_of_the_protocol)
{
	static const char *const names[] = {
		"open", "policy", "name", "dial", "relay", "limit", "tls", "internal"};

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		cr_expect_str_eq(outcome_stage_name((enum outcome_stage)i), names[i]);
}

Test(outcome, dialling_errors_become_classes)
{
	static const struct {
		int error;
		enum outcome_class class;
	} cases[] = {
		{0, OUTCOME_NONE},
		{ECONNREFUSED, OUTCOME_REFUSED},
		{ETIMEDOUT, OUTCOME_TIMED_OUT},
		{EHOSTUNREACH, OUTCOME_HOST_UNREACHABLE},
		{EHOSTDOWN, OUTCOME_HOST_UNREACHABLE},
		{ENETUNREACH, OUTCOME_NET_UNREACHABLE},
		{ENETDOWN, OUTCOME_NET_UNREACHABLE},
		{EACCES, OUTCOME_DENIED},
		{EPERM, OUTCOME_DENIED},
		{ECONNRESET, OUTCOME_RESET},
		{EINVAL, OUTCOME_INTERNAL},
		{EMFILE, OUTCOME_INTERNAL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		cr_expect_eq(outcome_class_from_errno(cases[i].error), cases[i].class, "%s",
			strerror(cases[i].error));
}

Test(outcome, text_is_cut_and_cleaned)
{
	struct outcome outcome;
	char text[2 * OUTCOME_TEXT_SIZE];

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	outcome_set(&outcome, OUTCOME_STAGE_DIAL, OUTCOME_REFUSED, "%s", text);
	cr_assert_eq(outcome.stage, OUTCOME_STAGE_DIAL);
	cr_assert_eq(outcome.class, OUTCOME_REFUSED);
	cr_assert_eq(strlen(outcome.text), OUTCOME_TEXT_SIZE - 1);

	outcome_set(&outcome, OUTCOME_STAGE_NAME, OUTCOME_DENIED, "a\nb\x1b[0m%s", "\xff");
	cr_assert_str_eq(outcome.text, "a?b?[0m?");
}
