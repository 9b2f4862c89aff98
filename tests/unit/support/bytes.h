// SPDX-License-Identifier: MIT
// Literals as bytes.
#ifndef AIRLOCK_TESTS_UNIT_SUPPORT_BYTES_H
#define AIRLOCK_TESTS_UNIT_SUPPORT_BYTES_H

#include "attest/bytes.h"

// A struct bytes of a string literal without its NUL.
#define BYTES(text)                                                                                \
	{                                                                                          \
		(const uint8_t *)(text), sizeof(text) - 1                                          \
	}

#endif
