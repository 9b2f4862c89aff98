// SPDX-License-Identifier: MIT
#include <criterion/criterion.h>

#include "hostd/session_table.h"

static struct session_table table;

static void tear_down(void)
{
	session_table_destroy(&table);
}

TestSuite(hostd_session_table, .fini = tear_down);

Test(hostd_session_table, keeps_an_ended_slot_until_it_is_reaped)
{
	struct session *session = session_table_take(&table);
	uint32_t index = session->index;
	uint32_t generation = session->generation;

	session_table_put(&table, session);
	cr_assert_eq(session_table_find(&table, index, generation), session);
	cr_assert_neq(session_table_take(&table), session);
	session_table_reap(&table);
	cr_assert_null(session_table_find(&table, index, generation));
	cr_assert_eq(session_table_take(&table), session);
	cr_assert_eq(table.in_use, 2);
}

Test(hostd_session_table, frees_no_slot_that_is_in_the_list_of_ready_sessions)
{
	struct session *first = session_table_take(&table);
	struct session *second = session_table_take(&table);
	struct session *third = session_table_take(&table);

	second->is_ready = true;
	second->next_ready = third;
	session_table_put(&table, first);
	session_table_put(&table, second);
	session_table_reap(&table);
	cr_assert_eq(table.in_use, 2);
	cr_assert_eq(session_table_take(&table), first);
	cr_assert_neq(session_table_take(&table), second);
	cr_assert_eq(second->next_ready, third);
	second->is_ready = false;
	session_table_reap(&table);
	cr_assert_eq(session_table_take(&table), second);
}
