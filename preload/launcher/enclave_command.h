// SPDX-License-Identifier: MIT
// What an initramfs is to run: the file /etc/airlock/command, airlock-init(8).
#ifndef AIRLOCK_LAUNCHER_ENCLAVE_COMMAND_H
#define AIRLOCK_LAUNCHER_ENCLAVE_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "wire/compiler.h"
#include "wire/conf.h"

struct enclave_user {
	uid_t uid;
	gid_t gid;
};

// All texts point into the parsed one.
struct enclave_command {
	char **arguments; // NULL terminated; freed by enclave_command_clear
	size_t argument_count;
	char **environment; // NAME=VALUE, likewise
	size_t environment_count;
	const char *directory; // "/" unless said
	bool has_user;
	struct enclave_user user;
};

// text must be writable and have room for one byte at text[length]: line ends become NULs. Returns
// false with *error filled, and then nothing is to be cleared.
bool enclave_command_parse(char *text, size_t length, struct enclave_command *command,
	struct conf_error *error) MUST_CHECK;
void enclave_command_clear(struct enclave_command *command);

#endif
