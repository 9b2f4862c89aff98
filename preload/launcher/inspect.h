// SPDX-License-Identifier: MIT
// Can LD_PRELOAD reach into a command? Looks at the file that execvp(3) would run, and at the
// interpreters that it leads to.
#ifndef AIRLOCK_LAUNCHER_INSPECT_H
#define AIRLOCK_LAUNCHER_INSPECT_H

#include <limits.h>

#include "wire/compiler.h"

struct inspection {
	char path[PATH_MAX]; // of the file that decided: the command's, or an interpreter's
	char reason[256];    // why it cannot be preloaded, a sentence about the file; empty: it can
};

// Returns 0 when the command can be preloaded, 1 when it cannot (inspection says why), -ENOENT when
// it, or an interpreter that it leads to, is not found (inspection->path is which), -EACCES when it
// may not be executed, or another -errno.
int inspect_command(const char *command, struct inspection *inspection) MUST_CHECK;

#endif
