// SPDX-License-Identifier: MIT
#include "preload/launcher/ending.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <time.h>

#include "preload/launcher/message.h"
#include "wire/clock.h"

#define LONG 300 // ms of waiting that are worth a word

// Returns the signal that came before the deadline, 0 for none.
static int next_signal(const sigset_t *set, uint64_t deadline)
{
	uint64_t now = clock_now_ms(), left = deadline > now ? deadline - now : 0;
	struct timespec timeout = {
		.tv_sec = (time_t)(left / 1000), .tv_nsec = (long)(left % 1000) * 1000000};
	int number = sigtimedwait(set, NULL, &timeout);

	return number > 0 ? number : 0;
}

static sigset_t watched_signals(void)
{
	static const int numbers[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		sigaddset(&set, numbers[i]);
	return set;
}

bool ending_wait(
	bool (*has_ended)(void *context), void *context, unsigned timeout_ms, const char *what)
{
	uint64_t begun = clock_now_ms(), deadline = begun + timeout_ms;
	sigset_t set = watched_signals();
	bool is_said = false;

	while (!has_ended(context)) {
		uint64_t now = clock_now_ms();
		int number;

		if (now >= deadline)
			return false;
		if (!is_said && now >= begun + LONG) {
			message_inform("waiting for %s; another signal ends this", what);
			is_said = true;
		}
		number = next_signal(&set, is_said ? deadline : begun + LONG);
		if (number != 0 && number != SIGCHLD)
			return false;
	}
	return true;
}
