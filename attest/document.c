// SPDX-License-Identifier: MIT
// Checks 1 to 9, one function each, called in their order until one refuses. Each looks at what
// those before it found and nothing else: check 1 reads the COSE envelope's four items, check 4
// reads the payload once from end to end and keeps the value of each known key, and the rest look
// at those values. No key is unknown, so that noticing a duplicate takes one look and the whole is
// linear in the input.
//
// The payload is read in place, as a part of the document, which makes every offset one into the
// document.
#include "attest/document.h"

#include <stdio.h>
#include <string.h>

#include <cbor.h>

#include "attest/cbor_reader.h"

#define COSE_SIGN1_TAG 18 // RFC 9052 2
#define COSE_ITEMS     4
#define NESTING_MAX    3

// Genuine ones have 39 characters; what NSM_DESCRIBE_NSM's answer holds is the bound.
#define MODULE_ID_MAX 127

// AWS's oldest root is valid from 28 October 2019, and the first enclaves ran a year later. Numbers
// of seconds, microseconds or nanoseconds of our time all lie outside.
#define TIMESTAMP_MIN 1577836800000ull // 2020-01-01
#define TIMESTAMP_MAX 4102444800000ull // 2100-01-01

enum { PROTECTED, UNPROTECTED, PAYLOAD, SIGNATURE };

enum field {
	MODULE_ID,
	DIGEST,
	TIMESTAMP,
	PCRS,
	CERTIFICATE,
	CABUNDLE,
	PUBLIC_KEY,
	USER_DATA,
	NONCE,
	NITROTPM_PCRS,
	FIELDS
};

static const struct {
	const char *name;
	enum cbor_kind kind;
} fields[FIELDS] = {
	[MODULE_ID] = {"module_id", CBOR_TEXT},
	[DIGEST] = {"digest", CBOR_TEXT},
	[TIMESTAMP] = {"timestamp", CBOR_UINT},
	[PCRS] = {"pcrs", CBOR_MAP},
	[CERTIFICATE] = {"certificate", CBOR_BYTES},
	[CABUNDLE] = {"cabundle", CBOR_ARRAY},
	[PUBLIC_KEY] = {"public_key", CBOR_BYTES},
	[USER_DATA] = {"user_data", CBOR_BYTES},
	[NONCE] = {"nonce", CBOR_BYTES},
	[NITROTPM_PCRS] = {"nitrotpm_pcrs", CBOR_MAP},
};

struct parser {
	const uint8_t *data;
	size_t length;
	struct document *document;
	struct attest_error *error;
	struct cbor_token envelope[COSE_ITEMS];
	struct cbor_token values[FIELDS]; // kind 0: the key is not there
	size_t contents[FIELDS];          // offset of what follows the value's head
};

static bool malformed(
	const struct parser *parser, const char *field, size_t offset, const char *message)
{
	return attest_fail(parser->error, ATTEST_FAULT_MALFORMED, field, offset, "%s", message);
}

// Reads one value's head into *token and passes over the whole of it.
static bool read_value(struct parser *parser, struct cbor_reader *reader, unsigned max_depth,
	struct cbor_token *token)
{
	struct cbor_reader ahead = *reader;

	return cbor_reader_next(&ahead, token, parser->error) &&
	       cbor_reader_skip(reader, max_depth, parser->error);
}

static struct cbor_reader reader_of_value(const struct parser *parser, enum field field)
{
	return (struct cbor_reader){parser->data, parser->length, parser->contents[field]};
}

// --- the envelope

// check 1: size, one optional tag, an array of four, nothing after it
static bool check_envelope(struct parser *parser)
{
	struct cbor_reader reader;
	struct cbor_token token;

	if (parser->length > DOCUMENT_MAX)
		return malformed(parser, "document", DOCUMENT_MAX, "too long for a document");
	cbor_reader_begin(&reader, parser->data, parser->length);
	if (!cbor_reader_next(&reader, &token, parser->error))
		return false;
	if (token.kind == CBOR_TAG) {
		if (token.value != COSE_SIGN1_TAG)
			return malformed(
				parser, "document", token.offset, "another tag than COSE_Sign1's");
		if (!cbor_reader_next(&reader, &token, parser->error))
			return false;
	}
	if (!cbor_token_expect(&token, CBOR_ARRAY, "document", parser->error))
		return false;
	if (token.is_indefinite || token.value != COSE_ITEMS)
		return malformed(parser, "document", token.offset, "not an array of four");
	for (int i = 0; i < COSE_ITEMS; i++) {
		if (!read_value(parser, &reader, NESTING_MAX, &parser->envelope[i]))
			return false;
	}
	return cbor_reader_end(&reader, parser->error);
}

