// SPDX-License-Identifier: MIT
// Where this program's own files are: relative to itself, so that a build tree works as an
// installation does.
#ifndef AIRLOCK_LAUNCHER_INSTALL_H
#define AIRLOCK_LAUNCHER_INSTALL_H

#include <limits.h>

#include "wire/compiler.h"

// The absolute path of libairlock.so: ../lib or ../lib/airlock, seen from the directory of this
// program. Returns 0, -ENOENT, or -EINVAL when the path has a character that ends a name in
// LD_PRELOAD (ld.so(8)).
int install_find_library(char path[static PATH_MAX]) MUST_CHECK;

// The absolute path of a program in this program's own directory. Returns 0 or -errno.
int install_find_program(const char *name, char path[static PATH_MAX]) MUST_CHECK;

#endif
