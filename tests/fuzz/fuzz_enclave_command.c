// SPDX-License-Identifier: MIT
// Any text is refused with a place inside it, or understood; every word of what was understood is a
// whole rest of a line.
#include "preload/launcher/enclave_command.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check_word(const char *word, const char *original, const char *text, size_t size)
{
	size_t offset = (size_t)(word - text), length = strlen(word);

	require(offset <= size && length <= size - offset);
	require(memcmp(original + offset, word, length) == 0 && !memchr(word, '\n', length));
	require(offset + length == size || original[offset + length] == '\n');
	require(offset == 0 || original[offset - 1] != '\n' || length == 0);
}

static void check_command(
	const struct enclave_command *command, const char *original, const char *text, size_t size)
{
	require(command->argument_count > 0 && !command->arguments[command->argument_count]);
	require(!command->environment[command->environment_count]);
	for (size_t i = 0; i < command->argument_count; i++)
		check_word(command->arguments[i], original, text, size);
	for (size_t i = 0; i < command->environment_count; i++) {
		check_word(command->environment[i], original, text, size);
		require(strchr(command->environment[i], '=') > command->environment[i]);
	}
	require(command->directory[0] == '/');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct enclave_command command;
	struct conf_error error = {0};
	char *text = malloc(size + 1); // of the exact size, so that the sanitizer sees its end
	unsigned lines = 1;

	require(text != NULL);
	memcpy(text, data, size);
	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	if (enclave_command_parse(text, size, &command, &error)) {
		check_command(&command, (const char *)data, text, size);
		enclave_command_clear(&command);
	} else {
		require(error.line <= lines && error.column <= size + 1 && error.reason[0] != '\0');
	}
	free(text);
	return 0;
}
