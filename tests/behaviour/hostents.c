// SPDX-License-Identifier: MIT
// gethostbyname() and its relatives, and the way back from addresses to names. usage: hostents CASE
// NAME SERVICE [NAME...]
#include <pthread.h>

#include "tests/behaviour/names.h"

static void ask_hostent(const char *name, int family)
{
	struct hostent memory, *host = &memory;
	char buffer[8192];
	int error = 99;

	int code = gethostbyname2_r(name, family, &memory, buffer, sizeof(buffer), &host, &error);
	say("gethostbyname2_r %s %s: %s, %s, h_errno %d", name, family_name(family),
		error_name(code), host ? "found" : "NULL", host ? 0 : error);
	say_hostent(host);
	h_errno = 99;
	host = gethostbyname2(name, family);
	say("gethostbyname2 %s %s: %s, h_errno %d", name, family_name(family),
		host ? "found" : "NULL", host ? 0 : h_errno);
	say_hostent(host);
}

static void ask_hostents(const char *name)
{
	struct hostent memory, *host = &memory;
	char buffer[8192];
	int error = 99;

	ask_hostent(name, AF_INET);
	ask_hostent(name, AF_INET6);
	ask_hostent(name, AF_UNIX);
	int code = gethostbyname_r(name, &memory, buffer, sizeof(buffer), &host, &error);
	say("gethostbyname_r %s: %s, %s, h_errno %d", name, error_name(code),
		host ? "found" : "NULL", host ? 0 : error);
	say_hostent(host);
	host = gethostbyname(name);
	say("gethostbyname %s: %s, h_errno %d", name, host ? "found" : "NULL", host ? 0 : h_errno);
	say_hostent(host);
}

static void run_hostents(void)
{
	ask_hostents(probe_host);
	for (char **name = probe_arguments; *name; name++)
		ask_hostents(*name);
}

static void run_exact_hostents(void)
{
	is_exact = true;
	run_hostents();
}

// Grows the buffer until it is enough: every smaller one must say ERANGE, and none be overrun.
static void run_small_buffers(void)
{
	char buffer[2048];
	size_t size = 0;

	for (; size < sizeof(buffer); size++) {
		struct hostent memory, *host = &memory;
		int error = 99;

		memset(buffer, 0x5a, sizeof(buffer));
		int code = gethostbyname_r(probe_host, &memory, buffer, size, &host, &error);
		for (size_t i = size; i < sizeof(buffer); i++) {
			if (buffer[i] != 0x5a)
				give_up("overrun");
		}
		if (code == 0)
			break;
		if (code != ERANGE || error != NETDB_INTERNAL || errno != ERANGE || host)
			give_up("another code than ERANGE");
	}
	say("enough after some: %d", size > 0 && size < sizeof(buffer));
}

// --- back from addresses to names

static void ask_name(const struct addrinfo *entry, socklen_t size, int flags)
{
	char host[NI_MAXHOST] = "", service[NI_MAXSERV] = "";
	char text[INET6_ADDRSTRLEN + 20];

	int code = getnameinfo(
		entry->ai_addr, entry->ai_addrlen, host, size, service, sizeof(service), flags);
	say("%s size %u flags %x: %s %s %s",
		address_word(entry->ai_addr, entry->ai_addrlen, text, sizeof(text)), size, flags,
		code_name(code),
		code == 0 && ((flags & NI_NUMERICHOST) == 0 || is_exact) ? host : "-",
		code == 0 ? service : "-");
}

static void ask_by_address(const struct addrinfo *entry)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)entry->ai_addr;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)entry->ai_addr;
	bool is_v4 = entry->ai_family == AF_INET;
	const void *bytes = is_v4 ? (const void *)&v4->sin_addr : &v6->sin6_addr;
	struct hostent memory, *host = &memory;
	char buffer[4096];
	int error = 99;

	say_hostent(gethostbyaddr(bytes, is_v4 ? 4 : 16, entry->ai_family));
	int code = gethostbyaddr_r(bytes, is_v4 ? 4 : 16, entry->ai_family, &memory, buffer,
		sizeof(buffer), &host, &error);
	say("gethostbyaddr_r: %s, %s", error_name(code), host ? "found" : "NULL");
	say_hostent(host);
	code = gethostbyaddr_r(
		bytes, is_v4 ? 4 : 16, entry->ai_family, &memory, buffer, 3, &host, &error);
	say("gethostbyaddr_r with 3 bytes: %s", error_name(code));
}

static void run_back(void)
{
	static const int flags[] = {0, NI_NUMERICHOST, NI_NUMERICSERV, NI_NAMEREQD, NI_NOFQDN,
		NI_DGRAM, NI_NAMEREQD | NI_NUMERICSERV, 0x4000};
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;

	int code = getaddrinfo(probe_host, probe_port, &hints, &list);
	say("getaddrinfo: %s", code_name(code));
	if (code != 0)
		return;
	for (const struct addrinfo *entry = list; entry; entry = entry->ai_next) {
		for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
			ask_name(entry, NI_MAXHOST, flags[i]);
			ask_name(entry, 3, flags[i]);
			ask_name(entry, 0, flags[i]);
		}
		ask_by_address(entry);
	}
	freeaddrinfo(list);
}

static void run_exact_back(void)
{
	is_exact = true;
	run_back();
}

// --- threads

static void *ask_many_times(void *unused)
{
	struct hostent memory, *host;
	char buffer[4096];
	int error;
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};

	for (int i = 0; i < 50; i++) {
		struct addrinfo *list = NULL;
		if (getaddrinfo(probe_host, probe_port, &hints, &list) != 0)
			give_up("getaddrinfo");
		freeaddrinfo(list);
		if (gethostbyname_r(probe_host, &memory, buffer, sizeof(buffer), &host, &error) !=
				0 ||
			!host)
			give_up("gethostbyname_r");
		if (!gethostbyname(probe_host))
			give_up("gethostbyname");
	}
	return unused;
}

static void run_threads(void)
{
	pthread_t threads[16];

	for (int i = 0; i < 16; i++)
		must("pthread_create", -pthread_create(&threads[i], NULL, ask_many_times, NULL));
	for (int i = 0; i < 16; i++)
		pthread_join(threads[i], NULL);
	say("all answered");
}

static const struct probe_case cases[] = {
	{"hostents", run_hostents},
	{"exact-hostents", run_exact_hostents},
	{"small-buffers", run_small_buffers},
	{"back", run_back},
	{"exact-back", run_exact_back},
	{"threads", run_threads},
};

PROBE_MAIN(cases)
