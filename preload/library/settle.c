// SPDX-License-Identifier: MIT
// Theory of operation, the gate seen from the program's side (wire/README.md):
//
//     PENDING --writable, probe 0------------------------------> OPEN
//     PENDING --writable, probe EPIPE--STATUS: ended later-----> OPEN, its end is told by the first
//     receive PENDING --writable, probe EPIPE--STATUS: never answered--> FAILED
//
// Several processes and threads may look at one stream at once. Each step is a compare-and-swap of
// the phase, and what goes before it is the same whoever does it.
#include "preload/library/settle.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/time.h>
#include <unistd.h>

#include "preload/library/fds.h"
#include "preload/library/library.h"
#include "preload/library/log.h"
#include "preload/library/real.h"
#include "preload/library/result.h"
#include "preload/shared/control_client.h"
#include "wire/clock.h"
#include "wire/outcome.h"
#include "wire/stream.h"

#define STATUS_TIMEOUT      2000   // ms; hostd answers from a table
#define STATUS_WAIT_TIMEOUT 130000 // ms; as long as TCP tries at its default of six SYNs (tcp(7))

// Who knows what became of the stream.
static const struct endpoint *endpoint_of(const struct socket_entry *entry)
{
	const struct settings *settings = library_settings();
	bool is_tls = atomic_load(&entry->flags) & SOCKET_FLAG_TLS;

	return is_tls ? &settings->tls_listen : &settings->hostd;
}

static int ask_status(const struct socket_entry *entry, struct outcome *outcome)
{
	return control_client_status(endpoint_of(entry), entry->id, false, STATUS_TIMEOUT, outcome);
}

static void set_open(int fd, struct socket_entry *entry)
{
	uint32_t pending = SOCKET_PHASE_PENDING;

	stream_restore_send_buffer(fd, entry->send_buffer);
	atomic_compare_exchange_strong(&entry->phase, &pending, SOCKET_PHASE_OPEN);
	fds_set_stream(fd, entry);
}

// The stand-in leaves its own ECONNRESET behind, which must not be told beside the real reason.
static void forget_stream_error(int fd)
{
	int error;
	socklen_t size = sizeof(error);

	(void)real_getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
}

static void set_failed(int fd, struct socket_entry *entry, int error)
{
	uint32_t pending = SOCKET_PHASE_PENDING;

	forget_stream_error(fd);
	if (atomic_load(&entry->phase) != SOCKET_PHASE_PENDING)
		return;
	atomic_store(&entry->error, error);
	atomic_compare_exchange_strong(&entry->phase, &pending, SOCKET_PHASE_FAILED);
	fds_set_stream(fd, entry);
}

static void log_outcome(const struct socket_entry *entry, const struct outcome *outcome)
{
	char id[REQUEST_ID_TEXT_SIZE];

	log_line(SETTINGS_LOG_INFO, "stream ", request_id_format(entry->id, id),
		" ended: ", outcome_stage_name(outcome->stage), ", ",
		outcome_class_name(outcome->class), ": ", outcome->text);
}

// The stream is closed and nobody knows why. Data or an orderly end mean that the destination
// answered. (On vsock a refusal looks like an orderly end too; there hostd's answer is all there
// is.)
static int guess_failure(int fd, int asked)
{
	char byte;

	if (asked < 0)
		return ENETUNREACH;
	if (real_recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0)
		return 0;
	return ECONNREFUSED;
}

// Whether the stream had been open before it ended so: what is refused is not reset.
static bool was_open(const struct outcome *outcome)
{
	return outcome->stage == OUTCOME_STAGE_RELAY ||
	       (outcome->stage == OUTCOME_STAGE_TLS && outcome->class == OUTCOME_RESET);
}

// Returns the errno to fail with, 0 when the stream had been open.
static int judge_closed(int fd, const struct socket_entry *entry)
{
	struct outcome outcome;
	int asked = ask_status(entry, &outcome);

	if (asked < 0 || outcome.class == OUTCOME_NONE)
		return guess_failure(fd, asked);
	log_outcome(entry, &outcome);
	return was_open(&outcome) ? 0 : outcome_errno(outcome.class);
}

static bool is_answered(int fd)
{
	struct pollfd item = {.fd = fd, .events = POLLOUT};

	return poll(&item, 1, 0) > 0;
}

enum socket_phase settle_look(int fd, struct socket_entry *entry)
{
	int saved_errno = errno;
	int error = 0;

	if (atomic_load(&entry->phase) != SOCKET_PHASE_PENDING)
		return atomic_load(&entry->phase);
	UNCANCELLED;
	if (!library_has_working_gate() || is_answered(fd)) {
		if (stream_probe(fd) < 0)
			error = judge_closed(fd, entry);
		if (error != 0)
			set_failed(fd, entry, error);
		else
			set_open(fd, entry);
	}
	errno = saved_errno;
	return atomic_load(&entry->phase);
}

int settle_take_error(struct socket_entry *entry)
{
	return atomic_exchange(&entry->error, 0);
}

// --- waiting

// What an instruction raises: crash handlers, which have nothing to do with a wait.
static bool is_fault(int number)
{
	return number == SIGSEGV || number == SIGBUS || number == SIGFPE || number == SIGILL ||
	       number == SIGTRAP;
}

// poll(2) never restarts, connect(2) does for a handler with SA_RESTART, unless it has a timeout
// (signal(7)). Which handler ran is not known, only which are installed.
static bool is_interrupted(bool has_timeout)
{
	for (int number = 1; number <= SIGRTMAX; number++) {
		struct sigaction action;

		if (is_fault(number) || sigaction(number, NULL, &action) < 0 ||
			action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN)
			continue;
		if (has_timeout || !(action.sa_flags & SA_RESTART))
			return true;
	}
	return false;
}

