// SPDX-License-Identifier: MIT
// The enclave directive and the indented lines below it.
#include "hostd/config_build.h"

#include <string.h>

// The enclave whose block is being read. Not kept across lines: its array may move.
static struct enclave *current_enclave(struct config_builder *builder)
{
	return &builder->config->enclaves[builder->config->enclave_count - 1];
}

// ---------------------------------------------------------------- enclave NAME cid=N[,N]...

static bool is_enclave_name(const struct conf_word *word)
{
	if (word->length == 0 || word->length >= sizeof(((struct enclave *)0)->name))
		return false;
	for (size_t i = 0; i < word->length; i++) {
		char c = word->text[i];
		bool is_fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			       (c >= '0' && c <= '9') || strchr("._-", c);
		if (!is_fine || c == '\0')
			return false;
	}
	return true;
}

static bool read_enclave_name(struct config_builder *builder)
{
	const struct config *config = builder->config;
	const struct conf_word *word = &builder->line->words[1];
	if (!is_enclave_name(word))
		return config_fail(builder, word,
			"a name is 1 to 63 letters, digits, dots, dashes and underscores");
	for (size_t i = 0; i + 1 < config->enclave_count; i++) {
		if (conf_word_is(word, config->enclaves[i].name))
			return config_fail(builder, word, "is already the enclave of line %u",
				config->enclaves[i].line);
	}
	memcpy(current_enclave(builder)->name, word->text, word->length);
	return true;
}

static bool read_cids(struct config_builder *builder, const struct conf_word *value, void *target)
{
	(void)target;
	struct enclave *enclave = current_enclave(builder);
	struct conf_word rest = *value;
	struct conf_word piece;
	while (config_next_piece(&rest, &piece)) {
		uint32_t cid;
		if (!config_parse_cid(builder, &piece, &cid))
			return false;
		const struct enclave *other = config_find_enclave(builder->config, cid);
		if (other)
			return config_fail(
				builder, &piece, "is already a CID of enclave %s", other->name);
		uint32_t *cids =
			config_grow(builder, enclave->cids, enclave->cid_count, sizeof(*cids));
		if (!cids)
			return false;
		enclave->cids = cids;
		enclave->cids[enclave->cid_count++] = cid;
	}
	return true;
}

bool config_read_enclave(struct config_builder *builder)
{
	struct config *config = builder->config;
	struct enclave *enclaves =
		config_grow(builder, config->enclaves, config->enclave_count, sizeof(*enclaves));
	if (!enclaves)
		return false;
	config->enclaves = enclaves;
	config->enclave_count++;
	builder->has_enclave = true;
	builder->enclave_seen = 0;
	current_enclave(builder)->line = builder->line->number;
	const struct config_key keys[] = {{"cid", read_cids, NULL}};
	return read_enclave_name(builder) && config_read_keys(builder, 2, keys, ARRAY_SIZE(keys));
}

// ---------------------------------------------------------------- allow, deny

static bool read_pattern(struct config_builder *builder, struct rule *rule)
{
	const struct conf_word *word = &builder->line->words[1];
	struct parse_error inner;
	if (!pattern_parse(word->text, word->length, &rule->pattern, &inner))
		return config_fail_parse(builder, word, &inner);
	return true;
}

// As patterns do: resolved addresses are looked at unmapped, and a mapped block would match none.
static void unmap_block(struct address_block *block)
{
	struct address plain = address_unmap(&block->base);
	if (plain.family == block->base.family || block->prefix_length < 96)
		return;
	block->base = plain;
	block->prefix_length -= 96;
}

static bool read_to(struct config_builder *builder, const struct conf_word *value, void *target)
{
	struct rule *rule = target;
	if (rule->action == RULE_DENY)
		return config_fail(builder, value, "to= belongs to allow rules");
	if (rule->pattern.kind == PATTERN_BLOCK)
		return config_fail(builder, value, "to= belongs to rules for names");
	struct conf_word rest = *value;
	struct conf_word piece;
	while (config_next_piece(&rest, &piece)) {
		struct address_block *to =
			config_grow(builder, rule->to, rule->to_count, sizeof(*to));
		if (!to)
			return false;
		rule->to = to;
		struct parse_error inner;
		if (!address_block_parse(piece.text, piece.length, &to[rule->to_count], &inner))
			return config_fail_parse(builder, &piece, &inner);
		unmap_block(&to[rule->to_count]);
		rule->to_count++;
	}
	return true;
}

