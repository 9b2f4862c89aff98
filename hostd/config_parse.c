// SPDX-License-Identifier: MIT
// Reads the configuration's text: a table of top-level directives, and after the last line the
// questions that only a whole file can answer.
#include "hostd/config_build.h"

#include <stdio.h>
#include <string.h>

#include <linux/vm_sockets.h>

// ---------------------------------------------------------------- listen ENDPOINT [cid=N]
// [mode=OCTAL]

static bool read_mode(struct config_builder *builder, const struct conf_word *value, void *target)
{
	unsigned mode = 0;
	for (size_t i = 0; i < value->length; i++) {
		if (value->text[i] < '0' || value->text[i] > '7' || mode > 0777)
			return config_fail(builder, value, "expected permission bits such as 0660");
		mode = mode * 8 + (unsigned)(value->text[i] - '0');
	}
	if (value->length == 0 || mode == 0 || mode > 0777)
		return config_fail(builder, value, "expected permission bits such as 0660");
	*(unsigned *)target = mode;
	return true;
}

static bool have_overlap(const struct endpoint *a, const struct endpoint *b)
{
	if (a->transport != b->transport)
		return false;
	if (a->transport == ENDPOINT_UNIX)
		return a->path_length == b->path_length &&
		       memcmp(a->path, b->path, a->path_length) == 0;
	bool has_common_cid =
		a->cid == b->cid || a->cid == VMADDR_CID_ANY || b->cid == VMADDR_CID_ANY;
	return has_common_cid && a->port_first <= b->port_last && b->port_first <= a->port_last;
}

static bool check_listen(struct config_builder *builder, const struct listen *listen, bool has_cid)
{
	const struct config *config = builder->config;
	const struct conf_line *line = builder->line;
	if (listen->endpoint.transport == ENDPOINT_UNIX && !has_cid)
		return config_fail(
			builder, &line->words[1], "needs cid=, the CID that its peers stand for");
	if (listen->endpoint.transport == ENDPOINT_VSOCK && line->count > 2)
		return config_fail(builder, &line->words[2], "belongs to unix endpoints");
	for (size_t i = 0; i + 1 < config->listen_count; i++) {
		if (have_overlap(&config->listens[i].endpoint, &listen->endpoint))
			return config_fail(builder, &line->words[1],
				"is already listened on by line %u", config->listens[i].line);
	}
	return true;
}

static bool read_listen(struct config_builder *builder)
{
	struct config *config = builder->config;
	struct listen *listens =
		config_grow(builder, config->listens, config->listen_count, sizeof(*listens));
	if (!listens)
		return false;
	config->listens = listens;
	struct listen *listen = &listens[config->listen_count++];
	listen->line = builder->line->number;
	listen->cid = VMADDR_CID_ANY; // what no cid= can say
	if (!config_parse_endpoint(builder, &builder->line->words[1], true, &listen->endpoint))
		return false;
	if (listen->endpoint.transport == ENDPOINT_UNIX)
		listen->mode = 0660;
	const struct config_key keys[] = {
		{"cid", config_parse_cid, &listen->cid},
		{"mode", read_mode, &listen->mode},
	};
	if (!config_read_keys(builder, 2, keys, ARRAY_SIZE(keys)))
		return false;
	return check_listen(builder, listen, listen->cid != VMADDR_CID_ANY);
}

// ---------------------------------------------------------------- workers, timeout, log

#define WORKERS_MAX 256

static bool read_workers(struct config_builder *builder)
{
	const struct conf_word *word = &builder->line->words[1];
	unsigned long number;
	if (conf_word_is(word, "auto"))
		return true;
	if (!parse_number(word->text, word->length, WORKERS_MAX, &number) || number == 0)
		return config_fail(builder, word, "expected auto or 1 to %d", WORKERS_MAX);
	builder->config->workers = (unsigned)number;
	return true;
}

static bool read_duration(
	struct config_builder *builder, const struct conf_word *value, void *target)
{
	if (!conf_word_duration(value, target))
		return config_fail(builder, value, "expected a time such as 250ms, 5s, 2m or 1h");
	return true;
}

static bool read_positive_duration(
	struct config_builder *builder, const struct conf_word *value, void *target)
{
	if (!read_duration(builder, value, target))
		return false;
	if (*(unsigned long *)target == 0)
		return config_fail(builder, value, "must not be zero");
	return true;
}

static bool read_timeout(struct config_builder *builder)
{
	struct config *config = builder->config;
	const struct config_key keys[] = {
		{"header", read_positive_duration, &config->header_timeout},
		{"dial", read_positive_duration, &config->dial_timeout},
		{"idle", read_positive_duration, &config->idle_timeout},
		{"drain", read_duration, &config->drain_timeout},
	};
	return config_read_keys(builder, 1, keys, ARRAY_SIZE(keys));
}

