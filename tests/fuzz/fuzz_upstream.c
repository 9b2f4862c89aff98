// SPDX-License-Identifier: MIT
// What a proxy says is read to the same end, whether it comes at once or in pieces; no more is
// taken than is there. The first byte chooses the kind of proxy and the size of the pieces.
#include "hostd/upstream.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
	enum upstream_progress progress;
	size_t taken;
	struct outcome outcome;
};

static void require(bool condition)
{
	if (!condition)
		abort();
}

static struct result feed(
	enum upstream_kind kind, const uint8_t *bytes, size_t length, size_t piece)
{
	struct upstream_handshake handshake;
	struct address none = {.family = ADDRESS_NONE};
	struct result result = {.progress = UPSTREAM_NEEDS_INPUT};
	upstream_begin(&handshake, kind, "a.example", &none, 443);
	while (result.taken < length && result.progress == UPSTREAM_NEEDS_INPUT) {
		size_t left = length - result.taken;
		size_t there = left < piece ? left : piece;
		size_t taken = 0;
		// Exactly what is there, so that the sanitizer sees a read past it.
		uint8_t *peeked = malloc(there);
		require(peeked && handshake.output_length <= sizeof(handshake.output));
		memcpy(peeked, bytes + result.taken, there);
		handshake.output_length = 0;
		result.progress = upstream_take(&handshake, peeked, there, &taken, &result.outcome);
		free(peeked);
		require(taken >= 1 && taken <= there);
		result.taken += taken;
	}
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	enum upstream_kind kind = data[0] & 1 ? UPSTREAM_HTTP : UPSTREAM_SOCKS5;
	struct result whole = feed(kind, data + 1, size - 1, size - 1);
	struct result pieces = feed(kind, data + 1, size - 1, 1u + (data[0] >> 1));
	require(whole.progress == pieces.progress && whole.taken == pieces.taken);
	if (whole.progress == UPSTREAM_HAS_FAILED) {
		require(whole.outcome.class == pieces.outcome.class);
		require(whole.outcome.class != OUTCOME_NONE && whole.outcome.text[0] != '\0');
		require(memchr(whole.outcome.text, '\0', sizeof(whole.outcome.text)) != NULL);
	}
	return 0;
}
