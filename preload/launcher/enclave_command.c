// SPDX-License-Identifier: MIT
// Not the line format of the configuration (wire/conf.h): values are words of somebody's command
// line, so every byte of them counts.
#include "preload/launcher/enclave_command.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/parse.h"

// The line of the file that is being read, as words for conf_fail: the directive and its value.
struct line {
	struct conf_line place;
	struct conf_word directive;
	struct conf_word value;
	char *text; // of the value, NUL terminated
};

struct directive {
	const char *name;
	bool may_repeat;
	bool (*read)(
		struct enclave_command *command, const struct line *line, struct conf_error *error);
};

static bool read_argument(
	struct enclave_command *command, const struct line *line, struct conf_error *error)
{
	(void)error;
	command->arguments[command->argument_count++] = line->text;
	return true;
}

static bool read_variable(
	struct enclave_command *command, const struct line *line, struct conf_error *error)
{
	struct conf_word name, value;

	if (!conf_word_split(&line->value, &name, &value))
		return conf_fail(error, &line->place, &line->value, "not of the form NAME=VALUE");
	command->environment[command->environment_count++] = line->text;
	return true;
}

static bool read_directory(
	struct enclave_command *command, const struct line *line, struct conf_error *error)
{
	if (line->text[0] != '/')
		return conf_fail(error, &line->place, &line->value, "path is not absolute");
	command->directory = line->text;
	return true;
}

// The highest number means "leave it as it is" to setresuid(2).
static bool read_user(
	struct enclave_command *command, const struct line *line, struct conf_error *error)
{
	const char *text = line->text, *colon = strchr(text, ':');
	unsigned long uid, gid;

	if (!colon || !parse_number(text, (size_t)(colon - text), UINT32_MAX - 1, &uid) ||
		!parse_number(colon + 1, strlen(colon + 1), UINT32_MAX - 1, &gid))
		return conf_fail(error, &line->place, &line->value, "not of the form UID:GID");
	command->user = (struct enclave_user){(uid_t)uid, (gid_t)gid};
	command->has_user = true;
	return true;
}

static const struct directive directives[] = {
	{"arg", true, read_argument},
	{"env", true, read_variable},
	{"directory", false, read_directory},
	{"user", false, read_user},
};

static const struct directive *find_directive(const struct conf_word *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(directives); i++) {
		if (conf_word_is(word, directives[i].name))
			return &directives[i];
	}
	return NULL;
}

static bool read_line(struct enclave_command *command, const struct line *line, unsigned *seen,
	struct conf_error *error)
{
	const struct directive *directive = find_directive(&line->directive);
	unsigned bit;

	if (!directive)
		return conf_fail(error, &line->place, &line->directive, "unknown directive");
	bit = 1u << (directive - directives);
	if ((*seen & bit) && !directive->may_repeat)
		return conf_fail(error, &line->place, &line->directive, "directive given twice");
	*seen |= bit;
	return directive->read(command, line, error);
}

// text[length] is a NUL.
static void split_line(struct line *line, char *text, size_t length)
{
	size_t word = strcspn(text, " ");
	size_t value = word < length ? word + 1 : length;

	line->directive = (struct conf_word){text, word, 1};
	line->text = text + value;
	line->value = (struct conf_word){line->text, length - value, (unsigned)value + 1};
}

static bool read_lines(
	struct enclave_command *command, char *text, size_t length, struct conf_error *error)
{
	struct line line = {0};
	unsigned seen = 0;
	char *end = text + length;

	*end = '\0';
	while (text < end) {
		char *newline = memchr(text, '\n', (size_t)(end - text));
		char *stop = newline ? newline : end;

		*stop = '\0';
		line.place.number++;
		split_line(&line, text, (size_t)(stop - text));
		if (strlen(text) != (size_t)(stop - text))
			return conf_fail(error, &line.place, NULL, "NUL byte");
		if (text[0] != '\0' && text[0] != '#' && !read_line(command, &line, &seen, error))
			return false;
		text = stop + 1;
	}
	if (command->argument_count > 0)
		return true;
	line.place.number += line.place.number == 0; // of an empty file
	return conf_fail(error, &line.place, NULL, "no arg: there is nothing to run");
}

// Room for as many as there are lines, and a NULL.
static char **allocate(const char *text, size_t length)
{
	size_t lines = 1;

	for (size_t i = 0; i < length; i++)
		lines += text[i] == '\n';
	return calloc(lines + 1, sizeof(char *));
}

bool enclave_command_parse(
	char *text, size_t length, struct enclave_command *command, struct conf_error *error)
{
	struct conf_line nowhere = {.number = 1};

	*command = (struct enclave_command){.directory = "/"};
	command->arguments = allocate(text, length);
	command->environment = allocate(text, length);
	if (command->arguments && command->environment) {
		if (read_lines(command, text, length, error))
			return true;
	} else {
		conf_fail(error, &nowhere, NULL, "no memory");
	}
	enclave_command_clear(command);
	return false;
}

void enclave_command_clear(struct enclave_command *command)
{
	free(command->arguments);
	free(command->environment);
	*command = (struct enclave_command){0};
}
