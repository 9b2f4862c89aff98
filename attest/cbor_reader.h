// SPDX-License-Identifier: MIT
// Reads hostile CBOR (RFC 8949), one item at a time, without allocating. Beneath it is libcbor's
// cbor_stream_decode; the bounds and the strictness are ours.
#ifndef AIRLOCK_ATTEST_CBOR_READER_H
#define AIRLOCK_ATTEST_CBOR_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/bytes.h"
#include "attest/error.h"
#include "wire/compiler.h"

enum cbor_kind {
	CBOR_UINT = 1,
	CBOR_NEGATIVE, // value n stands for -1 - n
	CBOR_BYTES,
	CBOR_TEXT, // valid UTF-8
	CBOR_ARRAY,
	CBOR_MAP,
	CBOR_TAG,
	CBOR_FALSE,
	CBOR_TRUE,
	CBOR_NULL,
	CBOR_BREAK, // the end of an indefinite array or map
};

struct cbor_token {
	enum cbor_kind kind;
	size_t offset;      // of the item's first byte
	uint64_t value;     // the number; of a tag its number; of a definite array or map its count
	bool is_indefinite; // arrays and maps
	struct bytes bytes; // of bytes and text, within the input
};

struct cbor_reader {
	const uint8_t *data;
	size_t length;
	size_t offset; // of the next item
};

void cbor_reader_begin(struct cbor_reader *reader, const void *data, size_t length);

// The next item's head, with the content of byte and text strings. Refuses (MALFORMED, with the
// offset): the end of the input, a number that is not in its shortest form, strings in chunks,
// strings longer than what is left, text that is not UTF-8, floats, undefined and other simple
// values, reserved heads, and a definite count of more items than bytes are left. Allocates nothing
// and does nothing proportional to a length that the input names.
bool cbor_reader_next(struct cbor_reader *reader, struct cbor_token *token,
	struct attest_error *error) MUST_CHECK;

// The next item must be of this kind. field names it in the error.
bool cbor_reader_expect(struct cbor_reader *reader, enum cbor_kind kind, const char *field,
	struct cbor_token *token, struct attest_error *error) MUST_CHECK;

// The same for an item that was read already.
bool cbor_token_expect(const struct cbor_token *token, enum cbor_kind kind, const char *field,
	struct attest_error *error) MUST_CHECK;

// Passes over one whole item, nested at most max_depth deep (1: arrays and maps of scalars). Tags
// are refused.
bool cbor_reader_skip(
	struct cbor_reader *reader, unsigned max_depth, struct attest_error *error) MUST_CHECK;

// Walks an array's or a map's entries, definite or not:
//	struct cbor_entries entries;
//	cbor_entries_begin(&entries, &token);
//	while ((more = cbor_entries_next(reader, &entries, error)) > 0) ... read one entry ...
// Returns 1 for one more entry, 0 at the end (a break is consumed), -1 with *error filled.
struct cbor_entries {
	bool is_indefinite;
	uint64_t left;
};

void cbor_entries_begin(struct cbor_entries *entries, const struct cbor_token *container);
int cbor_entries_next(struct cbor_reader *reader, struct cbor_entries *entries,
	struct attest_error *error) MUST_CHECK;

// Nothing may follow.
bool cbor_reader_end(const struct cbor_reader *reader, struct attest_error *error) MUST_CHECK;

#endif