// check 2: the protected header is exactly {1: -35}, ES384, and the unprotected one is empty
static bool check_headers(struct parser *parser)
{
	static const uint8_t es384[] = {0xA1, 0x01, 0x38, 0x22};
	const struct cbor_token *protected_header = &parser->envelope[PROTECTED];
	const struct cbor_token *unprotected = &parser->envelope[UNPROTECTED];

	if (!cbor_token_expect(protected_header, CBOR_BYTES, "protected", parser->error))
		return false;
	if (protected_header->bytes.length != sizeof(es384) ||
		memcmp(protected_header->bytes.data, es384, sizeof(es384)) != 0)
		return malformed(parser, "protected", protected_header->offset,
			"not exactly the algorithm ES384");
	if (!cbor_token_expect(unprotected, CBOR_MAP, "unprotected", parser->error))
		return false;
	if (unprotected->is_indefinite || unprotected->value != 0)
		return malformed(parser, "unprotected", unprotected->offset, "not an empty map");
	parser->document->protected_header = protected_header->bytes;
	return true;
}

// check 3: the payload's and the signature's size
static bool check_sizes(struct parser *parser)
{
	const struct cbor_token *payload = &parser->envelope[PAYLOAD];
	const struct cbor_token *signature = &parser->envelope[SIGNATURE];

	if (!cbor_token_expect(payload, CBOR_BYTES, "payload", parser->error))
		return false;
	if (payload->bytes.length == 0 || payload->bytes.length > DOCUMENT_PAYLOAD_MAX)
		return malformed(parser, "payload", payload->offset, "not 1 to 16384 bytes");
	if (!cbor_token_expect(signature, CBOR_BYTES, "signature", parser->error))
		return false;
	if (signature->bytes.length != DOCUMENT_SIGNATURE_SIZE)
		return malformed(parser, "signature", signature->offset, "not 96 bytes");
	parser->document->payload = payload->bytes;
	parser->document->signature = signature->bytes;
	return true;
}

// --- the payload

static enum field find_field(struct bytes name)
{
	enum field field = 0;

	while (field < FIELDS && (strlen(fields[field].name) != name.length ||
					 memcmp(fields[field].name, name.data, name.length) != 0))
		field++;
	return field;
}

static bool read_entry(struct parser *parser, struct cbor_reader *reader)
{
	struct cbor_reader ahead;
	struct cbor_token key, *value;
	enum field field;

	if (!cbor_reader_expect(reader, CBOR_TEXT, "payload", &key, parser->error))
		return false;
	field = find_field(key.bytes);
	if (field == FIELDS)
		return attest_fail(parser->error, ATTEST_FAULT_MALFORMED, "payload", key.offset,
			"an unknown key: %.*s", (int)key.bytes.length, key.bytes.data);
	value = &parser->values[field];
	if (value->kind != 0)
		return malformed(parser, fields[field].name, key.offset, "a duplicate key");
	ahead = *reader;
	if (!cbor_reader_next(&ahead, value, parser->error))
		return false;
	parser->contents[field] = ahead.offset;
	if (value->is_indefinite)
		return malformed(parser, fields[field].name, value->offset,
			"an indefinite length inside the payload");
	return cbor_reader_skip(reader, NESTING_MAX - 1, parser->error);
}

// check 4: one map of known text keys without duplicates, nothing after it. The reader refuses
// tags, floats, strings in chunks, numbers not in their shortest form, and deeper nesting.
static bool check_payload(struct parser *parser)
{
	struct bytes payload = parser->document->payload;
	size_t begin = (size_t)(payload.data - parser->data);
	struct cbor_reader reader = {parser->data, begin + payload.length, begin};
	struct cbor_entries entries;
	struct cbor_token map;
	int more;

	if (!cbor_reader_expect(&reader, CBOR_MAP, "payload", &map, parser->error))
		return false;
	cbor_entries_begin(&entries, &map);
	while ((more = cbor_entries_next(&reader, &entries, parser->error)) > 0) {
		if (!read_entry(parser, &reader))
			return false;
	}
	return more == 0 && cbor_reader_end(&reader, parser->error);
}

