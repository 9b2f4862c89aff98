// SPDX-License-Identifier: MIT
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hostd/log.h"

static int saved_stderr;
static int pipe_ends[2];

// What was written to stderr since begin_capture, NUL terminated.
static char captured[65536];

static void begin_capture(void)
{
	cr_assert_eq(pipe(pipe_ends), 0);
	saved_stderr = dup(STDERR_FILENO);
	dup2(pipe_ends[1], STDERR_FILENO);
	close(pipe_ends[1]);
}

static const char *end_capture(void)
{
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	size_t length = 0;
	ssize_t got;
	while ((got = read(pipe_ends[0], captured + length, sizeof(captured) - 1 - length)) > 0)
		length += (size_t)got;
	captured[length] = '\0';
	close(pipe_ends[0]);
	return captured;
}

static size_t count_of(const char *text, char wanted)
{
	size_t count = 0;
	for (; *text; text++)
		count += *text == wanted;
	return count;
}

Test(hostd_log, writes_time_level_message_and_fields)
{
	struct log_line line;
	begin_capture();
	log_begin(&line, LOG_LEVEL_INFO, "stream ended");
	log_text(&line, "enclave", "web");
	log_number(&line, "bytes", UINT64_MAX);
	log_text(&line, "name", "");
	log_write(&line);
	const char *text = end_capture();
	unsigned digits[6];
	cr_assert_eq(sscanf(text, "time=%4u-%2u-%2uT%2u:%2u:%2u.", &digits[0], &digits[1],
			     &digits[2], &digits[3], &digits[4], &digits[5]),
		6, "%s", text);
	cr_assert_str_eq(strchr(text, ' '),
		" level=info msg=\"stream ended\" enclave=web bytes=18446744073709551615 "
		"name=\"\"\n");
}

struct escape {
	const char *value;
	const char *written;
};

Test(hostd_log, lets_no_value_forge_a_field_or_a_line)
{
	static const struct escape cases[] = {
		{"curl", "curl"},
		{"a.example", "a.example"},
		{"a b", "\"a b\""},
		{"a=b", "\"a=b\""},
		{"x\nlevel=error msg=forged", "\"x\\nlevel=error msg=forged\""},
		{"x\r\nlevel=error", "\"x\\r\\nlevel=error\""},
		{"x\" level=error y=\"", "\"x\\\" level=error y=\\\"\""},
		{"x\\\" level=error", "\"x\\\\\\\" level=error\""},
		{"x\\", "\"x\\\\\""},
		{"\t", "\"\\t\""},
		{"\x01\x1b[31m\x7f", "\"\\x01\\x1b[31m\\x7f\""},
		{"caf\xc3\xa9", "\"caf\\xc3\\xa9\""},
		{"\xe2\x80\xa8", "\"\\xe2\\x80\\xa8\""}, // U+2028, a line separator to some readers
		{"\x9b"
		 "31m",
			"\"\\x9b31m\""},
		{"%s%n", "%s%n"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct log_line line;
		char expected[256];
		begin_capture();
		log_begin(&line, LOG_LEVEL_WARN, "m");
		log_text(&line, "program", cases[i].value);
		log_write(&line);
		const char *text = end_capture();
		snprintf(expected, sizeof(expected), " level=warn msg=m program=%s\n",
			cases[i].written);
		cr_expect_str_eq(strchr(text, ' '), expected);
		cr_expect_eq(count_of(text, '\n'), 1);
	}
}

// Every length around the limit, plain and escaped: the line ends in one newline, its quotes are
// balanced, and no escape is cut.
Test(hostd_log, cuts_long_lines_without_breaking_them)
{
	static const char *const fillers[] = {"a", " ", "\n", "\"", "\\", "\x01"};
	for (size_t f = 0; f < ARRAY_SIZE(fillers); f++) {
		for (size_t length = 150; length < LOG_LINE_SIZE + 20; length++) {
			char value[LOG_LINE_SIZE + 32];
			memset(value, fillers[f][0], length);
			value[length] = '\0';
			struct log_line line;
			begin_capture();
			log_begin(&line, LOG_LEVEL_ERROR, "m");
			log_text(&line, "a", value);
			log_text(&line, "b", value);
			log_number(&line, "n", 1234567890);
			log_text(&line, "last", "x y");
			log_write(&line);
			const char *text = end_capture();
			size_t written = strlen(text);
			cr_assert_leq(written, LOG_LINE_SIZE);
			cr_assert_eq(count_of(text, '\n'), 1);
			cr_assert_eq(text[written - 1], '\n');
			bool is_quoted = false;
			for (const char *at = text; *at != '\n'; at++) {
				if (*at == '\\') {
					cr_assert(strchr("\"\\nrtx", at[1]) && at[1]);
					at += at[1] == 'x' ? 3 : 1;
				} else if (*at == '"') {
					is_quoted = !is_quoted;
				}
			}
			cr_assert_not(is_quoted, "%s", text);
			const char *number = strstr(text, " n=");
			cr_assert(!number || !strncmp(number, " n=1234567890", 13), "%s", text);
		}
	}
}

Test(hostd_log, leaves_out_what_is_below_the_level)
{
	begin_capture();
	log_message(LOG_LEVEL_INFO, "one %d", 1);
	log_message(LOG_LEVEL_DEBUG, "two");
	log_set_level(LOG_LEVEL_ERROR);
	log_message(LOG_LEVEL_WARN, "three");
	struct log_line line;
	log_begin(&line, LOG_LEVEL_WARN, "four");
	log_text(&line, "key", "value");
	log_number(&line, "key", 4);
	log_write(&line);
	log_message(LOG_LEVEL_ERROR, "five");
	log_set_level(LOG_LEVEL_DEBUG);
	log_message(LOG_LEVEL_DEBUG, "six");
	const char *text = end_capture();
	cr_assert(strstr(text, "msg=\"one 1\"") && strstr(text, "msg=five") &&
		  strstr(text, "level=debug msg=six"));
	cr_assert_eq(count_of(text, '\n'), 3, "%s", text);
}
