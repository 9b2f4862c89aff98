// SPDX-License-Identifier: MIT
#include "preload/launcher/attest_program.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "preload/launcher/helper.h"
#include "wire/exit_code.h"
#include "wire/parse.h"

#define TIMEOUT 5000 // ms
#define PROGRAM "airlock-attest"

bool nsm_is_there(const char *nsm)
{
	static const char prefix[] = "unix:";
	size_t length = sizeof(prefix) - 1;
	const char *path = strncmp(nsm, prefix, length) == 0 ? nsm + length : nsm;

	return path[0] == '@' || access(path, F_OK) == 0;
}

static void skip(const char **text, size_t *length, const char *prefix)
{
	size_t size = strlen(prefix);

	if (*length >= size + 2 && memcmp(*text, prefix, size) == 0 &&
		memcmp(*text + size, ": ", 2) == 0) {
		*text += size + 2;
		*length -= size + 2;
	}
}

// What it said before it failed: the first line, without its own name and the subject's.
static void describe_failure(const char *subject, const char *output, size_t length, int code,
	char problem[static ATTEST_PROBLEM_SIZE])
{
	const char *newline = memchr(output, '\n', length);

	if (newline)
		length = (size_t)(newline - output);
	skip(&output, &length, PROGRAM);
	skip(&output, &length, subject);
	if (length > 0)
		parse_copy_printable(problem, ATTEST_PROBLEM_SIZE, output, length);
	else
		snprintf(problem, ATTEST_PROBLEM_SIZE, PROGRAM " ended with status %d", code);
}

ssize_t nsm_ask(const char *nsm, const char *verb, const char *word, char *output, size_t size,
	char problem[static ATTEST_PROBLEM_SIZE])
{
	const char *arguments[] = {PROGRAM, verb, "--nsm", nsm, word, NULL};
	int code = 0;
	ssize_t length = helper_run(arguments, TIMEOUT, output, size, &code);

	if (length >= 0 && code == 0)
		return length;
	if (length < 0)
		snprintf(problem, ATTEST_PROBLEM_SIZE, PROGRAM ": %s", strerror((int)-length));
	else
		describe_failure(nsm, output, (size_t)length, code, problem);
	return -1;
}

// There is no document to verify, which is only found once both files have been read.
int attest_read_policy(
	const char *policy, const char *root, char problem[static ATTEST_PROBLEM_SIZE])
{
	const char *arguments[] = {PROGRAM, "verify", "/dev/null", "--policy", policy,
		root[0] == '\0' ? NULL : "--root", root, NULL};
	char output[512];
	int code = 0;
	ssize_t length = helper_run(arguments, TIMEOUT, output, sizeof(output), &code);

	if (length < 0)
		return (int)length;
	if (code == EXIT_MALFORMED)
		return 0;
	describe_failure("policy", output, (size_t)length, code, problem);
	return 1;
}
