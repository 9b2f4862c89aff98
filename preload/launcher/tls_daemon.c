// SPDX-License-Identifier: MIT
// Theory of operation: the daemon is told a descriptor that it closes once it listens, so readiness
// and an early death are one event on one pipe. It leads a process group of its own, since what a
// terminal sends is for the program; it dies with the launcher (PR_SET_PDEATHSIG). When it dies by
// itself it is started again at once, but not more often than every RESTART_PAUSE. One that is
// another run's ends with that run's program: so it is looked for, and replaced.
#include "preload/launcher/tls_daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "preload/launcher/ending.h"
#include "preload/launcher/install.h"
#include "preload/launcher/message.h"
#include "preload/shared/control_client.h"
#include "wire/clock.h"
#include "wire/stream.h"

#define READY_TIMEOUT 10000 // ms; loading the system's anchors takes about ten
#define RESTART_PAUSE 1000  // ms
#define WATCH_PAUSE   50    // ms between two looks at another run's; openers try again for as long
#define STOP_TIMEOUT  12000 // ms until it is killed; it takes up to ten to pass on what it holds

// Nothing of the environment that GnuTLS or the loader would read. Without a wish for messages only
// errors are printed: it shares the program's standard error.
static _Noreturn void execute(const struct tls_daemon *daemon, int ready, pid_t parent)
{
	const char *level = daemon->settings->log_level == SETTINGS_LOG_NONE
				    ? "error"
				    : settings_log_level_name(daemon->settings->log_level);
	const char *conf = getenv("AIRLOCK_CONF"), *hostd = getenv("AIRLOCK_HOSTD");
	char number[16], conf_word[PATH_MAX + 16], hostd_word[256], log_word[32];
	char name[] = "airlock-tls", option[] = "--ready-fd";
	char *arguments[] = {name, option, number, NULL};
	char *environment[4] = {log_word};
	size_t count = 1;
	sigset_t none;

	snprintf(number, sizeof(number), "%d", ready);
	snprintf(log_word, sizeof(log_word), "AIRLOCK_LOG=%s", level);
	if (conf && conf[0] != '\0') {
		snprintf(conf_word, sizeof(conf_word), "AIRLOCK_CONF=%s", conf);
		environment[count++] = conf_word;
	}
	if (hostd && hostd[0] != '\0') {
		snprintf(hostd_word, sizeof(hostd_word), "AIRLOCK_HOSTD=%s", hostd);
		environment[count++] = hostd_word;
	}
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (getppid() == parent) // else it has died before the line above
		execve(daemon->program, arguments, environment);
	_exit(127);
}

// Returns the pipe's end that becomes readable when the daemon is ready or dead, or -errno.
static int spawn(struct tls_daemon *daemon)
{
	int error = install_find_program("airlock-tls", daemon->program);
	pid_t self = getpid();
	int ends[2];

	if (error)
		return error;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	daemon->started_at = clock_now_ms();
	daemon->restart_at = 0;
	daemon->pid = fork();
	if (daemon->pid == 0) {
		fcntl(ends[1], F_SETFD, 0);
		execute(daemon, ends[1], self);
	}
	close(ends[1]);
	if (daemon->pid > 0)
		return ends[0];
	close(ends[0]);
	daemon->pid = 0;
	return -EAGAIN;
}

static bool wait_ready(int pipe)
{
	struct pollfd item = {.fd = pipe, .events = POLLIN};
	uint64_t deadline = clock_now_ms() + READY_TIMEOUT;
	char byte;
	int count;

	do {
		uint64_t now = clock_now_ms();

		count = poll(&item, 1, now < deadline ? (int)(deadline - now) : 0);
	} while (count < 0 && errno == EINTR);
	return count > 0 && read(pipe, &byte, 1) == 1;
}

// Only connects, which costs the one that answers little and does not wait.
static bool is_answered(const struct tls_daemon *daemon)
{
	int fd = stream_begin_dial(&daemon->settings->tls_listen);

	if (fd >= 0)
		close(fd);
	return fd >= 0 || fd == -EAGAIN; // a full backlog is somebody's
}

static void watch_theirs(struct tls_daemon *daemon)
{
	daemon->restart_at = clock_now_ms() + WATCH_PAUSE;
}

