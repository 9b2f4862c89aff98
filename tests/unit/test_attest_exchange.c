// SPDX-License-Identifier: MIT
#include "attest/exchange.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t nonce_a[EXCHANGE_NONCE_SIZE] = {0xaa, 1, 2},
		     nonce_b[EXCHANGE_NONCE_SIZE] = {0xbb, 3};

struct pair {
	struct exchange us, peer;
	uint8_t our_hello[EXCHANGE_HELLO_SIZE], peers_hello[EXCHANGE_HELLO_SIZE];
};

static struct pair make_pair(bool we_offer, bool we_want, bool peer_offers, bool peer_wants)
{
	struct pair pair;

	exchange_begin(&pair.us, we_offer, we_want, nonce_a, pair.our_hello);
	exchange_begin(&pair.peer, peer_offers, peer_wants, nonce_b, pair.peers_hello);
	return pair;
}

static enum exchange_step take(
	struct exchange *exchange, const void *data, size_t length, struct attest_error *error)
{
	struct bytes document;
	size_t taken;

	return exchange_take(exchange, data, length, &taken, &document, error);
}

Test(exchange, a_hello_has_exactly_these_bytes)
{
	uint8_t expected[EXCHANGE_HELLO_SIZE] = {1, 0, 33, 3, 0xaa, 1, 2};
	struct pair pair = make_pair(true, true, false, false);

	cr_assert_eq(memcmp(pair.our_hello, expected, sizeof(expected)), 0);
	exchange_begin(&pair.us, true, false, nonce_a, pair.our_hello);
	cr_assert_eq(pair.our_hello[3], 1);
	exchange_begin(&pair.us, false, true, nonce_a, pair.our_hello);
	cr_assert_eq(pair.our_hello[3], 2);
}

// What each of two peers that offer and want is to do, and when it is done.
Test(exchange, who_wants_a_proof_gets_it_before_anything_else_passes)
{
	for (unsigned i = 0; i < 16; i++) {
		bool offers = i & 1, wants = i & 2, peer_offers = i & 4, peer_wants = i & 8;
		struct pair pair = make_pair(offers, wants, peer_offers, peer_wants);
		struct attest_error error = {0};
		enum exchange_step step =
			take(&pair.us, pair.peers_hello, EXCHANGE_HELLO_SIZE, &error);

		cr_assert_eq(step, wants && !peer_offers ? EXCHANGE_REFUSED : EXCHANGE_HELLO,
			"row %u", i);
		if (step == EXCHANGE_REFUSED) {
			cr_expect_eq(error.fault, ATTEST_FAULT_REFUSED);
			continue;
		}
		cr_expect_eq(pair.us.must_prove, offers && peer_wants, "row %u", i);
		cr_expect_eq(exchange_is_done(&pair.us), !wants && !(offers && peer_wants));
		cr_expect_eq(exchange_expects_more(&pair.us), !exchange_is_done(&pair.us));
		cr_expect_eq(memcmp(pair.us.peer_nonce, nonce_b, sizeof(nonce_b)), 0);
	}
}

static void prove(struct exchange *prover, struct exchange *verifier)
{
	const uint8_t text[] = "a document";
	uint8_t frame[EXCHANGE_FRAME_MAX], accepted[EXCHANGE_ACCEPTED_SIZE];
	struct bytes document;
	size_t taken;
	size_t length = exchange_prove(prover, (struct bytes){text, sizeof(text)}, frame);

	cr_assert_eq(length, EXCHANGE_HEADER_SIZE + sizeof(text));
	cr_assert_eq(
		exchange_take(verifier, frame, length, &taken, &document, NULL), EXCHANGE_EVIDENCE);
	cr_assert_eq(taken, length);
	cr_assert_eq(document.length, sizeof(text));
	cr_assert_eq(memcmp(document.data, text, sizeof(text)), 0);
	cr_assert_not(exchange_is_done(verifier), "it has not been verified");
	exchange_accept(verifier, accepted);
	cr_assert_eq(take(prover, accepted, sizeof(accepted), NULL), EXCHANGE_ACCEPTED);
}

Test(exchange, both_may_prove_in_either_order)
{
	for (unsigned peer_first = 0; peer_first < 2; peer_first++) {
		struct pair pair = make_pair(true, true, true, true);

		cr_assert_eq(take(&pair.us, pair.peers_hello, EXCHANGE_HELLO_SIZE, NULL),
			EXCHANGE_HELLO);
		cr_assert_eq(take(&pair.peer, pair.our_hello, EXCHANGE_HELLO_SIZE, NULL),
			EXCHANGE_HELLO);
		prove(peer_first ? &pair.peer : &pair.us, peer_first ? &pair.us : &pair.peer);
		cr_assert_not(exchange_is_done(&pair.us));
		prove(peer_first ? &pair.us : &pair.peer, peer_first ? &pair.peer : &pair.us);
		cr_assert(exchange_is_done(&pair.us) && exchange_is_done(&pair.peer));
		cr_assert_not(exchange_expects_more(&pair.us));
	}
}

