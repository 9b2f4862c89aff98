// SPDX-License-Identifier: MIT
// The key=value words of a tls route. Their form is checked here; airlock-tls acts on them.
#ifndef AIRLOCK_PRELOAD_SETTINGS_TLS_H
#define AIRLOCK_PRELOAD_SETTINGS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "preload/shared/settings.h"
#include "wire/compiler.h"
#include "wire/conf.h"

// Reads the words of line from index first on. tls must be zeroed. A key given twice (but pin=), an
// unknown key, and keys that cannot be together are errors.
bool settings_tls_parse(const struct conf_line *line, size_t first, struct route_tls *tls,
	struct conf_error *error) MUST_CHECK;

// Writes " key=value" for each key that was given.
void settings_tls_print(const struct route_tls *tls, FILE *out);

// Copies an absolute path into out of size bytes. Paths are absolute because programs change
// directory.
bool settings_read_path(const struct conf_line *line, const struct conf_word *word,
	const struct conf_word *value, char *out, size_t size, struct conf_error *error) MUST_CHECK;

#endif
