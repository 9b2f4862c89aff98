// SPDX-License-Identifier: MIT
#include <criterion/criterion.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "hostd/outcomes.h"

#define CID   16
#define OTHER 17

struct id {
	uint8_t bytes[REQUEST_ID_SIZE];
};

static struct id id_of(uint64_t number)
{
	struct id id = {{0}};
	memcpy(id.bytes, &number, sizeof(number));
	return id;
}

static struct outcome outcome_of(enum outcome_class class)
{
	struct outcome outcome;
	outcome_set(&outcome, OUTCOME_STAGE_DIAL, class, "class %d", (int)class);
	return outcome;
}

static void store(
	struct outcomes *outcomes, uint64_t number, enum outcome_class class, uint64_t now)
{
	struct outcome outcome = outcome_of(class);
	outcomes_store(outcomes, CID, id_of(number).bytes, &outcome, now);
}

static enum outcomes_answer find(
	struct outcomes *outcomes, uint32_t cid, uint64_t number, uint64_t now)
{
	struct outcome outcome;
	return outcomes_find(outcomes, cid, id_of(number).bytes, now, &outcome);
}

static uint64_t read_eventfd(int fd)
{
	uint64_t count = 0;
	ssize_t got = read(fd, &count, sizeof(count));
	return got == sizeof(count) ? count : 0;
}

Test(hostd_outcomes, is_pending_then_decided)
{
	struct outcomes *outcomes = outcomes_create();
	struct outcome outcome;
	cr_assert_eq(find(outcomes, CID, 1, 0), OUTCOMES_UNKNOWN);
	cr_assert(outcomes_begin(outcomes, CID, id_of(1).bytes, 0));
	cr_assert_eq(find(outcomes, CID, 1, 0), OUTCOMES_PENDING);
	store(outcomes, 1, OUTCOME_REFUSED, 5);
	cr_assert_eq(outcomes_find(outcomes, CID, id_of(1).bytes, 6, &outcome), OUTCOMES_DECIDED);
	cr_assert_eq(outcome.class, OUTCOME_REFUSED);
	cr_assert_eq(outcome.stage, OUTCOME_STAGE_DIAL);
	cr_assert_str_eq(outcome.text, "class 1");
	outcomes_destroy(outcomes);
}

Test(hostd_outcomes, tells_only_the_cid_that_opened_the_stream)
{
	struct outcomes *outcomes = outcomes_create();
	cr_assert(outcomes_begin(outcomes, CID, id_of(1).bytes, 0));
	cr_assert_eq(find(outcomes, OTHER, 1, 0), OUTCOMES_UNKNOWN);
	cr_assert(outcomes_begin(outcomes, OTHER, id_of(1).bytes, 0));
	store(outcomes, 1, OUTCOME_TIMED_OUT, 0);
	cr_assert_eq(find(outcomes, CID, 1, 0), OUTCOMES_DECIDED);
	cr_assert_eq(find(outcomes, OTHER, 1, 0), OUTCOMES_PENDING);
	outcomes_destroy(outcomes);
}

Test(hostd_outcomes, refuses_an_id_that_is_pending_and_takes_one_that_is_not)
{
	struct outcomes *outcomes = outcomes_create();
	cr_assert(outcomes_begin(outcomes, CID, id_of(1).bytes, 0));
	cr_assert_not(outcomes_begin(outcomes, CID, id_of(1).bytes, 0));
	store(outcomes, 1, OUTCOME_REFUSED, 0);
	cr_assert(outcomes_begin(outcomes, CID, id_of(1).bytes, 0));
	cr_assert_eq(find(outcomes, CID, 1, 0), OUTCOMES_PENDING);
	outcomes_destroy(outcomes);
}

Test(hostd_outcomes, forgets_what_ended_normally_and_keeps_a_later_reset)
{
	struct outcomes *outcomes = outcomes_create();
	cr_assert(outcomes_begin(outcomes, CID, id_of(1).bytes, 0));
	store(outcomes, 1, OUTCOME_NONE, 0);
	cr_assert_eq(find(outcomes, CID, 1, 0), OUTCOMES_UNKNOWN);
	store(outcomes, 1, OUTCOME_RESET, 10);
	cr_assert_eq(find(outcomes, CID, 1, 10), OUTCOMES_DECIDED);
	store(outcomes, 1, OUTCOME_TIMED_OUT, 20);
	struct outcome outcome;
	cr_assert_eq(outcomes_find(outcomes, CID, id_of(1).bytes, 20, &outcome), OUTCOMES_DECIDED);
	cr_assert_eq(outcome.class, OUTCOME_TIMED_OUT);
	store(outcomes, 2, OUTCOME_NONE, 20);
	cr_assert_eq(find(outcomes, CID, 2, 20), OUTCOMES_UNKNOWN);
	outcomes_destroy(outcomes);
}

