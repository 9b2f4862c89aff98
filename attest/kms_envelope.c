// SPDX-License-Identifier: MIT
// Theory. KMS answers with a CMS message (RFC 5652) in BER, most of whose lengths are indefinite:
//
//	ContentInfo { envelopedData, [0] EnvelopedData {
//		version 2,
//		SET { KeyTransRecipientInfo {
//			version 2, [0] subjectKeyIdentifier,
//			RSAES-OAEP { SHA-256, MGF1 with SHA-256 },
//			encryptedKey } },
//		EncryptedContentInfo { data, AES-256-CBC { IV }, [0] content in chunks } } }
//
// The subject key identifier is the SHA-256 of the DER of the recipient's SubjectPublicKeyInfo, as
// it stood in the attestation document (seen in a genuine answer whose key is known). There is
// never a second recipient, an originator, attributes or a label. Everything that may vary
// elsewhere is required to be what KMS sends: there is no algorithm to choose, so nobody else can
// choose one.
#include "attest/kms_envelope.h"

#include <string.h>

#include "attest/ber.h"

#define OID(...)                                                                                   \
	(struct bytes)                                                                             \
	{                                                                                          \
		(const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})             \
	}

// RFC 5652 4 and 6, RFC 4055 4.1 and 2.1, NIST's CSOR.
#define OID_ENVELOPED_DATA OID(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03)
#define OID_DATA           OID(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01)
#define OID_RSAES_OAEP     OID(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x07)
#define OID_MGF1           OID(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08)
#define OID_SHA256         OID(0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01)
#define OID_AES256_CBC     OID(0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a)

static bool malformed(const struct ber_reader *reader, struct attest_error *error,
	const char *field, const char *reason)
{
	return attest_fail(error, ATTEST_FAULT_MALFORMED, field, reader->offset, "%s", reason);
}

static bool expect_oid(struct ber_reader *reader, struct bytes expected, const char *field,
	const char *name, struct attest_error *error)
{
	size_t offset = reader->offset;
	struct bytes found;

	if (!ber_read(reader, BER_OID, field, &found, error))
		return false;
	if (found.length != expected.length ||
		memcmp(found.data, expected.data, expected.length) != 0)
		return attest_fail(error, ATTEST_FAULT_MALFORMED, field, offset, "is not %s", name);
	return true;
}

static bool expect_version(struct ber_reader *reader, const char *field, struct attest_error *error)
{
	size_t offset = reader->offset;
	struct bytes version;

	if (!ber_read(reader, BER_INTEGER, field, &version, error))
		return false;
	if (version.length != 1 || version.data[0] != 2)
		return attest_fail(error, ATTEST_FAULT_MALFORMED, field, offset, "is not 2");
	return true;
}

// --- RSAES-OAEP's parameters (RFC 4055 2.1 and 4.1)

// SHA-256's own parameters are NULL or absent: RFC 4055 2.1 has both accepted.
static bool expect_sha256(struct ber_reader *reader, const char *field, struct attest_error *error)
{
	struct ber_reader algorithm;
	struct bytes null;

	if (!ber_enter(reader, BER_SEQUENCE, field, &algorithm, error) ||
		!expect_oid(&algorithm, OID_SHA256, field, "SHA-256", error))
		return false;
	if (!ber_is_end(&algorithm)) {
		if (!ber_read(&algorithm, BER_NULL, field, &null, error))
			return false;
		if (null.length != 0)
			return malformed(&algorithm, error, field, "has parameters");
	}
	return ber_leave(reader, &algorithm, field, error);
}

static bool expect_hash(struct ber_reader *parameters, struct attest_error *error)
{
	static const char field[] = "OAEP's hash";
	struct ber_reader tagged;

	return ber_enter(parameters, BER_CONTEXT_0_CONSTRUCTED, field, &tagged, error) &&
	       expect_sha256(&tagged, field, error) && ber_leave(parameters, &tagged, field, error);
}

static bool expect_mask(struct ber_reader *parameters, struct attest_error *error)
{
	static const char field[] = "OAEP's mask generation";
	struct ber_reader tagged, algorithm;

	return ber_enter(parameters, BER_CONTEXT_1_CONSTRUCTED, field, &tagged, error) &&
	       ber_enter(&tagged, BER_SEQUENCE, field, &algorithm, error) &&
	       expect_oid(&algorithm, OID_MGF1, field, "MGF1", error) &&
	       expect_sha256(&algorithm, field, error) &&
	       ber_leave(&tagged, &algorithm, field, error) &&
	       ber_leave(parameters, &tagged, field, error);
}

// A label ([2]) would be left over in the parameters.
static bool expect_oaep(struct ber_reader *reader, struct attest_error *error)
{
	static const char field[] = "key encryption algorithm";
	struct ber_reader algorithm, parameters;

	return ber_enter(reader, BER_SEQUENCE, field, &algorithm, error) &&
	       expect_oid(&algorithm, OID_RSAES_OAEP, field, "RSAES-OAEP", error) &&
	       ber_enter(&algorithm, BER_SEQUENCE, "OAEP's parameters", &parameters, error) &&
	       expect_hash(&parameters, error) && expect_mask(&parameters, error) &&
	       ber_leave(&algorithm, &parameters, "OAEP's parameters", error) &&
	       ber_leave(reader, &algorithm, field, error);
}

