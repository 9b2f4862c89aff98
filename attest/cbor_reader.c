// SPDX-License-Identifier: MIT
// libcbor decodes one head at a time into a token, through the callbacks below; the item's first
// byte says why when it calls none. What libcbor lets pass and we do not is seen from the token
// alone: a head of more bytes than its number needs is not in its shortest form, and a count beyond
// the bytes that are left cannot be met.
#include "attest/cbor_reader.h"

#include <cbor.h>

#define ONE_BYTE_TAGS     0xC0
#define ONE_BYTE_TAGS_END 0xD8
#define BREAK_BYTE        0xFF

// --- libcbor's callbacks

static void put_number(void *context, enum cbor_kind kind, uint64_t value)
{
	struct cbor_token *token = context;

	token->kind = kind;
	token->value = value;
}

static void on_uint8(void *context, uint8_t value)
{
	put_number(context, CBOR_UINT, value);
}

static void on_uint16(void *context, uint16_t value)
{
	put_number(context, CBOR_UINT, value);
}

static void on_uint32(void *context, uint32_t value)
{
	put_number(context, CBOR_UINT, value);
}

static void on_uint64(void *context, uint64_t value)
{
	put_number(context, CBOR_UINT, value);
}

static void on_negative8(void *context, uint8_t value)
{
	put_number(context, CBOR_NEGATIVE, value);
}

static void on_negative16(void *context, uint16_t value)
{
	put_number(context, CBOR_NEGATIVE, value);
}

static void on_negative32(void *context, uint32_t value)
{
	put_number(context, CBOR_NEGATIVE, value);
}

static void on_negative64(void *context, uint64_t value)
{
	put_number(context, CBOR_NEGATIVE, value);
}

static void on_bytes(void *context, cbor_data data, size_t length)
{
	put_number(context, CBOR_BYTES, 0);
	((struct cbor_token *)context)->bytes = (struct bytes){data, length};
}

static void on_text(void *context, cbor_data data, size_t length)
{
	on_bytes(context, data, length);
	put_number(context, CBOR_TEXT, 0);
}

static void on_array(void *context, size_t count)
{
	put_number(context, CBOR_ARRAY, count);
}

static void on_map(void *context, size_t count)
{
	put_number(context, CBOR_MAP, count);
}

static void on_indefinite_array(void *context)
{
	put_number(context, CBOR_ARRAY, 0);
	((struct cbor_token *)context)->is_indefinite = true;
}

static void on_indefinite_map(void *context)
{
	put_number(context, CBOR_MAP, 0);
	((struct cbor_token *)context)->is_indefinite = true;
}

static void on_tag(void *context, uint64_t number)
{
	put_number(context, CBOR_TAG, number);
}

static void on_boolean(void *context, bool value)
{
	put_number(context, value ? CBOR_TRUE : CBOR_FALSE, 0);
}

static void on_null(void *context)
{
	put_number(context, CBOR_NULL, 0);
}

static void on_break(void *context)
{
	put_number(context, CBOR_BREAK, 0);
}

// What has no function of ours leaves the token without a kind, which is refused.
static const struct cbor_callbacks callbacks = {
	.uint8 = on_uint8,
	.uint16 = on_uint16,
	.uint32 = on_uint32,
	.uint64 = on_uint64,
	.negint8 = on_negative8,
	.negint16 = on_negative16,
	.negint32 = on_negative32,
	.negint64 = on_negative64,
	.byte_string_start = cbor_null_byte_string_start_callback,
	.byte_string = on_bytes,
	.string = on_text,
	.string_start = cbor_null_string_start_callback,
	.indef_array_start = on_indefinite_array,
	.array_start = on_array,
	.indef_map_start = on_indefinite_map,
	.map_start = on_map,
	.tag = on_tag,
	.float2 = cbor_null_float2_callback,
	.float4 = cbor_null_float4_callback,
	.float8 = cbor_null_float8_callback,
	.undefined = cbor_null_undefined_callback,
	.null = on_null,
	.boolean = on_boolean,
	.indef_break = on_break,
};

