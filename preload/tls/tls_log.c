// SPDX-License-Identifier: MIT
#include "preload/tls/tls_log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static enum settings_log_level threshold = SETTINGS_LOG_WARN;

void tls_log_set_level(enum settings_log_level level)
{
	threshold = level;
}

// One byte stays free for the newline.
static void append(struct tls_log_line *line, char byte)
{
	if (line->length + 1 < sizeof(line->text))
		line->text[line->length++] = byte;
}

static void append_text(struct tls_log_line *line, const char *text)
{
	while (*text)
		append(line, *text++);
}

static bool is_plain(const char *value)
{
	if (*value == '\0')
		return false;
	for (; *value; value++) {
		if (*value <= ' ' || *value > '~' || strchr("\"\\=", *value))
			return false;
	}
	return true;
}

static void append_value(struct tls_log_line *line, const char *value)
{
	bool is_quoted = !is_plain(value);
	size_t room = sizeof(line->text) - line->length;

	if (is_quoted)
		append(line, '"');
	for (; *value && room > 3; value++, room--) {
		bool is_harmless =
			*value >= ' ' && *value <= '~' && *value != '"' && *value != '\\';
		append(line, is_harmless ? *value : '?');
	}
	if (is_quoted)
		append(line, '"');
}

void tls_log_text(struct tls_log_line *line, const char *key, const char *value)
{
	if (line->length == 0 || sizeof(line->text) - line->length < strlen(key) + 8)
		return;
	append(line, ' ');
	append_text(line, key);
	append(line, '=');
	append_value(line, value);
}

void tls_log_number(struct tls_log_line *line, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%ju", (uintmax_t)value);
	if (sizeof(line->text) - line->length > strlen(key) + sizeof(text) + 2)
		tls_log_text(line, key, text);
}

void tls_log_begin(struct tls_log_line *line, enum settings_log_level level, const char *message)
{
	struct timespec now;
	struct tm utc;

	line->length = 0;
	if (level > threshold)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	line->length = strftime(line->text, sizeof(line->text), "time=%Y-%m-%dT%H:%M:%S", &utc);
	line->length +=
		(size_t)snprintf(line->text + line->length, 8, ".%03ldZ", now.tv_nsec / 1000000);
	tls_log_text(line, "level", settings_log_level_name(level));
	tls_log_text(line, "msg", message);
}

// Standard error is the programs' too, and must not be made non-blocking. A pipe that is ready
// takes PIPE_BUF bytes at once (pipe(7)).
static bool would_block(void)
{
	struct pollfd item = {.fd = STDERR_FILENO, .events = POLLOUT};

	return poll(&item, 1, 0) == 0;
}

void tls_log_write(struct tls_log_line *line)
{
	static uint64_t lost;
	size_t length = line->length;
	ssize_t written;

	if (line->length == 0)
		return;
	if (would_block()) {
		lost++;
		return;
	}
	if (lost)
		tls_log_number(line, "lines-lost", lost);
	if (line->length > length)
		lost = 0; // it had room
	line->text[line->length++] = '\n';
	do
		written = write(STDERR_FILENO, line->text, line->length);
	while (written < 0 && errno == EINTR);
	line->length = 0;
}

void tls_log_message(enum settings_log_level level, const char *format, ...)
{
	char message[TLS_LOG_LINE_SIZE];
	struct tls_log_line line;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	tls_log_begin(&line, level, message);
	tls_log_write(&line);
}
