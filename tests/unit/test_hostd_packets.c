// SPDX-License-Identifier: MIT
// The budget of small packets: what goes at once, what is held, and that the kernel's limit is not
// met.
#include <criterion/criterion.h>

#include "hostd/packets.h"

#define KERNEL_LIMIT  (STREAM_ENCLAVE_WINDOW / 576)
#define MESSAGE       200u // bytes
#define LAST_INTERVAL (PACKETS_INTERVAL << PACKETS_DOUBLINGS)

// Takes all that may go now; returns how many.
static unsigned take_all(struct packets *packets, uint64_t now)
{
	unsigned taken = 0;

	while (packets_take(packets, now))
		taken++;
	return taken;
}

Test(packets, a_new_stream_may_send_the_whole_budget_at_once)
{
	struct packets packets = {0};

	cr_assert_eq(take_all(&packets, 1000), PACKETS_BUDGET);
	cr_assert_eq(packets_wait(&packets, 1000), PACKETS_INTERVAL);
}

Test(packets, one_goes_when_the_wait_is_over_and_not_before)
{
	struct packets packets = {0};

	take_all(&packets, 1000);
	uint64_t wait = packets_wait(&packets, 1005);
	cr_assert_not(packets_take(&packets, 1005 + wait - 1));
	cr_assert_eq(take_all(&packets, 1005 + wait), 1);
}

// A feed that fills what is left of the allowance with packets that are not small.
static void assert_no_limit_is_met(unsigned taken)
{
	unsigned left = STREAM_ENCLAVE_WINDOW - taken * MESSAGE;

	cr_assert_lt(taken + left / PACKETS_WHOLE, KERNEL_LIMIT, "%u were taken", taken);
}

Test(packets, a_reader_that_stalls_for_a_minute_meets_no_limit)
{
	struct packets packets = {0};
	unsigned taken = 0;

	for (uint64_t now = 0; now < 60000; now += 5)
		taken += take_all(&packets, now);
	assert_no_limit_is_met(taken);
	cr_assert_leq(packets_wait(&packets, 60000), LAST_INTERVAL);
}

Test(packets, a_pause_excuses_no_more_than_steady_sending_would)
{
	struct packets packets = {0};
	unsigned taken = take_all(&packets, 0);

	taken += take_all(&packets, 60000);
	assert_no_limit_is_met(taken);
}

Test(packets, a_slow_feed_is_never_held)
{
	struct packets packets = {0};

	for (uint64_t now = 0; now < 1000000; now += LAST_INTERVAL)
		cr_assert(packets_take(&packets, now));
}

Test(packets, what_the_opener_sends_renews_the_budget)
{
	struct packets packets = {0};

	take_all(&packets, 1000);
	packets_renew(&packets);
	cr_assert_eq(take_all(&packets, 1001), PACKETS_BUDGET);
}
