// SPDX-License-Identifier: MIT
#include "preload/tls/environment.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

static bool is_ours(const char *variable)
{
	static const char *const names[] = {"AIRLOCK_CONF=", "AIRLOCK_HOSTD=", "AIRLOCK_LOG="};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strncmp(variable, names[i], strlen(names[i])) == 0)
			return true;
	}
	return false;
}

int environment_scrub(char **arguments)
{
	char *kept[4] = {NULL};
	size_t count = 0;
	bool has_others = false;

	for (char **at = environ; *at; at++) {
		if (is_ours(*at) && count < ARRAY_SIZE(kept) - 1)
			kept[count++] = *at;
		else
			has_others = true;
	}
	if (!has_others)
		return 0;
	execve("/proc/self/exe", arguments, kept);
	// An enclave's first processes may run before /proc is mounted.
	execve((const char *)getauxval(AT_EXECFN), arguments, kept);
	return -errno;
}
