// SPDX-License-Identifier: MIT
// getaddrinfo() in every way to call it. usage: names CASE NAME SERVICE [NAME...]; the words NULL
// stand for null pointers
#include "tests/behaviour/names.h"

static void look_up(const char *node, const char *service, const struct addrinfo *hints)
{
	struct addrinfo *list = NULL;

	errno = EXDEV;
	int code = getaddrinfo(node, service, hints, &list);
	int error = errno;
	if (hints)
		say("%.60s %s, %s flags %x type %d protocol %d: %s", or_null(node),
			or_null(service), family_name(hints->ai_family), hints->ai_flags,
			hints->ai_socktype, hints->ai_protocol, code_name(code));
	else
		say("%.60s %s, no hints: %s", or_null(node), or_null(service), code_name(code));
	if (code == EAI_AGAIN || code == EAI_SYSTEM)
		say("    errno %s", error_name(error));
	if (code != 0)
		return;
	say_list(list);
	freeaddrinfo(list);
}

static const char *null_word(const char *text)
{
	return strcmp(text, "NULL") == 0 ? NULL : text;
}

static void run_table(void)
{
	static const int families[] = {AF_UNSPEC, AF_INET, AF_INET6, AF_UNIX, 77};
	static const int flags[] = {0, AI_PASSIVE, AI_CANONNAME, AI_NUMERICHOST, AI_V4MAPPED,
		AI_V4MAPPED | AI_ALL, AI_ALL, AI_CANONNAME | AI_CANONIDN, AI_IDN, AI_NUMERICSERV,
		AI_PASSIVE | AI_CANONNAME | AI_V4MAPPED, 0x8000};
	const char *node = null_word(probe_host), *service = null_word(probe_port);

	for (size_t f = 0; f < sizeof(families) / sizeof(families[0]); f++) {
		for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
			struct addrinfo hints = {.ai_family = families[f], .ai_flags = flags[i]};

			look_up(node, service, &hints);
			hints.ai_socktype = SOCK_STREAM;
			look_up(node, service, &hints);
		}
	}
	look_up(node, service, NULL);
}

static void run_exact_table(void)
{
	is_exact = true;
	run_table();
}

static void run_types(void)
{
	static const int types[] = {0, SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET, 99};
	static const int protocols[] = {0, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, 200};
	static const char *const services[] = {NULL, "", "0", "443", "65535", "65536", "-1", " 80",
		"80x", "http", "domain", "tftp", "no-such-service", "*"};

	for (size_t s = 0; s < sizeof(services) / sizeof(services[0]); s++) {
		for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
			for (size_t p = 0; p < sizeof(protocols) / sizeof(protocols[0]); p++) {
				struct addrinfo hints = {
					.ai_socktype = types[t], .ai_protocol = protocols[p]};
				look_up(probe_host, services[s], &hints);
			}
		}
	}
}

static void run_many(void)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};

	look_up(probe_host, probe_port, &hints);
	for (char **name = probe_arguments; *name; name++)
		look_up(*name, probe_port, &hints);
}

static void run_exact_many(void)
{
	is_exact = true;
	run_many();
}

// Names that no DNS message can carry, and those that just fit.
static void run_lengths(void)
{
	static const struct {
		size_t label, total;
	} cases[] = {{63, 253}, {63, 254}, {63, 255}, {63, 256}, {64, 70}, {1, 253}, {1, 255},
		{63, 1000}};
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	char name[1100];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(name, 'a', sizeof(name));
		for (size_t dot = cases[i].label; dot < cases[i].total - 1;
			dot += cases[i].label + 1)
			name[dot] = '.';
		name[cases[i].total] = '\0';
		say("labels of %zu, %zu bytes", cases[i].label, cases[i].total);
		look_up(name, "80", &hints);
		strcat(name, ".");
		look_up(name, "80", &hints);
	}
}

static const struct probe_case cases[] = {
	{"table", run_table},
	{"exact-table", run_exact_table},
	{"types", run_types},
	{"many", run_many},
	{"exact-many", run_exact_many},
	{"lengths", run_lengths},
};

PROBE_MAIN(cases)
