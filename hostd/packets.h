// SPDX-License-Identifier: MIT
// How many small packets a vsock stream may still be sent. Pure: no I/O, no clock of its own.
#ifndef AIRLOCK_HOSTD_PACKETS_H
#define AIRLOCK_HOSTD_PACKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/compiler.h"
#include "wire/stream.h"

// A recent kernel resets a stream whose reader has left more than allowance / 576 packets unread
// (measured on Linux 6.12). Half of them may be small; packets of this size and more run out of
// credit before they run into that rule.
#define PACKETS_WHOLE     4096
#define PACKETS_BUDGET    (STREAM_ENCLAVE_WINDOW / 576 / 2)
#define PACKETS_INTERVAL  16  // ms for which small writes are merged once the budget is used up
#define PACKETS_STEP      128 // so many packets on, the interval doubles
#define PACKETS_DOUBLINGS 2   // at most

struct packets {
	uint32_t used;       // small packets that the opener may have left unread
	uint32_t excused;    // those that only time has taken from `used`
	uint64_t counted_at; // ms
};

// The opener has sent something: taken as a sign that it reads as well.
void packets_renew(struct packets *packets);

// May a packet of fewer than PACKETS_WHOLE bytes be sent now? Counts it when it may.
bool packets_take(struct packets *packets, uint64_t now_ms) MUST_CHECK;

// Milliseconds until packets_take says yes. To be asked after it said no.
uint64_t packets_wait(const struct packets *packets, uint64_t now_ms);

#endif
