// SPDX-License-Identifier: MIT
// serde's external tagging: a variant without fields is its name as a text, one with fields a map
// of one entry, from its name to a map of the fields. The two tables below name every variant, and
// where in struct nsm_request and struct nsm_response its fields are; encoding and decoding both
// walk them. Only {"Error": text} has a shape of its own.
#include "attest/nsm_message.h"

#include <stdio.h>
#include <string.h>

#include <cbor.h>

#include "attest/cbor_reader.h"

#define FIELDS_MAX 7

enum type {
	TYPE_U16 = 1,
	TYPE_BOOL,
	TYPE_BYTES,
	TYPE_OPTIONAL_BYTES, // null or not there: absent
	TYPE_TEXT,           // char[most + 1]
	TYPE_PCRS,           // describe.locked_pcrs and its count
};

struct field {
	const char *name;
	enum type type;
	size_t at;          // in the struct
	size_t least, most; // bytes; most 0: any
};

struct variant {
	enum nsm_command command;
	const char *name;
	struct field fields[FIELDS_MAX]; // in the order of encoding; none: a bare text
};

#define REQUEST(name, type, member)                                                                \
	{                                                                                          \
		name, type, offsetof(struct nsm_request, member), 0, 0                             \
	}
#define RESPONSE(name, type, member)                                                               \
	{                                                                                          \
		name, type, offsetof(struct nsm_response, member), 0, 0                            \
	}
#define RESPONSE_BYTES(name, least, most)                                                          \
	{                                                                                          \
		name, TYPE_BYTES, offsetof(struct nsm_response, data), least, most                 \
	}
#define RESPONSE_PCR(name) RESPONSE_BYTES(name, DOCUMENT_PCR_SIZE, DOCUMENT_PCR_SIZE)
#define RESPONSE_TEXT(name, member)                                                                \
	{                                                                                          \
		name, TYPE_TEXT, offsetof(struct nsm_response, member), 1,                         \
			sizeof(((struct nsm_response *)0)->member) - 1                             \
	}

static const struct variant requests[] = {
	{NSM_DESCRIBE_NSM, "DescribeNSM", {{0}}},
	{NSM_GET_RANDOM, "GetRandom", {{0}}},
	{NSM_DESCRIBE_PCR, "DescribePCR", {REQUEST("index", TYPE_U16, index)}},
	{NSM_EXTEND_PCR, "ExtendPCR",
		{REQUEST("index", TYPE_U16, index), REQUEST("data", TYPE_BYTES, data)}},
	{NSM_LOCK_PCR, "LockPCR", {REQUEST("index", TYPE_U16, index)}},
	{NSM_LOCK_PCRS, "LockPCRs", {REQUEST("range", TYPE_U16, range)}},
	{NSM_ATTESTATION, "Attestation",
		{REQUEST("user_data", TYPE_OPTIONAL_BYTES, user_data),
			REQUEST("nonce", TYPE_OPTIONAL_BYTES, nonce),
			REQUEST("public_key", TYPE_OPTIONAL_BYTES, public_key)}},
	{0},
};

static const struct variant responses[] = {
	{NSM_DESCRIBE_NSM, "DescribeNSM",
		{RESPONSE("version_major", TYPE_U16, describe.version_major),
			RESPONSE("version_minor", TYPE_U16, describe.version_minor),
			RESPONSE("version_patch", TYPE_U16, describe.version_patch),
			RESPONSE_TEXT("module_id", describe.module_id),
			RESPONSE("max_pcrs", TYPE_U16, describe.max_pcrs),
			RESPONSE("locked_pcrs", TYPE_PCRS, describe.locked_pcrs),
			RESPONSE_TEXT("digest", describe.digest)}},
	{NSM_GET_RANDOM, "GetRandom", {RESPONSE_BYTES("random", 1, NSM_RANDOM_MAX)}},
	{NSM_DESCRIBE_PCR, "DescribePCR",
		{RESPONSE("lock", TYPE_BOOL, is_locked), RESPONSE_PCR("data")}},
	{NSM_EXTEND_PCR, "ExtendPCR", {RESPONSE_PCR("data")}},
	{NSM_LOCK_PCR, "LockPCR", {{0}}},
	{NSM_LOCK_PCRS, "LockPCRs", {{0}}},
	{NSM_ATTESTATION, "Attestation", {RESPONSE_BYTES("document", 1, NSM_RESPONSE_MAX)}},
	{0},
};

