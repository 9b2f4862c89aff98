// SPDX-License-Identifier: MIT
// `airlock explain HOST:PORT`: the same decision as the library's, then the same questions to
// hostd, up to a stream that is opened for real and closed without a byte in it.
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "preload/launcher/message.h"
#include "preload/launcher/subcommands.h"
#include "preload/shared/control_client.h"
#include "preload/shared/name_pool.h"
#include "preload/shared/settings.h"
#include "wire/stream.h"

#define DECISION_TIMEOUT 30000 // ms; hostd's own default for a dial is 10 s

struct destination {
	char name[NAME_SIZE]; // empty: an address was given
	struct address address;
	uint16_t port;
};

static bool parse_host(
	const char *text, size_t length, struct destination *destination, struct parse_error *error)
{
	static const char *const loopback_names[] = {"localhost", "localhost."};

	if (length >= 2 && text[0] == '[' && text[length - 1] == ']')
		return address_parse(text + 1, length - 2, &destination->address, error);
	if (address_parse(text, length, &destination->address, NULL))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(loopback_names);
		i++) { // RFC 6761, 6.3: never asked outside
		if (strlen(loopback_names[i]) == length &&
			strncasecmp(text, loopback_names[i], length) == 0)
			return address_parse("127.0.0.1", 9, &destination->address, error);
	}
	return name_from_text(text, length, destination->name, error);
}

static bool parse_destination(
	const char *text, struct destination *destination, struct parse_error *error)
{
	const char *colon = strrchr(text, ':');
	unsigned long port;

	memset(destination, 0, sizeof(*destination));
	if (!colon)
		return parse_fail(error, 0, "not of the form HOST:PORT");
	if (!parse_number(colon + 1, strlen(colon + 1), UINT16_MAX, &port) || port == 0)
		return parse_fail(error, 0, "port is not a number from 1 to 65535");
	destination->port = (uint16_t)port;
	if (text[0] != '[' && memchr(text, ':', (size_t)(colon - text)))
		return parse_fail(error, 0, "an IPv6 address needs brackets: [ADDRESS]:PORT");
	return parse_host(text, (size_t)(colon - text), destination, error);
}

static const struct route *find_route(
	const struct settings *settings, const struct destination *destination)
{
	const char *name = destination->name[0] != '\0' ? destination->name : NULL;

	return settings_find_route(settings, name, &destination->address, destination->port);
}

static void print_route(const struct route *route)
{
	char pattern[NAME_SIZE + 256];

	if (!route)
		printf("route: none matches, so it is denied\n");
	else if (route->line == 0)
		printf("route: loopback, left to the kernel (built in)\n");
	else
		printf("route: %s %s (line %u)\n",
			pattern_format(&route->pattern, pattern, sizeof(pattern)),
			settings_action_name(route->action), route->line);
}

static int report_unreachable(const char *who, const struct endpoint *endpoint, int error)
{
	char text[ENDPOINT_TEXT_SIZE];

	printf("%s: %s: %s\n", who, endpoint_format(endpoint, text), message_for_control(error));
	return EXIT_TRANSPORT;
}

static void print_addresses(const struct control_addresses *addresses)
{
	char text[ADDRESS_TEXT_SIZE];

	for (size_t i = 0; i < addresses->count; i++)
		printf(" %s", address_format(&addresses->addresses[i], text));
	printf(" (valid for %u s)\n", addresses->ttl);
}

// Returns EXIT_OK, EXIT_NO or EXIT_TRANSPORT.
static int explain_name(const struct settings *settings, const char *name)
{
	struct control_addresses addresses;
	int error = control_client_resolve(&settings->hostd, name, &addresses);

	if (error == -EACCES) {
		printf("name: hostd's rules do not let this enclave ask for it\n");
		return EXIT_NO;
	}
	if (error)
		return report_unreachable("hostd", &settings->hostd, error);
	printf("name:");
	if (addresses.failure != OUTCOME_NONE) {
		printf(" %s\n", outcome_class_name(addresses.failure));
		return EXIT_NO;
	}
	print_addresses(&addresses);
	return EXIT_OK;
}

static void fill_request(const struct settings *settings, const struct destination *destination,
	uint16_t port, struct request *request)
{
	const struct address_block *pool = &settings->pool_ipv4;

	memset(request, 0, sizeof(*request));
	request->verb = REQUEST_CONNECT;
	control_client_identify(request);
	request->destination = destination->address;
	request->destination_port = port;
	if (destination->name[0] != '\0')
		name_pool_address(pool, 0, &request->destination);
	else if (destination->address.family == ADDRESS_IPV6)
		pool = &settings->pool_ipv6;
	name_pool_own_address(pool, &request->source);
	strcpy(request->name, destination->name);
}

// With the gate, writability says that the destination has answered; STATUS is right without it as
// well.
static int wait_for_decision(const struct endpoint *endpoint, int fd, const struct request *request,
	struct outcome *outcome)
{
	struct pollfd item = {.fd = fd, .events = POLLOUT};
	int error;

