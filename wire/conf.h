// SPDX-License-Identifier: MIT
// The line format that both configuration files share: one directive a line, words separated by
// blanks, `#` starts a comment at the start of a word, no quoting, no continuation. A line that
// starts with a blank belongs to the directive above it (hostd's enclave blocks).
#ifndef AIRLOCK_WIRE_CONF_H
#define AIRLOCK_WIRE_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "wire/compiler.h"
#include "wire/parse.h"

#define CONF_MAX_WORDS 64

// A word of the input; points into the text that conf_begin was given, not NUL terminated.
struct conf_word {
	const char *text;
	size_t length;
	unsigned column; // from 1, in bytes
};

struct conf_line {
	unsigned number; // from 1
	bool is_indented;
	size_t count; // never 0
	struct conf_word words[CONF_MAX_WORDS];
};

struct conf_error {
	unsigned line;
	unsigned column;
	char token[64]; // the offending word, cut, unprintable bytes as '?'; may be empty
	char reason[PARSE_REASON_SIZE];
};

struct conf_reader {
	const char *text;
	size_t length;
	size_t offset;
	unsigned line;
};

void conf_begin(struct conf_reader *reader, const char *text, size_t length);

// The next line that holds a word. Returns 1, 0 at the end, -1 with *error filled (NUL byte,
// control byte, more than CONF_MAX_WORDS words).
int conf_next_line(
	struct conf_reader *reader, struct conf_line *line, struct conf_error *error) MUST_CHECK;

bool conf_word_is(const struct conf_word *word, const char *text);

// Splits KEY=VALUE at the first '='. Returns false when there is none or the key is empty.
bool conf_word_split(
	const struct conf_word *word, struct conf_word *key, struct conf_word *value) MUST_CHECK;

// 5s, 250ms, 2m, 1h, 1d; a bare 0 is zero, any other bare number is refused. Milliseconds, at most
// a year.
bool conf_word_duration(const struct conf_word *word, unsigned long *milliseconds) MUST_CHECK;

// Fill *error for a word and return false, with the reason or from a parser's error, whose offset
// is added to the word's column. Without a word (NULL) the error stands at column 1 and has no
// token.
bool conf_fail(struct conf_error *error, const struct conf_line *line, const struct conf_word *word,
	const char *format, ...) PRINTF_LIKE(4, 5);
bool conf_fail_parse(struct conf_error *error, const struct conf_line *line,
	const struct conf_word *word, const struct parse_error *inner);

// "FILE:LINE:COLUMN: REASON: `TOKEN`", NUL terminated and cut to size. Returns text.
const char *conf_error_format(
	const struct conf_error *error, const char *file, char *text, size_t size);

#endif
