// SPDX-License-Identifier: MIT
// Any text is refused with a place inside it, or understood; what was understood is printed, and
// the print must be understood as the same.
#include "preload/shared/settings.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static char *print(const struct settings *settings, size_t *size)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, size);

	require(out != NULL);
	settings_print(settings, out);
	fclose(out);
	return text;
}

static void check_round_trip(const struct settings *settings)
{
	size_t first_size, second_size;
	char *first = print(settings, &first_size);
	struct settings again;
	struct conf_error error;
	char *second;

	require(settings_parse(first, first_size, &again, &error));
	require(again.route_count == settings->route_count);
	second = print(&again, &second_size);
	require(first_size == second_size && memcmp(first, second, first_size) == 0);
	settings_clear(&again);
	free(second);
	free(first);
}

static void check_routes(const struct settings *settings)
{
	struct address loopback = {.family = ADDRESS_IPV4, .bytes = {127, 0, 0, 1}};
	const struct route *route = settings_find_route(settings, NULL, &loopback, 80);

	require(settings->is_hairpin || route->action == ROUTE_LOCAL);
	route = settings_find_route(settings, "a.example.com", NULL, 443);
	require(!route ||
		(route >= settings->routes && route < settings->routes + settings->route_count));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct settings settings;
	struct conf_error error = {0};

	if (settings_parse((const char *)data, size, &settings, &error)) {
		check_round_trip(&settings);
		check_routes(&settings);
	} else {
		require(error.line >= 1 && error.column >= 1 && error.reason[0] != '\0');
		require(settings.routes == NULL && settings.route_count == 0);
	}
	settings_clear(&settings);
	return 0;
}
