// SPDX-License-Identifier: MIT
// Deadlines and outcomes.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "preload/tls/deadlines.h"
#include "preload/tls/tls_outcomes.h"
#include "wire/compiler.h"

Test(tls_deadlines, are_taken_in_the_order_in_which_they_are_due)
{
	struct deadline deadlines[4] = {0};
	struct deadline_list lists[2] = {0};

	deadline_arm(&lists[0], &deadlines[0], 30);
	deadline_arm(&lists[0], &deadlines[1], 10); // earlier than the list's last
	deadline_arm(&lists[0], &deadlines[2], 20);
	deadline_arm(&lists[1], &deadlines[3], 15);
	cr_assert_eq(deadlines_wait(lists, 2, 0), 10);
	cr_assert_null(deadlines_take(lists, 2, 9));
	cr_assert_eq(deadlines_take(lists, 2, 10), &deadlines[1]);
	cr_assert_eq(deadlines_wait(lists, 2, 10), 5);
	cr_assert_eq(deadlines_take(lists, 2, 20), &deadlines[2]);
	cr_assert_eq(deadlines_take(lists, 2, 20), &deadlines[3]);
	cr_assert_eq(deadlines_take(lists, 2, 30), &deadlines[0]);
	cr_assert_eq(deadlines_wait(lists, 2, 30), -1);
}

Test(tls_deadlines, one_that_is_armed_again_moves)
{
	struct deadline one = {0};
	struct deadline_list lists[2] = {0};

	deadline_arm(&lists[0], &one, 10);
	deadline_arm(&lists[1], &one, 50);
	cr_assert_null(lists[0].first);
	cr_assert_eq(deadlines_wait(lists, 2, 20), 30);
	deadline_cancel(&one);
	deadline_cancel(&one);
	cr_assert_eq(deadlines_wait(lists, 2, 20), -1);
}

Test(tls_deadlines, one_that_is_overdue_is_not_waited_for)
{
	struct deadline one = {0};
	struct deadline_list list = {0};

	deadline_arm(&list, &one, 10);
	cr_assert_eq(deadlines_wait(&list, 1, 11), 0);
}

static void make_id(uint8_t id[static REQUEST_ID_SIZE], uint32_t number)
{
	memset(id, 0, REQUEST_ID_SIZE);
	memcpy(id, &number, sizeof(number));
}

static void store(struct tls_outcomes *outcomes, uint32_t number, uint64_t now)
{
	uint8_t id[REQUEST_ID_SIZE];
	struct outcome outcome;

	make_id(id, number);
	outcome_set(&outcome, OUTCOME_STAGE_TLS, OUTCOME_TLS_FAILED, "number %u", number);
	tls_outcomes_store(outcomes, id, &outcome, now);
}

static bool has(struct tls_outcomes *outcomes, uint32_t number, uint64_t now)
{
	uint8_t id[REQUEST_ID_SIZE];
	struct outcome outcome;
	char text[32];

	make_id(id, number);
	if (!tls_outcomes_find(outcomes, id, now, &outcome))
		return false;
	snprintf(text, sizeof(text), "number %u", number);
	cr_assert_str_eq(outcome.text, text);
	return true;
}

Test(tls_outcomes, are_found_until_their_time_is_over)
{
	struct tls_outcomes outcomes = {0};

	store(&outcomes, 1, 0);
	store(&outcomes, 2, 10);
	cr_assert_not(has(&outcomes, 3, 0));
	cr_assert(has(&outcomes, 1, TLS_OUTCOMES_LIFETIME - 1));
	cr_assert_not(has(&outcomes, 1, TLS_OUTCOMES_LIFETIME));
	cr_assert(has(&outcomes, 2, TLS_OUTCOMES_LIFETIME));
	tls_outcomes_clear(&outcomes);
}

Test(tls_outcomes, a_later_one_replaces_the_earlier)
{
	struct tls_outcomes outcomes = {0};

	store(&outcomes, 1, 0);
	store(&outcomes, 1, TLS_OUTCOMES_LIFETIME - 1);
	cr_assert_eq(outcomes.count, 1);
	cr_assert(has(&outcomes, 1, TLS_OUTCOMES_LIFETIME));
	tls_outcomes_clear(&outcomes);
}

Test(tls_outcomes, their_number_is_bounded_and_the_oldest_go)
{
	struct tls_outcomes outcomes = {0};

	for (uint32_t i = 0; i < TLS_OUTCOMES_MAX + 2; i++)
		store(&outcomes, i, 0);
	cr_assert_eq(outcomes.count, TLS_OUTCOMES_MAX);
	cr_assert_not(has(&outcomes, 1, 0));
	cr_assert(has(&outcomes, 2, 0));
	tls_outcomes_clear(&outcomes);
	cr_assert_eq(outcomes.count, 0);
}
