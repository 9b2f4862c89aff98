// SPDX-License-Identifier: MIT
#include <criterion/criterion.h>

#include <string.h>

#include "hostd/upstream.h"

struct result {
	enum upstream_progress progress;
	size_t taken;
	struct outcome outcome;
};

static struct address address_of(const char *text)
{
	struct address address;
	cr_assert(address_parse(text, strlen(text), &address, NULL), "%s", text);
	return address;
}

static void assert_output(struct upstream_handshake *handshake, const void *bytes, size_t length)
{
	cr_assert_eq(handshake->output_length, length);
	cr_assert_arr_eq(handshake->output, bytes, length);
	handshake->output_length = 0; // as if sent
}

// Gives the bytes in pieces of at most `piece`, each piece peeked again from what was not taken.
static struct result feed(
	struct upstream_handshake *handshake, const void *bytes, size_t length, size_t piece)
{
	struct result result = {.progress = UPSTREAM_NEEDS_INPUT};
	while (result.taken < length && result.progress == UPSTREAM_NEEDS_INPUT) {
		size_t left = length - result.taken;
		size_t taken = 0;
		result.progress = upstream_take(handshake, (const uint8_t *)bytes + result.taken,
			left < piece ? left : piece, &taken, &result.outcome);
		cr_assert_gt(taken, 0);
		cr_assert_leq(taken, left < piece ? left : piece);
		result.taken += taken;
		handshake->output_length = 0;
	}
	return result;
}

// ---------------------------------------------------------------- HTTP CONNECT

Test(hostd_upstream, asks_by_connect_for_names_and_addresses)
{
	struct upstream_handshake handshake;
	static const char by_name[] =
		"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n";
	static const char by_ipv4[] = "CONNECT 192.0.2.1:80 HTTP/1.1\r\nHost: 192.0.2.1:80\r\n\r\n";
	static const char by_ipv6[] =
		"CONNECT [2001:db8::1]:80 HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n";
	struct address ipv4 = address_of("192.0.2.1");
	struct address ipv6 = address_of("2001:db8::1");
	upstream_begin(&handshake, UPSTREAM_HTTP, "a.example", &ipv4, 443);
	assert_output(&handshake, by_name, sizeof(by_name) - 1);
	upstream_begin(&handshake, UPSTREAM_HTTP, "", &ipv4, 80);
	assert_output(&handshake, by_ipv4, sizeof(by_ipv4) - 1);
	upstream_begin(&handshake, UPSTREAM_HTTP, "", &ipv6, 80);
	assert_output(&handshake, by_ipv6, sizeof(by_ipv6) - 1);
}

Test(hostd_upstream, has_room_for_the_longest_name)
{
	char name[NAME_SIZE];
	struct upstream_handshake handshake;
	struct address none = {.family = ADDRESS_NONE};
	memset(name, 'a', NAME_MAX_LENGTH);
	name[NAME_MAX_LENGTH] = '\0';
	for (size_t i = 63; i < NAME_MAX_LENGTH; i += 64)
		name[i] = '.';
	upstream_begin(&handshake, UPSTREAM_HTTP, name, &none, 65535);
	cr_assert_lt(handshake.output_length, UPSTREAM_MAX_OUTPUT);
	cr_assert_arr_eq(handshake.output + handshake.output_length - 10, ":65535\r\n\r\n", 10);
	upstream_begin(&handshake, UPSTREAM_SOCKS5, name, &none, 65535);
	handshake.output_length = 0;
	size_t taken;
	struct outcome outcome;
	cr_assert_eq(upstream_take(&handshake, (const uint8_t *)"\5\0", 2, &taken, &outcome),
		UPSTREAM_NEEDS_INPUT);
	cr_assert_eq(handshake.output_length, 7 + NAME_MAX_LENGTH);
	cr_assert_eq(handshake.output[4], NAME_MAX_LENGTH);
}

#define ANYWHERE SIZE_MAX // no matter where reading stopped

struct http_case {
	const char *answer;
	size_t extra; // bytes at the end that are the tunnel's, or ANYWHERE
	enum upstream_progress progress;
	enum outcome_class class;
};

