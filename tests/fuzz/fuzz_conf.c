// SPDX-License-Identifier: MIT
// A configuration file is split into words; every word is then given to each of the word parsers,
// and what they accept must survive being written and read again.
#include "wire/conf.h"

#include <stdlib.h>
#include <string.h>

#include "wire/endpoint.h"
#include "wire/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check_pattern(const struct conf_word *word, struct parse_error *error)
{
	struct pattern pattern, again;
	char text[1024];

	if (!pattern_parse(word->text, word->length, &pattern, error)) {
		require(error->offset <= word->length);
		return;
	}
	pattern_format(&pattern, text, sizeof(text));
	require(pattern_parse(text, strlen(text), &again, NULL));
	require(memcmp(&pattern, &again, sizeof(again)) == 0);
	if (pattern.kind == PATTERN_NAME)
		require(pattern_matches_name(
			&pattern, pattern.name, pattern.port_count ? pattern.ports[0].first : 0));
	if (pattern.kind == PATTERN_BLOCK)
		require(pattern_matches_address(&pattern, &pattern.block.base,
			pattern.port_count ? pattern.ports[0].last : 0));
}

static void check_endpoint(const struct conf_word *word, struct parse_error *error)
{
	struct endpoint endpoint, again;
	struct sockaddr_storage storage;
	char text[ENDPOINT_TEXT_SIZE];

	if (!endpoint_parse(word->text, word->length, true, &endpoint, error)) {
		require(error->offset <= word->length);
		return;
	}
	endpoint_format(&endpoint, text);
	require(endpoint_parse(text, strlen(text), true, &again, NULL));
	require(memcmp(&endpoint, &again, sizeof(again)) == 0);
	require(endpoint_count(&endpoint) >= 1 && endpoint_count(&endpoint) <= ENDPOINT_MAX_PORTS);
	require(endpoint_to_sockaddr(&endpoint, endpoint_count(&endpoint) - 1, &storage) <=
		sizeof(storage));
}

static void check_name(const struct conf_word *word)
{
	char name[NAME_SIZE], again[NAME_SIZE];

	if (!name_from_text(word->text, word->length, name, NULL))
		return;
	require(name_is_wire_form(name, strlen(name), NULL));
	require(name_from_text(name, strlen(name), again, NULL));
	require(strcmp(name, again) == 0);
}

static void check_block(const struct conf_word *word, struct parse_error *error)
{
	struct address_block block;
	struct address again;
	char text[ADDRESS_TEXT_SIZE];

	if (!address_block_parse(word->text, word->length, &block, error)) {
		require(error->offset <= word->length);
		return;
	}
	require(address_block_contains(&block, &block.base));
	address_format(&block.base, text);
	require(address_parse(text, strlen(text), &again, NULL));
	require(address_is_equal(&block.base, &again));
}

static void check_word(const struct conf_line *line, const struct conf_word *word)
{
	struct conf_word key, value;
	struct conf_error outer;
	struct parse_error error = {.reason = "reason"};
	unsigned long milliseconds;
	char text[512];

	require(word->length > 0);
	check_pattern(word, &error);
	check_endpoint(word, &error);
	check_block(word, &error);
	check_name(word);
	if (conf_word_duration(word, &milliseconds))
		require(milliseconds <= 365UL * 86400000);
	if (conf_word_split(word, &key, &value))
		require(key.length > 0 && key.length + 1 + value.length == word->length);
	conf_fail_parse(&outer, line, word, &error);
	require(strlen(conf_error_format(&outer, "file", text, sizeof(text))) < sizeof(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_reader reader;
	struct conf_line line;
	struct conf_error error;
	unsigned last_line = 0;

	conf_begin(&reader, (const char *)data, size);
	for (int result; (result = conf_next_line(&reader, &line, &error)) != 0;) {
		unsigned number = result < 0 ? error.line : line.number;
		require(number > last_line);
		last_line = number;
		for (size_t i = 0; result > 0 && i < line.count; i++)
			check_word(&line, &line.words[i]);
	}
	return 0;
}
