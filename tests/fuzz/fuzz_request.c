// SPDX-License-Identifier: MIT
// Any 1024 bytes are decoded or refused; what is decoded comes back the same from its own encoding.
// Shorter inputs are padded with zeros, so that a small seed is enough.
#include "wire/request.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

// A second opinion on the TLVs: they fill what follows the header and the addresses exactly.
static bool tlvs_fill_the_request(const uint8_t *in)
{
	size_t offset = 16 + (in[13] == 0x11 ? 12 : in[13] == 0x21 ? 36 : 0);

	while (offset + 3 <= REQUEST_SIZE)
		offset += 3 + ((size_t)in[offset + 1] << 8) + in[offset + 2];
	return offset == REQUEST_SIZE;
}

static void check_refused(const struct parse_error *error)
{
	require(error->offset <= REQUEST_SIZE);
	require(error->reason[0] != '\0');
}

static void check_decoded(const struct request *request)
{
	uint8_t wire[REQUEST_SIZE];
	struct request again;

	if (request->verb == REQUEST_CONNECT) {
		require(request->source.family == request->destination.family);
		require(request->argument_length == 0);
		if (request->name[0])
			require(name_is_wire_form(request->name, strlen(request->name), NULL));
	} else {
		require(request->name[0] == '\0');
		require(request->argument_length <= REQUEST_ARGUMENT_SIZE);
	}
	require(strlen(request->program) < REQUEST_PROGRAM_SIZE);

	request_encode(request, wire);
	require(request_decode(wire, &again, NULL));
	require(memcmp(request, &again, sizeof(again)) == 0);
}

static void check_id(const uint8_t *id)
{
	char text[REQUEST_ID_TEXT_SIZE];
	uint8_t back[REQUEST_ID_SIZE];

	require(request_id_parse(request_id_format(id, text), 2 * REQUEST_ID_SIZE, back));
	require(memcmp(id, back, sizeof(back)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t in[REQUEST_SIZE] = {0};
	struct request request;
	struct parse_error error = {.reason = ""};

	memcpy(in, data, size < sizeof(in) ? size : sizeof(in));
	bool may_begin = request_may_begin(in, sizeof(in));
	if (request_decode(in, &request, &error)) {
		require(may_begin && tlvs_fill_the_request(in));
		check_decoded(&request);
		check_id(request.id);
	} else {
		check_refused(&error);
		require(!may_begin == (error.offset < 16));
	}
	uint8_t unused[REQUEST_ID_SIZE];
	if (request_id_parse((const char *)data, size, unused))
		check_id(unused);
	return 0;
}
