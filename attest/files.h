// SPDX-License-Identifier: MIT
// Files of the commands, and the texts that people give and get. "-" is standard input or output.
#ifndef AIRLOCK_ATTEST_FILES_H
#define AIRLOCK_ATTEST_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "attest/bytes.h"
#include "attest/error.h"
#include "wire/compiler.h"

// Reads a whole file of at most maximum bytes. *data is the caller's to free, has one NUL byte
// behind it that is not counted, and is NULL on failure (DEVICE; MALFORMED when it is longer).
bool file_read(const char *path, size_t maximum, uint8_t **data, size_t *length,
	struct attest_error *error) MUST_CHECK;

// Writes the parts one after the other to a file beside the target and renames it, so that a reader
// sees all or nothing; a path that is no regular file (a pipe, a device) is written to as it is.
// mode as for open(2). DEVICE.
bool file_write_parts(const char *path, const struct bytes *parts, size_t count, mode_t mode,
	struct attest_error *error) MUST_CHECK;

// The same with one part.
bool file_write(const char *path, const void *data, size_t length, mode_t mode,
	struct attest_error *error) MUST_CHECK;

// Waits until nobody else holds this directory, and holds it until directory_unlock, by flock(2),
// which leaves nothing behind. Returns a descriptor or -errno.
int directory_lock(const char *path) MUST_CHECK;

// Nothing for a negative one.
void directory_unlock(const int *lock);

// Upper or lower case, an even number of digits, nothing else. *out is the caller's to free.
// Returns false for anything else; the empty text gives a present view of length 0.
bool hex_decode(const char *text, size_t length, uint8_t **out, size_t *out_length) MUST_CHECK;

// Lower case, NUL terminated; text has room for 2 * length + 1. Returns text.
const char *hex_encode(const void *data, size_t length, char *text);

// RFC 3339, "2026-02-06T08:24:18Z" with optional fraction (dropped) and offset. False for anything
// else.
bool time_parse(const char *text, time_t *when) MUST_CHECK;

// "2026-02-06T08:24:18Z". Returns text.
const char *time_format(time_t when, char text[static 32]);

#endif
