// SPDX-License-Identifier: MIT
// airlock-tls: programs speak plaintext to it over a local socket, it speaks TLS to their
// destinations through airlock-hostd.
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "preload/shared/settings.h"
#include "preload/tls/environment.h"
#include "preload/tls/sandbox.h"
#include "preload/tls/tls_log.h"
#include "preload/tls/tls_server.h"
#include "wire/exit_code.h"
#include "wire/parse.h"

struct options {
	const char *conf;
	int ready_fd; // -1: nobody waits
};

// What is in memory are other programs' secrets.
static bool forbid_core_dumps(void)
{
	const struct rlimit none = {0, 0};

	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 && setrlimit(RLIMIT_CORE, &none) == 0;
}

// Three descriptors a stream.
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static void announce(int *ready_fd)
{
	ssize_t written;

	if (*ready_fd < 0)
		return;
	written = write(*ready_fd, "R", 1);
	(void)written;
	close(*ready_fd);
	*ready_fd = -1;
}

static int serve(const struct settings *settings, struct options *options)
{
	struct tls_server *server = malloc(sizeof(*server));
	int code = EXIT_TRANSPORT;
	int error;

	if (!server)
		return EXIT_TRANSPORT;
	error = tls_server_open(server, settings);
	if (!error)
		error = sandbox_forbid_files(&settings->tls_listen);
	if (!error)
		error = tls_server_start(server);
	if (!error)
		error = sandbox_forbid_calls();
	if (!error) {
		announce(&options->ready_fd);
		error = tls_server_run(server);
		code = error ? EXIT_TRANSPORT : EXIT_OK;
	}
	if (error)
		tls_log_message(SETTINGS_LOG_ERROR, "ending: %s", strerror(-error));
	tls_server_close(server);
	free(server);
	return code;
}

static int run(struct options *options)
{
	struct settings settings;
	char problem[512];
	int code;

	if (!settings_load(options->conf, &settings, problem, sizeof(problem))) {
		fprintf(stderr, "airlock-tls: %s\n", problem);
		return EXIT_USAGE;
	}
	if (settings.log_level != SETTINGS_LOG_NONE)
		tls_log_set_level(settings.log_level);
	raise_descriptor_limit();
	code = serve(&settings, options);
	settings_clear(&settings);
	return code;
}

static int refuse(const char *reason)
{
	fprintf(stderr, "airlock-tls: %s\n", reason);
	return EXIT_NO;
}

static int start(struct options *options, char **words)
{
	if (environment_scrub(words) < 0)
		return refuse("cannot be executed anew without its environment");
	signal(SIGPIPE, SIG_IGN); // whoever waited for readiness, or reads our log, may have left
	signal(SIGTTOU, SIG_IGN); // we log from the background of a terminal, tostop or not
	if (!forbid_core_dumps())
		return refuse("cannot forbid core dumps");
	if (time(NULL) < (time_t)AIRLOCK_BUILD_TIME)
		return refuse("the clock is before the date of this program's build, so "
			      "certificates cannot be judged");
	return run(options);
}

static int print_help(void)
{
	puts("usage: airlock-tls [-c FILE]\n\n"
	     "  -c FILE        configuration, default $AIRLOCK_CONF, else " SETTINGS_DEFAULT_PATH
	     "\n"
	     "  --ready-fd N   write a byte to descriptor N and close it once it listens\n"
	     "  --help, --version");
	return EXIT_OK;
}

static bool read_descriptor(const char *text, int *fd)
{
	unsigned long number;

	if (!parse_number(text, strlen(text), INT_MAX, &number)) {
		fprintf(stderr, "airlock-tls: --ready-fd: not a descriptor: %s\n", text);
		return false;
	}
	*fd = (int)number;
	return true;
}

int main(int count, char **words)
{
	static const struct option names[] = {
		{"ready-fd", required_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	struct options options = {.ready_fd = -1};
	int option;

	while ((option = getopt_long(count, words, "c:", names, NULL)) != -1) {
		switch (option) {
		case 'c':
			options.conf = optarg;
			break;
		case 'r':
			if (!read_descriptor(optarg, &options.ready_fd))
				return EXIT_USAGE;
			break;
		case 'h':
			return print_help();
		case 'V':
			puts("airlock-tls " AIRLOCK_VERSION);
			return EXIT_OK;
		default:
			return EXIT_USAGE;
		}
	}
	if (optind < count) {
		fprintf(stderr, "airlock-tls: unexpected word: %s\n", words[optind]);
		return EXIT_USAGE;
	}
	return start(&options, words);
}
