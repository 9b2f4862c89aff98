// SPDX-License-Identifier: MIT
#include "preload/launcher/install.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

// An enclave's first process may run before /proc is mounted; then the path that execve(2) was
// given must do.
static int find_self(char path[static PATH_MAX])
{
	const char *given = (const char *)getauxval(AT_EXECFN);

	if (realpath("/proc/self/exe", path) || (given && realpath(given, path)))
		return 0;
	return -errno;
}

// Tries the places, seen from our directory, one after the other.
static int find(const char *const *places, const char *name, char path[static PATH_MAX])
{
	char self[PATH_MAX], candidate[PATH_MAX];
	int error = find_self(self);

	if (error)
		return error;
	*(strrchr(self, '/') + 1) = '\0';
	for (; *places; places++) {
		int length = snprintf(candidate, sizeof(candidate), "%s%s%s", self, *places, name);

		if (length < (int)sizeof(candidate) && realpath(candidate, path))
			return 0;
	}
	return -ENOENT;
}

int install_find_library(char path[static PATH_MAX])
{
	static const char *const places[] = {"../lib/", "../lib/airlock/", "usr/local/lib/",
		"usr/local/lib/airlock/", "usr/lib/airlock/", NULL};
	int error = find(places, "libairlock.so", path);

	if (error)
		return error;
	return strpbrk(path, ": \t\n") ? -EINVAL : 0;
}

int install_find_program(const char *name, char path[static PATH_MAX])
{
	static const char *const places[] = {"", "usr/local/bin/", "usr/bin/", NULL};

	return find(places, name, path);
}
