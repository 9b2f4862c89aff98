// SPDX-License-Identifier: MIT
// Changes a genuine payload and signs it again, so that the signature does not hide the code behind
// it. The input is a list of changes: what kind, two places of two bytes, and how many bytes of the
// input follow. What is accepted must be what was signed.
#include "attest/verify.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/attest_sign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct attest_sign *sign;
static struct policy *policy;
static uint8_t genuine[DOCUMENT_MAX];
static struct document shape; // of genuine

struct payload {
	size_t length;
	uint8_t data[DOCUMENT_PAYLOAD_MAX];
};

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void begin(void)
{
	static const char text[] = "debug allow\npcr4 "
				   "abababababababababababababababababababababababab"
				   "abababababababababababababababababababababababab\n"
				   "release a\n pcr0 "
				   "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
				   "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd\n"
				   "user_data sha256:00000000000000000000000000000000"
				   "00000000000000000000000000000000\n";
	struct conf_error error;
	size_t length;

	sign = attest_sign_open();
	length = attest_sign_document(sign, genuine);
	require(document_parse(genuine, length, &shape, NULL));
	policy = policy_parse(text, sizeof(text) - 1, &error);
	require(policy != NULL);
}

// --- changes

struct reader {
	const uint8_t *data;
	size_t left;
};

static unsigned take(struct reader *reader, unsigned bytes)
{
	unsigned value = 0;

	for (; bytes > 0 && reader->left > 0; bytes--, reader->left--)
		value = value << 8 | *reader->data++;
	return value;
}

// Removes count bytes at a place, and puts others there.
static void splice(
	struct payload *payload, size_t at, size_t count, const uint8_t *bytes, size_t length)
{
	at %= payload->length + 1;
	if (count > payload->length - at)
		count = payload->length - at;
	if (length > sizeof(payload->data) - (payload->length - count))
		return;
	memmove(payload->data + at + length, payload->data + at + count,
		payload->length - at - count);
	memcpy(payload->data + at, bytes, length);
	payload->length += length - count;
}

// Exchanges what stands for two certificates, or another certificate for one: only while all still
// is where it was.
static void exchange(struct payload *payload, unsigned a, unsigned b, bool is_copy)
{
	struct bytes all[DOCUMENT_CABUNDLE_MAX + 1], first, second;
	uint8_t saved[DOCUMENT_CERTIFICATE_MAX];
	size_t count = shape.cabundle_count;

	memcpy(all, shape.cabundle, sizeof(shape.cabundle));
	all[count++] = shape.certificate;
	first = all[a % count];
	second = all[b % count];
	if (payload->length != shape.payload.length || first.length != second.length)
		return;
	uint8_t *to = payload->data + (first.data - shape.payload.data);
	uint8_t *from = payload->data + (second.data - shape.payload.data);
	memcpy(saved, to, first.length);
	memmove(to, from, first.length);
	if (!is_copy)
		memcpy(from, saved, first.length);
}

static void change(struct payload *payload, struct reader *reader)
{
	unsigned kind = take(reader, 1), at = take(reader, 2), other = take(reader, 2);
	size_t length = kind & 0x80 ? take(reader, 1) : 1;

	if (length > reader->left)
		length = reader->left;
	switch (kind % 5) {
	case 0: // overwrite
		splice(payload, at, length, reader->data, length);
		break;
	case 1: // insert
		splice(payload, at, 0, reader->data, length);
		break;
	case 2: // remove
		splice(payload, at, other, reader->data, length);
		break;
	case 3:
		exchange(payload, at, other, false);
		length = 0;
		break;
	case 4:
		exchange(payload, at, other, true);
		length = 0;
		break;
	}
	reader->data += length;
	reader->left -= length;
}

// --- verification

static void check_result(
	const struct attest_result *result, const uint8_t *document, size_t length, bool has_policy)
{
	struct document parsed;

	require(document_parse(document, length, &parsed, NULL));
	require(!has_policy); // nobody finds PCRs of ab and cd, and data that hashes to zeros
	require(parsed.timestamp == attest_result_timestamp(result));
	require(strlen(attest_result_module_id(result)) == parsed.module_id.length);
	require(parsed.nonce.length == attest_result_nonce(result).length);
	require(parsed.certificate.length == shape.certificate.length &&
		memcmp(parsed.certificate.data, shape.certificate.data, shape.certificate.length) ==
			0);
	for (unsigned i = 0; i < DOCUMENT_PCRS; i++)
		require(!parsed.pcrs[i] == !attest_result_pcr(result, i));
}

static void verify(const uint8_t *document, size_t length, const struct verify_options *options)
{
	struct attest_result *result;
	struct attest_error error = {0};

	if (attest_verify(document, length, options, &result, &error)) {
		check_result(result, document, length, options->policy != NULL);
		attest_result_free(result);
		return;
	}
	require(!result && error.check >= 1 && error.check <= 18 && error.message[0] != '\0');
	require(error.fault == ATTEST_FAULT_REFUSED || error.fault == ATTEST_FAULT_MALFORMED);
	require(error.offset == ATTEST_NO_OFFSET || error.offset <= length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct payload payload;
	static uint8_t document[DOCUMENT_MAX];
	struct reader reader = {data, size};
	struct verify_options options = {.any_image = true};

	if (!sign)
		begin();
	unsigned how = take(&reader, 1);
	options.clock = how & 1 ? VERIFY_DOCUMENT : VERIFY_NOW;
	options.allow_debug = how & 2;
	options.policy = how & 4 ? policy : NULL;
	options.root = attest_sign_root(sign);
	payload.length = shape.payload.length;
	memcpy(payload.data, shape.payload.data, payload.length);
	while (reader.left > 0)
		change(&payload, &reader);
	if (payload.length > 0)
		verify(document,
			attest_sign_payload(
				sign, (struct bytes){payload.data, payload.length}, document),
			&options);
	return 0;
}
