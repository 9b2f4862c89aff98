// SPDX-License-Identifier: MIT
// logfmt lines on stderr, each by one write(2). A value that is more than a plain word is quoted,
// and what could end the quotes or the line becomes '?': nothing that a peer says can forge a line.
// The one thread that serves all must not wait for whoever reads the log: a line that would have to
// wait is lost, and the next one that is written has their number (lines-lost). For that thread
// alone.
#ifndef AIRLOCK_TLS_LOG_H
#define AIRLOCK_TLS_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "preload/shared/settings.h"
#include "wire/compiler.h"

#define TLS_LOG_LINE_SIZE 1024

struct tls_log_line {
	char text[TLS_LOG_LINE_SIZE];
	size_t length; // 0: below the threshold, nothing will be written
};

// What is less important than level is not written. SETTINGS_LOG_WARN until it is called.
void tls_log_set_level(enum settings_log_level level);

// time=... level=... msg=MESSAGE, then any number of fields, then the write. A field that does not
// fit is cut or left out.
void tls_log_begin(struct tls_log_line *line, enum settings_log_level level, const char *message);
void tls_log_text(struct tls_log_line *line, const char *key, const char *value);
void tls_log_number(struct tls_log_line *line, const char *key, uint64_t value);
void tls_log_write(struct tls_log_line *line);

// A line with a formatted message and no fields.
void tls_log_message(enum settings_log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
