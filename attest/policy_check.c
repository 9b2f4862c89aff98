// SPDX-License-Identifier: MIT
// Fails closed: without a policy nothing is accepted unless that was said, what is expected must be
// there, and debug enclaves, which prove nothing about their image, must be asked for by name.
#include "attest/policy_check.h"

#include <gnutls/crypto.h>
#include <stdio.h>
#include <string.h>

#include "attest/policy_rules.h"

#define REFUSE(error, field, offset, ...)                                                          \
	attest_fail_check(error, 18, ATTEST_FAULT_REFUSED, field, offset, __VA_ARGS__)

static bool is_zero(const uint8_t *pcr)
{
	static const uint8_t zeros[DOCUMENT_PCR_SIZE];

	return !pcr || memcmp(pcr, zeros, sizeof(zeros)) == 0;
}

bool policy_is_debug(const struct document *document)
{
	return is_zero(document->pcrs[0]) && is_zero(document->pcrs[1]) &&
	       is_zero(document->pcrs[2]);
}

// Neither the place nor the number of differing bytes shows in the time it takes.
static bool is_same(struct bytes found, const uint8_t *expected, size_t length)
{
	return found.data && found.length == length &&
	       gnutls_memcmp(found.data, expected, length) == 0;
}

static bool is_value(struct bytes found, const struct policy_value *expected)
{
	uint8_t hash[POLICY_HASH_SIZE];

	if (!found.data || !expected->is_hash)
		return is_same(found, expected->data, expected->length);
	return gnutls_hash_fast(GNUTLS_DIG_SHA256, found.data, found.length, hash) >= 0 &&
	       is_same((struct bytes){hash, sizeof(hash)}, expected->data, expected->length);
}

static bool refuse_value(const struct document *document, const char *field, struct bytes found,
	struct attest_error *error)
{
	return REFUSE(error, field, document_offset(document, found.data), "%s",
		found.data ? "not as expected" : "expected, and absent");
}

static bool check_value(const struct document *document, const char *field, struct bytes found,
	const struct policy_value *expected, struct attest_error *error)
{
	if (!expected->is_set || is_value(found, expected))
		return true;
	return refuse_value(document, field, found, error);
}

// Returns the first PCR that is not as expected, or -1.
static int find_difference(const struct document *document, const struct policy_pcrs *pcrs)
{
	for (int i = 0; i < DOCUMENT_PCRS; i++) {
		struct bytes found = {document->pcrs[i], DOCUMENT_PCR_SIZE};
		if ((pcrs->expected & 1U << i) && !is_same(found, pcrs->values[i], found.length))
			return i;
	}
	return -1;
}

static bool refuse_pcr(
	const struct document *document, int index, const char *release, struct attest_error *error)
{
	char field[] = "pcrs[NN]";

	snprintf(field, sizeof(field), "pcrs[%u]", (unsigned)index % DOCUMENT_PCRS);
	return REFUSE(error, field, document_offset(document, document->pcrs[index]), "%s%s%s",
		document->pcrs[index] ? "not as expected" : "expected, and absent",
		release ? " of release " : "", release ? release : "");
}

// Of the first one that there is.
static size_t pcrs_offset(const struct document *document)
{
	size_t first = 0;

	while (first < DOCUMENT_PCRS - 1 && !document->pcrs[first])
		first++;
	return document_offset(document, document->pcrs[first]);
}

static bool check_pcrs(const struct policy *policy, const struct document *document,
	const char **release, struct attest_error *error)
{
	int difference = find_difference(document, &policy->common);

	if (difference >= 0)
		return refuse_pcr(document, difference, NULL, error);
	for (size_t i = 0; i < policy->release_count; i++) {
		difference = find_difference(document, &policy->releases[i].pcrs);
		if (difference < 0) {
			*release = policy->releases[i].name;
			return true;
		}
	}
	if (policy->release_count == 1)
		return refuse_pcr(document, difference, policy->releases[0].name, error);
	if (policy->release_count > 1)
		return REFUSE(error, "pcrs", pcrs_offset(document),
			"those of none of the policy's %zu releases", policy->release_count);
	if (policy->common.expected == 0 && !policy_is_debug(document))
		return REFUSE(error, "pcrs", pcrs_offset(document),
			"the policy expects none, so that only debug enclaves are accepted");
	return true;
}

static bool check_policy(const struct policy *policy, const struct document *document,
	const struct chain *chain, const char **release, struct attest_error *error)
{
	if (policy->platforms && !(policy->platforms & 1U << chain->platform))
		return REFUSE(error, "platform", ATTEST_NO_OFFSET, "not one that the policy names");
	if (policy->partitions && !(policy->partitions & 1U << chain->partition))
		return REFUSE(
			error, "partition", ATTEST_NO_OFFSET, "not one that the policy names");
	return check_pcrs(policy, document, release, error) &&
	       check_value(document, "nonce", document->nonce, &policy->nonce, error) &&
	       check_value(document, "user_data", document->user_data, &policy->user_data, error) &&
	       check_value(
		       document, "public_key", document->public_key, &policy->public_key, error);
}

bool policy_check(const struct verify_options *options, const struct document *document,
	const struct chain *chain, const char **release, struct attest_error *error)
{
	const struct policy *policy = options->policy;

	*release = NULL;
	if (!policy && !options->any_image)
		return REFUSE(error, "policy", ATTEST_NO_OFFSET,
			"there is none, and any image was not asked for");
	if (policy_is_debug(document) && !options->allow_debug &&
		!(policy && policy_allows_debug(policy)))
		return REFUSE(error, "pcrs", pcrs_offset(document),
			"of a debug enclave: PCR0, 1 and 2 are zero and prove nothing");
	if (options->nonce.data &&
		!is_same(document->nonce, options->nonce.data, options->nonce.length))
		return refuse_value(document, "nonce", document->nonce, error);
	return !policy || check_policy(policy, document, chain, release, error);
}