// --- strictness

// Bytes of the shortest head (RFC 8949 4.2.1) that holds the number.
static size_t shortest_head(uint64_t number)
{
	if (number < 24)
		return 1;
	if (number <= UINT8_MAX)
		return 2;
	if (number <= UINT16_MAX)
		return 3;
	return number <= UINT32_MAX ? 5 : 9;
}

static size_t utf8_length(uint8_t first)
{
	if (first < 0x80)
		return 1;
	if (first >= 0xC2 && first < 0xE0)
		return 2;
	if (first >= 0xE0 && first < 0xF0)
		return 3;
	return first >= 0xF0 && first < 0xF5 ? 4 : 0;
}

// RFC 3629: neither overlong forms, nor surrogates, nor beyond U+10FFFF, all of which show in the
// second byte once the first is in range.
static bool is_utf8(struct bytes text)
{
	for (size_t at = 0, length; at < text.length; at += length) {
		const uint8_t *c = text.data + at;

		length = utf8_length(c[0]);
		if (length == 0 || length > text.length - at)
			return false;
		for (size_t i = 1; i < length; i++) {
			if (c[i] >> 6 != 2)
				return false;
		}
		if ((c[0] == 0xE0 && c[1] < 0xA0) || (c[0] == 0xED && c[1] >= 0xA0) ||
			(c[0] == 0xF0 && c[1] < 0x90) || (c[0] == 0xF4 && c[1] >= 0x90))
			return false;
	}
	return true;
}

static const char *why_undecoded(uint8_t first)
{
	switch (first) {
	case 0x5F:
	case 0x7F:
		return "a string in chunks";
	case 0xF7:
		return "undefined";
	case 0xF9:
	case 0xFA:
	case 0xFB:
		return "a floating-point number";
	}
	return (first & 0x1F) >= 28 || first < 0xE0 ? "a reserved head" : "a simple value";
}

// libcbor 0.8 knows 9 of the 24 tags of one byte, and 18 is not among them.
static bool decode(const struct cbor_reader *reader, struct cbor_token *token, size_t *read)
{
	const uint8_t *item = reader->data + reader->offset;
	struct cbor_decoder_result result;

	if (item[0] >= ONE_BYTE_TAGS && item[0] < ONE_BYTE_TAGS_END) {
		on_tag(token, item[0] - ONE_BYTE_TAGS);
		*read = 1;
		return true;
	}
	result = cbor_stream_decode(item, reader->length - reader->offset, &callbacks, token);
	*read = result.read;
	return result.status != CBOR_DECODER_NEDATA;
}

static const char *why_refused(
	const struct cbor_reader *reader, const struct cbor_token *token, size_t read)
{
	size_t left = reader->length - reader->offset - read;
	bool is_string = token->kind == CBOR_BYTES || token->kind == CBOR_TEXT;
	size_t head = read - token->bytes.length;

	if (token->kind == 0)
		return why_undecoded(reader->data[reader->offset]);
	if (head != shortest_head(is_string ? token->bytes.length : token->value))
		return "a number that is not in its shortest form";
	if ((token->kind == CBOR_ARRAY && token->value > left) ||
		(token->kind == CBOR_MAP && token->value > left / 2))
		return "more items than there are bytes left";
	if (token->kind == CBOR_TEXT && !is_utf8(token->bytes))
		return "text that is not UTF-8";
	return NULL;
}

static bool fail_at(size_t offset, const char *reason, struct attest_error *error)
{
	return attest_fail(error, ATTEST_FAULT_MALFORMED, NULL, offset, "%s", reason);
}

// --- the reader

void cbor_reader_begin(struct cbor_reader *reader, const void *data, size_t length)
{
	*reader = (struct cbor_reader){.data = data, .length = length};
}

