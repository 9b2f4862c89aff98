// SPDX-License-Identifier: MIT
// How the probes of name lookups print what they got.
//
// With is_exact addresses are printed as they are and in their order; without, only their families,
// sorted, because a pool address stands where DNS has a real one, and because IPv4 comes first
// there.
#ifndef AIRLOCK_TESTS_NAMES_H
#define AIRLOCK_TESTS_NAMES_H

#include <netdb.h>

#include "tests/behaviour/probe.h"

#define MAX_ENTRIES 64
#define LINE_SIZE   160

static inline const char *code_name(int code)
{
	static const struct {
		int code;
		const char *name;
	} names[] = {
		{0, "0"},
		{EAI_BADFLAGS, "EAI_BADFLAGS"},
		{EAI_NONAME, "EAI_NONAME"},
		{EAI_AGAIN, "EAI_AGAIN"},
		{EAI_FAIL, "EAI_FAIL"},
		{EAI_NODATA, "EAI_NODATA"},
		{EAI_FAMILY, "EAI_FAMILY"},
		{EAI_SOCKTYPE, "EAI_SOCKTYPE"},
		{EAI_SERVICE, "EAI_SERVICE"},
		{EAI_ADDRFAMILY, "EAI_ADDRFAMILY"},
		{EAI_MEMORY, "EAI_MEMORY"},
		{EAI_SYSTEM, "EAI_SYSTEM"},
		{EAI_OVERFLOW, "EAI_OVERFLOW"},
		{EAI_INPROGRESS, "EAI_INPROGRESS"},
		{EAI_CANCELED, "EAI_CANCELED"},
		{EAI_NOTCANCELED, "EAI_NOTCANCELED"},
		{EAI_ALLDONE, "EAI_ALLDONE"},
		{EAI_INTR, "EAI_INTR"},
		{EAI_IDN_ENCODE, "EAI_IDN_ENCODE"},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (names[i].code == code)
			return names[i].name;
	}
	return "?";
}

static inline const char *family_name(int family)
{
	return family == AF_INET     ? "inet"
	       : family == AF_INET6  ? "inet6"
	       : family == AF_UNSPEC ? "any"
				     : "other";
}

static inline const char *or_null(const char *text)
{
	return text ? text : "NULL";
}

static bool is_exact;

static inline const char *address_word(
	const struct sockaddr *address, socklen_t length, char *text, size_t size)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;

	if (is_exact &&
		getnameinfo(address, length, text, (socklen_t)size, NULL, 0, NI_NUMERICHOST) == 0)
		return text;
	if (address->sa_family == AF_INET)
		return "ipv4";
	return IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) ? "mapped" : "ipv6";
}

static inline void format_entry(const struct addrinfo *entry, char line[static LINE_SIZE])
{
	char text[INET6_ADDRSTRLEN + 20];
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)entry->ai_addr;

	snprintf(line, LINE_SIZE, "%s family %s length %u type %d protocol %d flags %x port %u",
		address_word(entry->ai_addr, entry->ai_addrlen, text, sizeof(text)),
		family_name(entry->ai_family), entry->ai_addrlen, entry->ai_socktype,
		entry->ai_protocol, entry->ai_flags, ntohs(v4->sin_port));
}

static inline int compare_lines(const void *a, const void *b)
{
	return strcmp(a, b);
}

static inline void say_list(const struct addrinfo *list)
{
	static char lines[MAX_ENTRIES][LINE_SIZE];
	size_t count = 0;

	for (const struct addrinfo *entry = list; entry && count < MAX_ENTRIES;
		entry = entry->ai_next) {
		if ((entry == list) != (entry->ai_canonname != NULL) && entry->ai_canonname)
			say("    a canonical name on a later entry");
		format_entry(entry, lines[count++]);
	}
	if (!is_exact)
		qsort(lines, count, LINE_SIZE, compare_lines);
	if (list->ai_canonname)
		say("    canonical name %s", list->ai_canonname);
	for (size_t i = 0; i < count; i++)
		say("    %s", lines[i]);
}

static inline void say_hostent(const struct hostent *host)
{
	size_t count = 0;

	if (!host)
		return;
	say("    name %s family %s length %d", host->h_name, family_name(host->h_addrtype),
		host->h_length);
	for (char **alias = host->h_aliases; *alias; alias++)
		say("    alias %s", *alias);
	for (char **address = host->h_addr_list; *address; address++, count++) {
		char text[INET6_ADDRSTRLEN];
		if (is_exact)
			say("    %s", inet_ntop(host->h_addrtype, *address, text, sizeof(text)));
	}
	say("    %zu addresses", count);
}

#endif