// SO_SNDTIMEO, rounded up to milliseconds; 0: none.
static int64_t send_timeout(int fd)
{
	struct timeval timeout = {0};
	socklen_t size = sizeof(timeout);

	if (real_getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, &size) < 0)
		return 0;
	return (int64_t)timeout.tv_sec * 1000 + (timeout.tv_usec + 999) / 1000;
}

// A deadline of 0 is none. Returns 0 when there is something to look at, -EAGAIN after a signal
// that restarts, or settle_wait's -EINPROGRESS, -EINTR.
static int wait_until(int fd, short events, int64_t deadline, bool has_timeout)
{
	struct pollfd item = {.fd = fd, .events = events};
	int64_t left = deadline - (int64_t)clock_now_ms();
	int count = poll(&item, 1, deadline == 0 ? -1 : left > 0 ? (int)left : 0);

	if (count == 0)
		return -EINPROGRESS;
	if (count > 0 || errno != EINTR)
		return 0;
	return is_interrupted(has_timeout) ? -EINTR : -EAGAIN;
}

static int begin_question(const struct socket_entry *entry)
{
	UNCANCELLED;

	return control_client_begin_status(endpoint_of(entry), entry->id, true);
}

static int end_question(int question, struct outcome *outcome)
{
	UNCANCELLED;

	return control_client_end_status(question, clock_now_ms() + STATUS_TIMEOUT, outcome);
}

static void close_question(void *question)
{
	UNCANCELLED;

	close(*(const int *)question);
}

// Without a gate: hostd answers when the dial is decided. Returns as control_client_status, or
// settle_wait's -EINPROGRESS, -EINTR.
static int ask_and_wait(const struct socket_entry *entry, int64_t deadline, bool has_timeout,
	struct outcome *outcome)
{
	int question = begin_question(entry), result;

	if (question < 0)
		return question;
	pthread_cleanup_push(close_question, &question);
	do
		result = wait_until(question, POLLIN, deadline, has_timeout);
	while (result == -EAGAIN);
	pthread_cleanup_pop(result < 0);
	return result < 0 ? result : end_question(question, outcome);
}

static int wait_by_asking(int fd, struct socket_entry *entry, int64_t timeout)
{
	uint64_t cookie = atomic_load(&entry->cookie);
	int64_t limit = timeout > 0 ? timeout : STATUS_WAIT_TIMEOUT;
	struct outcome outcome;
	int asked = ask_and_wait(entry, (int64_t)clock_now_ms() + limit, timeout > 0, &outcome);

	if (asked == -EINTR)
		return asked;
	if (fds_cookie(fd) != cookie)
		return -EBADF;
	if (asked == -EINPROGRESS)
		return timeout > 0 ? asked : -ETIMEDOUT;
	if (asked == 0 && outcome.class == OUTCOME_NONE) {
		set_open(fd, entry);
		return 0;
	}
	set_failed(fd, entry, asked < 0 ? ENETUNREACH : outcome_errno(outcome.class));
	return -settle_take_error(entry);
}

static int wait_for_gate(int fd, struct socket_entry *entry, int64_t timeout)
{
	uint64_t cookie = atomic_load(&entry->cookie);
	int64_t deadline = timeout > 0 ? (int64_t)clock_now_ms() + timeout : 0;

	for (;;) {
		enum socket_phase phase = settle_look(fd, entry);
		int error = phase == SOCKET_PHASE_FAILED ? settle_take_error(entry) : 0;

		if (phase == SOCKET_PHASE_FAILED)
			return error ? -error : -ECONNABORTED;
		if (phase != SOCKET_PHASE_PENDING)
			return 0;
		error = wait_until(fd, POLLOUT, deadline, deadline != 0);
		if (error < 0 && error != -EAGAIN)
			return error;
		if (fds_cookie(fd) != cookie)
			return -EBADF;
	}
}

int settle_wait(int fd, struct socket_entry *entry)
{
	int64_t timeout = send_timeout(fd);

	if (!library_has_working_gate() && atomic_load(&entry->phase) == SOCKET_PHASE_PENDING)
		return wait_by_asking(fd, entry, timeout);
	return wait_for_gate(fd, entry, timeout);
}

// --- the end

void settle_note_reset(struct socket_entry *entry)
{
	atomic_fetch_or(&entry->flags, SOCKET_FLAG_RESET_TOLD);
}

static int judge_end_once(const struct socket_entry *entry)
{
	struct outcome outcome;
	bool is_write_shut = atomic_load(&entry->flags) & SOCKET_FLAG_WRITE_SHUT;

	// A bare close, and hostd is not there to explain it: not an orderly end. After our own
	// SHUT_WR a bare close cannot be told from one.
	if (ask_status(entry, &outcome) < 0)
		return is_write_shut ? 0 : ECONNRESET;
	if (outcome.class != OUTCOME_NONE)
		log_outcome(entry, &outcome);
	return outcome_errno(outcome.class);
}

int settle_judge_end(int fd, struct socket_entry *entry)
{
	int saved_errno = errno;
	int error = 0;
	UNCANCELLED;

	if (!(atomic_load(&entry->flags) & SOCKET_FLAG_RESET_TOLD) && stream_probe(fd) < 0 &&
		!(atomic_fetch_or(&entry->flags, SOCKET_FLAG_RESET_TOLD) & SOCKET_FLAG_RESET_TOLD))
		error = judge_end_once(entry);
	errno = saved_errno;
	return error;
}
