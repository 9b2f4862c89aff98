// SPDX-License-Identifier: MIT
#include "preload/tls/first.h"

#include <string.h>

static const uint8_t tls_record[] = {0x16, 0x03};
// Length 8, then 80877103 and 80877104, all big endian.
static const uint8_t ssl_request[] = {0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f};
static const uint8_t gss_request[] = {0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30};

_Static_assert(sizeof(ssl_request) == FIRST_REQUEST_SIZE, "the length that it says itself");

enum match {
	MATCH_NOT,
	MATCH_PARTLY, // as far as there are bytes
	MATCH_WHOLLY,
};

static enum match match(
	const uint8_t *data, size_t length, const uint8_t *wanted, size_t wanted_length)
{
	size_t common = length < wanted_length ? length : wanted_length;

	if (memcmp(data, wanted, common) != 0)
		return MATCH_NOT;
	return length < wanted_length ? MATCH_PARTLY : MATCH_WHOLLY;
}

enum first_kind first_judge(const uint8_t *data, size_t length, bool is_postgres, bool is_all)
{
	enum match tls = match(data, length, tls_record, sizeof(tls_record));
	enum match ssl = MATCH_NOT, gss = MATCH_NOT;

	if (is_postgres) {
		ssl = match(data, length, ssl_request, sizeof(ssl_request));
		gss = match(data, length, gss_request, sizeof(gss_request));
	}
	if (tls == MATCH_WHOLLY)
		return FIRST_TLS;
	if (ssl == MATCH_WHOLLY || gss == MATCH_WHOLLY)
		return FIRST_REQUEST;
	if (!is_all && (tls == MATCH_PARTLY || ssl == MATCH_PARTLY || gss == MATCH_PARTLY))
		return FIRST_UNDECIDED;
	return FIRST_PLAIN;
}