	if (poll(&item, 1, DECISION_TIMEOUT) == 0)
		return -ETIMEDOUT;
	error = control_client_status(endpoint, request->id, true, DECISION_TIMEOUT, outcome);
	if (!error && outcome->class == OUTCOME_NONE && stream_probe(fd) != 0)
		outcome_set(outcome, OUTCOME_STAGE_RELAY, OUTCOME_RESET, "closed at once");
	return error;
}

// What airlock-tls has negotiated, one field a line. Nothing when it is not asked or does not know.
static void print_description(const struct endpoint *endpoint, const struct request *request)
{
	char text[CONTROL_MAX_PAYLOAD + 1];
	char *rest = text;
	char *field;

	if (control_client_describe(endpoint, request->id, text, sizeof(text)) < 0)
		return;
	while ((field = strsep(&rest, ";")) != NULL) {
		field += strspn(field, " ");
		if (*field != '\0')
			printf("tls: %s\n", field);
	}
}

static int open_stream(const struct endpoint *endpoint, const struct request *request, bool is_tls,
	struct outcome *outcome)
{
	uint8_t bytes[REQUEST_SIZE];
	int send_buffer;
	int fd, error;

	fd = stream_dial(endpoint);
	if (fd < 0)
		return fd;
	request_encode(request, bytes);
	error = stream_send_request(fd, endpoint->transport, bytes, &send_buffer);
	if (!error)
		error = wait_for_decision(endpoint, fd, request, outcome);
	if (!error && is_tls && outcome->class == OUTCOME_NONE)
		print_description(endpoint, request);
	close(fd);
	return error;
}

// A tls route's stream goes the way of the program's, through airlock-tls, handshake included;
// where that is not there, at least hostd is asked for the port behind it.
static int explain_stream(const struct settings *settings, const struct destination *destination,
	const struct route *route, bool is_tls)
{
	const struct endpoint *endpoint = is_tls ? &settings->tls_listen : &settings->hostd;
	bool has_other_port = route->action == ROUTE_TLS && route->tls.port != 0;
	uint16_t port = has_other_port ? route->tls.port : destination->port;
	struct request request;
	struct outcome outcome;
	int error, program_error;

	fill_request(settings, destination, is_tls ? destination->port : port, &request);
	error = open_stream(endpoint, &request, is_tls, &outcome);
	if (error)
		return report_unreachable(is_tls ? "airlock-tls" : "hostd", endpoint, error);
	if (outcome.class == OUTCOME_NONE) {
		printf("stream: granted, port %u answers\n", port);
		return EXIT_OK;
	}
	program_error = outcome_errno(outcome.class);
	printf("stream: %s, %s: %s\n", outcome_stage_name(outcome.stage),
		outcome_class_name(outcome.class), outcome.text);
	printf("program: connect() fails with %s (%s)\n", strerrorname_np(program_error),
		strerror(program_error));
	return EXIT_NO;
}

// A tls route never falls back to plaintext: without airlock-tls the answer is no, whatever hostd
// says.
static int explain_tls(const struct settings *settings)
{
	char endpoint[ENDPOINT_TEXT_SIZE], version[64];
	int error = control_client_ping(&settings->tls_listen, version, sizeof(version));

	if (error) {
		printf("tls: airlock-tls at %s: %s; connections are refused%s\n",
			endpoint_format(&settings->tls_listen, endpoint),
			message_for_control(error),
			error == -ENETUNREACH ? " until `airlock run` starts it" : "");
		return EXIT_NO;
	}
	printf("tls: %s answers\n", version);
	return EXIT_OK;
}

static int explain_routed(const struct settings *settings, const struct destination *destination,
	const struct route *route)
{
	bool is_tls = route->action == ROUTE_TLS;
	int tls_code = is_tls ? explain_tls(settings) : EXIT_OK;
	int code =
		destination->name[0] != '\0' ? explain_name(settings, destination->name) : EXIT_OK;

	if (code != EXIT_TRANSPORT) // a name that is not found is told by the stream's outcome too
		code = explain_stream(settings, destination, route, is_tls && tls_code == EXIT_OK);
	return code == EXIT_OK ? tls_code : code;
}

static int explain(const struct settings *settings, const struct destination *destination)
{
	const struct route *route = find_route(settings, destination);

	print_route(route);
	if (!route || route->action == ROUTE_DENY) {
		printf("program: connect() fails with EACCES (%s)\n", strerror(EACCES));
		return EXIT_NO;
	}
	if (route->action == ROUTE_LOCAL) {
		printf("program: connect() is the kernel's own; hostd is not asked\n");
		return EXIT_OK;
	}
	return explain_routed(settings, destination, route);
}

int explain_subcommand(const struct invocation *invocation)
{
	const char *text = invocation->arguments[0];
	struct destination destination;
	struct settings settings;
	struct parse_error error;
	char problem[512];
	int code;

	if (!parse_destination(text, &destination, &error)) {
		message_print("%s: %s", text, error.reason);
		return EXIT_USAGE;
	}
	if (!settings_load(invocation->conf, &settings, problem, sizeof(problem))) {
		message_print("%s", problem);
		return EXIT_USAGE;
	}
	code = explain(&settings, &destination);
	settings_clear(&settings);
	return code;
}
