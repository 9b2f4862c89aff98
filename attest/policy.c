// SPDX-License-Identifier: MIT
// Reads policies. Every directive may be there once; a PCR once in each place.
#include "attest/policy.h"

#include <stdlib.h>
#include <string.h>

#include "attest/files.h"
#include "attest/policy_rules.h"
#include "attest/verify.h"

struct reader {
	struct policy *policy;
	struct conf_line line;
	struct conf_line release_line;  // of the release that indented lines belong to
	struct policy_release *release; // NULL: none
	struct conf_error *error;
};

static bool fail(struct reader *reader, size_t word, const char *reason)
{
	return conf_fail(reader->error, &reader->line, &reader->line.words[word], "%s", reason);
}

static bool expect_words(struct reader *reader, size_t count)
{
	if (reader->line.count < count)
		return fail(reader, 0, "a value is missing");
	if (reader->line.count > count)
		return fail(reader, count, "one word too many");
	return true;
}

// --- values

static void free_bytes(uint8_t **bytes)
{
	free(*bytes);
}

static bool read_hex(const struct conf_word *word, size_t skip, uint8_t *out, size_t minimum,
	size_t maximum, size_t *length)
{
	__attribute__((cleanup(free_bytes))) uint8_t *decoded = NULL;

	if (!hex_decode(word->text + skip, word->length - skip, &decoded, length) ||
		*length < minimum || *length > maximum)
		return false;
	memcpy(out, decoded, *length);
	return true;
}

static bool read_value(struct reader *reader, struct policy_value *value, bool may_be_hash)
{
	static const char prefix[] = "sha256:";
	const struct conf_word *word = &reader->line.words[1];
	size_t skip = 0, minimum = 1, maximum = sizeof(value->data);

	if (value->is_set)
		return fail(reader, 0, "said twice");
	if (!expect_words(reader, 2))
		return false;
	if (may_be_hash && word->length >= strlen(prefix) &&
		memcmp(word->text, prefix, strlen(prefix)) == 0) {
		value->is_hash = true;
		skip = strlen(prefix);
		minimum = maximum = POLICY_HASH_SIZE;
	}
	if (!read_hex(word, skip, value->data, minimum, maximum, &value->length))
		return fail(reader, 1,
			value->is_hash ? "not the 64 hex digits of a SHA-256"
				       : "not an even number of hex digits, 2 to 2048");
	value->is_set = true;
	return true;
}

static bool read_nonce(struct reader *reader)
{
	return read_value(reader, &reader->policy->nonce, false);
}

static bool read_user_data(struct reader *reader)
{
	return read_value(reader, &reader->policy->user_data, true);
}

static bool read_public_key(struct reader *reader)
{
	return read_value(reader, &reader->policy->public_key, true);
}

// --- sets of names

struct name {
	const char *name;
	unsigned value;
};

static bool read_names(struct reader *reader, const struct name *names, size_t count, unsigned *set)
{
	if (*set)
		return fail(reader, 0, "said twice");
	if (reader->line.count < 2)
		return expect_words(reader, 2);
	for (size_t i = 1; i < reader->line.count; i++) {
		size_t n = 0;
		while (n < count && !conf_word_is(&reader->line.words[i], names[n].name))
			n++;
		if (n == count)
			return fail(reader, i, "unknown word");
		if (*set & 1U << names[n].value)
			return fail(reader, i, "said twice");
		*set |= 1U << names[n].value;
	}
	return true;
}

static bool read_platform(struct reader *reader)
{
	static const struct name names[] = {
		{"nitro-enclave", ATTEST_NITRO_ENCLAVE}, {"named-root", ATTEST_NAMED_ROOT}};

	return read_names(reader, names, ARRAY_SIZE(names), &reader->policy->platforms);
}

static bool read_partition(struct reader *reader)
{
	static const struct name names[] = {{"aws", ATTEST_AWS}, {"aws-us-gov", ATTEST_AWS_US_GOV}};

	return read_names(reader, names, ARRAY_SIZE(names), &reader->policy->partitions);
}

static bool read_debug(struct reader *reader)
{
	if (reader->policy->allows_debug)
		return fail(reader, 0, "said twice");
	if (!expect_words(reader, 2))
		return false;
	if (!conf_word_is(&reader->line.words[1], "allow"))
		return fail(reader, 1, "not `allow`");
	reader->policy->allows_debug = true;
	return true;
}

static bool read_max_age(struct reader *reader)
{
	unsigned long milliseconds;

	if (reader->policy->max_age)
		return fail(reader, 0, "said twice");
	if (!expect_words(reader, 2))
		return false;
	if (!conf_word_duration(&reader->line.words[1], &milliseconds) || milliseconds == 0)
		return fail(reader, 1, "not a duration like 5m, more than zero");
	reader->policy->max_age = milliseconds;
	return true;
}

// --- releases and PCRs

static bool end_release(struct reader *reader)
{
	if (reader->release && reader->release->pcrs.expected == 0)
		return conf_fail(reader->error, &reader->release_line,
			&reader->release_line.words[1], "a release without PCRs");
	reader->release = NULL;
	return true;
}