static bool read_rule(struct config_builder *builder, enum rule_action action)
{
	struct enclave *enclave = current_enclave(builder);
	struct rule *rules =
		config_grow(builder, enclave->rules, enclave->rule_count, sizeof(*rules));
	if (!rules)
		return false;
	enclave->rules = rules;
	struct rule *rule = &rules[enclave->rule_count++];
	rule->action = action;
	rule->line = builder->line->number;
	const struct config_key keys[] = {{"to", read_to, rule}};
	return read_pattern(builder, rule) && config_read_keys(builder, 2, keys, ARRAY_SIZE(keys));
}

static bool read_allow(struct config_builder *builder)
{
	return read_rule(builder, RULE_ALLOW);
}

static bool read_deny(struct config_builder *builder)
{
	return read_rule(builder, RULE_DENY);
}

// ---------------------------------------------------------------- limit connections=N rate=N/s

#define LIMIT_MAX 10000000ul

static bool read_limit_number(
	struct config_builder *builder, const struct conf_word *value, void *target)
{
	unsigned long number;
	if (!parse_number(value->text, value->length, LIMIT_MAX, &number) || number == 0)
		return config_fail(builder, value, "expected a number from 1 to %lu", LIMIT_MAX);
	*(unsigned *)target = (unsigned)number;
	return true;
}

static bool read_rate(struct config_builder *builder, const struct conf_word *value, void *target)
{
	struct conf_word number = *value;
	if (value->length < 2 || memcmp(value->text + value->length - 2, "/s", 2) != 0)
		return config_fail(builder, value, "expected a rate such as 500/s");
	number.length -= 2;
	return read_limit_number(builder, &number, target);
}

static bool read_limit(struct config_builder *builder)
{
	struct enclave *enclave = current_enclave(builder);
	const struct config_key keys[] = {
		{"connections", read_limit_number, &enclave->max_connections},
		{"rate", read_rate, &enclave->max_rate},
	};
	return config_read_keys(builder, 1, keys, ARRAY_SIZE(keys));
}

// ---------------------------------------------------------------- upstream URL

static bool read_upstream_kind(
	const struct conf_word *word, struct upstream *upstream, struct conf_word *rest)
{
	if (config_strip_prefix(word, "http://", rest))
		upstream->kind = UPSTREAM_HTTP;
	else if (config_strip_prefix(word, "socks5://", rest))
		upstream->kind = UPSTREAM_SOCKS5;
	else
		return false;
	return true;
}

static bool read_upstream(struct config_builder *builder)
{
	struct upstream *upstream = &current_enclave(builder)->upstream;
	const struct conf_word *word = &builder->line->words[1];
	if (conf_word_is(word, "direct"))
		return true;
	struct conf_word rest;
	struct conf_word host;
	if (!read_upstream_kind(word, upstream, &rest))
		return config_fail(
			builder, word, "expected direct, http://HOST:PORT or socks5://HOST:PORT");
	if (!config_split_port(builder, &rest, 0, &host, &upstream->port))
		return false;
	struct address address;
	if (address_parse(host.text, host.length, &address, NULL)) {
		address_format(&address, upstream->host);
		return true;
	}
	struct parse_error inner;
	if (!name_from_text(host.text, host.length, upstream->host, &inner))
		return config_fail_parse(builder, &host, &inner);
	return true;
}

// ---------------------------------------------------------------- the block

static const struct config_directive indented_directives[] = {
	{"allow", 2, 3, true, read_allow},
	{"deny", 2, 3, true, read_deny},
	{"limit", 2, 3, false, read_limit},
	{"upstream", 2, 2, false, read_upstream},
};

bool config_read_indented(struct config_builder *builder)
{
	if (!builder->has_enclave)
		return config_fail(builder, &builder->line->words[0],
			"an indented line belongs below an enclave directive");
	return config_run_directive(builder, indented_directives, ARRAY_SIZE(indented_directives),
		&builder->enclave_seen);
}