static bool check_optional(struct parser *parser, enum field field, struct bytes *out)
{
	const struct cbor_token *value = &parser->values[field];

	if (value->kind == 0 || value->kind == CBOR_NULL)
		return true;
	if (!cbor_token_expect(value, fields[field].kind, fields[field].name, parser->error))
		return false;
	if (value->bytes.length > DOCUMENT_FIELD_MAX)
		return malformed(parser, fields[field].name, value->offset, "more than 1024 bytes");
	*out = value->bytes;
	return true;
}

// check 5: the six mandatory fields and the types of all. nitrotpm_pcrs stands in for pcrs until
// check 6 says what such a document is.
static bool check_fields(struct parser *parser)
{
	struct document *document = parser->document;

	for (enum field field = MODULE_ID; field <= CABUNDLE; field++) {
		if (field == PCRS && parser->values[NITROTPM_PCRS].kind != 0)
			continue;
		if (parser->values[field].kind == 0)
			return malformed(parser, fields[field].name,
				parser->envelope[PAYLOAD].offset, "missing");
		if (!cbor_token_expect(&parser->values[field], fields[field].kind,
			    fields[field].name, parser->error))
			return false;
	}
	return check_optional(parser, PUBLIC_KEY, &document->public_key) &&
	       check_optional(parser, USER_DATA, &document->user_data) &&
	       check_optional(parser, NONCE, &document->nonce);
}

static bool is_printable(struct bytes text)
{
	for (size_t i = 0; i < text.length; i++) {
		if (text.data[i] < 0x20 || text.data[i] > 0x7E)
			return false;
	}
	return true;
}

static bool no_enclave(const struct parser *parser, enum field field)
{
	return attest_fail(parser->error, ATTEST_FAULT_REFUSED, fields[field].name,
		parser->values[field].offset, "a NitroTPM document, not an enclave's");
}

// check 6: module_id is printable, and the document is an enclave's: ordinary instances have
// documents of the same root and format
static bool check_platform(struct parser *parser)
{
	const struct cbor_token *module_id = &parser->values[MODULE_ID];

	if (module_id->bytes.length == 0 || module_id->bytes.length > MODULE_ID_MAX)
		return malformed(parser, "module_id", module_id->offset, "not 1 to 127 characters");
	if (!is_printable(module_id->bytes))
		return malformed(
			parser, "module_id", module_id->offset, "not of printable characters");
	if (parser->values[NITROTPM_PCRS].kind != 0)
		return no_enclave(parser, NITROTPM_PCRS);
	if (memmem(module_id->bytes.data, module_id->bytes.length, "-tpm", 4))
		return no_enclave(parser, MODULE_ID);
	parser->document->module_id = module_id->bytes;
	return true;
}

// check 7: digest and timestamp
static bool check_digest_and_time(struct parser *parser)
{
	const struct cbor_token *digest = &parser->values[DIGEST];
	const struct cbor_token *timestamp = &parser->values[TIMESTAMP];

	if (digest->bytes.length != 6 || memcmp(digest->bytes.data, "SHA384", 6) != 0)
		return malformed(parser, "digest", digest->offset, "not SHA384");
	if (timestamp->value < TIMESTAMP_MIN || timestamp->value >= TIMESTAMP_MAX)
		return malformed(parser, "timestamp", timestamp->offset,
			"not in milliseconds of the years 2020 to 2099");
	parser->document->timestamp = timestamp->value;
	parser->document->timestamp_offset = timestamp->offset;
	return true;
}

// --- lists

static bool check_pcr(struct parser *parser, struct cbor_reader *reader)
{
	struct cbor_token index, pcr;
	char name[24];

	if (!cbor_reader_expect(reader, CBOR_UINT, "pcrs", &index, parser->error))
		return false;
	if (index.value >= DOCUMENT_PCRS)
		return malformed(parser, "pcrs", index.offset, "an index above 31");
	snprintf(name, sizeof(name), "pcrs[%u]", (unsigned)index.value);
	if (parser->document->pcrs[index.value])
		return malformed(parser, name, index.offset, "a duplicate index");
	if (!cbor_reader_expect(reader, CBOR_BYTES, name, &pcr, parser->error))
		return false;
	if (pcr.bytes.length != DOCUMENT_PCR_SIZE)
		return malformed(parser, name, pcr.offset, "not 48 bytes");
	parser->document->pcrs[index.value] = pcr.bytes.data;
	return true;
}