// --- encoding

static void free_item(cbor_item_t **item)
{
	if (*item)
		cbor_decref(item);
}

#define SCOPED_ITEM __attribute__((cleanup(free_item))) cbor_item_t

static cbor_item_t *build_u16(uint16_t value)
{
	return value <= UINT8_MAX ? cbor_build_uint8((uint8_t)value) : cbor_build_uint16(value);
}

static cbor_item_t *build_bytes(struct bytes bytes)
{
	return cbor_build_bytestring(bytes.data ? bytes.data : (const uint8_t *)"", bytes.length);
}

static cbor_item_t *build_pcrs(const struct nsm_response *response)
{
	size_t count = response->describe.locked_count;
	SCOPED_ITEM *array = count <= DOCUMENT_PCRS ? cbor_new_definite_array(count) : NULL;

	for (size_t i = 0; array && i < count; i++) {
		SCOPED_ITEM *index = build_u16(response->describe.locked_pcrs[i]);

		if (!index || !cbor_array_push(array, index))
			return NULL;
	}
	return array ? cbor_incref(array) : NULL;
}

static cbor_item_t *build_value(const struct field *field, const void *message)
{
	const void *value = (const char *)message + field->at;
	const struct bytes *bytes = value;

	switch (field->type) {
	case TYPE_U16:
		return build_u16(*(const uint16_t *)value);
	case TYPE_BOOL:
		return cbor_build_bool(*(const bool *)value);
	case TYPE_OPTIONAL_BYTES:
		return bytes->data ? build_bytes(*bytes) : cbor_new_null();
	case TYPE_BYTES:
		return build_bytes(*bytes);
	case TYPE_TEXT:
		return cbor_build_string(value);
	case TYPE_PCRS:
		return build_pcrs(message);
	}
	return NULL;
}

// Takes value, which may be NULL.
static bool add_entry(cbor_item_t *map, const char *name, cbor_item_t *value)
{
	SCOPED_ITEM *owned = value, *key = cbor_build_string(name);

	return map && key && owned && cbor_map_add(map, (struct cbor_pair){key, owned});
}

static size_t count_fields(const struct variant *variant)
{
	size_t count = 0;

	while (count < FIELDS_MAX && variant->fields[count].name)
		count++;
	return count;
}

static cbor_item_t *build_fields(const struct variant *variant, const void *message)
{
	size_t count = count_fields(variant);
	SCOPED_ITEM *map = cbor_new_definite_map(count);

	for (size_t i = 0; i < count; i++) {
		const struct field *field = &variant->fields[i];

		if (!add_entry(map, field->name, build_value(field, message)))
			return NULL;
	}
	return map ? cbor_incref(map) : NULL;
}

static size_t encode_tagged(const char *name, cbor_item_t *content, uint8_t *out, size_t size)
{
	SCOPED_ITEM *map = cbor_new_definite_map(1);

	return add_entry(map, name, content) ? cbor_serialize(map, out, size) : 0;
}

static size_t encode(const struct variant *variants, enum nsm_command command, const void *message,
	uint8_t *out, size_t size)
{
	while (variants->command && variants->command != command)
		variants++;
	if (!variants->command)
		return 0;
	if (count_fields(variants) == 0) {
		SCOPED_ITEM *text = cbor_build_string(variants->name);

		return text ? cbor_serialize(text, out, size) : 0;
	}
	return encode_tagged(variants->name, build_fields(variants, message), out, size);
}

size_t nsm_request_encode(const struct nsm_request *request, uint8_t *out, size_t size)
{
	return encode(requests, request->command, request, out, size);
}

size_t nsm_response_encode(const struct nsm_response *response, uint8_t *out, size_t size)
{
	if (response->error[0])
		return encode_tagged("Error", cbor_build_string(response->error), out, size);
	return encode(responses, response->command, response, out, size);
}

// --- decoding

static bool malformed(
	struct attest_error *error, const char *field, size_t offset, const char *message)
{
	return attest_fail(error, ATTEST_FAULT_MALFORMED, field, offset, "%s", message);
}

static bool is_text(struct bytes text, const char *expected)
{
	return text.length == strlen(expected) && memcmp(text.data, expected, text.length) == 0;
}

