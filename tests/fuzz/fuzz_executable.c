// SPDX-License-Identifier: MIT
// Any bytes as a program file: whatever they claim, nothing outside them is read, and what is said
// about them is well formed.
#include "preload/launcher/executable.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check_parsed(const struct executable *executable)
{
	require(memchr(executable->interpreter, '\0', EXECUTABLE_PATH_SIZE) != NULL);
	require(memchr(executable->argument, '\0', EXECUTABLE_PATH_SIZE) != NULL);
	if (executable->kind != EXECUTABLE_ELF)
		require(!executable->is_native && !executable->is_go && !executable->uses_io_uring);
	if (executable->kind == EXECUTABLE_OTHER)
		require(executable->interpreter[0] == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct parse_error error = {.reason = ""};
	struct executable executable;
	uint8_t *copy = malloc(size); // of the exact size, so that the sanitizer sees its end

	require(copy || size == 0);
	if (size > 0)
		memcpy(copy, data, size);
	if (executable_parse(copy, size, &executable, &error))
		check_parsed(&executable);
	else
		require(error.offset <= size + 1024 && error.reason[0] != '\0');
	free(copy);
	return 0;
}
