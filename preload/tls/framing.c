// SPDX-License-Identifier: MIT
#include "preload/tls/framing.h"

#define HEADER_SIZE 5

static void feed_header(struct framing *framing, uint8_t byte)
{
	framing->header_length++;
	if (framing->header_length == HEADER_SIZE - 1)
		framing->length_high = byte;
	if (framing->header_length < HEADER_SIZE)
		return;
	framing->body_left = (size_t)framing->length_high << 8 | byte;
	framing->header_length = 0;
}

void framing_feed(struct framing *framing, const uint8_t *data, size_t length)
{
	while (length > 0) {
		size_t part = length < framing->body_left ? length : framing->body_left;

		if (part == 0) {
			feed_header(framing, *data);
			part = 1;
		} else {
			framing->body_left -= part;
		}
		data += part;
		length -= part;
	}
}

bool framing_is_between_records(const struct framing *framing)
{
	return framing->header_length == 0 && framing->body_left == 0;
}
