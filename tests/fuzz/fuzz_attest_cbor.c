// SPDX-License-Identifier: MIT
// Whatever the reader accepts is encoded again item by item by libcbor's encoders, which know only
// the shortest forms: the same bytes must come out. Skipping must end where walking ends.
#include "attest/cbor_reader.h"

#include <stdlib.h>
#include <string.h>

#include <cbor.h>

#define DEPTH 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

// The head of one item. Returns 0 for what has none but its first byte.
static size_t encode_head(const struct cbor_token *token, uint8_t *out, size_t size)
{
	switch (token->kind) {
	case CBOR_UINT:
		return cbor_encode_uint(token->value, out, size);
	case CBOR_NEGATIVE:
		return cbor_encode_negint(token->value, out, size);
	case CBOR_BYTES:
		return cbor_encode_bytestring_start(token->bytes.length, out, size);
	case CBOR_TEXT:
		return cbor_encode_string_start(token->bytes.length, out, size);
	case CBOR_ARRAY:
		return token->is_indefinite ? cbor_encode_indef_array_start(out, size)
					    : cbor_encode_array_start(token->value, out, size);
	case CBOR_MAP:
		return token->is_indefinite ? cbor_encode_indef_map_start(out, size)
					    : cbor_encode_map_start(token->value, out, size);
	case CBOR_TAG:
		return cbor_encode_tag(token->value, out, size);
	case CBOR_FALSE:
	case CBOR_TRUE:
		return cbor_encode_bool(token->kind == CBOR_TRUE, out, size);
	case CBOR_NULL:
		return cbor_encode_null(out, size);
	case CBOR_BREAK:
		return cbor_encode_break(out, size);
	}
	return 0;
}

static void check_token(
	const struct cbor_reader *reader, const struct cbor_token *token, size_t before)
{
	uint8_t head[16];
	size_t length = encode_head(token, head, sizeof(head));

	require(token->offset == before && reader->offset > before);
	require(reader->offset <= reader->length && length > 0);
	require(length + token->bytes.length == reader->offset - before);
	require(memcmp(head, reader->data + before, length) == 0);
	require(!token->bytes.data || token->bytes.data == reader->data + before + length);
}

// Every item in a row, whatever it belongs to.
static void check_tokens(const uint8_t *data, size_t size)
{
	struct attest_error error = {0};
	struct cbor_reader reader;
	struct cbor_token token;
	size_t before = 0;

	cbor_reader_begin(&reader, data, size);
	while (cbor_reader_next(&reader, &token, &error)) {
		check_token(&reader, &token, before);
		before = reader.offset;
	}
	require(reader.offset == before && error.offset == before);
	require(error.fault == ATTEST_FAULT_MALFORMED && error.message[0]);
	require(cbor_reader_end(&reader, NULL) == (before == size));
}

static bool walk(struct cbor_reader *reader, unsigned depth)
{
	struct cbor_entries entries;
	struct cbor_token token;
	int more;

	if (!cbor_reader_next(reader, &token, NULL) || token.kind == CBOR_TAG ||
		token.kind == CBOR_BREAK)
		return false;
	if (token.kind != CBOR_ARRAY && token.kind != CBOR_MAP)
		return true;
	if (depth == 0)
		return false;
	cbor_entries_begin(&entries, &token);
	while ((more = cbor_entries_next(reader, &entries, NULL)) > 0) {
		for (int i = 0; i < (token.kind == CBOR_MAP ? 2 : 1); i++) {
			if (!walk(reader, depth - 1))
				return false;
		}
	}
	return more == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct attest_error error;
	struct cbor_reader walked, skipped;

	check_tokens(data, size);
	cbor_reader_begin(&walked, data, size);
	cbor_reader_begin(&skipped, data, size);
	if (walk(&walked, DEPTH)) {
		require(cbor_reader_skip(&skipped, DEPTH, &error));
		require(skipped.offset == walked.offset);
	} else {
		require(!cbor_reader_skip(&skipped, DEPTH, &error) && error.offset <= size);
	}
	return 0;
}