Test(exchange, a_frame_may_come_in_pieces_and_with_more_behind_it)
{
	struct pair pair = make_pair(false, false, false, false);
	uint8_t bytes[EXCHANGE_HELLO_SIZE + 5];
	struct bytes document;
	size_t taken = 1;

	memset(bytes, 0xff, sizeof(bytes));
	memcpy(bytes, pair.peers_hello, EXCHANGE_HELLO_SIZE);
	for (size_t length = 0; length < EXCHANGE_HELLO_SIZE; length++) {
		cr_assert_eq(exchange_take(&pair.us, bytes, length, &taken, &document, NULL),
			EXCHANGE_INCOMPLETE);
		cr_assert_eq(taken, 0);
	}
	cr_assert_eq(exchange_take(&pair.us, bytes, sizeof(bytes), &taken, &document, NULL),
		EXCHANGE_HELLO);
	cr_assert_eq(taken, EXCHANGE_HELLO_SIZE);
}

static const struct {
	const char *what;
	bool after_hello;
	uint8_t bytes[4];
	size_t length;
} refused[] = {
	{"type 0", false, {0}, 1},
	{"type 4", false, {4}, 1},
	{"TLS inside", false, {0x16, 3, 1}, 3},
	{"a letter", false, {'H'}, 1},
	{"a hello that is too short", false, {1, 0, 32}, 3},
	{"a hello that is too long", false, {1, 0, 34}, 3},
	{"a hello with a flag that nobody knows", false, {1, 0, 33, 4}, 4},
	{"evidence before the hello", false, {2}, 1},
	{"acceptance before the hello", false, {3}, 1},
	{"a second hello", true, {1}, 1},
	{"acceptance of evidence that was not given", true, {3, 0, 0}, 3},
	{"no evidence", true, {2, 0, 0}, 3},
	{"evidence that is too long", true, {2, 0x40, 0x81}, 3}, // DOCUMENT_MAX is 0x4080
	{"the longest length", true, {2, 0xff, 0xff}, 3},
};

Test(exchange, what_cannot_be_is_refused_by_its_first_bytes)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct pair pair = make_pair(true, true, true, true);
		uint8_t frame[EXCHANGE_HELLO_SIZE] = {0};
		size_t length = refused[i].length;
		struct attest_error error = {0};

		memcpy(frame, refused[i].bytes, sizeof(refused[i].bytes));
		if (length == 4)
			length = EXCHANGE_HELLO_SIZE; // flags are content
		if (refused[i].after_hello)
			cr_assert_eq(take(&pair.us, pair.peers_hello, EXCHANGE_HELLO_SIZE, NULL),
				EXCHANGE_HELLO);
		cr_expect_eq(take(&pair.us, frame, length, &error), EXCHANGE_REFUSED, "%s",
			refused[i].what);
		cr_expect_eq(error.fault, ATTEST_FAULT_MALFORMED, "%s", refused[i].what);
	}
}

Test(exchange, acceptance_has_no_content_and_comes_once)
{
	struct pair pair = make_pair(true, false, false, true);
	const uint8_t text[] = "a document", accepted[] = {3, 0, 0}, long_one[] = {3, 0, 1, 0};
	uint8_t frame[EXCHANGE_FRAME_MAX];

	cr_assert_eq(take(&pair.us, pair.peers_hello, EXCHANGE_HELLO_SIZE, NULL), EXCHANGE_HELLO);
	exchange_prove(&pair.us, (struct bytes){text, sizeof(text)}, frame);
	cr_assert_eq(take(&pair.us, long_one, sizeof(long_one), NULL), EXCHANGE_REFUSED);
	cr_assert_eq(take(&pair.us, accepted, sizeof(accepted), NULL), EXCHANGE_ACCEPTED);
	cr_assert(exchange_is_done(&pair.us));
	cr_assert_eq(take(&pair.us, accepted, sizeof(accepted), NULL), EXCHANGE_REFUSED);
}

Test(exchange, the_largest_document_fits_its_frame)
{
	static uint8_t document[DOCUMENT_MAX], frame[EXCHANGE_FRAME_MAX];
	struct pair pair = make_pair(true, false, false, true);

	cr_assert_eq(take(&pair.us, pair.peers_hello, EXCHANGE_HELLO_SIZE, NULL), EXCHANGE_HELLO);
	cr_assert_eq(take(&pair.peer, pair.our_hello, EXCHANGE_HELLO_SIZE, NULL), EXCHANGE_HELLO);
	cr_assert_eq(exchange_prove(&pair.us, (struct bytes){document, sizeof(document)}, frame),
		sizeof(frame));
	cr_assert_eq(take(&pair.peer, frame, sizeof(frame) - 1, NULL), EXCHANGE_INCOMPLETE);
	cr_assert_eq(take(&pair.peer, frame, sizeof(frame), NULL), EXCHANGE_EVIDENCE);
	cr_assert_eq(take(&pair.peer, frame, sizeof(frame), NULL), EXCHANGE_REFUSED, "once");
}
