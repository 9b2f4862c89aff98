// SPDX-License-Identifier: MIT
// What reads a server's bytes without GnuTLS, and pins.
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "preload/tls/first.h"
#include "preload/tls/framing.h"
#include "preload/tls/postgres.h"
#include "preload/tls/trust.h"

static const uint8_t two_records[] = {23, 3, 3, 0, 2, 'a', 'b', 21, 3, 3, 0, 0};

static bool is_edge(size_t offset)
{
	return offset == 0 || offset == 7 || offset == sizeof(two_records);
}

Test(tls_framing, records_end_where_their_length_says)
{
	for (size_t cut = 0; cut <= sizeof(two_records); cut++) {
		struct framing framing = {0};

		framing_feed(&framing, two_records, cut);
		cr_assert_eq(framing_is_between_records(&framing), is_edge(cut), "%zu", cut);
	}
}

Test(tls_framing, pieces_of_any_size_mean_the_same)
{
	for (size_t step = 1; step <= sizeof(two_records); step++) {
		struct framing framing = {0};

		for (size_t at = 0; at < sizeof(two_records); at += step) {
			size_t left = sizeof(two_records) - at;

			framing_feed(&framing, two_records + at, left < step ? left : step);
		}
		cr_assert(framing_is_between_records(&framing), "%zu", step);
	}
}

Test(tls_framing, both_bytes_of_the_length_count)
{
	static const uint8_t header[] = {23, 3, 3, 0x12, 0x34};
	struct framing framing = {0};

	framing_feed(&framing, header, sizeof(header));
	cr_assert_eq(framing.body_left, 0x1234);
}

#define SSL_REQUEST "\0\0\0\b\x04\xd2\x16\x2f"
#define GSS_REQUEST "\0\0\0\b\x04\xd2\x16\x30"
#define STARTUP     "\0\0\0\x54\0\x03\0\0user"

static enum first_kind judge(const char *bytes, size_t length, bool is_postgres, bool is_all)
{
	return first_judge((const uint8_t *)bytes, length, is_postgres, is_all);
}

Test(tls_first, what_a_program_begins_with)
{
	static const struct {
		const char *bytes;
		size_t length;
		enum first_kind elsewhere, with_postgres;
	} cases[] = {
		{"GET / HTTP/1.1", 14, FIRST_PLAIN, FIRST_PLAIN},
		{"\x16\x03\x01", 3, FIRST_TLS, FIRST_TLS},
		{"\x16\x03", 2, FIRST_TLS, FIRST_TLS},
		{"\x16", 1, FIRST_UNDECIDED, FIRST_UNDECIDED},
		{"\x16\x02", 2, FIRST_PLAIN, FIRST_PLAIN},
		{"\x15\x03", 2, FIRST_PLAIN, FIRST_PLAIN},
		{SSL_REQUEST, 8, FIRST_PLAIN, FIRST_REQUEST},
		{GSS_REQUEST, 8, FIRST_PLAIN, FIRST_REQUEST},
		{SSL_REQUEST GSS_REQUEST, 16, FIRST_PLAIN, FIRST_REQUEST},
		{SSL_REQUEST, 7, FIRST_PLAIN, FIRST_UNDECIDED},
		{SSL_REQUEST, 1, FIRST_PLAIN, FIRST_UNDECIDED},
		{STARTUP, 3, FIRST_PLAIN, FIRST_UNDECIDED},
		{STARTUP, 4, FIRST_PLAIN, FIRST_PLAIN},
		{STARTUP, 12, FIRST_PLAIN, FIRST_PLAIN},
		{"\0\0\0\b\x04\xd2\x16\x2e", 8, FIRST_PLAIN, FIRST_PLAIN},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *bytes = cases[i].bytes;
		size_t length = cases[i].length;

		cr_assert_eq(judge(bytes, length, false, false), cases[i].elsewhere, "%zu", i);
		cr_assert_eq(judge(bytes, length, true, false), cases[i].with_postgres, "%zu", i);
	}
}

Test(tls_first, the_last_bytes_are_never_undecided)
{
	cr_assert_eq(judge("\x16", 1, false, true), FIRST_PLAIN);
	cr_assert_eq(judge(SSL_REQUEST, 7, true, true), FIRST_PLAIN);
	cr_assert_eq(judge(SSL_REQUEST, 8, true, true), FIRST_REQUEST);
}

Test(tls_postgres, only_a_lone_s_leads_on)
{
	static const struct {
		uint8_t answer[2];
		ssize_t length;
		int error;
		enum postgres_verdict verdict;
	} cases[] = {
		{{'S', 0}, 1, 0, POSTGRES_GO},
		{{'S', 'x'}, 2, 0, POSTGRES_TOO_MUCH},
		{{'S', 'S'}, 2, 0, POSTGRES_TOO_MUCH},
		{{'N', 0}, 1, 0, POSTGRES_REFUSED},
		{{'E', 'S'}, 2, 0, POSTGRES_REFUSED},
		{{'s', 0}, 1, 0, POSTGRES_REFUSED},
		{{0, 0}, 0, 0, POSTGRES_ENDED},
		{{0, 0}, -1, EAGAIN, POSTGRES_WAIT},
		{{0, 0}, -1, EINTR, POSTGRES_WAIT},
		{{0, 0}, -1, ECONNRESET, POSTGRES_ENDED},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		cr_assert_eq(postgres_judge(cases[i].answer, cases[i].length, cases[i].error),
			cases[i].verdict, "case %zu", i);
}

// SHA-256 of nothing, FIPS 180-4.
static const char pin_of_nothing[] = "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
static const uint8_t nothing[TRUST_PIN_SIZE] = {0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14,
	0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93,
	0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55};

Test(tls_pins, a_pin_is_the_base64_of_a_digest)
{
	uint8_t digest[TRUST_PIN_SIZE];

	cr_assert(trust_parse_pin(pin_of_nothing, digest));
	cr_assert_arr_eq(digest, nothing, sizeof(nothing));
}

Test(tls_pins, what_is_none_is_refused)
{
	static const char *const texts[] = {"", "sha256/", "sha256/47DE", "sha1/47DEQpj8HBSa",
		"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "sha256/!!!!"};
	uint8_t digest[TRUST_PIN_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		cr_assert_not(trust_parse_pin(texts[i], digest), "%s", texts[i]);
}

Test(tls_pins, what_is_no_certificate_has_none)
{
	unsigned char bytes[] = "not a certificate";
	const gnutls_datum_t der = {.data = bytes, .size = sizeof(bytes)};
	const struct trust trust = {.pin_count = 1};

	cr_assert_not(trust_has_pin(&trust, &der));
}
