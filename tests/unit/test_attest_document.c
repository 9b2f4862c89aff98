// SPDX-License-Identifier: MIT
#include "attest/document.h"

#include <malloc.h>
#include <stdlib.h>
#include <time.h>

#include <criterion/criterion.h>

#include "tests/unit/support/document_pieces.h"
#include "tests/unit/support/hostile_documents.h"

#define ROOM 70000

// Lets the sanitizers see a read behind the end.
static uint8_t *exact_copy(const uint8_t *data, size_t length)
{
	uint8_t *copy = malloc(length ? length : 1);

	memcpy(copy, data, length);
	return copy;
}

static bool parse(struct pieces *pieces, struct document *document, struct attest_error *error)
{
	static uint8_t joined[ROOM];
	uint8_t head[9];
	size_t length;

	pieces_fit(pieces, head);
	length = pieces_join(pieces, joined);
	uint8_t *data = exact_copy(joined, length);
	bool is_parsed = document_parse(data, length, document, error);
	free(data);
	return is_parsed;
}

// --- good documents

static bool is_view(struct bytes view, const char *expected, size_t length)
{
	return view.length == length && memcmp(view.data, expected, length) == 0;
}

Test(document, a_good_document_gives_all_its_parts)
{
	static uint8_t data[ROOM];
	struct pieces pieces = good_pieces;
	struct document document;
	struct attest_error error;
	uint8_t head[9];
	size_t length;

	pieces_fit(&pieces, head);
	length = pieces_join(&pieces, data);
	cr_assert(document_parse(data, length, &document, &error), "%s", error.message);
	cr_assert(is_view(document.protected_header, "\xA1\x01\x38\x22", 4));
	cr_assert_eq(document.payload.data, data + pieces_offset(&pieces, MAP));
	cr_assert_eq(document.payload.length,
		pieces_offset(&pieces, SIGNATURE) - pieces_offset(&pieces, MAP));
	cr_assert(is_view(document.signature, B96, 96));
	cr_assert(is_view(document.module_id, "i-0123456789abcdef0-enc01234", 28));
	cr_assert_eq(document.timestamp, 1770366219055);
	for (unsigned i = 0; i < DOCUMENT_PCRS; i++)
		cr_assert_eq(!document.pcrs[i], i != 0 && i != 31);
	cr_assert_eq(memcmp(document.pcrs[31], B48, 48), 0);
	cr_assert(is_view(document.certificate, "\x30\x03\x02\x01\x07", 5));
	cr_assert_eq(document.cabundle_count, 2);
	cr_assert(is_view(document.cabundle[0], "\x30\x03\x02\x01\x08", 5));
	cr_assert(is_view(document.cabundle[1], "\x30\x00", 2));
	cr_assert_null(document.public_key.data);
	cr_assert_not_null(document.user_data.data, "empty is not absent");
	cr_assert_eq(document.user_data.length, 0);
	cr_assert(is_view(document.nonce, "\x01\x02\x03", 3));
}

// Up to three pieces that stand for others.
struct change {
	enum piece piece;
	struct bytes with;
};

static const struct {
	const char *what;
	struct change changes[4];
} good[] = {
	{"as it is", {{END, BYTES("")}}},
	{"with the tag", {{TAG, BYTES("\xD2")}}},
	{"a payload without a length", {{MAP, BYTES("\xBF")}, {MORE, BYTES("\xFF")}}},
	{"no optional field", {{MAP, BYTES("\xA6")}, {PUBLIC_KEY, BYTES("")},
				      {USER_DATA, BYTES("")}, {NONCE, BYTES("")}}},
	{"another order of keys", {{NONCE, BYTES("\x66"
						 "digest\x66SHA384")},
					  {DIGEST, BYTES("\x65nonce\x43\x01\x02\x03")}}},
	{"PCRs in another order",
		{{PCRS, BYTES("\x64pcrs\xA2\x02\x58\x30" B48 "\x01\x58\x30" B48)}}},
	{"the first timestamp",
		{{TIMESTAMP, BYTES("\x69timestamp\x1B\0\0\x01\x6F\x5E\x66\xE8\0")}}},
	{"the last timestamp",
		{{TIMESTAMP, BYTES("\x69timestamp\x1B\0\0\x03\xBB\x2C\xC3\xD7\xFF")}}},
	{"a module_id of one character", {{MODULE_ID, BYTES("\x69module_id\x61i")}}},
	{"a module_id of 127 characters",
		{{MODULE_ID, BYTES("\x69module_id\x78\x7F" B96 B16 "0123456789abcde")}}},
	{"a certificate of 128 bytes of content",
		{{CERTIFICATE, BYTES("\x6B"
				     "certificate\x58\x83\x30\x81\x80" B96 B16 B16)}}},
};

