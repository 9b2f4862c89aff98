// SPDX-License-Identifier: MIT
// `airlock run`: everything that must be true before the program starts, then the program. What the
// program could not do without a route (hostd away, airlock-tls away) is said but stops nothing:
// many programs need no network to do their work, and the library reports each failure where it
// happens.
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "preload/launcher/clock.h"
#include "preload/launcher/enclave_command.h"
#include "preload/launcher/enclave_init.h"
#include "preload/launcher/enclave_machine.h"
#include "preload/launcher/enclave_mounts.h"
#include "preload/launcher/inspect.h"
#include "preload/launcher/install.h"
#include "preload/launcher/loopback.h"
#include "preload/launcher/message.h"
#include "preload/launcher/subcommands.h"
#include "preload/launcher/supervise.h"
#include "preload/shared/control_client.h"
#include "preload/shared/settings.h"
#include "preload/shared/state.h"
#include "wire/nsm_socket.h"

#define GATE_MEASUREMENT 20 // ms; long beside a round trip, short beside a program's start

// Returns -1 to go on, or the exit code.
static int check_command(const char *command, bool allow_unhooked)
{
	struct inspection inspection;
	int result = inspect_command(command, &inspection);

	if (result < 0) {
		message_print("%s: %s", inspection.path, strerror(-result));
		return result == -ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE;
	}
	if (result == 0 || allow_unhooked)
		return -1;
	message_print("%s %s", inspection.path, inspection.reason);
	message_print(
		"its connections would bypass Airlock; --allow-unhooked runs it all the same");
	return EXIT_NO;
}

// The programs read the file again, from other directories: so it needs an absolute name and a
// second reading must be possible. Returns -1 to go on, or the exit code.
static int export_configuration(const char *conf)
{
	const char *named = conf ? conf : getenv("AIRLOCK_CONF");
	char path[PATH_MAX];
	struct stat status;

	if (!named || named[0] == '\0')
		return -1;
	if (!realpath(named, path) || stat(path, &status) != 0) {
		message_print("%s: %m", named);
		return EXIT_USAGE;
	}
	if (!S_ISREG(status.st_mode)) {
		message_print(
			"%s: not a regular file: every program must be able to read it", named);
		return EXIT_USAGE;
	}
	setenv("AIRLOCK_CONF", path, true);
	return -1;
}

static bool is_preloaded_first(const char *list, const char *library)
{
	size_t length = strlen(library);

	return strncmp(list, library, length) == 0 &&
	       (list[length] == '\0' || list[length] == ':' || list[length] == ' ');
}

// In front of what is preloaded already (an allocator, a sanitizer), so that our hooks are found
// first. Returns -1 to go on, or the exit code.
static int export_library(void)
{
	const char *list = getenv("LD_PRELOAD");
	char library[PATH_MAX];
	char *joined;
	int error = install_find_library(library);

	if (error) {
		message_print("libairlock.so: %s",
			error == -EINVAL
				? "its path has a blank or a colon, which LD_PRELOAD cannot hold"
				: strerror(-error));
		return EXIT_USAGE;
	}
	if (!list || list[0] == '\0') {
		setenv("LD_PRELOAD", library, true);
	} else if (!is_preloaded_first(list, library)) {
		if (asprintf(&joined, "%s:%s", library, list) < 0)
			return EXIT_USAGE;
		setenv("LD_PRELOAD", joined, true);
		free(joined);
	}
	return -1;
}

// Asks hostd for a sign of life, and measures the gate with the same question when that is wanted.
static enum gate_verdict meet_hostd(const struct settings *settings)
{
	char endpoint[ENDPOINT_TEXT_SIZE], version[64];
	int result;

