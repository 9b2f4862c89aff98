// SPDX-License-Identifier: MIT
#include "attest/simulated_nsm.h"

#include <string.h>

#include <criterion/criterion.h>
#include <gnutls/x509.h>

#include "attest/files.h"

#define HOUR 3600
#define DAY  (24 * HOUR)

// SHA-384 of 48 zero bytes and "abc", and of that.
#define EXTENDED_ONCE                                                                              \
	"b1c16eb7634112b7c9d5ebd27e62a2d4528bbfcfd68b62d3afd9ecf98e0f413a"                         \
	"84314acce78317fb69fd895155343e09"
#define EXTENDED_TWICE                                                                             \
	"917afee04fee376dd7bd919468817bde18c38a268113c772b22524195118fb16"                         \
	"38577df52676c721d768e2e525a83957"

static struct simulated_nsm nsm;
static uint8_t answered[NSM_RESPONSE_MAX];

static void set_up(void)
{
	struct attest_error error;

	simulated_bank_boot(&nsm.bank);
	nsm.pki = simulated_pki_open(NULL, &error);
	cr_assert_not_null(nsm.pki, "%s", error.message);
}

static void tear_down(void)
{
	simulated_pki_free(nsm.pki);
}

TestSuite(simulated_nsm, .init = set_up, .fini = tear_down, .timeout = 20);

// The response's views stay valid until the next question.
static struct nsm_response ask(struct nsm_request request)
{
	uint8_t bytes[NSM_REQUEST_MAX];
	struct nsm_response response;
	struct attest_error error;
	size_t length = nsm_request_encode(&request, bytes, sizeof(bytes));

	cr_assert_gt(length, 0);
	length = simulated_nsm_answer(&nsm, bytes, length, answered);
	cr_assert(nsm_response_decode(answered, length, &response, &error), "%s", error.message);
	if (response.error[0] == '\0')
		cr_assert_eq(response.command, request.command);
	return response;
}

static struct nsm_response answer_to(const void *bytes, size_t length)
{
	struct nsm_response response;
	size_t size = simulated_nsm_answer(&nsm, bytes, length, answered);

	cr_assert(nsm_response_decode(answered, size, &response, NULL));
	return response;
}

static const char *hex(struct bytes bytes)
{
	static char text[2 * DOCUMENT_PCR_SIZE + 1];

	cr_assert_eq(bytes.length, DOCUMENT_PCR_SIZE);
	return hex_encode(bytes.data, bytes.length, text);
}

#define TEXT(text) ((struct bytes){(const uint8_t *)(text), strlen(text)})

Test(simulated_nsm, a_booted_enclave_has_16_of_32_registers_locked_and_is_no_debug_enclave)
{
	struct nsm_response response = ask((struct nsm_request){.command = NSM_DESCRIBE_NSM});
	static const uint8_t zeros[DOCUMENT_PCR_SIZE];

	cr_assert_eq(response.describe.max_pcrs, 32);
	cr_assert_str_eq(response.describe.digest, "SHA384");
	cr_assert_str_eq(response.describe.module_id, simulated_pki_module_id(nsm.pki));
	cr_assert_eq(response.describe.locked_count, 16);
	for (uint16_t i = 0; i < 32; i++) {
		response = ask((struct nsm_request){.command = NSM_DESCRIBE_PCR, .index = i});
		cr_expect_eq(response.is_locked, i < 16, "PCR%u", i);
		cr_expect_eq(memcmp(response.data.data, zeros, sizeof(zeros)) == 0,
			!(i < 3 || i == 4), "PCR%u", i);
	}
}

Test(simulated_nsm, extending_hashes_the_old_value_and_the_data)
{
	struct nsm_request request = {.command = NSM_EXTEND_PCR, .index = 16, .data = TEXT("abc")};
	struct nsm_response response = ask(request);

	cr_assert_str_eq(hex(response.data), EXTENDED_ONCE);
	request.data = TEXT("");
	response = ask(request);
	cr_assert_str_eq(hex(response.data), EXTENDED_TWICE);
	response = ask((struct nsm_request){.command = NSM_DESCRIBE_PCR, .index = 16});
	cr_assert_str_eq(hex(response.data), EXTENDED_TWICE);
}