// check 8: 1 to 32 PCRs, their indices 0 to 31 and unique, their values of 48 bytes
static bool check_pcrs(struct parser *parser)
{
	const struct cbor_token *pcrs = &parser->values[PCRS];
	struct cbor_reader reader = reader_of_value(parser, PCRS);

	if (pcrs->value == 0 || pcrs->value > DOCUMENT_PCRS)
		return malformed(parser, "pcrs", pcrs->offset, "not 1 to 32 PCRs");
	for (uint64_t i = 0; i < pcrs->value; i++) {
		if (!check_pcr(parser, &reader))
			return false;
	}
	return true;
}

// The outermost SEQUENCE (X.690 8.1, 10.1) takes all of the bytes, and its length has the shortest
// form. At most 1024 bytes have one of at most two.
static bool is_one_der_object(struct bytes der)
{
	const uint8_t *head = der.data;

	if (der.length < 2 || head[0] != 0x30)
		return false;
	if (head[1] < 0x80)
		return der.length - 2 == head[1];
	if (head[1] == 0x81)
		return der.length >= 3 && head[2] >= 0x80 && der.length - 3 == head[2];
	return head[1] == 0x82 && der.length >= 4 && head[2] > 0 &&
	       der.length - 4 == (size_t)(head[2] << 8 | head[3]);
}

static bool check_certificate(
	const struct parser *parser, const char *name, const struct cbor_token *certificate)
{
	if (certificate->bytes.length == 0 || certificate->bytes.length > DOCUMENT_CERTIFICATE_MAX)
		return malformed(parser, name, certificate->offset, "not 1 to 1024 bytes");
	if (!is_one_der_object(certificate->bytes))
		return malformed(parser, name, certificate->offset, "not exactly one DER object");
	return true;
}

// check 9: one certificate, and 1 to 8 above it, each of at most 1024 bytes and one DER object
static bool check_certificates(struct parser *parser)
{
	const struct cbor_token *cabundle = &parser->values[CABUNDLE];
	const struct cbor_token *leaf = &parser->values[CERTIFICATE];
	struct cbor_reader reader = reader_of_value(parser, CABUNDLE);
	struct cbor_token certificate;
	char name[24];

	if (!check_certificate(parser, "certificate", leaf))
		return false;
	if (cabundle->value == 0 || cabundle->value > DOCUMENT_CABUNDLE_MAX)
		return malformed(parser, "cabundle", cabundle->offset, "not 1 to 8 certificates");
	for (unsigned i = 0; i < cabundle->value; i++) {
		snprintf(name, sizeof(name), "cabundle[%u]", i);
		if (!cbor_reader_expect(&reader, CBOR_BYTES, name, &certificate, parser->error) ||
			!check_certificate(parser, name, &certificate))
			return false;
		parser->document->cabundle[i] = certificate.bytes;
	}
	parser->document->certificate = leaf->bytes;
	parser->document->cabundle_count = cabundle->value;
	return true;
}

// --- all of it

bool document_parse(
	const void *data, size_t length, struct document *document, struct attest_error *error)
{
	static bool (*const checks[])(struct parser *) = {check_envelope, check_headers,
		check_sizes, check_payload, check_fields, check_platform, check_digest_and_time,
		check_pcrs, check_certificates};
	struct attest_error reason = {0};
	struct parser parser = {
		.data = data, .length = length, .document = document, .error = &reason};

	*document = (struct document){.start = data};
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		if (checks[i](&parser))
			continue;
		*document = (struct document){0};
		return attest_fail_check(error, (int)i + 1, reason.fault,
			reason.field[0] ? reason.field
			: i < 3         ? "document"
					: "payload",
			reason.offset, "%s", reason.message);
	}
	return true;
}

size_t document_offset(const struct document *document, const uint8_t *view)
{
	return view ? (size_t)(view - document->start) : ATTEST_NO_OFFSET;
}

static size_t append(uint8_t *out, size_t at, struct bytes bytes)
{
	memcpy(out + at, bytes.data, bytes.length);
	return at + bytes.length;
}

size_t document_signed_bytes(const struct document *document, uint8_t *out, size_t size)
{
	static const struct bytes context = {(const uint8_t *)"Signature1", 10};
	size_t at = cbor_encode_array_start(4, out, size);

	at += cbor_encode_string_start(context.length, out + at, size - at);
	at = append(out, at, context);
	at += cbor_encode_bytestring_start(document->protected_header.length, out + at, size - at);
	at = append(out, at, document->protected_header);
	at += cbor_encode_bytestring_start(0, out + at, size - at);
	at += cbor_encode_bytestring_start(document->payload.length, out + at, size - at);
	return append(out, at, document->payload);
}