	if (settings->gate == GATE_AUTO)
		result = control_client_measure_gate(&settings->hostd, GATE_MEASUREMENT, NULL);
	else
		result = control_client_ping(&settings->hostd, version, sizeof(version));
	if (result < 0) {
		message_print("airlock-hostd at %s: %s; routed connections will fail",
			endpoint_format(&settings->hostd, endpoint), message_for_control(result));
		return GATE_NOT_MEASURED;
	}
	if (settings->gate != GATE_AUTO)
		return GATE_NOT_MEASURED;
	return result > 0 ? GATE_WORKS : GATE_DOES_NOT_WORK;
}

static void record_verdict(const char *path, enum gate_verdict verdict)
{
	bool is_shared;
	struct state *state = state_open(path, 0, &is_shared);

	if (!state)
		return;
	atomic_store(&state->verdict, verdict);
	munmap(state, sizeof(*state));
}

// Also apart from the state: a program that changes its user gets another one.
static void export_verdict(enum gate_verdict verdict)
{
	if (verdict == GATE_DOES_NOT_WORK)
		setenv(GATE_ENVIRONMENT, GATE_ENVIRONMENT_OFF, true);
	else
		unsetenv(GATE_ENVIRONMENT);
}

// Leaves path empty when there is no file: then each program finds or makes one by itself. The file
// must be its user's own (state.h).
static void export_state(
	char path[static PATH_MAX], enum gate_verdict verdict, const struct enclave_user *user)
{
	int error = state_create(path);

	if (error) {
		message_print(
			"shared state: %s; programs started later may not know earlier streams",
			strerror(-error));
		path[0] = '\0';
		return;
	}
	record_verdict(path, verdict);
	if (user && chown(path, user->uid, user->gid) != 0)
		message_print("%s: %m", path);
	setenv(STATE_ENVIRONMENT, path, true);
}

static void raise_loopback(void)
{
	int error;

	if (loopback_is_up() != 0)
		return;
	error = loopback_raise();
	if (error)
		message_print("the loopback interface is down: %s", strerror(-error));
}

static void check_clock(void)
{
	struct clock_reading clock = clock_read();

	if (clock.is_wrong)
		message_print("the clock says %s, which is before this program was built (%s): "
			      "TLS refuses every certificate",
			clock.now, clock.built);
}

static int run_with(const struct settings *settings, const struct invocation *invocation)
{
	enum gate_verdict verdict = GATE_NOT_MEASURED;
	char state[PATH_MAX];
	int code;

	raise_loopback();
	check_clock();
	if (settings_has_route(settings, ROUTE_TLS) || settings_has_route(settings, ROUTE_DIRECT))
		verdict = meet_hostd(settings);
	export_verdict(verdict);
	export_state(state, verdict, invocation->user);
	code = supervise_run(settings, invocation->arguments, invocation->user);
	if (state[0] != '\0')
		unlink(state);
	if (code < 0)
		message_print("%s: %s", invocation->arguments[0], strerror(-code));
	return code < 0 ? STATUS_NOT_EXECUTABLE : code;
}

// nitro-cli's init starts the image's command as its child. Elsewhere orphans have that parent too,
// but no NSM.
static bool is_first_program(void)
{
	return getpid() == 1 || (getppid() == 1 && access(NSM_DEVICE, F_OK) == 0);
}

static int run(const struct invocation *invocation)
{
	bool is_first = invocation->is_init || is_first_program();
	struct settings settings;
	char problem[512];
	int code;

	if (is_first && !invocation->is_mounted)
		enclave_mount_all();
	if (!settings_load(invocation->conf, &settings, problem, sizeof(problem))) {
		message_print("%s", problem);
		return EXIT_USAGE;
	}
	message_set_level(settings.log_level);
	if (is_first)
		enclave_prepare(&settings);
	code = check_command(invocation->arguments[0], invocation->allow_unhooked);
	if (code < 0)
		code = export_configuration(invocation->conf);
	if (code < 0)
		code = export_library();
	if (code < 0)
		code = run_with(&settings, invocation);
	settings_clear(&settings);
	return code;
}

int run_subcommand(const struct invocation *invocation)
{
	return enclave_finish(run(invocation));
}
