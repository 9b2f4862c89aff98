// SPDX-License-Identifier: MIT
// airlock-attest show FILE: the structure of a document, read item by item until something cannot
// be read, and then what checks 1 to 9 say. Anyone can make a document that shows well, so that
// each line says that it is unverified, and all text in it is escaped to printable ASCII.
#include "attest/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "attest/cbor_reader.h"
#include "attest/document.h"
#include "attest/files.h"

#define HEX_SHOWN   96 // of longer byte strings the beginning, and a hash to compare them by
#define HASH_SIZE   32
#define NESTING_MAX 8
#define PAYLOAD     2 // of the envelope's items

struct view {
	FILE *out;
	struct cbor_reader reader;
	struct attest_error *error;
};

static void free_bytes(uint8_t **bytes)
{
	free(*bytes);
}

static void begin_line(const struct view *view, size_t offset, unsigned depth)
{
	fprintf(view->out, "unverified %5zu %*s", offset, 2 * (int)depth, "");
}

// --- scalars

static void print_text(FILE *out, struct bytes text)
{
	fputc('"', out);
	for (size_t i = 0; i < text.length; i++) {
		uint8_t c = text.data[i];

		if (c >= 0x20 && c <= 0x7E && c != '"' && c != '\\')
			fputc(c, out);
		else
			fprintf(out, "\\x%02x", c);
	}
	fputc('"', out);
}

static void print_bytes(FILE *out, struct bytes bytes)
{
	size_t shown = bytes.length <= HEX_SHOWN ? bytes.length : HEX_SHOWN;
	char text[2 * HEX_SHOWN + 1];
	uint8_t hash[HASH_SIZE];

	fprintf(out, "%zu bytes%s%s", bytes.length, shown ? " " : "",
		hex_encode(bytes.data, shown, text));
	if (shown == bytes.length)
		return;
	fputs("...", out);
	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, bytes.data, bytes.length, hash) == 0)
		fprintf(out, " SHA-256 %s", hex_encode(hash, sizeof(hash), text));
}

static bool is_timestamp(struct bytes key)
{
	return key.length == strlen("timestamp") && memcmp(key.data, "timestamp", key.length) == 0;
}

static void print_number(FILE *out, const struct cbor_token *token, struct bytes key)
{
	char text[32];

	fprintf(out, "%llu", (unsigned long long)token->value);
	if (is_timestamp(key))
		fprintf(out, " ms, %s", time_format((time_t)(token->value / 1000), text));
}

static void print_container(FILE *out, const char *noun, const struct cbor_token *token)
{
	if (token->is_indefinite)
		fprintf(out, "%s without a length", noun);
	else
		fprintf(out, "%s of %llu", noun, (unsigned long long)token->value);
}

static void print_token(FILE *out, const struct cbor_token *token, struct bytes key)
{
	switch (token->kind) {
	case CBOR_UINT:
		print_number(out, token, key);
		break;
	case CBOR_NEGATIVE:
		fprintf(out, "-1 - %llu", (unsigned long long)token->value);
		break;
	case CBOR_BYTES:
		print_bytes(out, token->bytes);
		break;
	case CBOR_TEXT:
		print_text(out, token->bytes);
		break;
	case CBOR_ARRAY:
		print_container(out, "array", token);
		break;
	case CBOR_MAP:
		print_container(out, "map", token);
		break;
	case CBOR_TAG:
		fprintf(out, "tag %llu", (unsigned long long)token->value);
		break;
	case CBOR_FALSE:
		fputs("false", out);
		break;
	case CBOR_TRUE:
		fputs("true", out);
		break;
	case CBOR_NULL:
		fputs("null", out);
		break;
	case CBOR_BREAK:
		fputs("break", out);
		break;
	}
}

// --- structure

static bool show_entries(struct view *view, const struct cbor_token *container, unsigned depth);

// The rest of a line that was begun, and below it what the item contains. key is what stands before
// it in a map, if anything does.
static bool show_value(
	struct view *view, struct bytes key, unsigned depth, struct cbor_token *token)
{
	if (!cbor_reader_next(&view->reader, token, view->error)) {
		fputs("(unreadable)\n", view->out);
		return false;
	}
	print_token(view->out, token, key);
	fputc('\n', view->out);
	if (token->kind == CBOR_TAG || token->kind == CBOR_BREAK)
		return attest_fail(
			view->error, ATTEST_FAULT_MALFORMED, NULL, token->offset, "not a value");
	if (token->kind != CBOR_ARRAY && token->kind != CBOR_MAP)
		return true;
	return show_entries(view, token, depth + 1);
}