static bool store_u16(
	uint16_t *out, const struct cbor_token *token, const char *name, struct attest_error *error)
{
	if (!cbor_token_expect(token, CBOR_UINT, name, error))
		return false;
	if (token->value > UINT16_MAX)
		return malformed(error, name, token->offset, "a number above 65535");
	*out = (uint16_t)token->value;
	return true;
}

static bool store_bool(
	bool *out, const struct cbor_token *token, const char *name, struct attest_error *error)
{
	*out = token->kind == CBOR_TRUE;
	return *out || cbor_token_expect(token, CBOR_FALSE, name, error);
}

static bool store_bytes(struct bytes *out, const struct field *field,
	const struct cbor_token *token, const char *name, struct attest_error *error)
{
	size_t length = token->bytes.length;

	*out = token->bytes;
	if (!cbor_token_expect(token, CBOR_BYTES, name, error))
		return false;
	if (field->most > 0 && (length < field->least || length > field->most))
		return attest_fail(error, ATTEST_FAULT_MALFORMED, name, token->offset,
			"%zu bytes, not %zu to %zu", length, field->least, field->most);
	return true;
}

static bool is_printable(struct bytes text)
{
	for (size_t i = 0; i < text.length; i++) {
		if (text.data[i] < 0x20 || text.data[i] > 0x7E)
			return false;
	}
	return true;
}

static bool store_text(char *out, size_t most, const struct cbor_token *token, const char *name,
	struct attest_error *error)
{
	if (!cbor_token_expect(token, CBOR_TEXT, name, error))
		return false;
	if (token->bytes.length == 0 || token->bytes.length > most || !is_printable(token->bytes))
		return attest_fail(error, ATTEST_FAULT_MALFORMED, name, token->offset,
			"not a printable text of 1 to %zu bytes", most);
	memcpy(out, token->bytes.data, token->bytes.length);
	out[token->bytes.length] = '\0';
	return true;
}

static bool store_pcrs(struct cbor_reader *reader, struct nsm_response *response,
	const struct cbor_token *array, const char *name, struct attest_error *error)
{
	struct cbor_token index;

	if (!cbor_token_expect(array, CBOR_ARRAY, name, error))
		return false;
	if (array->is_indefinite || array->value > DOCUMENT_PCRS)
		return malformed(error, name, array->offset, "not an array of at most 32");
	for (size_t i = 0; i < array->value; i++) {
		if (!cbor_reader_next(reader, &index, error) ||
			!store_u16(&response->describe.locked_pcrs[i], &index, name, error))
			return false;
	}
	response->describe.locked_count = array->value;
	return true;
}

struct decoder {
	struct cbor_reader reader;
	struct cbor_token tagged; // the text, or the map of one entry
	struct bytes name;        // of the variant
	void *message;            // struct nsm_request or struct nsm_response
	struct attest_error *error;
};

static bool read_field(struct decoder *decoder, const struct field *field, const char *name)
{
	void *value = (char *)decoder->message + field->at;
	struct attest_error *error = decoder->error;
	struct cbor_token token;

	if (!cbor_reader_next(&decoder->reader, &token, error))
		return false;
	switch (field->type) {
	case TYPE_U16:
		return store_u16(value, &token, name, error);
	case TYPE_BOOL:
		return store_bool(value, &token, name, error);
	case TYPE_OPTIONAL_BYTES:
		return token.kind == CBOR_NULL || store_bytes(value, field, &token, name, error);
	case TYPE_BYTES:
		return store_bytes(value, field, &token, name, error);
	case TYPE_TEXT:
		return store_text(value, field->most, &token, name, error);
	case TYPE_PCRS:
		return store_pcrs(&decoder->reader, decoder->message, &token, name, error);
	}
	return false;
}

// One entry of the fields' map. *seen has a bit for each field read.
static bool read_entry(struct decoder *decoder, const struct variant *variant, unsigned *seen)
{
	size_t i = 0, count = count_fields(variant);
	struct cbor_token key;
	char name[64];

	if (!cbor_reader_expect(&decoder->reader, CBOR_TEXT, variant->name, &key, decoder->error))
		return false;
	while (i < count && !is_text(key.bytes, variant->fields[i].name))
		i++;
	if (i == count)
		return malformed(decoder->error, variant->name, key.offset, "an unknown key");
	snprintf(name, sizeof(name), "%s.%s", variant->name, variant->fields[i].name);
	if (*seen & 1u << i)
		return malformed(decoder->error, name, key.offset, "a duplicate key");
	*seen |= 1u << i;
	return read_field(decoder, &variant->fields[i], name);
}

