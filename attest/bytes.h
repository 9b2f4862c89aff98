// SPDX-License-Identifier: MIT
// A view of bytes that somebody else owns.
#ifndef AIRLOCK_ATTEST_BYTES_H
#define AIRLOCK_ATTEST_BYTES_H

#include <stddef.h>
#include <stdint.h>

struct bytes {
	const uint8_t *data; // NULL: absent. Present and empty is a pointer with length 0
	size_t length;
};

#endif
