// SPDX-License-Identifier: MIT
// `airlock-attest kms unwrap`: the plaintext of a CiphertextForRecipient.
#include "attest/commands.h"

#include <getopt.h>
#include <nettle/base64.h>
#include <stdlib.h>
#include <string.h>

#include "attest/files.h"
#include "attest/kms_envelope.h"
#include "attest/kms_key.h"
#include "attest/kms_unwrap.h"

#define KEY_FILE_MAX 16384
// In base64, in lines.
#define INPUT_MAX ((size_t)2 * KMS_ENVELOPE_MAX)
// More than reading a key and unwrapping go down, GnuTLS and nettle included.
#define STACK_USED 131072

// Base64 as the API gives it, or the bytes themselves: those begin with a SEQUENCE's tag, which as
// a text is the digit 0, and no text of theirs begins so. Decodes in place.
static bool decode_input(uint8_t *data, size_t *length, struct attest_error *error)
{
	struct base64_decode_ctx base64;

	if (*length > 0 && data[0] == 0x30)
		return true;
	base64_decode_init(&base64);
	// Nettle's decoder may work in place (nettle manual, "ASCII encoding").
	if (!base64_decode_update(&base64, length, data, *length, (const char *)data) ||
		!base64_decode_final(&base64))
		return attest_fail(error, ATTEST_FAULT_MALFORMED, "message", ATTEST_NO_OFFSET,
			"is neither a CMS message nor base64");
	return true;
}

static bool read_envelope(
	const char *path, uint8_t **data, struct kms_envelope *envelope, struct attest_error *error)
{
	size_t length;

	return file_read(path, INPUT_MAX, data, &length, error) &&
	       decode_input(*data, &length, error) &&
	       kms_envelope_parse(*data, length, envelope, error);
}

static struct kms_key *read_key(const char *path, struct attest_error *error)
{
	struct kms_key *key;
	uint8_t *pem;
	size_t length;

	if (!file_read(path, KEY_FILE_MAX, &pem, &length, error)) {
		error->fault = ATTEST_FAULT_USAGE;
		return NULL;
	}
	key = kms_key_parse(pem, length, error);
	explicit_bzero(pem, length);
	free(pem);
	return key;
}

static int write_plaintext(
	const struct kms_envelope *envelope, const struct kms_key *key, const char *path)
{
	uint8_t plaintext[KMS_ENVELOPE_MAX];
	struct attest_error error;
	int status = EXIT_OK;
	size_t length;

	if (!kms_unwrap(envelope, key, plaintext, &length, &error))
		status = command_fail(path, &error);
	else if (!file_write("-", plaintext, length, 0, &error))
		status = command_fail(NULL, &error);
	explicit_bzero(plaintext, sizeof(plaintext));
	return status;
}

// What was called has returned, and its stack lies there still: reading a key leaves parts of it
// there.
static __attribute__((noinline)) void wipe_stack(void)
{
	uint8_t below[STACK_USED];

	explicit_bzero(below, sizeof(below));
}

static int unwrap(const char *key_path, const char *path)
{
	struct kms_envelope envelope;
	struct attest_error error;
	struct kms_key *key;
	uint8_t *data;
	int status;

	key = read_key(key_path, &error);
	if (!key) {
		wipe_stack();
		return command_fail(key_path, &error);
	}
	if (read_envelope(path, &data, &envelope, &error))
		status = write_plaintext(&envelope, key, path);
	else
		status = command_fail(path, &error);
	free(data);
	kms_key_free(key);
	wipe_stack();
	return status;
}

int command_kms(int argc, char **argv)
{
	static const struct option options[] = {
		{"key", required_argument, NULL, 'k'},
		{0},
	};
	const char *key = NULL;
	int option;

	if (argc < 2 || strcmp(argv[1], "unwrap") != 0)
		return command_usage(argv[0]);
	while ((option = getopt_long(argc - 1, argv + 1, "", options, NULL)) != -1) {
		if (option != 'k')
			return command_usage(argv[0]);
		key = optarg;
	}
	if (!key || argc - 1 - optind != 1)
		return command_usage(argv[0]);
	return unwrap(key, argv[1 + optind]);
}