static bool read_fields(struct decoder *decoder, const struct variant *variant)
{
	struct cbor_entries entries;
	struct cbor_token map;
	unsigned seen = 0;
	int more;

	if (!cbor_reader_expect(&decoder->reader, CBOR_MAP, variant->name, &map, decoder->error))
		return false;
	cbor_entries_begin(&entries, &map);
	while ((more = cbor_entries_next(&decoder->reader, &entries, decoder->error)) > 0) {
		if (!read_entry(decoder, variant, &seen))
			return false;
	}
	for (size_t i = 0; more == 0 && i < count_fields(variant); i++) {
		if (!(seen & 1u << i) && variant->fields[i].type != TYPE_OPTIONAL_BYTES)
			return attest_fail(decoder->error, ATTEST_FAULT_MALFORMED, variant->name,
				map.offset, "%s is missing", variant->fields[i].name);
	}
	return more == 0;
}

// Reads up to where the variant's content begins, if it has any.
static bool read_name(struct decoder *decoder)
{
	struct cbor_token *tagged = &decoder->tagged, key;

	if (!cbor_reader_next(&decoder->reader, tagged, decoder->error))
		return false;
	decoder->name = tagged->bytes;
	if (tagged->kind == CBOR_TEXT)
		return true;
	if (!cbor_token_expect(tagged, CBOR_MAP, "message", decoder->error))
		return false;
	if (!tagged->is_indefinite && tagged->value != 1)
		return malformed(
			decoder->error, "message", tagged->offset, "not a map of one entry");
	if (!cbor_reader_expect(&decoder->reader, CBOR_TEXT, "message", &key, decoder->error))
		return false;
	decoder->name = key.bytes;
	return true;
}

static bool read_variant(
	struct decoder *decoder, const struct variant *variants, enum nsm_command *command)
{
	bool is_map = decoder->tagged.kind == CBOR_MAP;

	while (variants->command &&
		(!is_text(decoder->name, variants->name) || (count_fields(variants) > 0) != is_map))
		variants++;
	if (!variants->command)
		return attest_fail(decoder->error, ATTEST_FAULT_MALFORMED, "message",
			decoder->tagged.offset, "no message of the NSM: %.*s",
			(int)decoder->name.length, decoder->name.data);
	*command = variants->command;
	return !is_map || read_fields(decoder, variants);
}

static bool is_error(const struct decoder *decoder)
{
	return decoder->tagged.kind == CBOR_MAP && is_text(decoder->name, "Error");
}

static bool read_error(struct decoder *decoder, struct nsm_response *response)
{
	struct cbor_token text;

	return cbor_reader_next(&decoder->reader, &text, decoder->error) &&
	       store_text(response->error, sizeof(response->error) - 1, &text, "Error",
		       decoder->error);
}

static bool read_end(struct decoder *decoder)
{
	struct cbor_token token;

	if (decoder->tagged.is_indefinite && !cbor_reader_expect(&decoder->reader, CBOR_BREAK,
						     "message", &token, decoder->error))
		return false;
	return cbor_reader_end(&decoder->reader, decoder->error);
}

bool nsm_request_decode(
	const void *data, size_t length, struct nsm_request *request, struct attest_error *error)
{
	struct decoder decoder = {.message = request, .error = error};

	*request = (struct nsm_request){0};
	if (length > NSM_REQUEST_MAX)
		return malformed(error, "message", NSM_REQUEST_MAX, "more than 4096 bytes");
	cbor_reader_begin(&decoder.reader, data, length);
	return read_name(&decoder) && read_variant(&decoder, requests, &request->command) &&
	       read_end(&decoder);
}

bool nsm_response_decode(
	const void *data, size_t length, struct nsm_response *response, struct attest_error *error)
{
	struct decoder decoder = {.message = response, .error = error};

	*response = (struct nsm_response){0};
	if (length > NSM_RESPONSE_MAX)
		return malformed(error, "message", NSM_RESPONSE_MAX, "more than 12288 bytes");
	cbor_reader_begin(&decoder.reader, data, length);
	return read_name(&decoder) &&
	       (is_error(&decoder) ? read_error(&decoder, response)
				   : read_variant(&decoder, responses, &response->command)) &&
	       read_end(&decoder);
}