static const struct {
	const char *sentence;
	struct nsm_request request;
	const char *error; // empty: none
} locking[] = {
	{"a locked register is not extended",
		{.command = NSM_EXTEND_PCR, .index = 15, .data = {(const uint8_t *)"x", 1}},
		"ReadOnlyIndex"},
	{"a locked register is not locked again", {.command = NSM_LOCK_PCR, .index = 0},
		"ReadOnlyIndex"},
	{"an open register can be locked", {.command = NSM_LOCK_PCR, .index = 20}, ""},
	{"once", {.command = NSM_LOCK_PCR, .index = 20}, "ReadOnlyIndex"},
	{"its neighbour is still open",
		{.command = NSM_EXTEND_PCR, .index = 19, .data = {(const uint8_t *)"x", 1}}, ""},
	{"a range may hold locked ones", {.command = NSM_LOCK_PCRS, .range = 22}, ""},
	{"all below it are locked",
		{.command = NSM_EXTEND_PCR, .index = 21, .data = {(const uint8_t *)"x", 1}},
		"ReadOnlyIndex"},
	{"the one at its end is not",
		{.command = NSM_EXTEND_PCR, .index = 22, .data = {(const uint8_t *)"x", 1}}, ""},
	{"a range may be empty", {.command = NSM_LOCK_PCRS, .range = 0}, ""},
	{"a range may be all", {.command = NSM_LOCK_PCRS, .range = 32}, ""},
	{"a range may not be more", {.command = NSM_LOCK_PCRS, .range = 33}, "InvalidIndex"},
	{"no register 32 to read", {.command = NSM_DESCRIBE_PCR, .index = 32}, "InvalidIndex"},
	{"no register 32 to extend",
		{.command = NSM_EXTEND_PCR, .index = 32, .data = {(const uint8_t *)"x", 1}},
		"InvalidIndex"},
	{"no register 65535 to lock", {.command = NSM_LOCK_PCR, .index = 65535}, "InvalidIndex"},
};

Test(simulated_nsm, locks_hold)
{
	for (size_t i = 0; i < ARRAY_SIZE(locking); i++) {
		struct nsm_response response = ask(locking[i].request);

		cr_expect_str_eq(response.error, locking[i].error, "%s", locking[i].sentence);
	}
}

Test(simulated_nsm, random_bytes_are_256_and_differ)
{
	uint8_t before[NSM_RANDOM_MAX];
	struct nsm_response response = ask((struct nsm_request){.command = NSM_GET_RANDOM});

	cr_assert_eq(response.data.length, NSM_RANDOM_MAX);
	memcpy(before, response.data.data, sizeof(before));
	response = ask((struct nsm_request){.command = NSM_GET_RANDOM});
	cr_assert_neq(memcmp(before, response.data.data, sizeof(before)), 0);
}

Test(simulated_nsm, what_is_no_request_is_an_invalid_operation)
{
	static const char *const garbage[] = {"", "\xff",
		"\x63"
		"Get",
		"\xa1\x69GetRandom\xa0", "\x69GetRandom\x00",
		"\xa1\x6b"
		"DescribePCR\xa1\x65index\x20"};

	for (size_t i = 0; i < ARRAY_SIZE(garbage); i++)
		cr_expect_str_eq(answer_to(garbage[i], strlen(garbage[i]) + (i == 4)).error,
			"InvalidOperation", "row %zu", i);
}

Test(simulated_nsm, a_request_of_more_than_4096_bytes_is_too_large)
{
	static const uint8_t bytes[NSM_REQUEST_MAX] = {0};

	cr_assert_str_eq(answer_to(bytes, NSM_REQUEST_MAX + 1).error, "InputTooLarge");
	cr_assert_str_eq(answer_to(bytes, NSM_REQUEST_MAX).error, "InvalidOperation");
}

