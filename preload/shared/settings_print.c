// SPDX-License-Identifier: MIT
#include "preload/shared/settings.h"
#include "preload/shared/settings_tls.h"

#define PATTERN_TEXT_SIZE 512 // the longest name and sixteen port ranges

static void print_block(const struct address_block *block, FILE *out)
{
	char text[ADDRESS_TEXT_SIZE];

	fprintf(out, " %s/%u", address_format(&block->base, text), block->prefix_length);
}

static void print_route(const struct route *route, FILE *out)
{
	char text[PATTERN_TEXT_SIZE];

	fprintf(out, "route %s %s", pattern_format(&route->pattern, text, sizeof(text)),
		settings_action_name(route->action));
	if (route->action == ROUTE_TLS)
		settings_tls_print(&route->tls, out);
	fputc('\n', out);
}

void settings_print(const struct settings *settings, FILE *out)
{
	static const char *const gate_words[] = {
		[GATE_AUTO] = "auto", [GATE_ON] = "on", [GATE_OFF] = "off"};
	char text[ENDPOINT_TEXT_SIZE];

	fprintf(out, "hostd %s\n", endpoint_format(&settings->hostd, text));
	for (size_t i = 0; i < settings->route_count; i++)
		print_route(&settings->routes[i], out);
	fprintf(out, "names %s\n", settings->names == NAMES_POOL ? "pool" : "resolve");
	fputs("pool", out);
	print_block(&settings->pool_ipv4, out);
	print_block(&settings->pool_ipv6, out);
	fprintf(out, "\ngate %s\n", gate_words[settings->gate]);
	fprintf(out, "hairpin %s\n", settings->is_hairpin ? "on" : "off");
	fprintf(out, "tls-listen %s\n", endpoint_format(&settings->tls_listen, text));
	fprintf(out, "ca %s\n", settings->ca);
	fprintf(out, "nsm %s\n", settings_nsm_name(settings, text));
	if (settings->report.transport != 0)
		fprintf(out, "report %s\n", endpoint_format(&settings->report, text));
	if (settings->log_level != SETTINGS_LOG_NONE)
		fprintf(out, "log %s\n", settings_log_level_name(settings->log_level));
}