static struct pieces changed(const struct change *changes)
{
	struct pieces pieces = good_pieces;

	for (size_t i = 0; i < 4 && changes[i].with.data; i++)
		pieces.piece[changes[i].piece] = changes[i].with;
	return pieces;
}

Test(document, every_form_that_genuine_documents_have_is_parsed)
{
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct pieces pieces = changed(good[i].changes);
		struct document document;
		struct attest_error error;
		char text[512];

		if (!parse(&pieces, &document, &error))
			cr_assert_fail("%s: %s", good[i].what,
				attest_error_format(&error, text, sizeof(text)));
	}
}

// --- hostile documents

static void assert_refused(const struct hostile *row)
{
	struct pieces pieces = good_pieces;
	struct document document;
	struct attest_error error = {0};
	char text[512];

	pieces.piece[row->piece] = row->with;
	cr_assert_not(parse(&pieces, &document, &error), "%s: parsed", row->what);
	attest_error_format(&error, text, sizeof(text));
	cr_assert_eq(error.check, row->check, "%s: %s", row->what, text);
	cr_assert_eq(error.fault, ATTEST_FAULT_MALFORMED, "%s: %s", row->what, text);
	cr_assert_str_eq(error.field, row->field, "%s: %s", row->what, text);
	cr_assert_str_eq(error.message, row->message, "%s: %s", row->what, text);
	cr_assert(error.offset >= pieces_offset(&pieces, row->place) &&
			  error.offset <= pieces_offset(&pieces, row->place + 1),
		"%s: %s is not in %zu to %zu", row->what, text, pieces_offset(&pieces, row->place),
		pieces_offset(&pieces, row->place + 1));
	cr_assert_null(document.payload.data, "%s: nothing is given", row->what);
}

Test(document, every_hostile_document_is_malformed_by_its_check_in_its_place)
{
	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++)
		assert_refused(&hostile[i]);
	cr_assert_geq(ARRAY_SIZE(hostile), 60);
}

Test(document, a_payload_is_a_byte_string_that_is_not_empty)
{
	static const struct {
		struct bytes payload;
		const char *message;
	} rows[] = {{BYTES("\x40"), "not 1 to 16384 bytes"},
		{BYTES("\x61z"), "a text where a byte string should be"},
		{BYTES("\xA0"), "a map where a byte string should be"},
		{BYTES("\xF6"), "null where a byte string should be"}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pieces pieces = good_pieces;
		struct document document;
		struct attest_error error;

		for (enum piece piece = MAP; piece < SIGNATURE; piece++)
			pieces.piece[piece].length = 0;
		pieces.piece[PAYLOAD_HEAD] = rows[i].payload;
		cr_assert_not(parse(&pieces, &document, &error));
		cr_assert_eq(error.check, 3);
		cr_assert_str_eq(error.field, "payload");
		cr_assert_str_eq(error.message, rows[i].message);
	}
}

Test(document, each_missing_mandatory_field_is_named)
{
	static const char *const names[] = {
		"module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct pieces pieces = good_pieces;
		struct document document;
		struct attest_error error;

		pieces.piece[MAP] = (struct bytes)BYTES("\xA8");
		pieces.piece[MODULE_ID + i] = (struct bytes)BYTES("");
		cr_assert_not(parse(&pieces, &document, &error));
		cr_assert_eq(error.check, 5);
		cr_assert_str_eq(error.field, names[i]);
		cr_assert_str_eq(error.message, "missing");
		cr_assert_eq(error.offset, pieces_offset(&pieces, PAYLOAD_HEAD));
	}
}

Test(document, each_key_twice_is_malformed)
{
	for (enum piece piece = MODULE_ID; piece <= NONCE; piece++) {
		struct pieces pieces = good_pieces;
		struct document document;
		struct attest_error error;

		pieces.piece[MAP] = (struct bytes)BYTES("\xAA");
		pieces.piece[MORE] = pieces.piece[piece];
		cr_assert_not(parse(&pieces, &document, &error));
		cr_assert_eq(error.check, 4);
		cr_assert_str_eq(error.message, "a duplicate key");
		cr_assert_eq(error.offset, pieces_offset(&pieces, MORE));
	}
}

// --- other platforms

