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

static void add_alias(struct lookup_answer *answer, const char *name)
{
	size_t size = strlen(name) + 1;

	if (answer->alias_count == LOOKUP_MAX_ALIASES ||
		size > sizeof(answer->aliases) - answer->alias_bytes)
		return;
	memcpy(answer->aliases + answer->alias_bytes, name, size);
	answer->alias_bytes += size;
	answer->alias_count++;
}

// names: what follows the address on the line; cut into words in place. The first is the official
// name; only so many words are kept, but each is a name of the line.
static bool has_name(char *names, const char *name, char *words[static LOOKUP_MAX_ALIASES + 1])
{
	bool found = false;
	size_t count = 0;
	char *rest = NULL;

	for (char *word = strtok_r(names, SEPARATORS, &rest); word;
		word = strtok_r(NULL, SEPARATORS, &rest)) {
		if (count < LOOKUP_MAX_ALIASES)
			words[count++] = word;
		found = found || strcasecmp(word, name) == 0;
	}
	words[count] = NULL;
	return found;
}

// The first line gives the official name. Another one on a later line is an alias, after that
// line's own.
static void add_names(struct lookup_answer *answer, char **words)
{
	bool is_first = answer->name[0] == '\0';

	if (is_first && strlen(words[0]) < sizeof(answer->name))
		strcpy(answer->name, words[0]);
	for (char **alias = words + 1; *alias; alias++)
		add_alias(answer, *alias);
	if (!is_first && strcasecmp(words[0], answer->name) != 0)
		add_alias(answer, words[0]);
}

static void read_line(char *line, const char *name, int family, struct lookup_answer *answer)
{
	char *words[LOOKUP_MAX_ALIASES + 1];
	struct address address;

	line[strcspn(line, "#")] = '\0';
	line += strspn(line, SEPARATORS);
	size_t length = strcspn(line, SEPARATORS);
	if (!address_parse(line, length, &address, NULL))
		return;
	if (!has_name(line + length, name, words))
		return;
	if (answer->count < LOOKUP_MAX_ADDRESSES)
		answer->addresses[answer->count++] = address;
	if (lookup_hosts_address(&address, family))
		add_names(answer, words);
}

bool hosts_file_find(const char *path, const char *name, int family, struct lookup_answer *answer)
{
	FILE *file __attribute__((cleanup(close_file))) = fopen(path, "rce");
	char *line __attribute__((cleanup(free_text))) = NULL;
	size_t size = 0;

	if (!file)
		return false;
	while (getline(&line, &size, file) >= 0)
		read_line(line, name, family, answer);
	return answer->count > 0;
}
