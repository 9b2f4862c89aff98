// SPDX-License-Identifier: MIT
// A relay without a worker's loop and without memory: the pool is this file's own.
#include <criterion/criterion.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hostd/relay.h"
#include "hostd/worker.h"

static bool has_memory;

uint8_t *pool_borrow(struct pool *pool)
{
	(void)pool;
	return has_memory ? malloc(POOL_BUFFER_SIZE) : NULL;
}

void pool_return(struct pool *pool, uint8_t *data)
{
	(void)pool;
	free(data);
}

void pool_destroy(struct pool *pool)
{
	(void)pool;
}

static const char text[] = "listen unix:/tmp/nobody cid=16\nenclave test cid=16\n";
static uint8_t scratch[WORKER_SCRATCH_SIZE];
static struct statistics statistics;
static struct shared shared = {.statistics = &statistics};
static struct worker worker = {.shared = &shared, .scratch = scratch};
static int opener, destination; // the other ends of the session's sockets

// A session that has been granted. Its destination is a socket that is read piece by piece.
static struct session *start(void)
{
	struct conf_error error;
	struct session *session;
	int pair[2];

	shared.limits = limits_create();
	shared.outcomes = outcomes_create();
	worker.config = config_parse(text, strlen(text), &error);
	cr_assert(worker.config && shared.limits && shared.outcomes);
	worker.epoll = epoll_create1(0);
	acceptor_create(&worker.acceptor, &worker);
	cr_assert_eq(timers_reserve(&worker.timers, 4), 0);
	session = session_table_take(&worker.sessions);
	session->worker = &worker;
	session->transport = ENDPOINT_UNIX;
	session->config = config_hold(worker.config);
	session->enclave = &worker.config->enclaves[0];
	session->limit = limits_find(shared.limits, "test");
	cr_assert(limit_enter_stream(session->limit, session->enclave));
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	session->opener.fd = pair[0];
	opener = pair[1];
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	session->destination.fd = pair[0];
	destination = pair[1];
	cr_assert_eq(worker_watch(session, session->opener.fd, 0, EPOLLIN), 0);
	return session;
}

static void stop(void)
{
	session_table_destroy(&worker.sessions);
	timers_destroy(&worker.timers);
	config_release(worker.config);
	limits_destroy(shared.limits);
	outcomes_destroy(shared.outcomes);
	close(worker.epoll);
	close(opener);
	close(destination);
}

static size_t read_opener(uint8_t *last)
{
	uint8_t bytes[4096];
	size_t total = 0;
	ssize_t length;

	while ((length = recv(opener, bytes, sizeof(bytes), 0)) > 0) {
		total += (size_t)length;
		*last = bytes[length - 1];
	}
	return total;
}

Test(hostd_relay, delivers_nothing_behind_bytes_that_it_has_no_memory_for)
{
	struct session *session = start();
	uint8_t byte = 'a';
	size_t filled = 0;

	while (send(session->opener.fd, &byte, 1, 0) == 1)
		filled++;
	// More pieces than a relay moves in a turn.
	for (byte = 'b'; byte < 'z'; byte++)
		cr_assert_eq(send(destination, &byte, 1, 0), 1);
	relay_start(session);
	cr_assert_eq(read_opener(&byte), filled);
	end_note_events(&session->opener, EPOLLOUT);
	if (session->state == SESSION_RELAY)
		relay_run(session);
	cr_expect_eq(read_opener(&byte), 0, "%c", byte);
	cr_assert_eq(session->state, SESSION_ENDED);
	cr_assert_eq(session->failure, ENOMEM);
	stop();
}

Test(hostd_relay, keeps_the_slot_of_a_session_that_ends_while_it_is_ready)
{
	struct session *session = start();

	shutdown(opener, SHUT_WR);
	relay_start(session);
	cr_assert_eq(session->state, SESSION_RELAY);
	close(opener);
	cr_assert_eq(send(destination, "x", 1, 0), 1);
	session->destination.is_readable = true;
	relay_run(session);
	cr_assert_eq(session->state, SESSION_ENDED);
	cr_assert_eq(worker.ready, session);
	session_table_reap(&worker.sessions);
	cr_assert_neq(session_table_take(&worker.sessions), session);
	stop();
}
