// SPDX-License-Identifier: MIT
// Numbers that differ, for jitter, spreading and names: nothing secret.
#ifndef AIRLOCK_WIRE_RANDOM_H
#define AIRLOCK_WIRE_RANDOM_H

#include <stdint.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

// Never waits: early in a boot, when getrandom(2) would block, clock, process and stack have to do.
static inline uint64_t random_number(void)
{
	struct timespec now;
	uint64_t number;

	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) == sizeof(number))
		return number;
	clock_gettime(CLOCK_BOOTTIME, &now);
	number = (uint64_t)now.tv_nsec << 32 ^ (uint64_t)now.tv_sec ^ (uint64_t)getpid() << 16 ^
		 (uint64_t)(uintptr_t)&now;
	number *= 0x9e3779b97f4a7c15u; // Knuth's multiplicative hash: the high bits depend on all
	return number << 32 | number >> 32;
}

#endif