// --- documents

static bool parse(struct bytes bytes, struct document *document)
{
	struct attest_error error = {0};
	bool is_good = document_parse(bytes.data, bytes.length, document, &error);

	cr_expect(is_good, "check %d: %s", error.check, error.message);
	return is_good;
}

Test(simulated_nsm, a_document_says_what_was_asked_and_the_locked_registers)
{
	uint8_t full[DOCUMENT_FIELD_MAX];
	struct document document;

	memset(full, 7, sizeof(full));
	struct nsm_response response = ask((struct nsm_request){.command = NSM_ATTESTATION,
		.user_data = {full, sizeof(full)},
		.nonce = TEXT(""),
		.public_key = {full, sizeof(full)}});
	cr_assert_str_eq(response.error, "");
	cr_assert(parse(response.data, &document));
	cr_expect_eq(document.user_data.length, sizeof(full));
	cr_expect_eq(document.public_key.length, sizeof(full));
	cr_expect_not_null(document.nonce.data);
	cr_expect_eq(document.nonce.length, 0);
	for (size_t i = 0; i < DOCUMENT_PCRS; i++) {
		cr_expect_eq(document.pcrs[i] != NULL, i < 16, "PCR%zu", i);
		if (i < 16)
			cr_expect_eq(
				memcmp(document.pcrs[i], nsm.bank.values[i], DOCUMENT_PCR_SIZE), 0);
	}
	response = ask((struct nsm_request){.command = NSM_ATTESTATION});
	cr_assert(parse(response.data, &document));
	cr_expect_null(document.user_data.data);
}

Test(simulated_nsm, the_largest_document_fits_an_answer)
{
	uint8_t full[DOCUMENT_FIELD_MAX] = {0};
	struct bytes field = {full, sizeof(full)};
	struct document document;

	ask((struct nsm_request){.command = NSM_LOCK_PCRS, .range = 32});
	struct nsm_response response = ask((struct nsm_request){.command = NSM_ATTESTATION,
		.user_data = field,
		.nonce = field,
		.public_key = field});
	cr_assert_str_eq(response.error, "");
	cr_assert(parse(response.data, &document));
	cr_expect_not_null(document.pcrs[31]);
}

Test(simulated_nsm, a_field_of_more_than_1024_bytes_is_too_large)
{
	uint8_t full[DOCUMENT_FIELD_MAX + 1] = {0};
	struct bytes field = {full, sizeof(full)};

	cr_expect_str_eq(
		ask((struct nsm_request){.command = NSM_ATTESTATION, .user_data = field}).error,
		"InputTooLarge");
	cr_expect_str_eq(
		ask((struct nsm_request){.command = NSM_ATTESTATION, .nonce = field}).error,
		"InputTooLarge");
	cr_expect_str_eq(
		ask((struct nsm_request){.command = NSM_ATTESTATION, .public_key = field}).error,
		"InputTooLarge");
}

// --- certificates

static gnutls_x509_crt_t import(size_t level)
{
	struct bytes der = simulated_pki_certificate(nsm.pki, level);
	gnutls_datum_t datum = {(unsigned char *)(uintptr_t)der.data, (unsigned)der.length};
	gnutls_x509_crt_t certificate;

	cr_assert_eq(gnutls_x509_crt_init(&certificate), 0);
	cr_assert_eq(gnutls_x509_crt_import(certificate, &datum, GNUTLS_X509_FMT_DER), 0);
	return certificate;
}

static void serials(uint8_t out[SIMULATED_PKI_LEVELS][32])
{
	memset(out, 0, SIMULATED_PKI_LEVELS * 32);
	for (size_t i = 0; i < SIMULATED_PKI_LEVELS; i++) {
		gnutls_x509_crt_t certificate = import(i);
		size_t size = 32;

		cr_assert_eq(gnutls_x509_crt_get_serial(certificate, out[i], &size), 0);
		gnutls_x509_crt_deinit(certificate);
	}
}