static const struct {
	const char *what;
	struct change changes[4];
	enum piece place;
	const char *field;
} elsewhere[] = {
	{"a NitroTPM document",
		{{PCRS, BYTES("\x6Dnitrotpm_pcrs\xA1\x00\x58\x30" B48)},
			{MODULE_ID, BYTES("\x69module_id\x67i-0-tpm")}},
		PCRS, "nitrotpm_pcrs"},
	{"its PCRs under an enclave's module_id",
		{{PCRS, BYTES("\x6Dnitrotpm_pcrs\xA1\x00\x58\x30" B48)}}, PCRS, "nitrotpm_pcrs"},
	{"both kinds of PCRs",
		{{MAP, BYTES("\xAA")}, {MORE, BYTES("\x6Dnitrotpm_pcrs\xA1\x00\x58\x30" B48)}},
		MORE, "nitrotpm_pcrs"},
	{"its PCRs of null", {{MAP, BYTES("\xAA")}, {MORE, BYTES("\x6Dnitrotpm_pcrs\xF6")}}, MORE,
		"nitrotpm_pcrs"},
	{"its module_id over an enclave's PCRs",
		{{MODULE_ID, BYTES("\x69module_id\x78\x18i-0123456789abc-tpm00000")}}, MODULE_ID,
		"module_id"},
};

Test(document, a_document_of_another_platform_is_well_formed_and_refused)
{
	for (size_t i = 0; i < ARRAY_SIZE(elsewhere); i++) {
		struct pieces pieces = changed(elsewhere[i].changes);
		struct document document;
		struct attest_error error;

		cr_assert_not(parse(&pieces, &document, &error), "%s", elsewhere[i].what);
		cr_assert_eq(error.fault, ATTEST_FAULT_REFUSED, "%s: %s", elsewhere[i].what,
			error.message);
		cr_assert_eq(error.check, 6);
		cr_assert_str_eq(error.field, elsewhere[i].field, "%s", elsewhere[i].what);
		cr_assert_str_eq(error.message, "a NitroTPM document, not an enclave's");
		cr_assert(error.offset > pieces_offset(&pieces, elsewhere[i].place) &&
			  error.offset < pieces_offset(&pieces, elsewhere[i].place + 1));
	}
}

// --- sizes and counts that are too long to be written out

// The key (its head included), a head made by put for count, and so many times the item.
static struct bytes repeated(const char *key, size_t (*put)(size_t, unsigned char *, size_t),
	size_t count, const void *item, size_t item_length, size_t times)
{
	static uint8_t room[4][ROOM];
	static unsigned turn;
	uint8_t *out = room[turn++ % 4];
	size_t length = strlen(key);

	memcpy(out, key, length);
	length += put(count, out + length, 9);
	for (size_t i = 0; i < times; i++, length += item_length)
		memcpy(out + length, item, item_length);
	return (struct bytes){out, length};
}

static void assert_one(
	enum piece piece, struct bytes with, int check, const char *field, const char *message)
{
	struct pieces pieces = good_pieces;
	struct document document;
	struct attest_error error = {0};
	bool is_parsed;

	pieces.piece[piece] = with;
	is_parsed = parse(&pieces, &document, &error);
	cr_assert_eq(is_parsed, !check, "%s: %s", field, error.message);
	if (is_parsed)
		return;
	cr_assert_eq(error.check, check, "%s", error.message);
	cr_assert_str_eq(error.field, field);
	cr_assert_str_eq(error.message, message);
}

Test(document, optional_fields_have_up_to_1024_bytes)
{
	static const char *const heads[] = {"\x6Apublic_key", "\x69user_data", "\x65nonce"};

	for (int i = 0; i < 3; i++) {
		assert_one(PUBLIC_KEY + i,
			repeated(heads[i], cbor_encode_bytestring_start, 1024, "z", 1, 1024), 0, "",
			"");
		assert_one(PUBLIC_KEY + i,
			repeated(heads[i], cbor_encode_bytestring_start, 1025, "z", 1, 1025), 5,
			heads[i] + 1, "more than 1024 bytes");
	}
}

Test(document, a_cabundle_has_1_to_8_certificates)
{
	static const char key[] = "\x68"
				  "cabundle";

	for (size_t count = 0; count <= 9; count++)
		assert_one(CABUNDLE,
			repeated(key, cbor_encode_array_start, count, "\x42\x30\x00", 3, count),
			count >= 1 && count <= 8 ? 0 : 9, "cabundle", "not 1 to 8 certificates");
}

