// SPDX-License-Identifier: MIT
#include "preload/launcher/enclave_command.h"

#include <string.h>

#include <criterion/criterion.h>

// A copy that may be written to, with a byte more than length.
#define COPY(copy, literal)                                                                        \
	char copy[sizeof(literal)];                                                                \
	memcpy(copy, literal, sizeof(literal))

Test(enclave_command, every_directive_is_understood)
{
	COPY(text,
		"# comment\n\nenv A=b c \nenv EMPTY=\ndirectory /a b\nuser 5:6\narg /bin/sh\narg\n"
		"arg \narg  two  blanks ");
	struct enclave_command command;
	struct conf_error error;

	cr_assert(enclave_command_parse(text, sizeof(text) - 1, &command, &error));
	cr_assert_eq(command.environment_count, 2);
	cr_expect_str_eq(command.environment[0], "A=b c ");
	cr_expect_str_eq(command.environment[1], "EMPTY=");
	cr_expect_str_eq(command.directory, "/a b");
	cr_expect(command.has_user);
	cr_expect_eq(command.user.uid, 5);
	cr_expect_eq(command.user.gid, 6);
	cr_assert_eq(command.argument_count, 4);
	cr_expect_str_eq(command.arguments[0], "/bin/sh");
	cr_expect_str_eq(command.arguments[1], "");
	cr_expect_str_eq(command.arguments[2], "");
	cr_expect_str_eq(command.arguments[3], " two  blanks ");
	cr_expect_null(command.arguments[4]);
	enclave_command_clear(&command);
}

Test(enclave_command, little_is_needed)
{
	COPY(text, "arg x");
	struct enclave_command command;
	struct conf_error error;

	cr_assert(enclave_command_parse(text, sizeof(text) - 1, &command, &error));
	cr_expect_str_eq(command.directory, "/");
	cr_expect_not(command.has_user);
	cr_expect_null(command.environment[0]);
	enclave_command_clear(&command);
}

static const struct {
	const char *text;
	size_t length; // 0: to the NUL
	unsigned line, column;
	const char *reason;
} refused[] = {
	{"", 0, 1, 1, "no arg: there is nothing to run"},
	{"# arg x\n", 0, 1, 1, "no arg: there is nothing to run"},
	{"arg x\nargs y\n", 0, 2, 1, "unknown directive"},
	{"arg\tx\n", 0, 1, 1, "unknown directive"},
	{"arg x\n\ndirectory\n", 0, 3, 10, "path is not absolute"},
	{"arg x\nenv\n", 0, 2, 4, "not of the form NAME=VALUE"},
	{"user 1\narg x", 0, 1, 6, "not of the form UID:GID"},
	{"user 1:\narg x", 0, 1, 6, "not of the form UID:GID"},
	{"user -1:1\narg x", 0, 1, 6, "not of the form UID:GID"},
	{"user 1:2:3\narg x", 0, 1, 6, "not of the form UID:GID"},
	{"user 1:1\nuser 1:1\narg x", 0, 2, 1, "directive given twice"},
	{"arg x\narg a\0b\n", 14, 2, 1, "NUL byte"},
	{"arg x\n# \0\n", 10, 2, 1, "NUL byte"},
};

Test(enclave_command, whatever_else_is_refused_with_its_place)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		size_t length = refused[i].length ? refused[i].length : strlen(refused[i].text);
		struct enclave_command command;
		struct conf_error error = {0};
		char text[64];

		memcpy(text, refused[i].text, length);
		cr_assert_not(enclave_command_parse(text, length, &command, &error), "%zu", i);
		cr_expect_eq(error.line, refused[i].line, "%zu: line %u", i, error.line);
		cr_expect_eq(error.column, refused[i].column, "%zu: column %u", i, error.column);
		cr_expect_str_eq(error.reason, refused[i].reason, "%zu", i);
	}
}
