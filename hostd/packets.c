// SPDX-License-Identifier: MIT
// No call tells how much of what was sent over vsock has been read, so the budget is renewed by
// what the opener sends, as in any protocol of questions and answers, and otherwise grows by one
// packet each interval: a feed of small messages goes out undelayed at first, then merged, and a
// reader may stall for PACKETS_BUDGET intervals before the rest of its allowance is touched.
#include "hostd/packets.h"

void packets_renew(struct packets *packets)
{
	packets->used = 0;
}

static uint32_t packets_regained(const struct packets *packets, uint64_t now_ms)
{
	uint64_t regained = (now_ms - packets->counted_at) / PACKETS_INTERVAL;

	return regained < packets->used ? (uint32_t)regained : packets->used;
}

bool packets_take(struct packets *packets, uint64_t now_ms)
{
	uint32_t regained = packets_regained(packets, now_ms);

	if (packets->used == regained) {
		packets->used = 0;
		packets->counted_at = now_ms;
	} else {
		packets->used -= regained;
		packets->counted_at += (uint64_t)regained * PACKETS_INTERVAL;
	}
	if (packets->used >= PACKETS_BUDGET)
		return false;
	packets->used++;
	return true;
}

uint64_t packets_wait(const struct packets *packets, uint64_t now_ms)
{
	if (packets->used - packets_regained(packets, now_ms) < PACKETS_BUDGET)
		return 0;
	return packets->counted_at + PACKETS_INTERVAL - now_ms;
}
