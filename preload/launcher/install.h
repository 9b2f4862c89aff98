// SPDX-License-Identifier: MIT
// Where this program's own files are: relative to itself, so that a build tree works as an
// installation does. What is below usr/ is for a copy of it that is /init of a RAM disk.
#ifndef AIRLOCK_LAUNCHER_INSTALL_H
#define AIRLOCK_LAUNCHER_INSTALL_H

#include <limits.h>

#include "wire/compiler.h"

// The absolute path of libairlock.so: in ../lib or ../lib/airlock, seen from the directory of this
// program, else in usr/local/lib, usr/local/lib/airlock or usr/lib/airlock. Returns 0, -ENOENT, or
// -EINVAL when the path has a character that ends a name in LD_PRELOAD (ld.so(8)).
int install_find_library(char path[static PATH_MAX]) MUST_CHECK;

// The absolute path of a program in this program's own directory, else in usr/local/bin or usr/bin
// below it. Returns 0 or -errno.
int install_find_program(const char *name, char path[static PATH_MAX]) MUST_CHECK;

#endif
