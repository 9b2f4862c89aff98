// SPDX-License-Identifier: MIT
// A line is built in a fixed buffer and handed to the kernel in one write(2). Room for the final
// newline is never given away, a value is cut between escapes and always gets its closing quote,
// and a field that does not fit at all is left out: a cut line is still one well-formed line.
#include "hostd/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static _Atomic enum log_level threshold = LOG_LEVEL_INFO;

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&threshold, level, memory_order_relaxed);
}

// What may still be added; the newline's byte is not counted.
static size_t line_room(const struct log_line *line)
{
	return LOG_LINE_SIZE - 1 - line->length;
}

static void line_append(struct log_line *line, const char *text, size_t length)
{
	memcpy(line->text + line->length, text, length);
	line->length += length;
}

static bool needs_quotes(const char *value)
{
	if (*value == '\0')
		return true;
	for (const char *at = value; *at != '\0'; at++) {
		if (*at <= ' ' || *at > '~' || *at == '"' || *at == '=' || *at == '\\')
			return true;
	}
	return false;
}

// The escaped form of one byte. Returns its length.
static size_t escape_byte(unsigned char byte, char escaped[static 5])
{
	switch (byte) {
	case '"':
	case '\\':
		return (size_t)snprintf(escaped, 5, "\\%c", byte);
	case '\n':
		return (size_t)snprintf(escaped, 5, "\\n");
	case '\r':
		return (size_t)snprintf(escaped, 5, "\\r");
	case '\t':
		return (size_t)snprintf(escaped, 5, "\\t");
	default:
		break;
	}
	if (byte >= ' ' && byte <= '~')
		return (size_t)snprintf(escaped, 5, "%c", byte);
	return (size_t)snprintf(escaped, 5, "\\x%02x", byte);
}

static void append_quoted(struct log_line *line, const char *value)
{
	line_append(line, "\"", 1);
	for (const char *at = value; *at != '\0'; at++) {
		char escaped[5];
		size_t length = escape_byte((unsigned char)*at, escaped);
		if (line_room(line) < length + 1)
			break;
		line_append(line, escaped, length);
	}
	line_append(line, "\"", 1);
}

static void append_plain(struct log_line *line, const char *value)
{
	size_t length = strlen(value);
	size_t room = line_room(line);
	line_append(line, value, length < room ? length : room);
}

void log_text(struct log_line *line, const char *key, const char *value)
{
	size_t key_length = strlen(key);
	if (line->length == 0 || line_room(line) < key_length + sizeof(" =\"\"") - 1)
		return;
	line_append(line, " ", 1);
	line_append(line, key, key_length);
	line_append(line, "=", 1);
	if (needs_quotes(value))
		append_quoted(line, value);
	else
		append_plain(line, value);
}

void log_number(struct log_line *line, const char *key, uint64_t value)
{
	char text[sizeof("18446744073709551615")];
	size_t length = (size_t)snprintf(text, sizeof(text), "%ju", (uintmax_t)value);
	// A number that is cut would be another number.
	if (line->length == 0 || line_room(line) < strlen(key) + length + 2)
		return;
	log_text(line, key, text);
}

static size_t format_time(char *text, size_t size)
{
	struct timespec now;
	struct tm utc;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	size_t length = strftime(text, size, "time=%Y-%m-%dT%H:%M:%S", &utc);
	int more = snprintf(text + length, size - length, ".%03ldZ", now.tv_nsec / 1000000);
	return length + (size_t)more;
}

void log_begin(struct log_line *line, enum log_level level, const char *message)
{
	line->length = 0;
	if (level > atomic_load_explicit(&threshold, memory_order_relaxed))
		return;
	line->length = format_time(line->text, sizeof(line->text));
	log_text(line, "level", level_names[level]);
	log_text(line, "msg", message);
}

void log_write(struct log_line *line)
{
	if (line->length == 0)
		return;
	line->text[line->length++] = '\n';
	ssize_t written;
	do {
		written = write(STDERR_FILENO, line->text, line->length);
	} while (written < 0 && errno == EINTR);
	line->length = 0;
}

void log_message(enum log_level level, const char *format, ...)
{
	char message[LOG_LINE_SIZE];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	struct log_line line;
	log_begin(&line, level, message);
	log_write(&line);
}