bool cbor_reader_next(
	struct cbor_reader *reader, struct cbor_token *token, struct attest_error *error)
{
	const char *reason;
	size_t read;

	*token = (struct cbor_token){.offset = reader->offset};
	if (reader->offset >= reader->length)
		return fail_at(reader->offset, "the input ends where an item should begin", error);
	if (!decode(reader, token, &read))
		return fail_at(reader->offset, "an item that is longer than what is left", error);
	reason = why_refused(reader, token, read);
	if (reason)
		return fail_at(reader->offset, reason, error);
	reader->offset += read;
	return true;
}

static const char *kind_name(enum cbor_kind kind)
{
	static const char *const names[] = {[CBOR_UINT] = "an unsigned number",
		[CBOR_NEGATIVE] = "a negative number",
		[CBOR_BYTES] = "a byte string",
		[CBOR_TEXT] = "a text",
		[CBOR_ARRAY] = "an array",
		[CBOR_MAP] = "a map",
		[CBOR_TAG] = "a tag",
		[CBOR_FALSE] = "false",
		[CBOR_TRUE] = "true",
		[CBOR_NULL] = "null",
		[CBOR_BREAK] = "a break"};

	return names[kind];
}

bool cbor_token_expect(const struct cbor_token *token, enum cbor_kind kind, const char *field,
	struct attest_error *error)
{
	if (token->kind == kind)
		return true;
	return attest_fail(error, ATTEST_FAULT_MALFORMED, field, token->offset,
		"%s where %s should be", kind_name(token->kind), kind_name(kind));
}

bool cbor_reader_expect(struct cbor_reader *reader, enum cbor_kind kind, const char *field,
	struct cbor_token *token, struct attest_error *error)
{
	struct attest_error reason;

	if (!cbor_reader_next(reader, token, &reason))
		return attest_fail(error, reason.fault, field, reason.offset, "%s", reason.message);
	return cbor_token_expect(token, kind, field, error);
}

bool cbor_reader_skip(struct cbor_reader *reader, unsigned max_depth, struct attest_error *error)
{
	struct cbor_token token;
	struct cbor_entries entries;
	int more;

	if (!cbor_reader_next(reader, &token, error))
		return false;
	if (token.kind == CBOR_TAG || token.kind == CBOR_BREAK)
		return attest_fail(error, ATTEST_FAULT_MALFORMED, NULL, token.offset,
			"%s where a value should be", kind_name(token.kind));
	if (token.kind != CBOR_ARRAY && token.kind != CBOR_MAP)
		return true;
	if (max_depth == 0)
		return fail_at(token.offset, "nested too deep", error);
	cbor_entries_begin(&entries, &token);
	while ((more = cbor_entries_next(reader, &entries, error)) > 0) {
		if (token.kind == CBOR_MAP && !cbor_reader_skip(reader, max_depth - 1, error))
			return false;
		if (!cbor_reader_skip(reader, max_depth - 1, error))
			return false;
	}
	return more == 0;
}

void cbor_entries_begin(struct cbor_entries *entries, const struct cbor_token *container)
{
	*entries = (struct cbor_entries){
		.is_indefinite = container->is_indefinite, .left = container->value};
}

int cbor_entries_next(
	struct cbor_reader *reader, struct cbor_entries *entries, struct attest_error *error)
{
	if (!entries->is_indefinite) {
		if (entries->left == 0)
			return 0;
		entries->left--;
		return 1;
	}
	if (reader->offset >= reader->length) {
		fail_at(reader->offset, "the input ends before its break", error);
		return -1;
	}
	if (reader->data[reader->offset] != BREAK_BYTE)
		return 1;
	reader->offset++;
	return 0;
}

bool cbor_reader_end(const struct cbor_reader *reader, struct attest_error *error)
{
	return reader->offset == reader->length ||
	       fail_at(reader->offset, "bytes after the end", error);
}