Test(hostd_outcomes, keeps_a_decision_for_its_lifetime_and_a_dial_for_ever)
{
	struct outcomes *outcomes = outcomes_create();
	cr_assert(outcomes_begin(outcomes, CID, id_of(9).bytes, 0));
	store(outcomes, 1, OUTCOME_REFUSED, 1000);
	store(outcomes, 2, OUTCOME_REFUSED, 2000);
	cr_assert_eq(find(outcomes, CID, 1, 1000 + OUTCOMES_LIFETIME - 1), OUTCOMES_DECIDED);
	cr_assert_eq(find(outcomes, CID, 1, 1000 + OUTCOMES_LIFETIME), OUTCOMES_UNKNOWN);
	cr_assert_eq(find(outcomes, CID, 2, 1000 + OUTCOMES_LIFETIME), OUTCOMES_DECIDED);
	// Decided again: the lifetime begins again.
	store(outcomes, 2, OUTCOME_RESET, 1000 + OUTCOMES_LIFETIME);
	cr_assert_eq(find(outcomes, CID, 2, 2000 + OUTCOMES_LIFETIME), OUTCOMES_DECIDED);
	cr_assert_eq(find(outcomes, CID, 2, 1000 + 2 * OUTCOMES_LIFETIME), OUTCOMES_UNKNOWN);
	cr_assert_eq(find(outcomes, CID, 9, 100 * OUTCOMES_LIFETIME), OUTCOMES_PENDING);
	outcomes_destroy(outcomes);
}

Test(hostd_outcomes, keeps_a_decision_that_another_worker_s_clock_puts_in_the_future)
{
	struct outcomes *outcomes = outcomes_create();
	store(outcomes, 1, OUTCOME_REFUSED, 1000);
	cr_assert_eq(find(outcomes, CID, 1, 999), OUTCOMES_DECIDED);
	store(outcomes, 2, OUTCOME_REFUSED, 0);
	cr_assert(outcomes_begin(outcomes, CID, id_of(3).bytes, 1));
	cr_assert_eq(find(outcomes, CID, 1, 1001), OUTCOMES_DECIDED);
	cr_assert_eq(find(outcomes, CID, 1, 1000 + OUTCOMES_LIFETIME), OUTCOMES_UNKNOWN);
	outcomes_destroy(outcomes);
}

Test(hostd_outcomes, is_bounded_and_drops_the_oldest_decision)
{
	struct outcomes *outcomes = outcomes_create();
	cr_assert(outcomes_begin(outcomes, CID, id_of(1000000).bytes, 0));
	for (uint64_t i = 0; i < OUTCOMES_MAX; i++)
		store(outcomes, i, OUTCOME_REFUSED, 0);
	cr_assert_eq(find(outcomes, CID, 0, 0), OUTCOMES_DECIDED);
	store(outcomes, OUTCOMES_MAX, OUTCOME_REFUSED, 0);
	cr_assert_eq(find(outcomes, CID, 0, 0), OUTCOMES_UNKNOWN);
	cr_assert_eq(find(outcomes, CID, 1, 0), OUTCOMES_DECIDED);
	cr_assert_eq(find(outcomes, CID, OUTCOMES_MAX, 0), OUTCOMES_DECIDED);
	// One that is decided again does not push another one out, and becomes the youngest.
	store(outcomes, 1, OUTCOME_RESET, 0);
	cr_assert_eq(find(outcomes, CID, 2, 0), OUTCOMES_DECIDED);
	store(outcomes, OUTCOMES_MAX + 1, OUTCOME_REFUSED, 0);
	cr_assert_eq(find(outcomes, CID, 1, 0), OUTCOMES_DECIDED);
	cr_assert_eq(find(outcomes, CID, 2, 0), OUTCOMES_UNKNOWN);
	cr_assert_eq(find(outcomes, CID, 1000000, 0), OUTCOMES_PENDING);
	outcomes_destroy(outcomes);
}

Test(hostd_outcomes, a_flood_costs_only_the_cid_that_makes_it)
{
	struct outcomes *outcomes = outcomes_create();
	struct outcome outcome = outcome_of(OUTCOME_REFUSED);
	for (uint64_t i = 0; i < 100; i++)
		outcomes_store(outcomes, OTHER, id_of(i).bytes, &outcome, 0);
	for (uint64_t i = 0; i < 2 * OUTCOMES_MAX; i++)
		store(outcomes, i, OUTCOME_REFUSED, 0);
	for (uint64_t i = 0; i < 100; i++)
		cr_assert_eq(find(outcomes, OTHER, i, 0), OUTCOMES_DECIDED);
	cr_assert_eq(find(outcomes, CID, 2 * OUTCOMES_MAX - 1, 0), OUTCOMES_DECIDED);
	cr_assert_eq(find(outcomes, CID, OUTCOMES_MAX, 0), OUTCOMES_UNKNOWN);
	// Nor does the flood close the table to a third one.
	outcomes_store(outcomes, OTHER + 1, id_of(1).bytes, &outcome, 0);
	cr_assert_eq(find(outcomes, OTHER + 1, 1, 0), OUTCOMES_DECIDED);
	// Lifetimes end for all alike.
	cr_assert_eq(find(outcomes, OTHER, 1, OUTCOMES_LIFETIME), OUTCOMES_UNKNOWN);
	cr_assert_eq(
		find(outcomes, CID, 2 * OUTCOMES_MAX - 1, OUTCOMES_LIFETIME), OUTCOMES_UNKNOWN);
	outcomes_destroy(outcomes);
}

