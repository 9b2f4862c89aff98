// SPDX-License-Identifier: MIT
// Reading a file in line format (wire/conf.h) into memory that the caller has chosen.
#ifndef AIRLOCK_WIRE_CONF_FILE_H
#define AIRLOCK_WIRE_CONF_FILE_H

#include <sys/types.h>

#include "wire/compiler.h"

#define CONF_FILE_MAX (1024 * 1024) // bytes; a longer file is refused

// Reads to the end of the file; pipes too, so no size is asked for first. Returns the length, which
// is less than size, or -errno; -EFBIG, with text full, when the file is not shorter than size.
ssize_t conf_file_read(int fd, char *text, size_t size) MUST_CHECK;

#endif
