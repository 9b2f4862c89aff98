// SPDX-License-Identifier: MIT
// logfmt lines on stderr, each written by one write(2), so that threads do not mix. Values with
// blanks, quotes,
// '=' or unprintable bytes are quoted and escaped: nothing that an enclave says can forge a line.
#ifndef AIRLOCK_HOSTD_LOG_H
#define AIRLOCK_HOSTD_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "wire/compiler.h"

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

#define LOG_LINE_SIZE 1024

struct log_line {
	char text[LOG_LINE_SIZE]; // cut, never overflown; ends in a newline when written
	size_t length; // 0: nothing will be written, because the level is below the threshold
};

// Less important lines than level are not written. Thread-safe; LOG_LEVEL_INFO until it is called.
void log_set_level(enum log_level level);

// time=... level=... msg=MESSAGE; then any number of fields; then write.
void log_begin(struct log_line *line, enum log_level level, const char *message);
void log_text(struct log_line *line, const char *key, const char *value);
void log_number(struct log_line *line, const char *key, uint64_t value);
void log_write(struct log_line *line);

// A line with a formatted msg and no fields.
void log_message(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
