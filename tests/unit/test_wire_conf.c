// SPDX-License-Identifier: MIT
#include "wire/conf.h"

#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

static struct conf_reader reader_of(const char *text)
{
	struct conf_reader reader;

	conf_begin(&reader, text, strlen(text));
	return reader;
}

static struct conf_word word_of(const char *text)
{
	return (struct conf_word){text, strlen(text), 1};
}

Test(conf, words_know_their_line_and_column)
{
	struct conf_reader reader =
		reader_of("\n# comment\nroute  *.a:80\ttls # rest\n  allow x#y\n"
			  "   # indented comment\n\t \nlast");
	struct conf_line line;
	struct conf_error error;

	cr_assert_eq(conf_next_line(&reader, &line, &error), 1);
	cr_assert_eq(line.number, 3);
	cr_assert_not(line.is_indented);
	cr_assert_eq(line.count, 3);
	cr_assert(conf_word_is(&line.words[0], "route"));
	cr_assert_eq(line.words[1].column, 8);
	cr_assert(conf_word_is(&line.words[1], "*.a:80"));
	cr_assert_eq(line.words[2].column, 15);

	cr_assert_eq(conf_next_line(&reader, &line, &error), 1);
	cr_assert_eq(line.number, 4);
	cr_assert(line.is_indented);
	cr_assert_eq(line.count, 2);
	cr_assert(conf_word_is(&line.words[1], "x#y"), "# inside a word is part of it");

	cr_assert_eq(conf_next_line(&reader, &line, &error), 1);
	cr_assert_eq(line.number, 7);
	cr_assert(conf_word_is(&line.words[0], "last"), "a last line needs no newline");
	cr_assert_eq(conf_next_line(&reader, &line, &error), 0);
	cr_assert_eq(conf_next_line(&reader, &line, &error), 0);
}

Test(conf, an_empty_text_has_no_lines)
{
	struct conf_reader reader = reader_of("");
	struct conf_line line;
	struct conf_error error;

	cr_assert_eq(conf_next_line(&reader, &line, &error), 0);
}

Test(conf, control_bytes_are_refused_where_they_stand)
{
	static const struct {
		const char *text;
		size_t length;
		unsigned line, column;
	} cases[] = {
		{"a\0b", 3, 1, 2},
		{"a\nb\r\n", 5, 2, 2},
		{"# \x1b[0m", 6, 1, 3},
		{"\n\nx y\x7f", 6, 3, 4},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct conf_reader reader;
		struct conf_line line;
		struct conf_error error;
		int result;
		conf_begin(&reader, cases[i].text, cases[i].length);
		do
			result = conf_next_line(&reader, &line, &error);
		while (result > 0);
		cr_expect_eq(result, -1);
		cr_expect_eq(error.line, cases[i].line);
		cr_expect_eq(error.column, cases[i].column);
		cr_expect_str_eq(error.token, "?");
	}
}

Test(conf, bytes_past_ascii_are_allowed)
{
	struct conf_reader reader = reader_of("ca /srv/\xc3\xa9.pem");
	struct conf_line line;
	struct conf_error error;

	cr_assert_eq(conf_next_line(&reader, &line, &error), 1);
	cr_assert_eq(line.words[1].length, 11);
}

Test(conf, sixty_four_words_are_the_most)
{
	char text[2 * CONF_MAX_WORDS + 3] = "";
	struct conf_line line;
	struct conf_error error;

	for (size_t i = 0; i < CONF_MAX_WORDS; i++)
		strcat(text, "w ");
	struct conf_reader reader = reader_of(text);
	cr_assert_eq(conf_next_line(&reader, &line, &error), 1);
	cr_assert_eq(line.count, CONF_MAX_WORDS);

	strcat(text, "x");
	reader = reader_of(text);
	cr_assert_eq(conf_next_line(&reader, &line, &error), -1);
	cr_assert_eq(error.column, 2 * CONF_MAX_WORDS + 1);
	cr_assert_str_eq(error.token, "x");
}

