// SPDX-License-Identifier: MIT
#include "preload/tls/tickets.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const struct ticket_scope plain = {.name = "a.test",
	.port = 443,
	.alpn = "",
	.priority = "P",
	.trust = "system",
	.client = ""};

static bool holds(struct tickets *tickets, const char *key, uint64_t now, const char *expected)
{
	struct ticket ticket;
	bool is_same;

	if (!tickets_take(tickets, key, now, &ticket))
		return expected == NULL;
	is_same = expected && ticket.length == strlen(expected) &&
		  memcmp(ticket.data, expected, ticket.length) == 0;
	ticket_free(&ticket);
	return is_same;
}

static void put(struct tickets *tickets, const char *key, const char *text, uint64_t now)
{
	tickets_put(tickets, key, text, strlen(text), now);
}

Test(tls_tickets, one_is_handed_out_once)
{
	struct tickets tickets = {0};

	put(&tickets, "key", "first", 0);
	cr_assert(holds(&tickets, "key", 0, "first"));
	cr_assert(holds(&tickets, "key", 0, NULL));
	tickets_clear(&tickets);
}

Test(tls_tickets, the_newest_comes_first)
{
	struct tickets tickets = {0};

	put(&tickets, "key", "old", 0);
	put(&tickets, "key", "new", 1);
	cr_assert(holds(&tickets, "key", 1, "new"));
	cr_assert(holds(&tickets, "key", 1, "old"));
	tickets_clear(&tickets);
}

Test(tls_tickets, another_keys_are_not_handed_out)
{
	struct tickets tickets = {0};

	put(&tickets, "one", "ticket", 0);
	cr_assert(holds(&tickets, "other", 0, NULL));
	cr_assert(holds(&tickets, "one", 0, "ticket"));
	tickets_clear(&tickets);
}

Test(tls_tickets, old_ones_are_forgotten)
{
	struct tickets tickets = {0};

	put(&tickets, "key", "old", 0);
	put(&tickets, "key", "young", 10);
	cr_assert(holds(&tickets, "key", TICKETS_LIFETIME, "young"));
	cr_assert(holds(&tickets, "key", TICKETS_LIFETIME, NULL));
	tickets_clear(&tickets);
}

Test(tls_tickets, a_key_keeps_a_bounded_number_of_the_newest)
{
	struct tickets tickets = {0};
	char text[16];

	for (int i = 0; i < TICKETS_PER_KEY + 3; i++) {
		snprintf(text, sizeof(text), "%d", i);
		put(&tickets, "key", text, 0);
	}
	for (int i = TICKETS_PER_KEY + 2; i > 2; i--) {
		snprintf(text, sizeof(text), "%d", i);
		cr_assert(holds(&tickets, "key", 0, text), "%d", i);
	}
	cr_assert(holds(&tickets, "key", 0, NULL));
	tickets_clear(&tickets);
}

Test(tls_tickets, the_key_used_least_lately_makes_room)
{
	struct tickets tickets = {0};
	char key[16];

	for (int i = 0; i < TICKETS_KEYS; i++) {
		snprintf(key, sizeof(key), "%d", i);
		put(&tickets, key, "x", 0);
	}
	put(&tickets, "0", "again", 0);
	put(&tickets, "new", "x", 0);
	cr_assert(holds(&tickets, "0", 0, "again"));
	cr_assert(holds(&tickets, "1", 0, NULL));
	cr_assert(holds(&tickets, "2", 0, "x"));
	tickets_clear(&tickets);
}

Test(tls_tickets, nothing_and_too_much_are_not_kept)
{
	static uint8_t large[TICKETS_MAX_SIZE + 1];
	struct tickets tickets = {0};

	tickets_put(&tickets, "key", "", 0, 0);
	tickets_put(&tickets, "key", large, sizeof(large), 0);
	cr_assert(holds(&tickets, "key", 0, NULL));
	tickets_clear(&tickets);
}

Test(tls_tickets, each_part_of_the_scope_makes_another_key)
{
	struct ticket_scope others[] = {plain, plain, plain, plain, plain, plain};
	char key[TICKETS_KEY_SIZE], other[TICKETS_KEY_SIZE];

	others[0].name = "b.test";
	others[1].port = 444;
	others[2].alpn = "h2";
	others[3].priority = "Q";
	others[4].trust = "system sha256/x";
	others[5].client = "/c.pem";
	cr_assert(tickets_format_key(&plain, key));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		cr_assert(tickets_format_key(&others[i], other));
		cr_assert_str_neq(key, other, "part %zu", i);
	}
}

Test(tls_tickets, parts_do_not_run_into_each_other)
{
	struct ticket_scope one = plain, other = plain;
	char key[TICKETS_KEY_SIZE], other_key[TICKETS_KEY_SIZE];

	one.alpn = "ab";
	one.priority = "c";
	other.alpn = "a";
	other.priority = "bc";
	cr_assert(tickets_format_key(&one, key));
	cr_assert(tickets_format_key(&other, other_key));
	cr_assert_str_neq(key, other_key);
}

Test(tls_tickets, a_key_that_does_not_fit_is_none)
{
	char text[TICKETS_KEY_SIZE], key[TICKETS_KEY_SIZE];
	struct ticket_scope scope = plain;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	scope.trust = text;
	cr_assert_not(tickets_format_key(&scope, key));
}