// When all but the root were issued. Read from the leaf, which is good for three hours: by a clock
// of ours a second may have passed since.
static time_t issued_at(void)
{
	gnutls_x509_crt_t leaf = import(SIMULATED_PKI_LEVELS - 1);
	time_t end = gnutls_x509_crt_get_expiration_time(leaf);

	gnutls_x509_crt_deinit(leaf);
	return end - 3 * HOUR;
}

// After exactly that much time these levels are issued anew: all from the first on.
static const struct {
	long after;
	size_t first_new;
} renewals[] = {
	{HOUR, 5},
	{2 * HOUR + HOUR / 2, 4},
	{21 * HOUR, 3},
	{4 * DAY, 2},
	{15 * DAY, 1},
	{400 * DAY, 1},
};

Test(simulated_nsm, certificates_near_their_end_are_issued_anew_with_all_below)
{
	for (size_t row = 0; row < ARRAY_SIZE(renewals); row++) {
		uint8_t before[SIMULATED_PKI_LEVELS][32], after[SIMULATED_PKI_LEVELS][32];

		tear_down();
		set_up();
		serials(before);
		cr_assert(simulated_pki_renew(nsm.pki, issued_at() + renewals[row].after, NULL));
		serials(after);
		for (size_t i = 0; i < SIMULATED_PKI_LEVELS; i++)
			cr_expect_eq(memcmp(before[i], after[i], 32) != 0,
				i >= renewals[row].first_new, "row %zu, level %zu", row, i);
	}
}

// By how much the clock went back, and from which level on certificates would not be valid yet: the
// regional and the zonal ones begin an hour before they are made, the instance's a minute, the
// leaf's three seconds.
static const struct {
	long back;
	size_t first_new;
} steps[] = {
	{3, 5},
	{4, 4},
	{60, 4},
	{61, 3},
	{HOUR, 3},
	{HOUR + 1, 1},
};

Test(simulated_nsm, certificates_that_are_not_valid_yet_are_issued_anew_with_all_below)
{
	for (size_t row = 0; row < ARRAY_SIZE(steps); row++) {
		uint8_t before[SIMULATED_PKI_LEVELS][32], after[SIMULATED_PKI_LEVELS][32];
		time_t now;

		tear_down();
		set_up();
		now = issued_at() - steps[row].back;
		serials(before);
		cr_assert(simulated_pki_renew(nsm.pki, now, NULL));
		serials(after);
		for (size_t i = 0; i < SIMULATED_PKI_LEVELS; i++) {
			gnutls_x509_crt_t certificate = import(i);

			cr_expect_eq(memcmp(before[i], after[i], 32) != 0,
				i >= steps[row].first_new, "row %zu, level %zu", row, i);
			cr_expect(i == 0 || gnutls_x509_crt_get_activation_time(certificate) <= now,
				"row %zu, level %zu", row, i);
			gnutls_x509_crt_deinit(certificate);
		}
	}
}

Test(simulated_nsm, no_certificate_outlives_its_issuer_whenever_it_is_asked_for)
{
	time_t now = time(NULL);

	for (long hour = 0; hour < 24L * 60; hour++) {
		time_t above = 0;

		cr_assert(simulated_pki_renew(nsm.pki, now + hour * HOUR, NULL));
		for (size_t i = 0; i < SIMULATED_PKI_LEVELS; i++) {
			gnutls_x509_crt_t certificate = import(i);
			time_t end = gnutls_x509_crt_get_expiration_time(certificate);

			cr_expect(i == 0 || end <= above, "hour %ld, level %zu", hour, i);
			cr_expect_gt(end, now + hour * HOUR);
			above = end;
			gnutls_x509_crt_deinit(certificate);
		}
	}
}
