// SPDX-License-Identifier: MIT
// Theory of operation: one handler per command fills the response, or returns the NSM's name for
// what is wrong. The names are enum ErrorCode's of aws-nitro-enclaves-nsm-api; which of them stands
// for what is as in QEMU's hw/virtio/virtio-nsm.c.
#include "attest/simulated_nsm.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <gnutls/crypto.h>

#include "attest/simulated_document.h"

// A response's views point here.
struct scratch {
	uint8_t bytes[NSM_RESPONSE_MAX];
};

static const char *describe_nsm(struct simulated_nsm *nsm, const struct nsm_request *request,
	struct nsm_response *response, struct scratch *scratch)
{
	(void)request;
	(void)scratch;
	response->describe.version_major = 1;
	snprintf(response->describe.module_id, sizeof(response->describe.module_id), "%s",
		simulated_pki_module_id(nsm->pki));
	response->describe.max_pcrs = DOCUMENT_PCRS;
	strcpy(response->describe.digest, "SHA384");
	for (uint16_t i = 0; i < DOCUMENT_PCRS; i++) {
		if (nsm->bank.is_locked[i])
			response->describe.locked_pcrs[response->describe.locked_count++] = i;
	}
	return NULL;
}

static const char *get_random(struct simulated_nsm *nsm, const struct nsm_request *request,
	struct nsm_response *response, struct scratch *scratch)
{
	(void)nsm;
	(void)request;
	if (gnutls_rnd(GNUTLS_RND_RANDOM, scratch->bytes, NSM_RANDOM_MAX) < 0)
		return "InternalError";
	response->data = (struct bytes){scratch->bytes, NSM_RANDOM_MAX};
	return NULL;
}

static const char *describe_pcr(struct simulated_nsm *nsm, const struct nsm_request *request,
	struct nsm_response *response, struct scratch *scratch)
{
	(void)scratch;
	if (request->index >= DOCUMENT_PCRS)
		return "InvalidIndex";
	response->is_locked = nsm->bank.is_locked[request->index];
	response->data = (struct bytes){nsm->bank.values[request->index], DOCUMENT_PCR_SIZE};
	return NULL;
}

static const char *extend_pcr(struct simulated_nsm *nsm, const struct nsm_request *request,
	struct nsm_response *response, struct scratch *scratch)
{
	const char *problem = simulated_bank_extend(&nsm->bank, request->index, request->data);

	return problem ? problem : describe_pcr(nsm, request, response, scratch);
}

static const char *lock_pcr(struct simulated_nsm *nsm, const struct nsm_request *request,
	struct nsm_response *response, struct scratch *scratch)
{
	(void)response;
	(void)scratch;
	return simulated_bank_lock(&nsm->bank, request->index);
}

static const char *lock_pcrs(struct simulated_nsm *nsm, const struct nsm_request *request,
	struct nsm_response *response, struct scratch *scratch)
{
	(void)response;
	(void)scratch;
	return simulated_bank_lock_range(&nsm->bank, request->range);
}

static const char *attest(struct simulated_nsm *nsm, const struct nsm_request *request,
	struct nsm_response *response, struct scratch *scratch)
{
	struct timespec now;
	size_t length;

	if (request->user_data.length > DOCUMENT_FIELD_MAX ||
		request->nonce.length > DOCUMENT_FIELD_MAX ||
		request->public_key.length > DOCUMENT_FIELD_MAX)
		return "InputTooLarge";
	clock_gettime(CLOCK_REALTIME, &now);
	const struct simulated_claims claims = {
		.bank = &nsm->bank,
		.timestamp = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000,
		.user_data = request->user_data,
		.nonce = request->nonce,
		.public_key = request->public_key,
	};
	if (!simulated_pki_renew(nsm->pki, now.tv_sec, NULL) ||
		!simulated_document_make(
			nsm->pki, &claims, scratch->bytes, sizeof(scratch->bytes), &length, NULL))
		return "InternalError";
	response->data = (struct bytes){scratch->bytes, length};
	return NULL;
}

typedef const char *handler(struct simulated_nsm *nsm, const struct nsm_request *request,
	struct nsm_response *response, struct scratch *scratch);

static handler *const handlers[] = {
	[NSM_DESCRIBE_NSM] = describe_nsm,
	[NSM_GET_RANDOM] = get_random,
	[NSM_DESCRIBE_PCR] = describe_pcr,
	[NSM_EXTEND_PCR] = extend_pcr,
	[NSM_LOCK_PCR] = lock_pcr,
	[NSM_LOCK_PCRS] = lock_pcrs,
	[NSM_ATTESTATION] = attest,
};

static size_t encode_error(const char *name, uint8_t out[static NSM_RESPONSE_MAX])
{
	struct nsm_response response = {.command = 0};

	snprintf(response.error, sizeof(response.error), "%s", name);
	return nsm_response_encode(&response, out, NSM_RESPONSE_MAX);
}

size_t simulated_nsm_answer(struct simulated_nsm *nsm, const void *data, size_t length,
	uint8_t out[static NSM_RESPONSE_MAX])
{
	struct nsm_response response = {0};
	struct nsm_request request;
	struct scratch scratch;
	const char *problem;
	size_t size;

	if (length > NSM_REQUEST_MAX)
		return encode_error("InputTooLarge", out);
	if (!nsm_request_decode(data, length, &request, NULL))
		return encode_error("InvalidOperation", out);
	response.command = request.command;
	problem = handlers[request.command](nsm, &request, &response, &scratch);
	if (problem)
		return encode_error(problem, out);
	size = nsm_response_encode(&response, out, NSM_RESPONSE_MAX);
	return size ? size : encode_error("InternalError", out);
}