Test(document, certificates_have_up_to_1024_bytes)
{
	static uint8_t item[3 + 1025] = {0x59, 0x04, 0x00, 0x30, 0x82, 0x03, 0xFC};
	static const char leaf[] = "\x6B"
				   "certificate";
	static const char bundle[] = "\x68"
				     "cabundle";
	static const uint8_t larger[] = {0x59, 0x04, 0x01, 0x30, 0x82, 0x03, 0xFD};

	assert_one(CABUNDLE, repeated(bundle, cbor_encode_array_start, 1, item, 3 + 1024, 1), 0, "",
		"");
	assert_one(CERTIFICATE,
		repeated(leaf, cbor_encode_bytestring_start, 1024, item + 3, 1024, 1), 0, "", "");
	memcpy(item, larger, sizeof(larger));
	assert_one(CABUNDLE, repeated(bundle, cbor_encode_array_start, 1, item, 3 + 1025, 1), 9,
		"cabundle[0]", "not 1 to 1024 bytes");
	assert_one(CERTIFICATE,
		repeated(leaf, cbor_encode_bytestring_start, 1025, item + 3, 1025, 1), 9,
		"certificate", "not 1 to 1024 bytes");
}

// Indices from 0 on, wrapped at modulus.
static struct bytes many_pcrs(size_t count, unsigned modulus)
{
	static uint8_t out[ROOM];
	size_t length = 5;

	memcpy(out, "\x64pcrs", length);
	length += cbor_encode_map_start(count, out + length, 9);
	for (unsigned i = 0; i < count; i++) {
		length += cbor_encode_uint(i % modulus, out + length, 9);
		memcpy(out + length, "\x58\x30" B48, 50);
		length += 50;
	}
	return (struct bytes){out, length};
}

Test(document, there_are_1_to_32_pcrs)
{
	assert_one(PCRS, many_pcrs(0, 1), 8, "pcrs", "not 1 to 32 PCRs");
	assert_one(PCRS, many_pcrs(1, 1), 0, "", "");
	assert_one(PCRS, many_pcrs(32, 32), 0, "", "");
	assert_one(PCRS, many_pcrs(32, 31), 8, "pcrs[0]", "a duplicate index");
	assert_one(PCRS, many_pcrs(33, 33), 8, "pcrs", "not 1 to 32 PCRs");
	assert_one(PCRS, many_pcrs(33, 32), 8, "pcrs", "not 1 to 32 PCRs");
}

Test(document, a_payload_has_up_to_16384_bytes_and_a_document_128_more)
{
	static uint8_t padded[ROOM];
	struct pieces pieces = good_pieces;
	struct document document;
	struct attest_error error = {0};
	uint8_t head[9];
	size_t others;

	pieces_fit(&pieces, head);
	others = pieces_offset(&pieces, SIGNATURE) - pieces_offset(&pieces, MAP);
	pieces = good_pieces;
	pieces.piece[PAYLOAD_END] = (struct bytes){padded, DOCUMENT_PAYLOAD_MAX - others};
	cr_assert_not(parse(&pieces, &document, &error));
	cr_assert_eq(error.check, 4, "the size is right and what follows the map is not");
	pieces = good_pieces;
	pieces.piece[PAYLOAD_END] = (struct bytes){padded, DOCUMENT_PAYLOAD_MAX - others + 1};
	cr_assert_not(parse(&pieces, &document, &error));
	cr_assert_eq(error.check, 3);
	cr_assert_str_eq(error.message, "not 1 to 16384 bytes");
	pieces = good_pieces;
	pieces.piece[END] = (struct bytes){padded, DOCUMENT_MAX + 1};
	cr_assert_not(parse(&pieces, &document, &error));
	cr_assert_eq(error.check, 1);
	cr_assert_str_eq(error.message, "too long for a document");
	cr_assert_eq(error.offset, DOCUMENT_MAX);
}

// --- every beginning, every byte

Test(document, every_beginning_of_a_document_fails_check_1)
{
	static uint8_t data[ROOM];
	struct pieces pieces = good_pieces;
	struct document document;
	struct attest_error error;
	uint8_t head[9];
	size_t length;

	pieces_fit(&pieces, head);
	length = pieces_join(&pieces, data);
	for (size_t cut = 0; cut < length; cut++) {
		uint8_t *copy = exact_copy(data, cut);

		cr_assert_not(document_parse(copy, cut, &document, &error));
		cr_assert_eq(error.check, 1);
		cr_assert_leq(error.offset, cut);
		free(copy);
	}
	cr_assert_not(document_parse(NULL, 0, &document, &error));
}

Test(document, a_refusal_needs_nowhere_to_be_told)
{
	struct document document;

	cr_assert_not(document_parse("\x84", 1, &document, NULL));
}

