// SPDX-License-Identifier: MIT
#include "attest/verify.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/attest_sign.h"

#define THREADS 4

static struct attest_sign *sign;
static uint8_t document[DOCUMENT_MAX];
static size_t length;
static struct verify_options options;

static void set_up(void)
{
	sign = attest_sign_open();
	length = attest_sign_document(sign, document);
	options = (struct verify_options){
		.clock = VERIFY_NOW, .any_image = true, .root = attest_sign_root(sign)};
}

static void tear_down(void)
{
	attest_sign_close(sign);
}

TestSuite(attest_verify, .init = set_up, .fini = tear_down);

// The number of the check that refused, 0 when it was accepted.
static int refused_by(const struct verify_options *wanted)
{
	struct attest_error error = {0};
	struct attest_result *result;

	if (attest_verify(document, length, wanted, &result, &error)) {
		attest_result_free(result);
		return 0;
	}
	cr_assert_null(result);
	cr_assert(error.message[0] != '\0' && error.fault != ATTEST_FAULT_NONE);
	return error.check;
}

Test(attest_verify, accepts_its_own_document)
{
	cr_assert_eq(refused_by(&options), 0);
}

Test(attest_verify, refuses_everything_without_a_policy)
{
	options.any_image = false;
	cr_assert_eq(refused_by(&options), 18);
}

Test(attest_verify, trusts_no_simulated_root_that_is_not_named)
{
	options.root = (struct bytes){NULL, 0};
	cr_assert_eq(refused_by(&options), 10);
}

Test(attest_verify, refuses_an_empty_root)
{
	options.root.length = 0;
	cr_assert_eq(refused_by(&options), 10);
}

Test(attest_verify, compares_an_empty_nonce_too)
{
	options.nonce = (struct bytes){document, 0};
	cr_assert_eq(refused_by(&options), 18);
}

Test(attest_verify, uses_the_stated_time)
{
	options.clock = VERIFY_STATED;
	options.stated = time(NULL) + 24 * 60 * 60;
	cr_assert_eq(refused_by(&options), 12);
}

Test(attest_verify, keeps_nothing_of_the_document)
{
	struct attest_result *result;
	struct bytes nonce;

	cr_assert(attest_verify(document, length, &options, &result, NULL));
	memset(document, 0, sizeof(document));
	nonce = attest_result_nonce(result);
	cr_assert_eq(nonce.length, 16);
	cr_assert_arr_eq(nonce.data, "0123456789abcdef", 16);
	cr_assert_eq(attest_result_user_data(result).length, 9);
	cr_assert_eq(attest_result_public_key(result).length, 12);
	cr_assert_not_null(attest_result_pcr(result, 0));
	cr_assert_null(attest_result_pcr(result, 31));
	cr_assert_null(attest_result_pcr(result, 32));
	cr_assert_eq(strncmp(attest_result_module_id(result), "i-", 2), 0);
	cr_assert_eq(attest_result_platform(result), ATTEST_NAMED_ROOT);
	cr_assert_eq(attest_result_partition(result), ATTEST_NO_PARTITION);
	cr_assert_null(attest_result_release(result));
	cr_assert_not(attest_result_is_debug(result));
	attest_result_free(result);
}

// --- every bit of a document

// Each thread flips the bits of every THREADS-th byte, in a copy of its own.
struct flips {
	size_t first;
	size_t accepted; // bits
	size_t refused;
};

static void *flip(void *argument)
{
	struct flips *flips = argument;
	uint8_t copy[DOCUMENT_MAX];

	memcpy(copy, document, length);
	for (size_t bit = flips->first * 8; bit < length * 8;
		bit += bit % 8 == 7 ? 8 * (THREADS - 1) + 1 : 1) {
		struct attest_result *result;
		copy[bit / 8] ^= (uint8_t)(1U << bit % 8);
		if (attest_verify(copy, length, &options, &result, NULL)) {
			flips->accepted++;
			attest_result_free(result);
		} else {
			flips->refused++;
		}
		copy[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
	return NULL;
}

Test(attest_verify, refuses_a_document_of_which_any_one_bit_is_flipped)
{
	pthread_t threads[THREADS];
	struct flips flips[THREADS] = {0};
	size_t accepted = 0, refused = 0;

	for (size_t i = 0; i < THREADS; i++) {
		flips[i].first = i;
		cr_assert_eq(pthread_create(&threads[i], NULL, flip, &flips[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		accepted += flips[i].accepted;
		refused += flips[i].refused;
	}
	cr_assert_eq(accepted, 0);
	cr_assert_eq(refused, length * 8);
	cr_assert_eq(refused_by(&options), 0, "nothing was flipped for good");
}

Test(attest_verify, refuses_a_document_cut_anywhere)
{
	size_t whole = length;

	for (length = 0; length < whole; length++)
		cr_assert_neq(refused_by(&options), 0);
}
