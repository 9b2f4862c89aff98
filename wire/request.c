// SPDX-License-Identifier: MIT
// Writing and reading the 1024 bytes. Numbers are big endian (proxy-protocol.txt, 2.2), a TLV is a
// type byte, a two-byte length and the value. Reading trusts nothing: one loop walks the TLVs, a
// bit per type catches duplicates, and what a verb needs or must not have is checked once the walk
// is over.
#include "wire/request.h"

#include <string.h>

#define HEADER_SIZE 16 // signature, ver_cmd, fam, length

#define COMMAND_LOCAL 0x20 // version 2 in the high half
#define COMMAND_PROXY 0x21

#define FAMILY_UNSPEC 0x00
#define FAMILY_TCP4   0x11
#define FAMILY_TCP6   0x21

#define TLV_HEADER_SIZE 3

enum tlv_type {
	TLV_AUTHORITY = 0x02,
	TLV_NOOP = 0x04,
	TLV_UNIQUE_ID = 0x05,
	TLV_VERSION = 0xe0,
	TLV_CONTROL = 0xe1,
	TLV_PROGRAM = 0xe2,
};

static const uint8_t signature[12] = "\r\n\r\n\0\r\nQUIT\n";

static size_t address_size(uint8_t family)
{
	return family == FAMILY_TCP4 ? 4 : 16;
}

// --- writing

struct writer {
	uint8_t *out;
	size_t offset;
};

static void put_bytes(struct writer *writer, const void *bytes, size_t length)
{
	memcpy(writer->out + writer->offset, bytes, length);
	writer->offset += length;
}

static void put_byte(struct writer *writer, uint8_t byte)
{
	put_bytes(writer, &byte, 1);
}

static void put_number(struct writer *writer, size_t number)
{
	put_byte(writer, (uint8_t)(number >> 8));
	put_byte(writer, (uint8_t)number);
}

static void put_tlv_header(struct writer *writer, enum tlv_type type, size_t length)
{
	put_byte(writer, (uint8_t)type);
	put_number(writer, length);
}

static void put_tlv(struct writer *writer, enum tlv_type type, const void *value, size_t length)
{
	put_tlv_header(writer, type, length);
	put_bytes(writer, value, length);
}

static void put_header(struct writer *writer, uint8_t command, uint8_t family)
{
	put_bytes(writer, signature, sizeof(signature));
	put_byte(writer, command);
	put_byte(writer, family);
	put_number(writer, REQUEST_SIZE - HEADER_SIZE);
}

static void put_connect(struct writer *writer, const struct request *request)
{
	uint8_t family = request->destination.family == ADDRESS_IPV4 ? FAMILY_TCP4 : FAMILY_TCP6;

	put_header(writer, COMMAND_PROXY, family);
	put_bytes(writer, request->source.bytes, address_size(family));
	put_bytes(writer, request->destination.bytes, address_size(family));
	put_number(writer, request->source_port);
	put_number(writer, request->destination_port);
	if (request->name[0])
		put_tlv(writer, TLV_AUTHORITY, request->name, strlen(request->name));
}

static void put_control(struct writer *writer, const struct request *request)
{
	put_header(writer, COMMAND_LOCAL, FAMILY_UNSPEC);
	put_tlv_header(writer, TLV_CONTROL, 1 + request->argument_length);
	put_byte(writer, request->verb);
	put_bytes(writer, request->argument, request->argument_length);
}

void request_encode(const struct request *request, uint8_t out[static REQUEST_SIZE])
{
	struct writer writer = {.out = out};
	const uint8_t version[] = {REQUEST_VERSION, request->flags};

	memset(out, 0, REQUEST_SIZE);
	if (request->verb == REQUEST_CONNECT)
		put_connect(&writer, request);
	else
		put_control(&writer, request);
	put_tlv(&writer, TLV_UNIQUE_ID, request->id, sizeof(request->id));
	put_tlv(&writer, TLV_VERSION, version, sizeof(version));
	size_t program_length = strnlen(request->program, REQUEST_PROGRAM_SIZE - 1);
	if (program_length > 0)
		put_tlv(&writer, TLV_PROGRAM, request->program, program_length);
	put_tlv_header(&writer, TLV_NOOP, REQUEST_SIZE - writer.offset - TLV_HEADER_SIZE);
}

// --- reading

