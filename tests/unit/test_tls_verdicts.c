// SPDX-License-Identifier: MIT
#include "preload/tls/verdicts.h"

#include <criterion/criterion.h>
#include <string.h>

#include "preload/tls/verify.h"

static const uint8_t one[VERDICTS_KEY_SIZE] = {7, 1}, other[VERDICTS_KEY_SIZE] = {7, 2};

Test(tls_verdicts, nothing_is_good_at_first)
{
	static const uint8_t zeros[VERDICTS_KEY_SIZE];
	struct verdicts verdicts = {0};

	cr_assert_not(verdicts_find(&verdicts, zeros, 0));
	cr_assert_not(verdicts_find(&verdicts, one, 1000));
}

Test(tls_verdicts, one_holds_for_its_key_alone)
{
	struct verdicts verdicts = {0};

	verdicts_put(&verdicts, one, 1000, 9000);
	cr_assert(verdicts_find(&verdicts, one, 1000));
	cr_assert_not(verdicts_find(&verdicts, other, 1000));
	verdicts_put(&verdicts, other, 1000, 9000); // of the same slot
	cr_assert(verdicts_find(&verdicts, other, 1000));
	cr_assert_not(verdicts_find(&verdicts, one, 1000));
}

Test(tls_verdicts, one_ends_with_the_first_certificate)
{
	struct verdicts verdicts = {0};

	verdicts_put(&verdicts, one, 1000, 1002);
	cr_assert(verdicts_find(&verdicts, one, 1002), "the last second counts");
	cr_assert_not(verdicts_find(&verdicts, one, 1003));
	verdicts_put(&verdicts, one, 1000, 999);
	cr_assert_not(verdicts_find(&verdicts, one, 1000), "it had ended already");
	verdicts_put(&verdicts, one, 1000, -1);
	cr_assert_not(verdicts_find(&verdicts, one, 1000), "the end could not be read");
}

Test(tls_verdicts, none_outlives_its_time)
{
	struct verdicts verdicts = {0};

	verdicts_put(&verdicts, one, 1000, 1000000);
	cr_assert(verdicts_find(&verdicts, one, 1000 + VERDICTS_LIFETIME - 1));
	cr_assert_not(verdicts_find(&verdicts, one, 1000 + VERDICTS_LIFETIME));
}

Test(tls_verdicts, a_clock_that_was_set_back_ends_it)
{
	struct verdicts verdicts = {0};

	verdicts_put(&verdicts, one, 1000, 9000);
	cr_assert_not(verdicts_find(&verdicts, one, 999));
}

// --- what they are about

static gnutls_datum_t text(const char *string)
{
	return (gnutls_datum_t){
		.data = (unsigned char *)(uintptr_t)string, .size = (unsigned)strlen(string)};
}

Test(tls_verdicts, whatever_was_judged_is_part_of_the_key)
{
	const struct trust trusts[2] = {0};
	const struct address address = {.family = ADDRESS_IPV4, .bytes = {11, 0, 0, 1}};
	const struct address mapped = {.family = ADDRESS_IPV6, .bytes = {11, 0, 0, 1}};
	const struct address next = {.family = ADDRESS_IPV4, .bytes = {11, 0, 0, 2}};
	const struct {
		const char *what;
		struct verify_target target;
		size_t trust;
		gnutls_datum_t chain[2];
		unsigned count;
	} cases[] = {
		{"the first", {"a.test", address}, 0, {text("leaf"), text("issuer")}, 2},
		{"another name", {"b.test", address}, 0, {text("leaf"), text("issuer")}, 2},
		{"a longer name", {"a.test.", address}, 0, {text("leaf"), text("issuer")}, 2},
		{"no name", {"", address}, 0, {text("leaf"), text("issuer")}, 2},
		{"another address", {"", next}, 0, {text("leaf"), text("issuer")}, 2},
		{"another family", {"", mapped}, 0, {text("leaf"), text("issuer")}, 2},
		{"another route", {"a.test", address}, 1, {text("leaf"), text("issuer")}, 2},
		{"another leaf", {"a.test", address}, 0, {text("Leaf"), text("issuer")}, 2},
		{"another issuer", {"a.test", address}, 0, {text("leaf"), text("Issuer")}, 2},
		{"cut elsewhere", {"a.test", address}, 0, {text("leafi"), text("ssuer")}, 2},
		{"no issuer", {"a.test", address}, 0, {text("leaf")}, 1},
	};
	uint8_t keys[ARRAY_SIZE(cases)][VERDICTS_KEY_SIZE], again[VERDICTS_KEY_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cr_assert(verify_format_key(&cases[i].target, &trusts[cases[i].trust],
			cases[i].chain, cases[i].count, keys[i]));
		for (size_t before = 0; before < i; before++)
			cr_assert_arr_neq(keys[before], keys[i], sizeof(keys[i]), "%s, %s",
				cases[before].what, cases[i].what);
	}
	cr_assert(verify_format_key(
		&cases[0].target, &trusts[0], cases[0].chain, cases[0].count, again));
	cr_assert_arr_eq(again, keys[0], sizeof(again));
}
