// SPDX-License-Identifier: MIT
// Attributes shared by every part, so that prototypes read the same everywhere.
#ifndef AIRLOCK_WIRE_COMPILER_H
#define AIRLOCK_WIRE_COMPILER_H

#define MUST_CHECK        __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#endif
