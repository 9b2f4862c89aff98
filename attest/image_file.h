// SPDX-License-Identifier: MIT
// Files that are too large to be copied: enclave images and what they are made of.
#ifndef AIRLOCK_ATTEST_IMAGE_FILE_H
#define AIRLOCK_ATTEST_IMAGE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "attest/bytes.h"
#include "attest/error.h"
#include "wire/compiler.h"

// Maps a regular file for reading, "-" being standard input, which may be a pipe. Who shortens the
// file meanwhile ends this process (SIGBUS). Unmap with image_file_unmap, which takes unmapped
// views ({NULL, 0}) too. DEVICE.
bool image_file_map(const char *path, struct bytes *content, struct attest_error *error) MUST_CHECK;
void image_file_unmap(struct bytes *content);

#endif