// --- what is signed

Test(document, the_signed_bytes_are_the_sig_structure)
{
	static uint8_t expected[ROOM], out[DOCUMENT_MAX], data[ROOM];
	static const char begin[] = "\x84\x6ASignature1\x44\xA1\x01\x38\x22\x40";
	struct pieces pieces = good_pieces;
	struct document document;
	uint8_t head[9];
	size_t length = sizeof(begin) - 1;

	pieces_fit(&pieces, head);
	cr_assert(document_parse(data, pieces_join(&pieces, data), &document, NULL));
	memcpy(expected, begin, length);
	for (enum piece i = PAYLOAD_HEAD; i < SIGNATURE; i++) {
		memcpy(expected + length, pieces.piece[i].data, pieces.piece[i].length);
		length += pieces.piece[i].length;
	}
	cr_assert_eq(document_signed_bytes(&document, out, sizeof(out)), length);
	cr_assert_eq(memcmp(out, expected, length), 0);
}

Test(document, the_signed_bytes_of_the_largest_payload_fit)
{
	static uint8_t payload[DOCUMENT_PAYLOAD_MAX], out[DOCUMENT_MAX];
	struct document document = {.protected_header = BYTES("\xA1\x01\x38\x22"),
		.payload = {payload, sizeof(payload)}};

	cr_assert_eq(document_signed_bytes(&document, out, sizeof(out)),
		1 + 11 + 5 + 1 + 3 + DOCUMENT_PAYLOAD_MAX);
}

// --- what hostile documents may cost

static const struct bytes fillers[] = {BYTES("\x00"), BYTES("\x40"), BYTES("\x60"), BYTES("\x61z"),
	BYTES("\x80"), BYTES("\x81"), BYTES("\x9F"), BYTES("\xA0"), BYTES("\xA1"), BYTES("\xBF"),
	BYTES("\xD2"), BYTES("\xF6"), BYTES("\xFF"), BYTES("\x9F\xFF"), BYTES("\xBF\xFF"),
	BYTES("\x82\x80\x80"), BYTES("\xA1\x60\x80"), BYTES("\x65nonce\xF6"),
	BYTES("\x64pcrs\xA1\x00\x58\x30" B48)};

static size_t make_costly(uint8_t *out, enum piece piece, struct bytes head, struct bytes filler)
{
	static uint8_t filled[ROOM];
	struct pieces pieces = good_pieces;
	size_t length = head.length;
	uint8_t payload_head[9];

	memcpy(filled, head.data, head.length);
	for (; length + filler.length < 16000; length += filler.length)
		memcpy(filled + length, filler.data, filler.length);
	pieces.piece[piece] = (struct bytes){filled, length};
	if (piece == MAP) {
		for (enum piece i = MODULE_ID; i < SIGNATURE; i++)
			pieces.piece[i].length = 0;
	}
	pieces_fit(&pieces, payload_head);
	return pieces_join(&pieces, out);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

Test(document, sixteen_kilobytes_of_anything_cost_no_memory_and_little_time)
{
	static const struct {
		enum piece piece;
		struct bytes head;
	} places[] = {{ENVELOPE, BYTES("\x84")}, {UNPROTECTED, BYTES("\xBF")}, {MAP, BYTES("\xBF")},
		{MAP, BYTES("\xB9\x10\x00")}, {USER_DATA, BYTES("\x69user_data\x9F")},
		{USER_DATA, BYTES("\x69user_data\x99\x1F\x00")},
		{USER_DATA, BYTES("\x69user_data\xB9\x0F\x00")}, {TAG, BYTES("\xD2")}};
	static uint8_t data[ROOM];
	struct document document;
	struct mallinfo2 before, after;

	mallopt(M_MMAP_THRESHOLD, 1 << 25); // so that arena counts all, and never falls
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	before = mallinfo2();
	for (size_t i = 0; i < ARRAY_SIZE(places) * ARRAY_SIZE(fillers); i++) {
		size_t place = i / ARRAY_SIZE(fillers), filler = i % ARRAY_SIZE(fillers);
		size_t length =
			make_costly(data, places[place].piece, places[place].head, fillers[filler]);
		double begun = seconds();

		cr_assert_not(document_parse(data, length, &document, NULL));
		cr_assert_lt(seconds() - begun, 0.05, "place %zu, filler %zu", place, filler);
	}
	after = mallinfo2();
	cr_assert_lt(after.arena + after.hblkhd - before.arena - before.hblkhd, 1 << 20);
	cr_assert_eq(after.uordblks, before.uordblks);
}