Test(hostd_outcomes, wakes_every_waiter_of_a_dial_when_it_is_decided)
{
	struct outcomes *outcomes = outcomes_create();
	int first = eventfd(0, EFD_NONBLOCK);
	int second = eventfd(0, EFD_NONBLOCK);
	int other = eventfd(0, EFD_NONBLOCK);
	cr_assert_not(outcomes_wait(outcomes, CID, id_of(1).bytes, first));
	cr_assert(outcomes_begin(outcomes, CID, id_of(1).bytes, 0));
	cr_assert(outcomes_begin(outcomes, CID, id_of(2).bytes, 0));
	cr_assert_not(outcomes_wait(outcomes, OTHER, id_of(1).bytes, first));
	cr_assert(outcomes_wait(outcomes, CID, id_of(1).bytes, first));
	cr_assert(outcomes_wait(outcomes, CID, id_of(1).bytes, second));
	cr_assert(outcomes_wait(outcomes, CID, id_of(1).bytes, first)); // twice is once
	cr_assert(outcomes_wait(outcomes, CID, id_of(2).bytes, other));
	store(outcomes, 1, OUTCOME_NONE, 0);
	cr_assert_eq(read_eventfd(first), 1);
	cr_assert_eq(read_eventfd(second), 1);
	cr_assert_eq(read_eventfd(other), 0);
	cr_assert_not(outcomes_wait(outcomes, CID, id_of(1).bytes, first));
	store(outcomes, 1, OUTCOME_RESET, 0);
	cr_assert_eq(read_eventfd(first), 0);
	store(outcomes, 2, OUTCOME_REFUSED, 0);
	cr_assert_eq(read_eventfd(other), 1);
	cr_assert_not(outcomes_wait(outcomes, CID, id_of(2).bytes, other));
	outcomes_destroy(outcomes);
}

Test(hostd_outcomes, leaves_a_forgotten_waiter_alone)
{
	struct outcomes *outcomes = outcomes_create();
	int kept = eventfd(0, EFD_NONBLOCK);
	int forgotten = eventfd(0, EFD_NONBLOCK);
	for (uint64_t i = 1; i <= 3; i++) {
		cr_assert(outcomes_begin(outcomes, CID, id_of(i).bytes, 0));
		cr_assert(outcomes_wait(outcomes, CID, id_of(i).bytes, forgotten));
		cr_assert(outcomes_wait(outcomes, CID, id_of(i).bytes, kept));
	}
	outcomes_forget_waiter(outcomes, forgotten);
	for (uint64_t i = 1; i <= 2; i++)
		store(outcomes, i, OUTCOME_REFUSED, 0);
	cr_assert_eq(read_eventfd(forgotten), 0);
	cr_assert_eq(read_eventfd(kept), 2);
	outcomes_destroy(outcomes); // with a waiter still in it
}

#define THREADS 4
#define ROUNDS  5000

static void *work(void *data)
{
	struct outcomes *outcomes = data;
	static atomic_uint_fast64_t base = 1000000;
	uint64_t mine = atomic_fetch_add(&base, 1000000);
	int fd = eventfd(0, EFD_NONBLOCK);
	for (uint64_t i = 0; i < ROUNDS; i++) {
		struct id id = id_of(mine + i);
		if (!outcomes_begin(outcomes, CID, id.bytes, i) ||
			!outcomes_wait(outcomes, CID, id.bytes, fd))
			return data;
		if (i % 3 == 0)
			outcomes_forget_waiter(outcomes, fd);
		struct outcome outcome = outcome_of(i % 2 ? OUTCOME_NONE : OUTCOME_REFUSED);
		outcomes_store(outcomes, CID, id.bytes, &outcome, i);
		if (read_eventfd(fd) != (i % 3 != 0))
			return data;
	}
	close(fd);
	return NULL;
}

Test(hostd_outcomes, serves_several_threads_at_once)
{
	struct outcomes *outcomes = outcomes_create();
	pthread_t threads[THREADS];
	for (size_t i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, work, outcomes), 0);
	for (size_t i = 0; i < THREADS; i++) {
		void *failure;
		pthread_join(threads[i], &failure);
		cr_assert_null(failure);
	}
	outcomes_destroy(outcomes);
}
