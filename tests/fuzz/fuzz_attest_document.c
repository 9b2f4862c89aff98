// SPDX-License-Identifier: MIT
// What is parsed is encoded anew from the parts that the parser gave, by libcbor's encoders and in
// a fixed order: that must parse to the same parts, and encode to itself.
#include "attest/document.h"

#include <stdlib.h>
#include <string.h>

#include <cbor.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

struct writer {
	uint8_t data[DOCUMENT_MAX];
	size_t length;
};

#define PUT(writer, function, value)                                                               \
	((writer)->length += function(value, (writer)->data + (writer)->length,                    \
		 sizeof((writer)->data) - (writer)->length))

static void put_raw(struct writer *writer, const void *data, size_t length)
{
	require(length <= sizeof(writer->data) - writer->length);
	memcpy(writer->data + writer->length, data, length);
	writer->length += length;
}

static void put_text(struct writer *writer, const void *text, size_t length)
{
	PUT(writer, cbor_encode_string_start, length);
	put_raw(writer, text, length);
}

static void put_key(struct writer *writer, const char *key)
{
	put_text(writer, key, strlen(key));
}

static void put_bytes(struct writer *writer, struct bytes bytes)
{
	PUT(writer, cbor_encode_bytestring_start, bytes.length);
	put_raw(writer, bytes.data, bytes.length);
}

static void put_optional(struct writer *writer, const char *key, struct bytes bytes)
{
	put_key(writer, key);
	if (bytes.data)
		put_bytes(writer, bytes);
	else
		put_raw(writer, "\xF6", 1);
}

static void put_pcrs(struct writer *writer, const struct document *document)
{
	size_t count = 0;

	for (unsigned i = 0; i < DOCUMENT_PCRS; i++)
		count += document->pcrs[i] != NULL;
	put_key(writer, "pcrs");
	PUT(writer, cbor_encode_map_start, count);
	for (unsigned i = 0; i < DOCUMENT_PCRS; i++) {
		if (!document->pcrs[i])
			continue;
		PUT(writer, cbor_encode_uint, i);
		put_bytes(writer, (struct bytes){document->pcrs[i], DOCUMENT_PCR_SIZE});
	}
}

static void put_payload(struct writer *writer, const struct document *document)
{
	PUT(writer, cbor_encode_map_start, 9);
	put_key(writer, "module_id");
	put_text(writer, document->module_id.data, document->module_id.length);
	put_key(writer, "digest");
	put_key(writer, "SHA384");
	put_key(writer, "timestamp");
	PUT(writer, cbor_encode_uint, document->timestamp);
	put_pcrs(writer, document);
	put_key(writer, "certificate");
	put_bytes(writer, document->certificate);
	put_key(writer, "cabundle");
	PUT(writer, cbor_encode_array_start, document->cabundle_count);
	for (size_t i = 0; i < document->cabundle_count; i++)
		put_bytes(writer, document->cabundle[i]);
	put_optional(writer, "public_key", document->public_key);
	put_optional(writer, "user_data", document->user_data);
	put_optional(writer, "nonce", document->nonce);
}

static void encode(struct writer *writer, const struct document *document)
{
	static struct writer payload;

	payload.length = writer->length = 0;
	put_payload(&payload, document);
	put_raw(writer, "\x84", 1);
	put_bytes(writer, document->protected_header);
	put_raw(writer, "\xA0", 1);
	put_bytes(writer, (struct bytes){payload.data, payload.length});
	put_bytes(writer, document->signature);
}

static void require_same(struct bytes a, struct bytes b)
{
	require(!a.data == !b.data && a.length == b.length);
	require(a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

static void require_same_document(const struct document *a, const struct document *b)
{
	require_same(a->protected_header, b->protected_header);
	require_same(a->signature, b->signature);
	require_same(a->module_id, b->module_id);
	require(a->timestamp == b->timestamp && a->cabundle_count == b->cabundle_count);
	for (unsigned i = 0; i < DOCUMENT_PCRS; i++) {
		require(!a->pcrs[i] == !b->pcrs[i]);
		require(!a->pcrs[i] || memcmp(a->pcrs[i], b->pcrs[i], DOCUMENT_PCR_SIZE) == 0);
	}
	require_same(a->certificate, b->certificate);
	for (size_t i = 0; i < a->cabundle_count; i++)
		require_same(a->cabundle[i], b->cabundle[i]);
	require_same(a->public_key, b->public_key);
	require_same(a->user_data, b->user_data);
	require_same(a->nonce, b->nonce);
}

static void check_signed_bytes(const struct document *document)
{
	static uint8_t out[DOCUMENT_MAX];
	size_t length = document_signed_bytes(document, out, sizeof(out));

	require(length > document->payload.length && length <= sizeof(out));
	require(memcmp(out + length - document->payload.length, document->payload.data,
			document->payload.length) == 0);
}

// Beside the payload's size only what is fixed can change it, so that the largest payloads with the
// optional keys left out need not fit again.
static bool may_grow_too_long(const struct document *document)
{
	return document->payload.length > DOCUMENT_PAYLOAD_MAX - 64;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct writer first, second;
	struct document document, again;
	struct attest_error error = {0};

	if (!document_parse(data, size, &document, &error)) {
		require(error.check >= 1 && error.check <= 9 && error.field[0]);
		require(error.message[0] && error.offset <= size);
		require(error.fault == ATTEST_FAULT_MALFORMED ||
			(error.fault == ATTEST_FAULT_REFUSED && error.check == 6));
		return 0;
	}
	check_signed_bytes(&document);
	if (may_grow_too_long(&document))
		return 0;
	encode(&first, &document);
	require(document_parse(first.data, first.length, &again, &error));
	require_same_document(&document, &again);
	encode(&second, &again);
	require(first.length == second.length);
	require(memcmp(first.data, second.data, first.length) == 0);
	return 0;
}
