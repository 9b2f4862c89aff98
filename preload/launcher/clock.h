// SPDX-License-Identifier: MIT
// The machine's clock against the date of the build, the one moment that is surely past.
// Certificates are judged by the clock, and a parent may give an enclave any.
#ifndef AIRLOCK_LAUNCHER_CLOCK_H
#define AIRLOCK_LAUNCHER_CLOCK_H

#include <stdbool.h>

#define CLOCK_TEXT_SIZE 32

struct clock_reading {
	bool is_wrong; // before the build
	char now[CLOCK_TEXT_SIZE];
	char built[CLOCK_TEXT_SIZE];
};

struct clock_reading clock_read(void);

#endif
