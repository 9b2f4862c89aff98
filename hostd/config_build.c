// SPDX-License-Identifier: MIT
#include "hostd/config_build.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CID_MAX 4294967294ul // the next one is VMADDR_CID_ANY, which is nobody's

bool config_fail(
	struct config_builder *builder, const struct conf_word *word, const char *format, ...)
{
	char reason[PARSE_REASON_SIZE];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(reason, sizeof(reason), format, arguments);
	va_end(arguments);
	return conf_fail(builder->error, builder->line, word, "%s", reason);
}

bool config_fail_parse(struct config_builder *builder, const struct conf_word *word,
	const struct parse_error *inner)
{
	return conf_fail_parse(builder->error, builder->line, word, inner);
}

bool config_run_directive(struct config_builder *builder, const struct config_directive *table,
	size_t count, unsigned *seen)
{
	const struct conf_line *line = builder->line;
	for (size_t i = 0; i < count; i++) {
		const struct config_directive *directive = &table[i];
		if (!conf_word_is(&line->words[0], directive->name))
			continue;
		if (!directive->is_repeatable && (*seen & 1u << i))
			return config_fail(builder, &line->words[0], "stands here a second time");
		*seen |= 1u << i;
		if (line->count < directive->min_words)
			return config_fail(builder, &line->words[line->count - 1],
				"needs more words after it");
		if (line->count > directive->max_words)
			return config_fail(builder, &line->words[directive->max_words],
				"is one word too many");
		return directive->handler(builder);
	}
	return config_fail(builder, &line->words[0], "unknown directive");
}

bool config_read_keys(
	struct config_builder *builder, size_t first, const struct config_key *keys, size_t count)
{
	const struct conf_line *line = builder->line;
	unsigned seen = 0;
	for (size_t w = first; w < line->count; w++) {
		const struct conf_word *word = &line->words[w];
		struct conf_word key;
		struct conf_word value;
		if (!conf_word_split(word, &key, &value))
			return config_fail(builder, word, "expected KEY=VALUE");
		size_t k = 0;
		while (k < count && !conf_word_is(&key, keys[k].name))
			k++;
		if (k == count)
			return config_fail(builder, &key, "unknown key");
		if (seen & 1u << k)
			return config_fail(builder, &key, "stands here a second time");
		seen |= 1u << k;
		if (!keys[k].parse(builder, &value, keys[k].target))
			return false;
	}
	return true;
}

bool config_next_piece(struct conf_word *rest, struct conf_word *piece)
{
	if (!rest->text)
		return false;
	const char *comma = memchr(rest->text, ',', rest->length);
	*piece = *rest;
	if (!comma) {
		rest->text = NULL;
		return true;
	}
	piece->length = (size_t)(comma - rest->text);
	rest->text = comma + 1;
	rest->length -= piece->length + 1;
	rest->column += (unsigned)piece->length + 1;
	return true;
}

void *config_grow(struct config_builder *builder, void *array, size_t count, size_t size)
{
	// Capacities are the powers of two: only when count is one is the array full.
	if ((count & (count - 1)) == 0) {
		array = reallocarray(array, count ? 2 * count : 1, size);
		if (!array) {
			config_fail(builder, &builder->line->words[0], "out of memory");
			return NULL;
		}
	}
	memset((char *)array + count * size, 0, size);
	return array;
}

bool config_strip_prefix(const struct conf_word *word, const char *prefix, struct conf_word *rest)
{
	size_t length = strlen(prefix);
	if (word->length < length || memcmp(word->text, prefix, length) != 0)
		return false;
	rest->text = word->text + length;
	rest->length = word->length - length;
	rest->column = word->column + (unsigned)length;
	return true;
}

bool config_parse_cid(struct config_builder *builder, const struct conf_word *word, void *cid)
{
	unsigned long number;
	if (!parse_number(word->text, word->length, CID_MAX, &number))
		return config_fail(builder, word, "is not a CID (0 to %lu)", CID_MAX);
	*(uint32_t *)cid = (uint32_t)number;
	return true;
}

bool config_parse_endpoint(struct config_builder *builder, const struct conf_word *word,
	bool may_be_any, struct endpoint *endpoint)
{
	struct parse_error inner;
	if (!endpoint_parse(word->text, word->length, may_be_any, endpoint, &inner))
		return config_fail_parse(builder, word, &inner);
	return true;
}

static bool parse_port(struct config_builder *builder, const struct conf_word *word, uint16_t *port)
{
	unsigned long number;
	if (!parse_number(word->text, word->length, UINT16_MAX, &number) || number == 0)
		return config_fail(builder, word, "is not a port (1 to 65535)");
	*port = (uint16_t)number;
	return true;
}

static struct conf_word part_of(const struct conf_word *word, size_t start, size_t length)
{
	return (struct conf_word){word->text + start, length, word->column + (unsigned)start};
}

bool config_split_port(struct config_builder *builder, const struct conf_word *word,
	uint16_t default_port, struct conf_word *host, uint16_t *port)
{
	const char *text = word->text;
	size_t length = word->length;
	size_t end = length; // of the host, brackets included
	const char *colon = memchr(text, ':', length);
	if (length > 0 && text[0] == '[') {
		const char *bracket = memchr(text, ']', length);
		if (!bracket)
			return config_fail(builder, word, "has a bracket that nothing closes");
		end = (size_t)(bracket - text) + 1;
		*host = part_of(word, 1, end - 2);
	} else {
		bool is_bare_ipv6 =
			colon && memchr(colon + 1, ':', length - (size_t)(colon + 1 - text));
		if (is_bare_ipv6 && default_port == 0)
			return config_fail(
				builder, word, "an IPv6 address with a port stands in brackets");
		if (colon && !is_bare_ipv6)
			end = (size_t)(colon - text);
		*host = part_of(word, 0, end);
	}
	if (end == length && default_port != 0) {
		*port = default_port;
		return true;
	}
	if (end == length || text[end] != ':')
		return config_fail(builder, word, "needs :PORT after the address");
	struct conf_word rest = part_of(word, end + 1, length - end - 1);
	return parse_port(builder, &rest, port);
}
