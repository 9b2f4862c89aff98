// SPDX-License-Identifier: MIT
// The file is read anew at each lookup, as libc does: programs and containers change it while
// others run.
#include "preload/library/hosts_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SEPARATORS " \t\r\n\v\f"

static void close_file(FILE **file)
{
	if (*file)
		fclose(*file);
}

static void free_text(char **text)
{
	free(*text);
}

static bool has_alias(const struct lookup_answer *answer, const char *name)
{
	const char *alias = answer->aliases;

	for (size_t i = 0; i < answer->alias_count; i++, alias += strlen(alias) + 1) {
		if (strcasecmp(alias, name) == 0)
			return true;
	}
	return false;
}

static void add_alias(struct lookup_answer *answer, const char *name)
{
	size_t size = strlen(name) + 1;

	if (strcasecmp(answer->name, name) == 0 || has_alias(answer, name))
		return;
	if (answer->alias_count == LOOKUP_MAX_ALIASES ||
		size > sizeof(answer->aliases) - answer->alias_bytes)
		return;
	memcpy(answer->aliases + answer->alias_bytes, name, size);
	answer->alias_bytes += size;
	answer->alias_count++;
}

// names: what follows the address on the line; cut into words in place. The first is the official
// name.
static bool has_name(char *names, const char *name, char *words[static LOOKUP_MAX_ALIASES + 1])
{
	bool found = false;
	size_t count = 0;
	char *rest = NULL;

	for (char *word = strtok_r(names, SEPARATORS, &rest); word && count < LOOKUP_MAX_ALIASES;
		word = strtok_r(NULL, SEPARATORS, &rest)) {
		words[count++] = word;
		found = found || strcasecmp(word, name) == 0;
	}
	words[count] = NULL;
	return found;
}

static void add_line(struct lookup_answer *answer, const struct address *address, char **words)
{
	if (answer->count < LOOKUP_MAX_ADDRESSES)
		answer->addresses[answer->count++] = *address;
	if (answer->name[0] == '\0' && strlen(words[0]) < sizeof(answer->name))
		strcpy(answer->name, words[0]);
	for (; *words; words++)
		add_alias(answer, *words);
}

static void read_line(char *line, const char *name, struct lookup_answer *answer)
{
	char *words[LOOKUP_MAX_ALIASES + 1];
	struct address address;

	line[strcspn(line, "#")] = '\0';
	line += strspn(line, SEPARATORS);
	size_t length = strcspn(line, SEPARATORS);
	if (!address_parse(line, length, &address, NULL))
		return;
	if (has_name(line + length, name, words))
		add_line(answer, &address, words);
}

bool hosts_file_find(const char *path, const char *name, struct lookup_answer *answer)
{
	FILE *file __attribute__((cleanup(close_file))) = fopen(path, "rce");
	char *line __attribute__((cleanup(free_text))) = NULL;
	size_t size = 0;

	if (!file)
		return false;
	while (getline(&line, &size, file) >= 0)
		read_line(line, name, answer);
	return answer->count > 0;
}