static bool show_key(struct view *view, struct cbor_token *key)
{
	if (!cbor_reader_next(&view->reader, key, view->error)) {
		fputs("(unreadable)\n", view->out);
		return false;
	}
	print_token(view->out, key, (struct bytes){0});
	if (key->kind == CBOR_TEXT || key->kind == CBOR_UINT) {
		fputs(": ", view->out);
		return true;
	}
	fputc('\n', view->out);
	return attest_fail(view->error, ATTEST_FAULT_MALFORMED, NULL, key->offset, "not a key");
}

static bool show_entries(struct view *view, const struct cbor_token *container, unsigned depth)
{
	struct cbor_token key = {0}, value;
	struct cbor_entries entries;
	int more;

	if (depth > NESTING_MAX)
		return attest_fail(view->error, ATTEST_FAULT_MALFORMED, NULL, container->offset,
			"nested too deep to be shown");
	cbor_entries_begin(&entries, container);
	while ((more = cbor_entries_next(&view->reader, &entries, view->error)) > 0) {
		begin_line(view, view->reader.offset, depth);
		if (container->kind == CBOR_MAP && !show_key(view, &key))
			return false;
		if (!show_value(view, key.bytes, depth, &value))
			return false;
	}
	return more == 0;
}

static bool show_payload(const struct view *outer, struct bytes payload)
{
	size_t begin = (size_t)(payload.data - outer->reader.data);
	struct view view = {
		outer->out, {outer->reader.data, begin + payload.length, begin}, outer->error};
	struct cbor_token token;

	begin_line(&view, begin, 2);
	return show_value(&view, (struct bytes){0}, 2, &token) &&
	       cbor_reader_end(&view.reader, view.error);
}

static bool show_items(struct view *view, const struct cbor_token *array)
{
	static const char *const names[] = {"protected", "unprotected", "payload", "signature"};
	struct cbor_entries entries;
	struct cbor_token item;
	size_t i = 0;
	int more;

	cbor_entries_begin(&entries, array);
	for (; (more = cbor_entries_next(&view->reader, &entries, view->error)) > 0; i++) {
		begin_line(view, view->reader.offset, 1);
		fprintf(view->out, "%s: ", i < ARRAY_SIZE(names) ? names[i] : "one more");
		if (!show_value(view, (struct bytes){0}, 1, &item))
			return false;
		if (i == PAYLOAD && item.kind == CBOR_BYTES && !show_payload(view, item.bytes))
			return false;
	}
	return more == 0;
}

static bool show_envelope(struct view *view)
{
	struct cbor_token token;

	do {
		begin_line(view, view->reader.offset, 0);
		if (!cbor_reader_next(&view->reader, &token, view->error)) {
			fputs("(unreadable)\n", view->out);
			return false;
		}
		print_token(view->out, &token, (struct bytes){0});
		fputc('\n', view->out);
	} while (token.kind == CBOR_TAG);
	return cbor_token_expect(&token, CBOR_ARRAY, "document", view->error) &&
	       show_items(view, &token) && cbor_reader_end(&view->reader, view->error);
}

// --- the command

// Where reading ended, if it did, and what checks 1 to 9 say.
static bool show_document(const uint8_t *data, size_t length, FILE *out, struct attest_error *error)
{
	struct view view = {.out = out, .error = error};
	struct document document;
	char text[512];

	cbor_reader_begin(&view.reader, data, length);
	fprintf(out,
		"UNVERIFIED: anyone can write what follows; airlock-attest verify tells whether it "
		"is genuine\n");
	if (!show_envelope(&view))
		fprintf(out, "unverified: cannot be read further: %s\n",
			attest_error_format(error, text, sizeof(text)));
	if (document_parse(data, length, &document, error)) {
		fputs("unverified: well formed (checks 1 to 9 of 18); signature, certificates and "
		      "contents were not verified\n",
			out);
		return true;
	}
	fprintf(out, "unverified: not well formed as an enclave's document: %s\n",
		attest_error_format(error, text, sizeof(text)));
	return false;
}

int command_show(int argc, char **argv)
{
	__attribute__((cleanup(free_bytes))) uint8_t *data = NULL;
	struct attest_error error;
	bool is_well_formed;
	size_t length;

	if (argc != 2)
		return command_usage("show");
	if (!file_read(argv[1], DOCUMENT_MAX, &data, &length, &error))
		return command_fail("show", &error);
	is_well_formed = show_document(data, length, stdout, &error);
	return is_well_formed ? EXIT_OK : command_fail(argv[1], &error);
}
