// SPDX-License-Identifier: MIT
// A peer of attested TLS that sends anything. The first byte chooses what we offer and want and how
// the rest is cut into receives; it must not matter how, and no order of frames may end the
// exchange without the proof that was wanted and the acceptance of the one that was given.
#include "attest/exchange.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct trace {
	struct exchange exchange;
	size_t consumed;
	unsigned documents, acceptances;
	bool is_refused;
};

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void prove(struct trace *trace)
{
	static const uint8_t document[100];
	static uint8_t frame[EXCHANGE_FRAME_MAX];

	require(exchange_prove(&trace->exchange, (struct bytes){document, sizeof(document)},
			frame) == EXCHANGE_HEADER_SIZE + sizeof(document));
}

static void accept(struct trace *trace, struct bytes document)
{
	uint8_t frame[EXCHANGE_ACCEPTED_SIZE];

	require(document.length > 0 && document.length <= DOCUMENT_MAX);
	require(trace->exchange.wants_proof && trace->documents++ == 0);
	require(!exchange_is_done(&trace->exchange));
	exchange_accept(&trace->exchange, frame);
}

// Returns false when nothing more can be taken.
static bool take(struct trace *trace, const uint8_t *data, size_t length)
{
	struct bytes document = {NULL, 0};
	struct attest_error error = {0};
	size_t taken;

	switch (exchange_take(&trace->exchange, data, length, &taken, &document, &error)) {
	case EXCHANGE_INCOMPLETE:
		require(taken == 0 && length < EXCHANGE_FRAME_MAX);
		return false;
	case EXCHANGE_REFUSED:
		require(taken <= length && error.message[0] && error.fault != ATTEST_FAULT_NONE);
		trace->is_refused = true;
		return false;
	case EXCHANGE_HELLO:
		if (trace->exchange.must_prove)
			prove(trace);
		break;
	case EXCHANGE_EVIDENCE:
		require(document.data >= data && document.data + document.length <= data + taken);
		accept(trace, document);
		break;
	case EXCHANGE_ACCEPTED:
		require(trace->exchange.must_prove && trace->acceptances++ == 0);
		break;
	}
	require(taken >= EXCHANGE_HEADER_SIZE && taken <= length);
	trace->consumed += taken;
	return true;
}

static void run(struct trace *trace, unsigned choice, size_t step, const uint8_t *data, size_t size)
{
	static const uint8_t nonce[EXCHANGE_NONCE_SIZE] = {1};
	uint8_t hello[EXCHANGE_HELLO_SIZE];
	size_t received = 0;

	memset(trace, 0, sizeof(*trace));
	exchange_begin(&trace->exchange, choice & 1, choice & 2, nonce, hello);
	while (received < size && !trace->is_refused && exchange_expects_more(&trace->exchange)) {
		received = size - received > step ? received + step : size;
		while (exchange_expects_more(&trace->exchange) &&
			take(trace, data + trace->consumed, received - trace->consumed))
			continue;
	}
	if (!exchange_is_done(&trace->exchange))
		return;
	require(trace->documents == trace->exchange.wants_proof);
	require(trace->acceptances == trace->exchange.must_prove);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trace whole, pieces;

	if (size == 0)
		return 0;
	run(&whole, data[0], size, data + 1, size - 1);
	run(&pieces, data[0], 1 + (data[0] >> 2), data + 1, size - 1);
	require(whole.consumed == pieces.consumed && whole.is_refused == pieces.is_refused);
	require(exchange_is_done(&whole.exchange) == exchange_is_done(&pieces.exchange));
	return 0;
}
