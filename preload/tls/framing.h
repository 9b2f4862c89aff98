// SPDX-License-Identifier: MIT
// Where TLS records begin and end in the bytes that GnuTLS is given: header of five bytes, the last
// two of which are the length of what follows (RFC 8446, 5.1). Says whether a connection that ended
// was cut within a record.
#ifndef AIRLOCK_TLS_FRAMING_H
#define AIRLOCK_TLS_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct framing {              // zeroed: at the beginning of a record
	size_t header_length; // bytes of the header seen
	size_t body_left;     // bytes of the body to come, once the header is whole
	uint8_t length_high;  // the header's fourth byte
};

// More bytes of the stream, in pieces of any size.
void framing_feed(struct framing *framing, const uint8_t *data, size_t length);

bool framing_is_between_records(const struct framing *framing);

#endif
