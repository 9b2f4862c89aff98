// SPDX-License-Identifier: MIT
// Input: one byte that cuts the rest in two. However it is cut, the records end at the same places;
// and they end where walking from header to header says.
#include <stdint.h>
#include <stdlib.h>

#include "preload/tls/framing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool walk(const uint8_t *data, size_t size)
{
	size_t at = 0;

	while (size - at >= 5) {
		size_t length = (size_t)data[at + 3] << 8 | data[at + 4];

		if (size - at - 5 < length)
			return false;
		at += 5 + length;
	}
	return at == size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct framing whole = {0}, cut = {0};
	size_t first;

	if (size < 1)
		return 0;
	first = data[0] < size - 1 ? data[0] : size - 1;
	data++;
	size--;
	framing_feed(&whole, data, size);
	framing_feed(&cut, data, first);
	framing_feed(&cut, data + first, size - first);
	if (framing_is_between_records(&whole) != walk(data, size) ||
		framing_is_between_records(&cut) != framing_is_between_records(&whole))
		abort();
	return 0;
}