static bool is_name(const struct conf_word *word)
{
	for (size_t i = 0; i < word->length; i++) {
		if (word->text[i] <= ' ' || word->text[i] > '~')
			return false;
	}
	return word->length <= POLICY_NAME_MAX;
}

static bool read_release(struct reader *reader)
{
	struct policy *policy = reader->policy;
	struct policy_release *larger;

	if (!expect_words(reader, 2))
		return false;
	if (!is_name(&reader->line.words[1]))
		return fail(reader, 1, "not a name of at most 64 printable ASCII characters");
	for (size_t i = 0; i < policy->release_count; i++) {
		if (conf_word_is(&reader->line.words[1], policy->releases[i].name))
			return fail(reader, 1, "a release of this name is there already");
	}
	if (policy->release_count == POLICY_RELEASES_MAX)
		return fail(reader, 0, "more than 1024 releases");
	larger = realloc(policy->releases, (policy->release_count + 1) * sizeof(*larger));
	if (!larger)
		return fail(reader, 0, "out of memory");
	policy->releases = larger;
	reader->release = &larger[policy->release_count++];
	*reader->release = (struct policy_release){0};
	memcpy(reader->release->name, reader->line.words[1].text, reader->line.words[1].length);
	reader->release_line = reader->line;
	return true;
}

// "pcr0" to "pcr31".
static bool read_index(const struct conf_word *word, unsigned long *index)
{
	return word->length > 3 && memcmp(word->text, "pcr", 3) == 0 &&
	       parse_number(word->text + 3, word->length - 3, DOCUMENT_PCRS - 1, index);
}

static bool is_zero(const uint8_t *value)
{
	static const uint8_t zeros[DOCUMENT_PCR_SIZE];

	return memcmp(value, zeros, sizeof(zeros)) == 0;
}

static bool read_pcr(struct reader *reader, struct policy_pcrs *pcrs, unsigned long index)
{
	size_t length;

	if (pcrs->expected & 1U << index)
		return fail(reader, 0, "said twice");
	if (!expect_words(reader, 2))
		return false;
	if (!read_hex(&reader->line.words[1], 0, pcrs->values[index], DOCUMENT_PCR_SIZE,
		    DOCUMENT_PCR_SIZE, &length))
		return fail(reader, 1, "not 96 hex digits");
	if (is_zero(pcrs->values[index]))
		return fail(reader, 1, "an expected PCR of zeros only proves nothing");
	pcrs->expected |= 1U << index;
	return true;
}

// --- lines

static bool read_indented(struct reader *reader)
{
	unsigned long index;

	if (!reader->release)
		return fail(reader, 0, "indented, and no release stands above it");
	if (!read_index(&reader->line.words[0], &index))
		return fail(reader, 0, "not pcr0 to pcr31, all that a release has");
	return read_pcr(reader, &reader->release->pcrs, index);
}

static bool read_line(struct reader *reader)
{
	static const struct {
		const char *name;
		bool (*read)(struct reader *reader);
	} directives[] = {{"release", read_release}, {"nonce", read_nonce},
		{"user_data", read_user_data}, {"public_key", read_public_key},
		{"platform", read_platform}, {"partition", read_partition}, {"debug", read_debug},
		{"max-age", read_max_age}};
	unsigned long index;

	if (reader->line.is_indented)
		return read_indented(reader);
	if (!end_release(reader))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(directives); i++) {
		if (conf_word_is(&reader->line.words[0], directives[i].name))
			return directives[i].read(reader);
	}
	if (read_index(&reader->line.words[0], &index))
		return read_pcr(reader, &reader->policy->common, index);
	return fail(reader, 0, "unknown word");
}

static bool read_lines(struct reader *reader, const char *text, size_t length)
{
	struct conf_reader lines;
	int rc;

	conf_begin(&lines, text, length);
	while ((rc = conf_next_line(&lines, &reader->line, reader->error)) > 0) {
		if (!read_line(reader))
			return false;
	}
	if (rc < 0 || !end_release(reader))
		return false;
	if (reader->policy->common.expected == 0 && reader->policy->release_count == 0 &&
		!reader->policy->allows_debug) {
		reader->line.number = lines.line ? lines.line : 1;
		return conf_fail(reader->error, &reader->line, NULL,
			"the policy expects no PCR, so that any image would do");
	}
	return true;
}

struct policy *policy_parse(const char *text, size_t length, struct conf_error *error)
{
	struct reader reader = {.policy = calloc(1, sizeof(struct policy)), .error = error};

	if (!reader.policy) {
		reader.line.number = 1;
		(void)conf_fail(error, &reader.line, NULL, "out of memory");
		return NULL;
	}
	if (read_lines(&reader, text, length))
		return reader.policy;
	policy_free(reader.policy);
	return NULL;
}

void policy_free(struct policy *policy)
{
	if (!policy)
		return;
	free(policy->releases);
	free(policy);
}

uint64_t policy_max_age(const struct policy *policy)
{
	return policy->max_age;
}

bool policy_allows_debug(const struct policy *policy)
{
	return policy->allows_debug;
}