static const struct http_case http_cases[] = {
	{"HTTP/1.1 200 OK\r\n\r\n", 0, UPSTREAM_IS_OPEN, OUTCOME_NONE},
	{"HTTP/1.0 200 Connection established\r\n\r\n", 0, UPSTREAM_IS_OPEN, OUTCOME_NONE},
	{"HTTP/1.1 200\r\n\r\n", 0, UPSTREAM_IS_OPEN, OUTCOME_NONE},
	{"HTTP/1.1 299 \r\nA: b\r\nC: d\r\n\r\n", 0, UPSTREAM_IS_OPEN, OUTCOME_NONE},
	{"HTTP/1.1 200 OK\nA: b\n\n", 0, UPSTREAM_IS_OPEN, OUTCOME_NONE},
	{"HTTP/1.1 200 OK\r\n\r\nSSH-2.0-x\r\n", 11, UPSTREAM_IS_OPEN, OUTCOME_NONE},
	{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\r\n\r\n", 4, UPSTREAM_IS_OPEN, OUTCOME_NONE},
	{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nx", 1, UPSTREAM_IS_OPEN,
		OUTCOME_NONE},
	{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 No\r\n\r\n", 0, UPSTREAM_HAS_FAILED,
		OUTCOME_DENIED},
	{"HTTP/1.1 101 Switching\r\n\r\n", 0, UPSTREAM_HAS_FAILED, OUTCOME_INTERNAL},
	{"HTTP/1.1 301 Moved\r\n\r\n", 0, UPSTREAM_HAS_FAILED, OUTCOME_INTERNAL},
	{"HTTP/1.1 400 Bad\r\n\r\n", 0, UPSTREAM_HAS_FAILED, OUTCOME_INTERNAL},
	{"HTTP/1.1 401 Who\r\n\r\n", 0, UPSTREAM_HAS_FAILED, OUTCOME_DENIED},
	{"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno", 2, UPSTREAM_HAS_FAILED, OUTCOME_DENIED},
	{"HTTP/1.1 407 Who\r\n\r\n", 0, UPSTREAM_HAS_FAILED, OUTCOME_DENIED},
	{"HTTP/1.1 500 Oh\r\n\r\n", 0, UPSTREAM_HAS_FAILED, OUTCOME_INTERNAL},
	{"HTTP/1.1 502 Bad\r\n\r\n", 0, UPSTREAM_HAS_FAILED, OUTCOME_REFUSED},
	{"HTTP/1.1 503 No\r\n\r\n", 0, UPSTREAM_HAS_FAILED, OUTCOME_HOST_UNREACHABLE},
	{"HTTP/1.1 504 Late\r\n\r\n", 0, UPSTREAM_HAS_FAILED, OUTCOME_TIMED_OUT},
	{"HTTP/1.1 999 What\r\n\r\n", 0, UPSTREAM_HAS_FAILED, OUTCOME_INTERNAL},
	{"HTTP/1.1 000 What\r\n\r\n", 0, UPSTREAM_HAS_FAILED, OUTCOME_INTERNAL},
	{"HTTP/1.1 200 OK\r\n", 0, UPSTREAM_NEEDS_INPUT, OUTCOME_NONE},
	{"HTTP/1.1 200 OK\r\n\r", 0, UPSTREAM_NEEDS_INPUT, OUTCOME_NONE},
	{"HTTP/1.1 20", 0, UPSTREAM_NEEDS_INPUT, OUTCOME_NONE},
	{"HTTP/2 200 OK\r\n\r\n", ANYWHERE, UPSTREAM_HAS_FAILED, OUTCOME_INTERNAL},
	{"HTTP/1.1  200\r\n\r\n", ANYWHERE, UPSTREAM_HAS_FAILED, OUTCOME_INTERNAL},
	{"HTTP/1.1 2000\r\n\r\n", ANYWHERE, UPSTREAM_HAS_FAILED, OUTCOME_INTERNAL},
	{"HTTP/1.1 20\r\n\r\n", ANYWHERE, UPSTREAM_HAS_FAILED, OUTCOME_INTERNAL},
	{"HTTP/1.1 -20 OK\r\n\r\n", ANYWHERE, UPSTREAM_HAS_FAILED, OUTCOME_INTERNAL},
	{"HTTP/1.1 200 OK\rX\r\n\r\n", ANYWHERE, UPSTREAM_HAS_FAILED, OUTCOME_INTERNAL},
	{"HTTP/1.1 200 OK\r\n\rX", ANYWHERE, UPSTREAM_HAS_FAILED, OUTCOME_INTERNAL},
	{"\r\nHTTP/1.1 200 OK\r\n\r\n", ANYWHERE, UPSTREAM_HAS_FAILED, OUTCOME_INTERNAL},
	{"SSH-2.0-OpenSSH\r\n", ANYWHERE, UPSTREAM_HAS_FAILED, OUTCOME_INTERNAL},
	{"\5\0", ANYWHERE, UPSTREAM_HAS_FAILED, OUTCOME_INTERNAL},
};

Test(hostd_upstream, reads_http_answers_in_any_pieces_and_never_past_their_end)
{
	struct address none = {.family = ADDRESS_NONE};
	for (size_t i = 0; i < ARRAY_SIZE(http_cases); i++) {
		const struct http_case *http = &http_cases[i];
		size_t length = strlen(http->answer) + (http->answer[0] == 5);
		for (size_t piece = 1; piece <= length; piece++) {
			struct upstream_handshake handshake;
			upstream_begin(&handshake, UPSTREAM_HTTP, "a.example", &none, 443);
			handshake.output_length = 0;
			struct result result = feed(&handshake, http->answer, length, piece);
			cr_expect_eq(result.progress, http->progress, "%s in pieces of %zu",
				http->answer, piece);
			cr_expect(http->extra == ANYWHERE || result.taken == length - http->extra,
				"took %zu of %s in pieces of %zu", result.taken, http->answer,
				piece);
			if (http->progress == UPSTREAM_HAS_FAILED) {
				cr_expect_eq(result.outcome.class, http->class, "%s", http->answer);
				cr_expect_eq(result.outcome.stage, OUTCOME_STAGE_DIAL);
				cr_expect(result.outcome.text[0] != '\0');
			}
		}
	}
}

Test(hostd_upstream, gives_up_on_an_answer_without_an_end)
{
	struct address none = {.family = ADDRESS_NONE};
	struct upstream_handshake handshake;
	static char endless[UPSTREAM_MAX_INPUT + 100];
	memset(endless, 'a', sizeof(endless));
	memcpy(endless, "HTTP/1.1 200 OK\r\n", 17);
	upstream_begin(&handshake, UPSTREAM_HTTP, "a.example", &none, 443);
	handshake.output_length = 0;
	struct result result = feed(&handshake, endless, sizeof(endless), 1000);
	cr_assert_eq(result.progress, UPSTREAM_HAS_FAILED);
	cr_assert_eq(result.outcome.class, OUTCOME_INTERNAL);
	cr_assert_leq(result.taken, UPSTREAM_MAX_INPUT + 1);

	// As many bytes as are allowed, the end included, are fine.
	memcpy(endless + UPSTREAM_MAX_INPUT - 4, "\r\n\r\n", 4);
	upstream_begin(&handshake, UPSTREAM_HTTP, "a.example", &none, 443);
	handshake.output_length = 0;
	result = feed(&handshake, endless, sizeof(endless), 1000);
	cr_assert_eq(result.progress, UPSTREAM_IS_OPEN);
	cr_assert_eq(result.taken, UPSTREAM_MAX_INPUT);

	// Interim answers count as well.
	upstream_begin(&handshake, UPSTREAM_HTTP, "a.example", &none, 443);
	handshake.output_length = 0;
	for (size_t i = 0; i + 25 <= sizeof(endless); i += 25)
		memcpy(endless + i, "HTTP/1.1 100 Continue\r\n\r\n", 25);
	result = feed(&handshake, endless, sizeof(endless) / 25 * 25, 1000);
	cr_assert_eq(result.progress, UPSTREAM_HAS_FAILED);
}

// ---------------------------------------------------------------- SOCKS5

Test(hostd_upstream, asks_socks5_without_authentication)
{
	static const struct {
		const char *name;
		const char *address;
		const char *request;
		size_t length;
	} cases[] = {
		{"a.example", NULL, "\5\1\0\3\11a.example\1\273", 16},
		{"", "192.0.2.1", "\5\1\0\1\300\0\2\1\1\273", 10},
		{"", "::ffff:192.0.2.1", "\5\1\0\1\300\0\2\1\1\273", 10},
		{"", "2001:db8::1", "\5\1\0\4\x20\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1\1\273", 22},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct upstream_handshake handshake;
		struct address address = {.family = ADDRESS_NONE};
		struct outcome outcome;
		size_t taken;
		if (cases[i].address)
			address = address_of(cases[i].address);
		upstream_begin(&handshake, UPSTREAM_SOCKS5, cases[i].name, &address, 443);
		assert_output(&handshake, "\5\1\0", 3);
		cr_assert_eq(upstream_take(&handshake, (const uint8_t *)"\5", 1, &taken, &outcome),
			UPSTREAM_NEEDS_INPUT);
		cr_assert_eq(taken, 1);
		cr_assert_eq(handshake.output_length, 0);
		cr_assert_eq(upstream_take(&handshake, (const uint8_t *)"\0", 1, &taken, &outcome),
			UPSTREAM_NEEDS_INPUT);
		assert_output(&handshake, cases[i].request, cases[i].length);
	}
}

struct socks_case {
	const char *answer; // METHOD and REPLY
	size_t length;
	size_t extra;
	enum upstream_progress progress;
	enum outcome_class class;
};

#define OPEN4 "\5\0\5\0\0\1\1\2\3\4\0\1"

static const struct socks_case socks_cases[] = {
	{OPEN4, 12, 0, UPSTREAM_IS_OPEN, OUTCOME_NONE},
	{OPEN4 "hello", 17, 5, UPSTREAM_IS_OPEN, OUTCOME_NONE},
	{"\5\0\5\0\0\4"
	 "0123456789abcdef"
	 "\0\1x",
		25, 1, UPSTREAM_IS_OPEN, OUTCOME_NONE},
	{"\5\0\5\0\0\3\3"
	 "abc"
	 "\0\1x",
		13, 1, UPSTREAM_IS_OPEN, OUTCOME_NONE},
	{"\5\0\5\0\0\3\0"
	 "\0\1x",
		10, 1, UPSTREAM_IS_OPEN, OUTCOME_NONE},
	{OPEN4, 11, 0, UPSTREAM_NEEDS_INPUT, OUTCOME_NONE},
	{OPEN4, 2, 0, UPSTREAM_NEEDS_INPUT, OUTCOME_NONE},
	{"\5\0\5\1", 4, 0, UPSTREAM_HAS_FAILED, OUTCOME_INTERNAL},
	{"\5\0\5\2", 4, 0, UPSTREAM_HAS_FAILED, OUTCOME_DENIED},
	{"\5\0\5\3", 4, 0, UPSTREAM_HAS_FAILED, OUTCOME_NET_UNREACHABLE},
	{"\5\0\5\4", 4, 0, UPSTREAM_HAS_FAILED, OUTCOME_HOST_UNREACHABLE},
	{"\5\0\5\5\0\1", 6, 2, UPSTREAM_HAS_FAILED, OUTCOME_REFUSED},
	{"\5\0\5\6", 4, 0, UPSTREAM_HAS_FAILED, OUTCOME_TIMED_OUT},
	{"\5\0\5\7", 4, 0, UPSTREAM_HAS_FAILED, OUTCOME_INTERNAL},
	{"\5\0\5\10", 4, 0, UPSTREAM_HAS_FAILED, OUTCOME_INTERNAL},
	{"\5\0\5\11", 4, 0, UPSTREAM_HAS_FAILED, OUTCOME_INTERNAL},
	{"\5\0\5\377", 4, 0, UPSTREAM_HAS_FAILED, OUTCOME_INTERNAL},
	{"\5\377", 2, 0, UPSTREAM_HAS_FAILED, OUTCOME_DENIED},
	{"\5\2", 2, 0, UPSTREAM_HAS_FAILED, OUTCOME_DENIED},
	{"\4\132", 2, 1, UPSTREAM_HAS_FAILED, OUTCOME_INTERNAL},
	{"HTTP/1.1 400", 12, 11, UPSTREAM_HAS_FAILED, OUTCOME_INTERNAL},
	{"\5\0\4\0", 4, 1, UPSTREAM_HAS_FAILED, OUTCOME_INTERNAL},
	{"\5\0\5\0\0\2x", 7, 1, UPSTREAM_HAS_FAILED, OUTCOME_INTERNAL},
};

Test(hostd_upstream, reads_socks5_answers_in_any_pieces_and_never_past_their_end)
{
	struct address none = {.family = ADDRESS_NONE};
	for (size_t i = 0; i < ARRAY_SIZE(socks_cases); i++) {
		const struct socks_case *socks = &socks_cases[i];
		for (size_t piece = 1; piece <= socks->length; piece++) {
			struct upstream_handshake handshake;
			upstream_begin(&handshake, UPSTREAM_SOCKS5, "a.example", &none, 443);
			handshake.output_length = 0;
			struct result result =
				feed(&handshake, socks->answer, socks->length, piece);
			cr_expect_eq(result.progress, socks->progress, "case %zu in pieces of %zu",
				i, piece);
			cr_expect_eq(result.taken, socks->length - socks->extra,
				"case %zu took %zu in pieces of %zu", i, result.taken, piece);
			if (socks->progress == UPSTREAM_HAS_FAILED)
				cr_expect_eq(result.outcome.class, socks->class, "case %zu", i);
		}
	}
}

Test(hostd_upstream, refuses_an_answer_that_comes_before_its_question)
{
	struct address none = {.family = ADDRESS_NONE};
	struct upstream_handshake handshake;
	struct outcome outcome;
	size_t taken;
	upstream_begin(&handshake, UPSTREAM_SOCKS5, "a.example", &none, 443);
	cr_assert_eq(upstream_take(&handshake, (const uint8_t *)OPEN4, 12, &taken, &outcome),
		UPSTREAM_HAS_FAILED);
	upstream_begin(&handshake, UPSTREAM_SOCKS5, "a.example", &none, 443);
	handshake.output_length = 0;
	cr_assert_eq(upstream_take(&handshake, (const uint8_t *)OPEN4, 12, &taken, &outcome),
		UPSTREAM_NEEDS_INPUT);
	cr_assert_eq(taken, 2);
	cr_assert_eq(upstream_take(&handshake, (const uint8_t *)OPEN4 + 2, 10, &taken, &outcome),
		UPSTREAM_HAS_FAILED);
}
