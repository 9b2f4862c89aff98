// SPDX-License-Identifier: MIT
// Theory of operation: libcbor's encoders write one head each, in its shortest form, and return 0
// when there is no room. A writer that has failed once writes nothing any more, so only the end
// asks.
#include "attest/simulated_document.h"

#include <string.h>

#include <cbor/encoding.h>

#define ES384_NEGATIVE 34 // -1 - 34 is -35, COSE's ES384 (RFC 9053, 2.1)

struct writer {
	uint8_t *out;
	size_t size;
	size_t length;
	bool has_failed;
};

static void note(struct writer *writer, size_t written)
{
	if (written == 0)
		writer->has_failed = true;
	else
		writer->length += written;
}

static uint8_t *end(const struct writer *writer)
{
	return writer->out + writer->length;
}

static size_t room(const struct writer *writer)
{
	return writer->has_failed ? 0 : writer->size - writer->length;
}

// Calls an encoder of libcbor: first what it encodes, if anything.
#define PUT_HEAD(writer, encoder, value) note(writer, encoder(value, end(writer), room(writer)))
#define PUT(writer, encoder)             note(writer, encoder(end(writer), room(writer)))

static void put_content(struct writer *writer, const void *data, size_t length)
{
	if (room(writer) < length) {
		writer->has_failed = true;
		return;
	}
	memcpy(end(writer), data, length);
	writer->length += length;
}

static void put_bytes(struct writer *writer, struct bytes bytes)
{
	PUT_HEAD(writer, cbor_encode_bytestring_start, bytes.length);
	put_content(writer, bytes.data, bytes.length);
}

static void put_text(struct writer *writer, const char *text)
{
	PUT_HEAD(writer, cbor_encode_string_start, strlen(text));
	put_content(writer, text, strlen(text));
}

static void put_optional(struct writer *writer, const char *key, struct bytes bytes)
{
	put_text(writer, key);
	if (bytes.data)
		put_bytes(writer, bytes);
	else
		PUT(writer, cbor_encode_null);
}

static void put_pcrs(struct writer *writer, const struct simulated_bank *bank)
{
	size_t count = 0;

	for (size_t i = 0; i < DOCUMENT_PCRS; i++)
		count += bank->is_locked[i];
	PUT_HEAD(writer, cbor_encode_map_start, count);
	for (size_t i = 0; i < DOCUMENT_PCRS; i++) {
		if (!bank->is_locked[i])
			continue;
		PUT_HEAD(writer, cbor_encode_uint, i);
		put_bytes(writer, (struct bytes){bank->values[i], DOCUMENT_PCR_SIZE});
	}
}

static void put_certificates(struct writer *writer, const struct simulated_pki *pki)
{
	const size_t leaf = SIMULATED_PKI_LEVELS - 1;

	put_text(writer, "certificate");
	put_bytes(writer, simulated_pki_certificate(pki, leaf));
	put_text(writer, "cabundle");
	PUT_HEAD(writer, cbor_encode_array_start, leaf);
	for (size_t i = 0; i < leaf; i++)
		put_bytes(writer, simulated_pki_certificate(pki, i));
}

static void put_payload(struct writer *writer, const struct simulated_pki *pki,
	const struct simulated_claims *claims)
{
	PUT(writer, cbor_encode_indef_map_start);
	put_text(writer, "module_id");
	put_text(writer, simulated_pki_module_id(pki));
	put_text(writer, "digest");
	put_text(writer, "SHA384");
	put_text(writer, "timestamp");
	PUT_HEAD(writer, cbor_encode_uint, claims->timestamp);
	put_text(writer, "pcrs");
	put_pcrs(writer, claims->bank);
	put_certificates(writer, pki);
	put_optional(writer, "public_key", claims->public_key);
	put_optional(writer, "user_data", claims->user_data);
	put_optional(writer, "nonce", claims->nonce);
	PUT(writer, cbor_encode_break);
}

static bool sign(const struct simulated_pki *pki, const struct document *document,
	uint8_t signature[static DOCUMENT_SIGNATURE_SIZE], struct attest_error *error)
{
	uint8_t signed_bytes[DOCUMENT_MAX];
	size_t length = document_signed_bytes(document, signed_bytes, sizeof(signed_bytes));

	return simulated_pki_sign(pki, (struct bytes){signed_bytes, length}, signature, error);
}

bool simulated_document_make(const struct simulated_pki *pki, const struct simulated_claims *claims,
	uint8_t *out, size_t size, size_t *length, struct attest_error *error)
{
	uint8_t header[8], payload[DOCUMENT_PAYLOAD_MAX], signature[DOCUMENT_SIGNATURE_SIZE];
	struct writer inner = {.out = payload, .size = sizeof(payload)};
	struct writer protected = {.out = header, .size = sizeof(header)};
	struct writer outer = {.out = out, .size = size};

	PUT_HEAD(&protected, cbor_encode_map_start, 1);
	PUT_HEAD(&protected, cbor_encode_uint, 1);
	PUT_HEAD(&protected, cbor_encode_negint, ES384_NEGATIVE);
	put_payload(&inner, pki, claims);
	const struct document document = {
		.protected_header = {header, protected.length},
		.payload = {payload, inner.length},
	};
	if (!inner.has_failed && !sign(pki, &document, signature, error))
		return false;
	PUT_HEAD(&outer, cbor_encode_array_start, 4);
	put_bytes(&outer, document.protected_header);
	PUT_HEAD(&outer, cbor_encode_map_start, 0);
	put_bytes(&outer, document.payload);
	put_bytes(&outer, (struct bytes){signature, sizeof(signature)});
	*length = outer.length;
	if (inner.has_failed || outer.has_failed)
		return attest_fail(error, ATTEST_FAULT_DEVICE, NULL, ATTEST_NO_OFFSET,
			"a document of more than %zu bytes", size);
	return true;
}