Test(conf, settings_split_at_the_first_equals_sign)
{
	struct conf_word word = {"pin=sha256/AA==", 15, 9}, key, value;

	cr_assert(conf_word_split(&word, &key, &value));
	cr_assert(conf_word_is(&key, "pin"));
	cr_assert(conf_word_is(&value, "sha256/AA=="));
	cr_assert_eq(key.column, 9);
	cr_assert_eq(value.column, 13);

	word = word_of("key=");
	cr_assert(conf_word_split(&word, &key, &value));
	cr_assert_eq(value.length, 0);
	word = word_of("word");
	cr_assert_not(conf_word_split(&word, &key, &value));
	word = word_of("=value");
	cr_assert_not(conf_word_split(&word, &key, &value));
}

Test(conf, splitting_may_overwrite_its_own_word)
{
	struct conf_word word = word_of("a=bc"), value;

	cr_assert(conf_word_split(&word, &word, &value));
	cr_assert(conf_word_is(&word, "a"));
	cr_assert(conf_word_is(&value, "bc"));
}

Test(conf, durations_need_a_unit_and_end_at_a_year)
{
	static const struct {
		const char *text;
		bool ok;
		unsigned long milliseconds;
	} cases[] = {
		{"0", true, 0},
		{"0s", true, 0},
		{"250ms", true, 250},
		{"5s", true, 5000},
		{"2m", true, 120000},
		{"1h", true, 3600000},
		{"1d", true, 86400000},
		{"365d", true, 31536000000},
		{"366d", false, 0},
		{"31536000000ms", true, 31536000000},
		{"31536000001ms", false, 0},
		{"99999999999999999999s", false, 0},
		{"1", false, 0},
		{"5", false, 0},
		{"", false, 0},
		{"s", false, 0},
		{"05s", false, 0},
		{"-1s", false, 0},
		{"1.5s", false, 0},
		{"1S", false, 0},
		{"1w", false, 0},
		{"1s ", false, 0},
		{"1ss", false, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned long milliseconds = 4711;
		struct conf_word word = word_of(cases[i].text);
		cr_expect_eq(conf_word_duration(&word, &milliseconds), cases[i].ok, "`%s`",
			cases[i].text);
		cr_expect_eq(milliseconds, cases[i].ok ? cases[i].milliseconds : 4711, "`%s`",
			cases[i].text);
	}
}

Test(conf, errors_read_as_file_line_column_reason_token)
{
	struct conf_error error;
	struct conf_line line = {.number = 12};
	struct conf_word word = {"bad\x1bword", 8, 5};
	struct parse_error inner = {.offset = 3, .reason = "not a port"};
	char text[256];

	cr_assert_not(conf_fail(&error, &line, &word, "unknown %s", "directive"));
	cr_assert_str_eq(conf_error_format(&error, "x.conf", text, sizeof(text)),
		"x.conf:12:5: unknown directive: `bad?word`");
	cr_assert_not(conf_fail_parse(&error, &line, &word, &inner));
	cr_assert_str_eq(conf_error_format(&error, "x.conf", text, sizeof(text)),
		"x.conf:12:8: not a port: `bad?word`");
	cr_assert_not(conf_fail(&error, &line, NULL, "nothing here"));
	cr_assert_str_eq(conf_error_format(&error, "x.conf", text, sizeof(text)),
		"x.conf:12:1: nothing here");
}

Test(conf, a_long_token_is_cut)
{
	struct conf_error error;
	struct conf_line line = {.number = 1};
	char text[200];

	memset(text, 'x', sizeof(text));
	struct conf_word word = {text, sizeof(text), 1};
	cr_assert_not(conf_fail(&error, &line, &word, "too long"));
	cr_assert_eq(strlen(error.token), sizeof(error.token) - 1);
}
