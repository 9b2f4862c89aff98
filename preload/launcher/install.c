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

int install_find_library(char path[static PATH_MAX])
{
	static const char *const places[] = {
		"../lib/libairlock.so", "../lib/airlock/libairlock.so"};
	char self[PATH_MAX], candidate[PATH_MAX];
	int error = find_self(self);

	if (error)
		return error;
	*(strrchr(self, '/') + 1) = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		int length = snprintf(candidate, sizeof(candidate), "%s%s", self, places[i]);

		if (length >= (int)sizeof(candidate) || !realpath(candidate, path))
			continue;
		return strpbrk(path, ": \t\n") ? -EINVAL : 0;
	}
	return -ENOENT;
}

int install_find_program(const char *name, char path[static PATH_MAX])
{
	char self[PATH_MAX], candidate[PATH_MAX];
	int error = find_self(self);
	int length;

	if (error)
		return error;
	*(strrchr(self, '/') + 1) = '\0';
	length = snprintf(candidate, sizeof(candidate), "%s%s", self, name);
	if (length >= (int)sizeof(candidate))
		return -ENAMETOOLONG;
	return realpath(candidate, path) ? 0 : -errno;
}
