// SPDX-License-Identifier: MIT
// Lines for people on stderr, only when the configuration or AIRLOCK_LOG asks for them. No stdio
// and no allocation: hooks log from signal handlers too.
#ifndef AIRLOCK_PRELOAD_LOG_H
#define AIRLOCK_PRELOAD_LOG_H

#include <stdbool.h>

#include "preload/shared/settings.h"

#define LOG_NUMBER_SIZE 24

// Notes what stderr is. Called when the settings ask for a log; without it nothing is written.
void log_initialise(void);

bool log_is_on(enum settings_log_level level);

// One line: "airlock[PID]: " and the texts up to a NULL, cut at 512 bytes; control characters
// become '?'. Leaves errno alone.
void log_texts(enum settings_log_level level, ...) __attribute__((sentinel));

// The arguments are evaluated only when the level is on.
#define log_line(level, ...)                                                                       \
	do {                                                                                       \
		if (log_is_on(level))                                                              \
			log_texts(level, __VA_ARGS__, (const char *)0);                            \
	} while (0)

// Decimal, NUL terminated. Returns text.
const char *log_number(long number, char text[static LOG_NUMBER_SIZE]);

#endif
