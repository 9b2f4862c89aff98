// SPDX-License-Identifier: MIT
// No call tells how much of what was sent over vsock has been read. (The reader's credit updates
// wake whoever waits for EPOLLOUT, but so does every packet of our own that has left: measured on
// Linux 6.12.) So the budget is renewed by what the opener sends, as in any protocol of questions
// and answers, and otherwise time takes one packet from it each interval. Time proves nothing, so
// the interval grows, up to what a feed of small messages can bear: it goes out undelayed at first,
// then merged, and a reader may stall for a minute before the rest of its allowance is touched.
#include "hostd/packets.h"

void packets_renew(struct packets *packets)
{
	packets->used = 0;
	packets->excused = 0;
}

static uint64_t packets_interval(const struct packets *packets)
{
	uint32_t doublings = packets->excused / PACKETS_STEP;

	return (uint64_t)PACKETS_INTERVAL
	       << (doublings < PACKETS_DOUBLINGS ? doublings : PACKETS_DOUBLINGS);
}

static void packets_excuse(struct packets *packets, uint64_t now_ms)
{
	for (; packets->used > 0; packets->used--, packets->excused++) {
		uint64_t interval = packets_interval(packets);

		if (now_ms - packets->counted_at < interval)
			return;
		packets->counted_at += interval;
	}
	packets->counted_at = now_ms;
}

bool packets_take(struct packets *packets, uint64_t now_ms)
{
	packets_excuse(packets, now_ms);
	if (packets->used >= PACKETS_BUDGET)
		return false;
	packets->used++;
	return true;
}

uint64_t packets_wait(const struct packets *packets, uint64_t now_ms)
{
	uint64_t until = packets->counted_at + packets_interval(packets);

	return until > now_ms ? until - now_ms : 0;
}
