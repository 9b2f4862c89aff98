// SPDX-License-Identifier: MIT
#include "preload/launcher/enclave_modules.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/module.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload/launcher/message.h"

// linux/module.h has it from Linux 5.17 on.
#ifndef MODULE_INIT_COMPRESSED_FILE
#define MODULE_INIT_COMPRESSED_FILE 4
#endif

static bool is_compressed(const char *name)
{
	size_t length = strlen(name);

	return length < 3 || strcmp(name + length - 3, ".ko") != 0;
}

// libc has no finit_module(2). EEXIST: loaded already, or built in.
static int load(const char *path, const char *name)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int flags = is_compressed(name) ? MODULE_INIT_COMPRESSED_FILE : 0;
	int error;

	if (fd < 0)
		return -errno;
	error = syscall(SYS_finit_module, fd, "", flags) == 0 || errno == EEXIST ? 0 : -errno;
	close(fd);
	return error;
}

static void load_line(char *line)
{
	char path[PATH_MAX];
	int error;

	line[strcspn(line, "\n")] = '\0';
	if (line[0] == '\0' || line[0] == '#')
		return;
	if (snprintf(path, sizeof(path), "%s/%s", ENCLAVE_MODULES, line) >= (int)sizeof(path))
		error = -ENAMETOOLONG;
	else
		error = load(path, line);
	if (error)
		message_print("cannot load %s/%s: %s", ENCLAVE_MODULES, line, strerror(-error));
}

void enclave_load_modules(void)
{
	FILE *list = fopen(ENCLAVE_MODULES "/order", "re");
	char line[NAME_MAX + 2];

	if (!list) {
		if (errno != ENOENT)
			message_print("%s/order: %m", ENCLAVE_MODULES);
		return;
	}
	while (fgets(line, sizeof(line), list))
		load_line(line);
	fclose(list);
}
