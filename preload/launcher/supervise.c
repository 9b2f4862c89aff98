// SPDX-License-Identifier: MIT
// Theory of operation: every signal of interest is blocked and taken with sigwaitinfo(2), so no
// handler runs and nothing races. The program stays in our process group: it keeps the terminal,
// and what the terminal sends (Ctrl-C, Ctrl-Z, a resize) reaches it without us. So a signal is
// passed on unless the kernel sent it to the whole group. When the program stops, we stop too, so
// that a shell's job control sees it; SIGCONT goes on to the program. As PID 1 orphans are ours to
// reap, and when the program has ended, all others are ended too: airlock-tls last, which they may
// still need.
#include "preload/launcher/supervise.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "preload/launcher/ending.h"
#include "preload/launcher/message.h"
#include "preload/launcher/others.h"
#include "preload/launcher/tls_daemon.h"

// SIGTTIN and SIGTTOU keep their default: the terminal sends them to the whole group, and we stop
// with it.
static const int forwarded[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH,
	SIGCONT, SIGTSTP, SIGALRM, SIGURG, SIGPWR};

#define REST_TIMEOUT 5000 // ms between asking the other processes to end and killing them
#define KILL_TIMEOUT 1000 // ms for those that were killed

struct supervision {
	const struct enclave_user *user;
	pid_t program;
	struct tls_daemon tls;
	sigset_t waited;               // what sigwaitinfo takes
	sigset_t inherited_mask;       // the caller's, for the program
	struct sigaction child_action; // likewise, of SIGCHLD
};

static void supervision_begin(struct supervision *supervision)
{
	struct sigaction plain = {.sa_handler = SIG_DFL};

	sigemptyset(&supervision->waited);
	sigaddset(&supervision->waited, SIGCHLD);
	for (size_t i = 0; i < ARRAY_SIZE(forwarded); i++)
		sigaddset(&supervision->waited, forwarded[i]);
	for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
		sigaddset(&supervision->waited, number);
	sigprocmask(SIG_BLOCK, &supervision->waited, &supervision->inherited_mask);
	// Inherited as ignored, it would make the kernel reap for us and lose the status (wait(2)).
	sigaction(SIGCHLD, &plain, &supervision->child_action);
}

static void supervision_end(const struct supervision *supervision)
{
	sigaction(SIGCHLD, &supervision->child_action, NULL);
	sigprocmask(SIG_SETMASK, &supervision->inherited_mask, NULL);
}

static int become(const struct enclave_user *user)
{
	if (setgroups(0, NULL) != 0 || setgid(user->gid) != 0)
		return -1;
	return setuid(user->uid);
}

static _Noreturn void execute(const struct supervision *supervision, char *const *arguments)
{
	int error;

	supervision_end(supervision);
	if (supervision->user && become(supervision->user) != 0) {
		message_print("cannot run as user %u, group %u: %m", supervision->user->uid,
			supervision->user->gid);
		_exit(STATUS_NOT_EXECUTABLE);
	}
	execvp(arguments[0], arguments);
	error = errno;
	message_print("%s: %m", arguments[0]);
	_exit(error == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE);
}

// What a terminal sends goes to its whole foreground group, so the program has it already, unless
// it has left our group (timeout(1) does). SIGHUP is not among these: a hangup reaches the
// session's leader alone, which may be us.
static bool is_from_terminal(const struct supervision *supervision, const siginfo_t *signal)
{
	int number = signal->si_signo;
	bool is_terminals =
		number == SIGINT || number == SIGQUIT || number == SIGTSTP || number == SIGWINCH;

	return signal->si_code == SI_KERNEL && is_terminals &&
	       getpgid(supervision->program) == getpgrp();
}

// A program that stops its own group (as editors do on Ctrl-Z) has seen that signal too.
static bool is_programs_own(const struct supervision *supervision, const siginfo_t *signal)
{
	return signal->si_pid == supervision->program &&
	       (signal->si_signo == SIGTSTP || signal->si_signo == SIGCONT);
}

static void forward(const struct supervision *supervision, const siginfo_t *signal)
{
	if (!is_from_terminal(supervision, signal) && !is_programs_own(supervision, signal))
		kill(supervision->program, signal->si_signo);
}

static int status_code(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// Takes every child that has something to say. Returns the program's exit code, or -1 while it
// lives.
static int reap(struct supervision *supervision)
{
	int code = -1;
	int status;
	pid_t child;

	while ((child = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
		if (child == supervision->tls.pid && !WIFSTOPPED(status))
			(void)tls_daemon_note_end(&supervision->tls, child, status);
		if (child != supervision->program)
			continue;
		if (WIFSTOPPED(status))
			kill(getpid(), SIGSTOP); // PID 1 cannot be stopped: then this does nothing
		else
			code = status_code(status);
	}
	return code;
}

// Returns false when there was none: stopped and continued, or airlock-tls is to be started again.
static bool take_signal(struct supervision *supervision, siginfo_t *signal)
{
	int wait = tls_daemon_wait(&supervision->tls);
	struct timespec timeout = {.tv_sec = wait / 1000, .tv_nsec = wait % 1000 * 1000000L};

	if (wait < 0)
		return sigwaitinfo(&supervision->waited, signal) >= 0;
	if (sigtimedwait(&supervision->waited, signal, &timeout) >= 0)
		return true;
	if (errno == EAGAIN)
		tls_daemon_restart(&supervision->tls);
	return false;
}

static int supervise(struct supervision *supervision)
{
	for (;;) {
		siginfo_t signal;
		int code;

		if (!take_signal(supervision, &signal))
			continue;
		if (signal.si_signo != SIGCHLD) {
			forward(supervision, &signal);
			continue;
		}
		code = reap(supervision);
		if (code >= 0)
			return code;
	}
}

static bool are_others_gone(void *context)
{
	struct supervision *supervision = context;
	pid_t child;

	while ((child = waitpid(-1, NULL, WNOHANG)) > 0) {
		if (child == supervision->tls.pid)
			supervision->tls.pid = 0;
	}
	return child < 0 ||
	       (supervision->tls.pid > 0 && others_signal(supervision->tls.pid, 0) == 0);
}

static void signal_others(const struct supervision *supervision, int number)
{
	if (supervision->tls.pid == 0 || others_signal(supervision->tls.pid, number) < 0)
		kill(-1, number); // every process but this one (kill(2))
}

static void end_others(struct supervision *supervision)
{
	const char *what = "the other processes";

	if (getpid() != 1)
		return;
	signal_others(supervision, SIGTERM);
	if (ending_wait(are_others_gone, supervision, REST_TIMEOUT, what))
		return;
	signal_others(supervision, SIGKILL);
	if (!ending_wait(are_others_gone, supervision, KILL_TIMEOUT, what))
		message_print("some processes do not end");
}

int supervise_run(
	const struct settings *settings, char *const *arguments, const struct enclave_user *user)
{
	struct supervision supervision = {.user = user};
	int code;

	supervision_begin(&supervision);
	tls_daemon_start(&supervision.tls, settings);
	supervision.program = fork();
	if (supervision.program == 0)
		execute(&supervision, arguments);
	code = supervision.program < 0 ? -errno : supervise(&supervision);
	end_others(&supervision);
	tls_daemon_stop(&supervision.tls);
	supervision_end(&supervision);
	return code;
}
