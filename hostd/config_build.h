// SPDX-License-Identifier: MIT
// How the files of hostd's configuration parser share a configuration that is being built.
#ifndef AIRLOCK_HOSTD_CONFIG_BUILD_H
#define AIRLOCK_HOSTD_CONFIG_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hostd/config.h"
#include "wire/compiler.h"
#include "wire/conf.h"

struct config_builder {
	struct config *config;
	unsigned seen;         // bits of top-level directives that stand only once, by table index
	unsigned enclave_seen; // the same for the current enclave's block
	bool has_enclave;      // the last one of config is still open for indented lines
	const struct conf_line *line;
	struct conf_error *error;
};

// A directive's handler reads builder->line, whose word count the table has checked, and returns
// false with the error filled.
typedef bool (*config_handler)(struct config_builder *builder);

struct config_directive {
	const char *name;
	size_t min_words; // the directive's own included
	size_t max_words;
	bool is_repeatable;
	config_handler handler;
};

// One KEY=VALUE word and where its value goes.
struct config_key {
	const char *name;
	bool (*parse)(struct config_builder *builder, const struct conf_word *value, void *target);
	void *target;
};

// Fill the builder's error for a word of its line and return false.
bool config_fail(struct config_builder *builder, const struct conf_word *word, const char *format,
	...) PRINTF_LIKE(3, 4);
bool config_fail_parse(struct config_builder *builder, const struct conf_word *word,
	const struct parse_error *inner);

// Finds the line's directive, checks how often it stands and its number of words, and runs it.
bool config_run_directive(struct config_builder *builder, const struct config_directive *table,
	size_t count, unsigned *seen) MUST_CHECK;

// Reads the words from index first on as KEY=VALUE; an unknown or repeated key is an error.
bool config_read_keys(struct config_builder *builder, size_t first, const struct config_key *keys,
	size_t count) MUST_CHECK;

// Takes the next piece of a comma list off *rest. Returns false when nothing is left; a list's
// empty pieces are returned as words of length 0, for their parser to refuse.
bool config_next_piece(struct conf_word *rest, struct conf_word *piece);

// Makes room for one more item after count and zeroes it. Returns NULL, error filled, without
// memory. The array is owned by the configuration.
void *config_grow(struct config_builder *builder, void *array, size_t count, size_t size);

// What follows PREFIX in word, "tcp:" for example, as a word of its own. Returns false, error
// untouched, when word does not begin with it.
bool config_strip_prefix(
	const struct conf_word *word, const char *prefix, struct conf_word *rest) MUST_CHECK;

// Value parsers. The ones with a void target fit struct config_key.
bool config_parse_cid(
	struct config_builder *builder, const struct conf_word *word, void *cid) MUST_CHECK;
bool config_parse_endpoint(struct config_builder *builder, const struct conf_word *word,
	bool may_be_any, struct endpoint *endpoint) MUST_CHECK;

// HOST:PORT or [HOST]:PORT, split but not checked. default_port 0: the port is mandatory. A bare
// IPv6 address is taken as a whole when a default exists.
bool config_split_port(struct config_builder *builder, const struct conf_word *word,
	uint16_t default_port, struct conf_word *host, uint16_t *port) MUST_CHECK;

// The enclave directive, and the indented lines below it; hostd/config_rules.c.
bool config_read_enclave(struct config_builder *builder) MUST_CHECK;
bool config_read_indented(struct config_builder *builder) MUST_CHECK;

// Reads the whole text into *config, which holds the defaults; hostd/config_parse.c. On failure
// what was read so far stays in it, for its owner to free.
bool config_read_text(struct config *config, const char *text, size_t length,
	struct conf_error *error) MUST_CHECK;

#endif
