// SPDX-License-Identifier: MIT
// A small attestation document in pieces of raw CBOR, each of which a test may replace.
#ifndef AIRLOCK_TESTS_UNIT_SUPPORT_DOCUMENT_PIECES_H
#define AIRLOCK_TESTS_UNIT_SUPPORT_DOCUMENT_PIECES_H

#include <stdbool.h>
#include <string.h>

#include <cbor.h>

#include "tests/unit/support/bytes.h"

#define B16 "0123456789abcdef"
#define B48 B16 B16 B16
#define B96 B48 B48

enum piece {
	TAG,
	ENVELOPE,
	PROTECTED,
	UNPROTECTED,
	PAYLOAD_HEAD, // made to fit unless replaced
	MAP,
	MODULE_ID,
	DIGEST,
	TIMESTAMP,
	PCRS,
	CERTIFICATE,
	CABUNDLE,
	PUBLIC_KEY,
	USER_DATA,
	NONCE,
	MORE,        // within the payload's map
	PAYLOAD_END, // after it
	SIGNATURE,
	END,
	PIECES
};

struct pieces {
	struct bytes piece[PIECES];
};

static const struct pieces good_pieces = {{
	[TAG] = BYTES(""),
	[ENVELOPE] = BYTES("\x84"),
	[PROTECTED] = BYTES("\x44\xA1\x01\x38\x22"),
	[UNPROTECTED] = BYTES("\xA0"),
	[PAYLOAD_HEAD] = {NULL, 0},
	[MAP] = BYTES("\xA9"),
	[MODULE_ID] = BYTES("\x69module_id\x78\x1Ci-0123456789abcdef0-enc01234"),
	[DIGEST] = BYTES("\x66"
			 "digest\x66SHA384"),
	[TIMESTAMP] = BYTES("\x69timestamp\x1B\x00\x00\x01\x9C\x32\x0C\xB3\x2F"),
	[PCRS] = BYTES("\x64pcrs\xA2\x00\x58\x30" B48 "\x18\x1F\x58\x30" B48),
	[CERTIFICATE] = BYTES("\x6B"
			      "certificate\x45\x30\x03\x02\x01\x07"),
	[CABUNDLE] = BYTES("\x68"
			   "cabundle\x82\x45\x30\x03\x02\x01\x08\x42\x30\x00"),
	[PUBLIC_KEY] = BYTES("\x6Apublic_key\xF6"),
	[USER_DATA] = BYTES("\x69user_data\x40"),
	[NONCE] = BYTES("\x65nonce\x43\x01\x02\x03"),
	[MORE] = BYTES(""),
	[PAYLOAD_END] = BYTES(""),
	[SIGNATURE] = BYTES("\x58\x60" B96),
	[END] = BYTES(""),
}};

// Where piece begins; PIECES: the length of the whole.
static inline size_t pieces_offset(const struct pieces *pieces, enum piece piece)
{
	size_t offset = 0;

	for (enum piece i = 0; i < piece; i++)
		offset += pieces->piece[i].length;
	return offset;
}

// Makes the payload's head, which must outlive *pieces, unless the test has its own.
static inline void pieces_fit(struct pieces *pieces, uint8_t head[static 9])
{
	size_t length = pieces_offset(pieces, SIGNATURE) - pieces_offset(pieces, MAP);

	if (!pieces->piece[PAYLOAD_HEAD].data)
		pieces->piece[PAYLOAD_HEAD] =
			(struct bytes){head, cbor_encode_bytestring_start(length, head, 9)};
}

// Writes the document; out has room for pieces_offset(pieces, PIECES). Returns its length.
static inline size_t pieces_join(const struct pieces *pieces, uint8_t *out)
{
	size_t length = 0;

	for (enum piece i = 0; i < PIECES; i++) {
		if (pieces->piece[i].length)
			memcpy(out + length, pieces->piece[i].data, pieces->piece[i].length);
		length += pieces->piece[i].length;
	}
	return length;
}

#endif