// --- the recipient (RFC 5652 6.2.1)

static bool parse_recipient(
	struct ber_reader *reader, struct kms_envelope *envelope, struct attest_error *error)
{
	static const char field[] = "recipient";
	struct ber_reader recipient;

	if (!ber_enter(reader, BER_SEQUENCE, field, &recipient, error) ||
		!expect_version(&recipient, "recipient's version", error) ||
		!ber_read(&recipient, BER_CONTEXT_0, "subject key identifier",
			&envelope->key_identifier, error))
		return false;
	if (envelope->key_identifier.length != KMS_KEY_IDENTIFIER_SIZE)
		return malformed(&recipient, error, "subject key identifier", "has not 32 bytes");
	return expect_oaep(&recipient, error) &&
	       ber_read(&recipient, BER_OCTET_STRING, "encrypted key", &envelope->encrypted_key,
		       error) &&
	       ber_leave(reader, &recipient, field, error);
}

static bool parse_recipients(
	struct ber_reader *reader, struct kms_envelope *envelope, struct attest_error *error)
{
	static const char field[] = "recipients";
	struct ber_reader recipients;

	return ber_enter(reader, BER_SET, field, &recipients, error) &&
	       parse_recipient(&recipients, envelope, error) &&
	       ber_leave(reader, &recipients, field, error);
}

// --- the content (RFC 5652 6.1)

static bool parse_content_algorithm(
	struct ber_reader *reader, struct kms_envelope *envelope, struct attest_error *error)
{
	static const char field[] = "content encryption algorithm";
	struct ber_reader algorithm;

	if (!ber_enter(reader, BER_SEQUENCE, field, &algorithm, error) ||
		!expect_oid(&algorithm, OID_AES256_CBC, field, "AES-256-CBC", error) ||
		!ber_read(&algorithm, BER_OCTET_STRING, "IV", &envelope->iv, error))
		return false;
	if (envelope->iv.length != KMS_IV_SIZE)
		return malformed(&algorithm, error, "IV", "has not 16 bytes");
	return ber_leave(reader, &algorithm, field, error);
}

// The input is no longer than the buffer.
static void append_content(struct kms_envelope *envelope, const struct bytes *chunk)
{
	memcpy(envelope->content + envelope->content_length, chunk->data, chunk->length);
	envelope->content_length += chunk->length;
}

// One implicit OCTET STRING: whole, or constructed of chunks (X.690 8.7).
static bool parse_content(
	struct ber_reader *reader, struct kms_envelope *envelope, struct attest_error *error)
{
	static const char field[] = "encrypted content";
	struct ber_reader chunks;
	struct bytes chunk;

	if (ber_peek(reader) == BER_CONTEXT_0) {
		if (!ber_read(reader, BER_CONTEXT_0, field, &chunk, error))
			return false;
		append_content(envelope, &chunk);
	} else {
		if (!ber_enter(reader, BER_CONTEXT_0_CONSTRUCTED, field, &chunks, error))
			return false;
		while (!ber_is_end(&chunks)) {
			if (!ber_read(&chunks, BER_OCTET_STRING, field, &chunk, error))
				return false;
			append_content(envelope, &chunk);
		}
		if (!ber_leave(reader, &chunks, field, error))
			return false;
	}
	if (envelope->content_length == 0 || envelope->content_length % 16 != 0)
		return malformed(reader, error, field, "is not of whole AES blocks");
	return true;
}

static bool parse_content_info(
	struct ber_reader *reader, struct kms_envelope *envelope, struct attest_error *error)
{
	static const char field[] = "encrypted content info";
	struct ber_reader info;

	return ber_enter(reader, BER_SEQUENCE, field, &info, error) &&
	       expect_oid(&info, OID_DATA, "content's type", "data", error) &&
	       parse_content_algorithm(&info, envelope, error) &&
	       parse_content(&info, envelope, error) && ber_leave(reader, &info, field, error);
}

bool kms_envelope_parse(
	const void *data, size_t length, struct kms_envelope *envelope, struct attest_error *error)
{
	struct ber_reader input, message, tagged, enveloped;

	envelope->content_length = 0;
	if (length > KMS_ENVELOPE_MAX)
		return attest_fail(error, ATTEST_FAULT_MALFORMED, "message", KMS_ENVELOPE_MAX,
			"more than %d bytes", KMS_ENVELOPE_MAX);
	ber_begin(&input, data, length);
	return ber_enter(&input, BER_SEQUENCE, "message", &message, error) &&
	       expect_oid(&message, OID_ENVELOPED_DATA, "message's type", "envelopedData", error) &&
	       ber_enter(&message, BER_CONTEXT_0_CONSTRUCTED, "message", &tagged, error) &&
	       ber_enter(&tagged, BER_SEQUENCE, "enveloped data", &enveloped, error) &&
	       expect_version(&enveloped, "version", error) &&
	       parse_recipients(&enveloped, envelope, error) &&
	       parse_content_info(&enveloped, envelope, error) &&
	       ber_leave(&tagged, &enveloped, "enveloped data", error) &&
	       ber_leave(&message, &tagged, "message", error) &&
	       ber_leave(&input, &message, "message", error) &&
	       (ber_is_end(&input) || malformed(&input, error, "end", "bytes follow the message"));
}
