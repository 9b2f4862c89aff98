// SPDX-License-Identifier: MIT
// Theory of operation: an initramfs holds the program's files, the command file, and a link /init
// to `airlock`, which the kernel starts with nothing mounted, perhaps without standard descriptors,
// and with an environment made of its command line. Whatever differs from `airlock run` is put
// right here until it does not: devices, descriptors, modules, environment, directory, command. The
// rest, from the mounts on, is what `airlock run` does as any first process.
#include "preload/launcher/enclave_init.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "preload/launcher/enclave_command.h"
#include "preload/launcher/enclave_entropy.h"
#include "preload/launcher/enclave_machine.h"
#include "preload/launcher/enclave_modules.h"
#include "preload/launcher/enclave_mounts.h"
#include "preload/launcher/enclave_report.h"
#include "preload/launcher/message.h"
#include "preload/launcher/subcommands.h"
#include "wire/conf_file.h"

#define COMMAND_FILE "/etc/airlock/command"
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static void report(const struct endpoint *endpoint)
{
	char text[ENDPOINT_TEXT_SIZE];
	int error = enclave_report(endpoint);

	endpoint_format(endpoint, text);
	if (error)
		message_print("report to %s: %s", text, message_for_control(error));
	else
		message_inform("reported to %s", text);
}

void enclave_prepare(const struct settings *settings)
{
	char nsm[ENDPOINT_TEXT_SIZE];

	enclave_seed_entropy(settings_nsm_name(settings, nsm));
	if (settings->report.transport != 0)
		report(&settings->report);
}

// Without them the first files that are opened would become the program's input and output.
static void open_console(void)
{
	while (fcntl(STDERR_FILENO, F_GETFD) < 0) {
		int fd = open("/dev/console", O_RDWR | O_NOCTTY);

		if (fd < 0)
			fd = open("/dev/null", O_RDWR);
		if (fd < 0)
			return;
	}
}

// The command points into what is read here, which is therefore kept.
static bool load_command(struct enclave_command *command)
{
	struct conf_error error;
	char message[512];
	char *text = malloc(CONF_FILE_MAX + 1);
	int fd = text ? open(COMMAND_FILE, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t length = fd < 0 ? -errno : conf_file_read(fd, text, CONF_FILE_MAX + 1);

	if (fd >= 0)
		close(fd);
	if (length < 0)
		message_print("%s: %s", COMMAND_FILE, strerror((int)-length));
	else if (enclave_command_parse(text, (size_t)length, command, &error))
		return true;
	else
		message_print(
			"%s", conf_error_format(&error, COMMAND_FILE, message, sizeof(message)));
	free(text);
	return false;
}

static void set_environment(const struct enclave_command *command)
{
	bool is_root = !command->has_user || command->user.uid == 0;

	clearenv();
	setenv("PATH", DEFAULT_PATH, true);
	setenv("HOME", is_root ? "/root" : "/", true);
	for (size_t i = 0; i < command->environment_count; i++)
		putenv(command->environment[i]);
}

// Programs that log to /dev/stderr open the console again.
static void give_console(const struct enclave_user *user)
{
	if (fchown(STDERR_FILENO, user->uid, (gid_t)-1) != 0)
		message_inform("the console stays root's: %m");
}

static int run_command(void)
{
	struct invocation invocation = {.is_init = true, .is_mounted = true};
	struct enclave_command command;

	if (!load_command(&command))
		return enclave_finish(EXIT_USAGE);
	set_environment(&command);
	if (chdir(command.directory) != 0) {
		message_print("%s: %m", command.directory);
		return enclave_finish(EXIT_USAGE);
	}
	if (command.has_user) {
		invocation.user = &command.user;
		give_console(&command.user);
	}
	invocation.arguments = command.arguments;
	invocation.count = (int)command.argument_count;
	return run_subcommand(&invocation);
}

int enclave_init_main(void)
{
	int error;

	if (getpid() != 1) {
		message_print("init is only for PID 1");
		return EXIT_USAGE;
	}
	error = enclave_mount_devices();
	open_console();
	if (error)
		message_print("cannot mount devtmpfs on /dev: %s", strerror(-error));
	(void)setsid(); // the kernel's first process belongs to none
	enclave_mount_all();
	enclave_load_modules();
	return run_command();
}
