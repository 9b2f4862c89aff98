// SPDX-License-Identifier: MIT
// The configuration as text again: every setting is written out, defaults included, so that what is
// printed reads as what was understood.
#include "hostd/config.h"

#include <string.h>

static void print_listen(const struct listen *listen, FILE *out)
{
	char text[ENDPOINT_TEXT_SIZE];
	fprintf(out, "listen %s", endpoint_format(&listen->endpoint, text));
	if (listen->endpoint.transport == ENDPOINT_UNIX)
		fprintf(out, " cid=%u mode=%04o", listen->cid, listen->mode);
	fputc('\n', out);
}

static void print_host_port(const char *host, uint16_t port, FILE *out)
{
	bool is_ipv6 = strchr(host, ':') != NULL;
	fprintf(out, "%s%s%s:%u\n", is_ipv6 ? "[" : "", host, is_ipv6 ? "]" : "", port);
}

static void print_block(const struct address_block *block, FILE *out)
{
	char text[ADDRESS_TEXT_SIZE];
	fprintf(out, "%s/%u", address_format(&block->base, text), block->prefix_length);
}

static void print_rule(const struct rule *rule, FILE *out)
{
	char text[NAME_SIZE + 16 * PATTERN_MAX_PORT_RANGES];
	fprintf(out, "  %s %s", rule->action == RULE_ALLOW ? "allow" : "deny",
		pattern_format(&rule->pattern, text, sizeof(text)));
	for (size_t i = 0; i < rule->to_count; i++) {
		fputs(i ? "," : " to=", out);
		print_block(&rule->to[i], out);
	}
	fputc('\n', out);
}

static void print_limit(const struct enclave *enclave, FILE *out)
{
	if (!enclave->max_connections && !enclave->max_rate)
		return;
	fputs("  limit", out);
	if (enclave->max_connections)
		fprintf(out, " connections=%u", enclave->max_connections);
	if (enclave->max_rate)
		fprintf(out, " rate=%u/s", enclave->max_rate);
	fputc('\n', out);
}

static void print_upstream(const struct upstream *upstream, FILE *out)
{
	if (upstream->kind == UPSTREAM_DIRECT) {
		fputs("  upstream direct\n", out);
		return;
	}
	const char *scheme = upstream->kind == UPSTREAM_HTTP ? "http" : "socks5";
	fprintf(out, "  upstream %s://", scheme);
	print_host_port(upstream->host, upstream->port, out);
}

static void print_enclave(const struct enclave *enclave, FILE *out)
{
	fprintf(out, "enclave %s cid=", enclave->name);
	for (size_t i = 0; i < enclave->cid_count; i++)
		fprintf(out, "%s%u", i ? "," : "", enclave->cids[i]);
	fputc('\n', out);
	for (size_t i = 0; i < enclave->rule_count; i++)
		print_rule(&enclave->rules[i], out);
	print_limit(enclave, out);
	print_upstream(&enclave->upstream, out);
}

static void print_resolvers(const char *resolvers, FILE *out)
{
	fputs("resolver ", out);
	if (resolvers[0] == '\0')
		fputs("system", out);
	for (const char *at = resolvers; *at != '\0'; at++)
		fputc(*at == ',' ? ' ' : *at, out);
	fputc('\n', out);
}

static void print_services(const struct config *config, FILE *out)
{
	char text[ENDPOINT_TEXT_SIZE];
	if (config->metrics_address.family != ADDRESS_NONE) {
		fputs("metrics tcp:", out);
		address_format(&config->metrics_address, text);
		print_host_port(text, config->metrics_port, out);
	}
	if (config->admin.transport)
		fprintf(out, "admin %s\n", endpoint_format(&config->admin, text));
}

void config_print(const struct config *config, FILE *out)
{
	static const char *const levels[] = {
		[LOG_LEVEL_ERROR] = "error",
		[LOG_LEVEL_WARN] = "warn",
		[LOG_LEVEL_INFO] = "info",
		[LOG_LEVEL_DEBUG] = "debug",
	};
	for (size_t i = 0; i < config->listen_count; i++)
		print_listen(&config->listens[i], out);
	if (config->workers)
		fprintf(out, "workers %u\n", config->workers);
	else
		fputs("workers auto\n", out);
	for (size_t i = 0; i < config->enclave_count; i++)
		print_enclave(&config->enclaves[i], out);
	fprintf(out, "timeout header=%lums dial=%lums idle=%lums drain=%lums\n",
		config->header_timeout, config->dial_timeout, config->idle_timeout,
		config->drain_timeout);
	print_services(config, out);
	print_resolvers(config->resolvers, out);
	fprintf(out, "log %s\n", levels[config->log_level]);
}
