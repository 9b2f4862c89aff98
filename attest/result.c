// SPDX-License-Identifier: MIT
#include "attest/result.h"

#include <stdlib.h>
#include <string.h>

struct attest_result {
	enum attest_platform platform;
	enum attest_partition partition;
	bool is_debug;
	uint64_t timestamp;
	int64_t age;
	unsigned revocation_checked;
	char *module_id;
	char *release;
	bool has_pcr[DOCUMENT_PCRS];
	uint8_t pcrs[DOCUMENT_PCRS][DOCUMENT_PCR_SIZE];
	struct bytes user_data, nonce, public_key; // in stored
	uint8_t stored[3 * DOCUMENT_FIELD_MAX];
};

static struct bytes store(uint8_t **next, struct bytes value)
{
	struct bytes stored = {*next, value.length};

	if (!value.data)
		return (struct bytes){NULL, 0};
	memcpy(*next, value.data, value.length);
	*next += value.length;
	return stored;
}

static void copy_pcrs(struct attest_result *result, const struct document *document)
{
	for (size_t i = 0; i < DOCUMENT_PCRS; i++) {
		result->has_pcr[i] = document->pcrs[i] != NULL;
		if (document->pcrs[i])
			memcpy(result->pcrs[i], document->pcrs[i], DOCUMENT_PCR_SIZE);
	}
}

struct attest_result *result_create(const struct document *document, const struct chain *chain,
	bool is_debug, int64_t age, const char *release)
{
	struct attest_result *result = calloc(1, sizeof(*result));
	uint8_t *next;

	if (!result)
		return NULL;
	next = result->stored;
	result->platform = chain->platform;
	result->partition = chain->partition;
	result->revocation_checked = chain->revocation_checked;
	result->is_debug = is_debug;
	result->timestamp = document->timestamp;
	result->age = age;
	result->user_data = store(&next, document->user_data);
	result->nonce = store(&next, document->nonce);
	result->public_key = store(&next, document->public_key);
	copy_pcrs(result, document);
	result->module_id =
		strndup((const char *)document->module_id.data, document->module_id.length);
	result->release = release ? strdup(release) : NULL;
	if (result->module_id && (result->release || !release))
		return result;
	attest_result_free(result);
	return NULL;
}

void attest_result_free(struct attest_result *result)
{
	if (!result)
		return;
	free(result->module_id);
	free(result->release);
	free(result);
}

enum attest_platform attest_result_platform(const struct attest_result *result)
{
	return result->platform;
}

enum attest_partition attest_result_partition(const struct attest_result *result)
{
	return result->partition;
}

bool attest_result_is_debug(const struct attest_result *result)
{
	return result->is_debug;
}

uint64_t attest_result_timestamp(const struct attest_result *result)
{
	return result->timestamp;
}

int64_t attest_result_age(const struct attest_result *result)
{
	return result->age;
}

const char *attest_result_module_id(const struct attest_result *result)
{
	return result->module_id;
}

const uint8_t *attest_result_pcr(const struct attest_result *result, unsigned index)
{
	return index < DOCUMENT_PCRS && result->has_pcr[index] ? result->pcrs[index] : NULL;
}

struct bytes attest_result_user_data(const struct attest_result *result)
{
	return result->user_data;
}

struct bytes attest_result_nonce(const struct attest_result *result)
{
	return result->nonce;
}

struct bytes attest_result_public_key(const struct attest_result *result)
{
	return result->public_key;
}

unsigned attest_result_revocation_checked(const struct attest_result *result)
{
	return result->revocation_checked;
}

const char *attest_result_release(const struct attest_result *result)
{
	return result->release;
}