struct tlv {
	uint8_t type;
	size_t start; // of the TLV itself
	size_t value; // offset of the value's first byte
	size_t length;
};

struct reader {
	const uint8_t *in;
	size_t offset;
	bool has[256]; // by TLV type
	struct request *request;
	struct parse_error *error;
};

static size_t get_number(const uint8_t *in)
{
	return (size_t)in[0] << 8 | in[1];
}

// Which bytes can stand at an offset of the header, given those before it.
static bool is_header_byte(const uint8_t *in, size_t offset)
{
	if (offset < sizeof(signature))
		return in[offset] == signature[offset];
	switch (offset) {
	case 12:
		return in[12] == COMMAND_PROXY || in[12] == COMMAND_LOCAL;
	case 13:
		return in[12] == COMMAND_LOCAL ? in[13] == FAMILY_UNSPEC
					       : in[13] == FAMILY_TCP4 || in[13] == FAMILY_TCP6;
	case 14:
		return in[14] == (REQUEST_SIZE - HEADER_SIZE) >> 8;
	default:
		return in[15] == ((REQUEST_SIZE - HEADER_SIZE) & 0xff);
	}
}

static const char *header_reason(size_t offset)
{
	if (offset < sizeof(signature))
		return "not a PROXY protocol v2 signature";
	if (offset == 12)
		return "not version 2 with the command PROXY or LOCAL";
	if (offset == 13)
		return "not the address family of this command";
	return "not the length of a request";
}

// The offset of the first byte that no request has there; length, at most HEADER_SIZE, when all
// fit.
static size_t header_mismatch(const uint8_t *in, size_t length)
{
	size_t offset = 0;

	while (offset < length && is_header_byte(in, offset))
		offset++;
	return offset;
}

bool request_may_begin(const uint8_t *in, size_t length)
{
	size_t checked = length < HEADER_SIZE ? length : HEADER_SIZE;

	return header_mismatch(in, checked) == checked;
}

static void get_address(struct reader *reader, uint8_t family, struct address *address)
{
	address->family = family == FAMILY_TCP4 ? ADDRESS_IPV4 : ADDRESS_IPV6;
	memcpy(address->bytes, reader->in + reader->offset, address_size(family));
	reader->offset += address_size(family);
}

static void get_addresses(struct reader *reader, uint8_t family)
{
	struct request *request = reader->request;

	get_address(reader, family, &request->source);
	get_address(reader, family, &request->destination);
	request->source_port = (uint16_t)get_number(reader->in + reader->offset);
	request->destination_port = (uint16_t)get_number(reader->in + reader->offset + 2);
	reader->offset += 4;
}

static bool get_name(struct reader *reader, const struct tlv *tlv)
{
	const char *name = (const char *)reader->in + tlv->value;

	if (!name_is_wire_form(name, tlv->length, reader->error)) {
		if (reader->error)
			reader->error->offset += tlv->value;
		return false;
	}
	memcpy(reader->request->name, name, tlv->length);
	return true;
}

static bool get_id(struct reader *reader, const struct tlv *tlv)
{
	if (tlv->length != REQUEST_ID_SIZE)
		return parse_fail(
			reader->error, tlv->start, "an id that is not %d bytes", REQUEST_ID_SIZE);
	memcpy(reader->request->id, reader->in + tlv->value, tlv->length);
	return true;
}

static bool get_version(struct reader *reader, const struct tlv *tlv)
{
	if (tlv->length != 2)
		return parse_fail(reader->error, tlv->start, "not a version and flags");
	if (reader->in[tlv->value] != REQUEST_VERSION)
		return parse_fail(reader->error, tlv->value, "protocol version %d, not %d",
			reader->in[tlv->value], REQUEST_VERSION);
	reader->request->flags = reader->in[tlv->value + 1];
	return true;
}

static bool get_control(struct reader *reader, const struct tlv *tlv)
{
	struct request *request = reader->request;

	if (tlv->length < 1 || tlv->length > 1 + REQUEST_ARGUMENT_SIZE)
		return parse_fail(reader->error, tlv->start,
			"not a verb and an argument of at most %d bytes", REQUEST_ARGUMENT_SIZE);
	request->verb = reader->in[tlv->value];
	if (request->verb == REQUEST_CONNECT)
		return parse_fail(reader->error, tlv->value, "verb 0 is not a control verb");
	request->argument_length = tlv->length - 1;
	memcpy(request->argument, reader->in + tlv->value + 1, request->argument_length);
	return true;
}