static void say_refused(const struct settings *settings)
{
	char pattern[NAME_SIZE + 64];

	for (size_t i = 0; i < settings->route_count; i++) {
		const struct route *route = &settings->routes[i];

		if (route->action == ROUTE_TLS)
			message_print("connections to %s (line %u) will be refused",
				pattern_format(&route->pattern, pattern, sizeof(pattern)),
				route->line);
	}
}

static void end_at_once(struct tls_daemon *daemon)
{
	if (daemon->pid == 0)
		return;
	kill(daemon->pid, SIGKILL);
	(void)waitpid(daemon->pid, NULL, 0);
	daemon->pid = 0;
}

// An enclave's /run is empty, and airlock-tls makes no directories.
static void make_listen_directory(const struct endpoint *listen)
{
	char path[sizeof(listen->path) + 1] = "";

	if (listen->path[0] != '/')
		return;
	memcpy(path, listen->path, listen->path_length);
	(void)dirname(path);
	if (mkdir(path, 0755) != 0 && errno != EEXIST)
		message_print("%s: %m", path);
}

static void start_ours(struct tls_daemon *daemon)
{
	bool is_ready;
	int pipe;

	make_listen_directory(&daemon->settings->tls_listen);
	pipe = spawn(daemon);
	if (pipe < 0) {
		message_print("airlock-tls: %s", strerror(-pipe));
		say_refused(daemon->settings);
		return;
	}
	is_ready = wait_ready(pipe);
	close(pipe);
	if (is_ready)
		return;
	end_at_once(daemon);
	if (is_answered(daemon)) { // another run was faster
		watch_theirs(daemon);
		return;
	}
	message_print("airlock-tls did not become ready");
	say_refused(daemon->settings);
}

void tls_daemon_start(struct tls_daemon *daemon, const struct settings *settings)
{
	char version[64];

	*daemon = (struct tls_daemon){.settings = settings};
	if (!settings_has_route(settings, ROUTE_TLS))
		return;
	if (control_client_ping(&settings->tls_listen, version, sizeof(version)) < 0)
		start_ours(daemon);
	else
		watch_theirs(daemon);
}

bool tls_daemon_note_end(struct tls_daemon *daemon, pid_t child, int status)
{
	if (daemon->pid == 0 || child != daemon->pid)
		return false;
	daemon->pid = 0;
	if (WIFSIGNALED(status))
		message_print(
			"airlock-tls was killed by signal %d; starting it again", WTERMSIG(status));
	else
		message_print(
			"airlock-tls ended with status %d; starting it again", WEXITSTATUS(status));
	daemon->restart_at = daemon->started_at + RESTART_PAUSE;
	return true;
}

int tls_daemon_wait(const struct tls_daemon *daemon)
{
	uint64_t now = clock_now_ms();

	if (daemon->restart_at == 0)
		return -1;
	return daemon->restart_at > now ? (int)(daemon->restart_at - now) : 0;
}

// Readiness is not waited for: programs that connect meanwhile are refused, as they were before.
void tls_daemon_restart(struct tls_daemon *daemon)
{
	int pipe;

	if (is_answered(daemon)) {
		watch_theirs(daemon);
		return;
	}
	pipe = spawn(daemon);
	if (pipe >= 0)
		close(pipe);
	else
		daemon->restart_at = clock_now_ms() + RESTART_PAUSE;
}

static bool has_ended(void *context)
{
	const struct tls_daemon *daemon = context;

	return waitpid(daemon->pid, NULL, WNOHANG) != 0;
}

void tls_daemon_stop(struct tls_daemon *daemon)
{
	daemon->restart_at = 0;
	if (daemon->pid == 0)
		return;
	// A stopped one takes no signal. Not the other way round: SIGCONT would undo the stop by
	// which a leak checker, which runs when the daemon ends, holds it.
	kill(daemon->pid, SIGCONT);
	kill(daemon->pid, SIGTERM);
	if (ending_wait(has_ended, daemon, STOP_TIMEOUT,
		    "airlock-tls to pass on what programs have written")) {
		daemon->pid = 0;
		return;
	}
	message_print("airlock-tls is killed; what it had not passed on is lost");
	end_at_once(daemon);
}
