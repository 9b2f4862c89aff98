// SPDX-License-Identifier: MIT
#include "attest/report.h"

#include <inttypes.h>
#include <string.h>

#include "attest/files.h"

static const char *platform_name(const struct attest_result *result)
{
	return attest_result_platform(result) == ATTEST_NITRO_ENCLAVE ? "nitro-enclave"
								      : "named-root";
}

// NULL for a named root's.
static const char *partition_name(const struct attest_result *result)
{
	switch (attest_result_partition(result)) {
	case ATTEST_AWS:
		return "aws";
	case ATTEST_AWS_US_GOV:
		return "aws-us-gov";
	case ATTEST_NO_PARTITION:
		break;
	}
	return NULL;
}

static const char *clock_name(enum verify_clock clock)
{
	static const char *const names[] = {
		[VERIFY_NOW] = "now", [VERIFY_DOCUMENT] = "document", [VERIFY_STATED] = "stated"};

	return names[clock];
}

static void print_hex(FILE *out, struct bytes bytes)
{
	for (size_t i = 0; i < bytes.length; i++)
		fprintf(out, "%02x", bytes.data[i]);
}

// --- text

static bool is_zero(const uint8_t *pcr)
{
	static const uint8_t zeros[DOCUMENT_PCR_SIZE];

	return memcmp(pcr, zeros, sizeof(zeros)) == 0;
}

static void print_pcrs(FILE *out, const struct attest_result *result)
{
	unsigned zeros = 0;

	for (unsigned i = 0; i < DOCUMENT_PCRS; i++) {
		const uint8_t *pcr = attest_result_pcr(result, i);
		if (!pcr)
			continue;
		if (is_zero(pcr)) {
			zeros++;
			continue;
		}
		fprintf(out, "pcr%-8u", i);
		print_hex(out, (struct bytes){pcr, DOCUMENT_PCR_SIZE});
		fputc('\n', out);
	}
	if (zeros)
		fprintf(out, "           %u more, all of them zero\n", zeros);
}

static void print_field(FILE *out, const char *name, struct bytes value)
{
	fprintf(out, "%-11s", name);
	if (!value.data)
		fputs("absent", out);
	else if (value.length == 0)
		fputs("empty", out);
	else
		print_hex(out, value);
	fputc('\n', out);
}

static void print_age(FILE *out, const struct attest_result *result, enum verify_clock clock)
{
	int64_t age = attest_result_age(result);

	if (clock == VERIFY_DOCUMENT)
		fputs("not judged: verified at the document's own time\n", out);
	else
		fprintf(out, "%s%" PRId64 ".%03" PRId64 " s%s\n", age < 0 ? "-" : "",
			(age < 0 ? -age : age) / 1000, (age < 0 ? -age : age) % 1000,
			clock == VERIFY_STATED ? " at the time that was given" : "");
}

void report_print_text(
	FILE *out, const struct attest_result *result, const struct verify_options *options)
{
	const char *partition = partition_name(result), *release = attest_result_release(result);
	unsigned covered = attest_result_revocation_checked(result);
	char time[32];

	fprintf(out, "verified   %s\n",
		partition ? "a Nitro enclave's document, by AWS's root"
			  : "a document by the root that was named; AWS does not vouch for it");
	fprintf(out, "platform   %s\npartition  %s\n", platform_name(result),
		partition ? partition : "none");
	fprintf(out, "debug      %s\n",
		attest_result_is_debug(result) ? "YES: nothing is proven about the image" : "no");
	fprintf(out, "timestamp  %s\nage        ",
		time_format((time_t)(attest_result_timestamp(result) / 1000), time));
	print_age(out, result, options->clock);
	fprintf(out, "module_id  %s\n", attest_result_module_id(result));
	if (options->policy)
		fprintf(out, "policy     kept%s%s\n", release ? ", release " : "",
			release ? release : "");
	else
		fputs("policy     none: any image is accepted\n", out);
	if (covered)
		fprintf(out, "revoked    no: CRLs cover %u of its certificates\n", covered);
	print_pcrs(out, result);
	print_field(out, "user_data", attest_result_user_data(result));
	print_field(out, "nonce", attest_result_nonce(result));
	print_field(out, "public_key", attest_result_public_key(result));
}

// --- JSON

// What gets here is printable ASCII (policy.c, document.c, error.c see to that).
static void print_string(FILE *out, const char *text)
{
	if (!text) {
		fputs("null", out);
		return;
	}
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

static void print_json_bytes(FILE *out, const char *key, struct bytes value)
{
	fprintf(out, ",\"%s\":", key);
	if (!value.data) {
		fputs("null", out);
		return;
	}
	fputc('"', out);
	print_hex(out, value);
	fputc('"', out);
}

static void print_json_string(FILE *out, const char *key, const char *text)
{
	fprintf(out, ",\"%s\":", key);
	print_string(out, text);
}

static void print_json_pcrs(FILE *out, const struct attest_result *result)
{
	const char *separator = "";

	fputs(",\"pcrs\":{", out);
	for (unsigned i = 0; i < DOCUMENT_PCRS; i++) {
		const uint8_t *pcr = attest_result_pcr(result, i);
		if (!pcr)
			continue;
		fprintf(out, "%s\"%u\":\"", separator, i);
		print_hex(out, (struct bytes){pcr, DOCUMENT_PCR_SIZE});
		fputc('"', out);
		separator = ",";
	}
	fputc('}', out);
}

void report_print_json(
	FILE *out, const struct attest_result *result, const struct verify_options *options)
{
	char time[32];

	fputs("{\"verified\":true,\"check\":null,\"field\":null,\"offset\":null,\"reason\":null",
		out);
	print_json_string(out, "platform", platform_name(result));
	print_json_string(out, "partition", partition_name(result));
	fprintf(out, ",\"debug\":%s", attest_result_is_debug(result) ? "true" : "false");
	print_json_string(out, "clock", clock_name(options->clock));
	print_json_string(
		out, "time", time_format((time_t)(attest_result_timestamp(result) / 1000), time));
	fprintf(out, ",\"timestamp_ms\":%" PRIu64 ",\"age_ms\":%" PRId64,
		attest_result_timestamp(result), attest_result_age(result));
	print_json_string(out, "module_id", attest_result_module_id(result));
	fprintf(out, ",\"policy\":%s", options->policy ? "true" : "false");
	print_json_string(out, "release", attest_result_release(result));
	fprintf(out, ",\"revocation_checked\":%u", attest_result_revocation_checked(result));
	print_json_pcrs(out, result);
	print_json_bytes(out, "user_data", attest_result_user_data(result));
	print_json_bytes(out, "nonce", attest_result_nonce(result));
	print_json_bytes(out, "public_key", attest_result_public_key(result));
	fputs("}\n", out);
}

void report_print_refusal_json(FILE *out, const struct attest_error *error)
{
	fprintf(out, "{\"verified\":false,\"check\":%d", error->check);
	print_json_string(out, "field", error->field[0] ? error->field : NULL);
	if (error->offset == ATTEST_NO_OFFSET)
		fputs(",\"offset\":null", out);
	else
		fprintf(out, ",\"offset\":%zu", error->offset);
	print_json_string(out, "reason", error->message);
	fputs(",\"platform\":null,\"partition\":null,\"debug\":null,\"clock\":null,\"time\":null"
	      ",\"timestamp_ms\":null,\"age_ms\":null,\"module_id\":null,\"policy\":null"
	      ",\"release\":null,\"revocation_checked\":null,\"pcrs\":null,\"user_data\":null"
	      ",\"nonce\":null,\"public_key\":null}\n",
		out);
}