static bool read_log(struct config_builder *builder)
{
	static const char *const levels[] = {
		[LOG_LEVEL_ERROR] = "error",
		[LOG_LEVEL_WARN] = "warn",
		[LOG_LEVEL_INFO] = "info",
		[LOG_LEVEL_DEBUG] = "debug",
	};
	const struct conf_word *word = &builder->line->words[1];
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		if (conf_word_is(word, levels[i])) {
			builder->config->log_level = (enum log_level)i;
			return true;
		}
	}
	return config_fail(builder, word, "expected error, warn, info or debug");
}

// ---------------------------------------------------------------- metrics, admin, resolver

static bool parse_socket_address(struct config_builder *builder, const struct conf_word *word,
	uint16_t default_port, struct address *address, uint16_t *port)
{
	struct conf_word host;
	struct parse_error inner;
	if (!config_split_port(builder, word, default_port, &host, port))
		return false;
	if (!address_parse(host.text, host.length, address, &inner))
		return config_fail_parse(builder, &host, &inner);
	return true;
}

static bool read_metrics(struct config_builder *builder)
{
	struct config *config = builder->config;
	struct conf_word rest;
	if (!config_strip_prefix(&builder->line->words[1], "tcp:", &rest))
		return config_fail(builder, &builder->line->words[1], "expected tcp:ADDRESS:PORT");
	return parse_socket_address(
		builder, &rest, 0, &config->metrics_address, &config->metrics_port);
}

static bool read_admin(struct config_builder *builder)
{
	const struct conf_word *word = &builder->line->words[1];
	struct endpoint *admin = &builder->config->admin;
	if (!config_parse_endpoint(builder, word, false, admin))
		return false;
	// An abstract name has no permission bits, and the admin socket rests on them.
	if (admin->transport != ENDPOINT_UNIX || admin->path[0] == '\0')
		return config_fail(builder, word, "expected unix:PATH");
	return true;
}

#define DNS_PORT 53

static bool add_resolver(struct config_builder *builder, const struct conf_word *word)
{
	char *resolvers = builder->config->resolvers;
	size_t used = strlen(resolvers);
	struct address address;
	uint16_t port;
	if (!parse_socket_address(builder, word, DNS_PORT, &address, &port))
		return false;
	char text[ADDRESS_TEXT_SIZE];
	char one[ADDRESS_TEXT_SIZE + sizeof(",[]:65535")];
	bool is_ipv6 = address.family == ADDRESS_IPV6; // in brackets before a port
	snprintf(one, sizeof(one), "%s%s%s%s:%u", used ? "," : "", is_ipv6 ? "[" : "",
		address_format(&address, text), is_ipv6 ? "]" : "", port);
	if (used + strlen(one) >= sizeof(builder->config->resolvers))
		return config_fail(builder, word, "is one resolver too many");
	memcpy(resolvers + used, one, strlen(one) + 1);
	return true;
}

static bool read_resolver(struct config_builder *builder)
{
	const struct conf_line *line = builder->line;
	if (line->count == 2 && conf_word_is(&line->words[1], "system"))
		return true;
	for (size_t i = 1; i < line->count; i++) {
		if (!add_resolver(builder, &line->words[i]))
			return false;
	}
	return true;
}

// ---------------------------------------------------------------- the whole

static const struct config_directive directives[] = {
	{"listen", 2, 4, true, read_listen},
	{"workers", 2, 2, false, read_workers},
	{"enclave", 3, 3, true, config_read_enclave},
	{"timeout", 2, 5, false, read_timeout},
	{"metrics", 2, 2, false, read_metrics},
	{"admin", 2, 2, false, read_admin},
	{"resolver", 2, CONF_MAX_WORDS, false, read_resolver},
	{"log", 2, 2, false, read_log},
};

static bool read_line(struct config_builder *builder)
{
	if (builder->line->is_indented)
		return config_read_indented(builder);
	builder->has_enclave = false;
	return config_run_directive(builder, directives, ARRAY_SIZE(directives), &builder->seen);
}

static bool check_whole(struct config_builder *builder, unsigned last_line)
{
	if (builder->config->listen_count > 0)
		return true;
	*builder->error = (struct conf_error){.line = last_line, .column = 1};
	snprintf(builder->error->reason, sizeof(builder->error->reason),
		"there is no listen directive");
	return false;
}

bool config_read_text(
	struct config *config, const char *text, size_t length, struct conf_error *error)
{
	struct config_builder builder = {.config = config, .error = error};
	struct conf_reader reader;
	struct conf_line line;
	int result;
	conf_begin(&reader, text, length);
	while ((result = conf_next_line(&reader, &line, error)) == 1) {
		builder.line = &line;
		if (!read_line(&builder))
			return false;
	}
	return result == 0 && check_whole(&builder, reader.line ? reader.line : 1);
}