static bool get_program(struct reader *reader, const struct tlv *tlv)
{
	if (tlv->length >= REQUEST_PROGRAM_SIZE)
		return parse_fail(reader->error, tlv->start, "a program name over %d bytes",
			REQUEST_PROGRAM_SIZE - 1);
	parse_copy_printable(reader->request->program, REQUEST_PROGRAM_SIZE,
		reader->in + tlv->value, tlv->length);
	return true;
}

static bool get_tlv_value(struct reader *reader, const struct tlv *tlv)
{
	bool is_control = reader->in[12] == COMMAND_LOCAL;

	switch (tlv->type) {
	case TLV_AUTHORITY:
		if (is_control)
			return parse_fail(reader->error, tlv->start, "a name on a control request");
		return get_name(reader, tlv);
	case TLV_CONTROL:
		if (!is_control)
			return parse_fail(reader->error, tlv->start, "a verb on a connect");
		return get_control(reader, tlv);
	case TLV_UNIQUE_ID:
		return get_id(reader, tlv);
	case TLV_VERSION:
		return get_version(reader, tlv);
	case TLV_PROGRAM:
		return get_program(reader, tlv);
	default:
		return true;
	}
}

static bool get_tlv(struct reader *reader)
{
	size_t start = reader->offset, rest = REQUEST_SIZE - start;

	if (rest < TLV_HEADER_SIZE)
		return parse_fail(reader->error, start, "a TLV runs past the end");
	struct tlv tlv = {
		.type = reader->in[start],
		.start = start,
		.value = start + TLV_HEADER_SIZE,
		.length = get_number(reader->in + start + 1),
	};
	if (tlv.length > rest - TLV_HEADER_SIZE)
		return parse_fail(reader->error, start, "a TLV runs past the end");
	if (reader->has[tlv.type] && tlv.type != TLV_NOOP)
		return parse_fail(reader->error, start, "a second TLV 0x%02x", tlv.type);
	reader->has[tlv.type] = true;
	reader->offset = tlv.value + tlv.length;
	return get_tlv_value(reader, &tlv);
}

static bool check_mandatory(const struct reader *reader)
{
	if (!reader->has[TLV_UNIQUE_ID])
		return parse_fail(reader->error, REQUEST_SIZE, "no UNIQUE_ID");
	if (!reader->has[TLV_VERSION])
		return parse_fail(reader->error, REQUEST_SIZE, "no protocol version");
	if (reader->in[12] == COMMAND_LOCAL && !reader->has[TLV_CONTROL])
		return parse_fail(reader->error, REQUEST_SIZE, "no control verb");
	return true;
}

bool request_decode(
	const uint8_t in[static REQUEST_SIZE], struct request *request, struct parse_error *error)
{
	struct reader reader = {.in = in, .request = request, .error = error};

	memset(request, 0, sizeof(*request));
	size_t mismatch = header_mismatch(in, HEADER_SIZE);
	if (mismatch < HEADER_SIZE)
		return parse_fail(error, mismatch, "%s", header_reason(mismatch));
	reader.offset = HEADER_SIZE;
	if (in[12] == COMMAND_PROXY)
		get_addresses(&reader, in[13]);
	while (reader.offset < REQUEST_SIZE)
		if (!get_tlv(&reader))
			return false;
	return check_mandatory(&reader);
}

// --- ids in text

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

const char *request_id_format(
	const uint8_t id[static REQUEST_ID_SIZE], char text[static REQUEST_ID_TEXT_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < REQUEST_ID_SIZE; i++) {
		text[2 * i] = digits[id[i] >> 4];
		text[2 * i + 1] = digits[id[i] & 15];
	}
	text[REQUEST_ID_TEXT_SIZE - 1] = '\0';
	return text;
}

bool request_id_parse(const char *text, size_t length, uint8_t id[static REQUEST_ID_SIZE])
{
	uint8_t parsed[REQUEST_ID_SIZE];

	if (length != 2 * REQUEST_ID_SIZE)
		return false;
	for (size_t i = 0; i < REQUEST_ID_SIZE; i++) {
		int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		parsed[i] = (uint8_t)(high << 4 | low);
	}
	memcpy(id, parsed, sizeof(parsed));
	return true;
}
