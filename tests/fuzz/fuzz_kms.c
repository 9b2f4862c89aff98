// SPDX-License-Identifier: MIT
// A CMS message: what is accepted is made of the input, and unwrapping it with some key ends with a
// refusal of one kind or with a plaintext no longer than the content.
#include "attest/kms_envelope.h"

#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>

#include "attest/kms_key.h"
#include "attest/kms_unwrap.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct kms_key *key;

static void require(bool condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	gnutls_x509_privkey_t made;
	gnutls_datum_t pem;

	(void)argc;
	(void)argv;
	require(gnutls_x509_privkey_init(&made) == 0);
	require(gnutls_x509_privkey_generate(made, GNUTLS_PK_RSA, 2048, 0) == 0);
	require(gnutls_x509_privkey_export2(made, GNUTLS_X509_FMT_PEM, &pem) == 0);
	key = kms_key_parse(pem.data, pem.size, NULL);
	require(key != NULL);
	gnutls_free(pem.data);
	gnutls_x509_privkey_deinit(made);
	return 0;
}

static void require_within(const struct bytes *view, const uint8_t *data, size_t size)
{
	require(view->data >= data && view->length <= size);
	require(view->data + view->length <= data + size);
}

static void check_unwrap(struct kms_envelope *envelope)
{
	static uint8_t plaintext[KMS_ENVELOPE_MAX];
	struct attest_error error = {.fault = ATTEST_FAULT_NONE};
	size_t length;

	// The fuzzer sees the comparison and soon names the right key itself.
	if (memcmp(envelope->key_identifier.data, key->identifier, sizeof(key->identifier)) != 0) {
		require(!kms_unwrap(envelope, key, plaintext, &length, &error));
		require(error.fault == ATTEST_FAULT_REFUSED &&
			strcmp(error.field, "recipient") == 0);
	}
	envelope->key_identifier = (struct bytes){key->identifier, sizeof(key->identifier)};
	if (kms_unwrap(envelope, key, plaintext, &length, &error))
		require(length < envelope->content_length);
	else
		require(length == 0 && error.fault != ATTEST_FAULT_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct kms_envelope envelope;
	struct attest_error error = {.fault = ATTEST_FAULT_NONE};

	if (!kms_envelope_parse(data, size, &envelope, &error)) {
		require(error.fault == ATTEST_FAULT_MALFORMED && error.offset <= size);
		return 0;
	}
	require_within(&envelope.key_identifier, data, size);
	require_within(&envelope.encrypted_key, data, size);
	require_within(&envelope.iv, data, size);
	require(envelope.iv.length == KMS_IV_SIZE);
	require(envelope.content_length > 0 && envelope.content_length % 16 == 0);
	require(envelope.content_length <= size);
	check_unwrap(&envelope);
	return 0;
}
