// SPDX-License-Identifier: MIT
#include "wire/conf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CONF_YEAR_MS (365UL * 24 * 60 * 60 * 1000)

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_control(char c)
{
	unsigned char byte = (unsigned char)c;

	return (byte < 0x20 && byte != '\t') || byte == 0x7f;
}

static void fill_error(struct conf_error *error, unsigned line, const struct conf_word *word)
{
	error->line = line;
	error->column = word ? word->column : 1;
	parse_copy_printable(error->token, sizeof(error->token), word ? word->text : "",
		word ? word->length : 0);
}

bool conf_fail(struct conf_error *error, const struct conf_line *line, const struct conf_word *word,
	const char *format, ...)
{
	va_list arguments;

	fill_error(error, line->number, word);
	va_start(arguments, format);
	vsnprintf(error->reason, sizeof(error->reason), format, arguments);
	va_end(arguments);
	return false;
}

bool conf_fail_parse(struct conf_error *error, const struct conf_line *line,
	const struct conf_word *word, const struct parse_error *inner)
{
	fill_error(error, line->number, word);
	error->column += (unsigned)inner->offset;
	memcpy(error->reason, inner->reason, sizeof(error->reason));
	return false;
}

void conf_begin(struct conf_reader *reader, const char *text, size_t length)
{
	*reader = (struct conf_reader){.text = text, .length = length};
}

static bool check_bytes(
	const struct conf_line *line, const char *text, size_t length, struct conf_error *error)
{
	for (size_t i = 0; i < length; i++) {
		struct conf_word byte = {.text = text + i, .length = 1, .column = (unsigned)i + 1};
		if (is_control(text[i]))
			return conf_fail(error, line, &byte, "control byte 0x%02x",
				(unsigned)(unsigned char)text[i]);
	}
	return true;
}

static size_t skip(const char *text, size_t length, size_t offset, bool blanks)
{
	while (offset < length && is_blank(text[offset]) == blanks)
		offset++;
	return offset;
}

static bool split_words(
	struct conf_line *line, const char *text, size_t length, struct conf_error *error)
{
	size_t start = skip(text, length, 0, true);

	line->is_indented = start > 0;
	line->count = 0;
	while (start < length && text[start] != '#') {
		size_t end = skip(text, length, start, false);
		struct conf_word word = {text + start, end - start, (unsigned)start + 1};
		if (line->count == CONF_MAX_WORDS)
			return conf_fail(error, line, &word, "more than %d words", CONF_MAX_WORDS);
		line->words[line->count++] = word;
		start = skip(text, length, end, true);
	}
	return true;
}

int conf_next_line(struct conf_reader *reader, struct conf_line *line, struct conf_error *error)
{
	while (reader->offset < reader->length) {
		const char *text = reader->text + reader->offset;
		size_t rest = reader->length - reader->offset;
		const char *newline = memchr(text, '\n', rest);
		size_t length = newline ? (size_t)(newline - text) : rest;

		reader->offset += newline ? length + 1 : length;
		line->number = ++reader->line;
		if (!check_bytes(line, text, length, error) ||
			!split_words(line, text, length, error))
			return -1;
		if (line->count > 0)
			return 1;
	}
	return 0;
}

bool conf_word_is(const struct conf_word *word, const char *text)
{
	return strlen(text) == word->length && memcmp(word->text, text, word->length) == 0;
}

bool conf_word_split(const struct conf_word *word, struct conf_word *key, struct conf_word *value)
{
	const char *equals = memchr(word->text, '=', word->length);

	if (!equals || equals == word->text)
		return false;
	size_t key_length = (size_t)(equals - word->text);
	struct conf_word whole = *word;
	*key = (struct conf_word){whole.text, key_length, whole.column};
	*value = (struct conf_word){
		equals + 1, whole.length - key_length - 1, whole.column + (unsigned)key_length + 1};
	return true;
}

bool conf_word_duration(const struct conf_word *word, unsigned long *milliseconds)
{
	static const struct {
		const char *suffix;
		unsigned long milliseconds;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
	size_t digits = 0;

	while (digits < word->length && word->text[digits] >= '0' && word->text[digits] <= '9')
		digits++;
	struct conf_word suffix = {word->text + digits, word->length - digits, 0};
	if (suffix.length == 0)
		return parse_number(word->text, digits, 0, milliseconds);

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		unsigned long number, unit = units[i].milliseconds;
		if (!conf_word_is(&suffix, units[i].suffix))
			continue;
		if (!parse_number(word->text, digits, CONF_YEAR_MS / unit, &number))
			return false;
		*milliseconds = number * unit;
		return true;
	}
	return false;
}

const char *conf_error_format(
	const struct conf_error *error, const char *file, char *text, size_t size)
{
	snprintf(text, size, error->token[0] ? "%s:%u:%u: %s: `%s`" : "%s:%u:%u: %s", file,
		error->line, error->column, error->reason, error->token);
	return text;
}
