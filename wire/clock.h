// SPDX-License-Identifier: MIT
// The clock that deadlines and lifetimes are held against. (When a name was looked up is counted by
// CLOCK_BOOTTIME instead, which goes on while a machine is suspended.)
#ifndef AIRLOCK_WIRE_CLOCK_H
#define AIRLOCK_WIRE_CLOCK_H

#include <stdint.h>
#include <time.h>

// CLOCK_MONOTONIC in milliseconds. It cannot fail, and may be called in a signal handler
// (signal-safety(7)).
static inline uint64_t clock_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

// So long after now, on the same clock; timeout is normalised (timespec(3type)).
static inline struct timespec clock_after(const struct timespec *timeout)
{
	struct timespec moment;

	clock_gettime(CLOCK_MONOTONIC, &moment);
	moment.tv_sec += timeout->tv_sec;
	moment.tv_nsec += timeout->tv_nsec;
	if (moment.tv_nsec >= 1000000000) {
		moment.tv_sec++;
		moment.tv_nsec -= 1000000000;
	}
	return moment;
}

#endif
