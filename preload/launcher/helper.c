// SPDX-License-Identifier: MIT
#include "preload/launcher/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "preload/launcher/install.h"
#include "wire/clock.h"

// execve(2) changes neither its arguments nor their texts; POSIX says why its type denies it.
static _Noreturn void execute(const char *program, const char *const *arguments, int output)
{
	union {
		const char *const *constant;
		char *const *plain;
	} words = {.constant = arguments};
	char *environment[] = {NULL};

	if (dup2(output, STDOUT_FILENO) >= 0 && dup2(output, STDERR_FILENO) >= 0)
		execve(program, words.plain, environment);
	_exit(127);
}

// Reads to the end; what has no room is dropped. Returns the bytes stored, or -errno.
static ssize_t read_output(int fd, uint64_t deadline, char *output, size_t size)
{
	struct pollfd item = {.fd = fd, .events = POLLIN};
	char surplus[256] = "";
	size_t length = 0;

	for (;;) {
		uint64_t now = clock_now_ms();
		bool is_full = length == size;
		ssize_t count;

		if (now >= deadline)
			return -ETIMEDOUT;
		if (poll(&item, 1, (int)(deadline - now)) <= 0)
			continue;
		count = read(fd, is_full ? surplus : output + length,
			is_full ? sizeof(surplus) : size - length);
		if (count == 0)
			return (ssize_t)length;
		if (count < 0 && errno != EINTR)
			return -errno;
		if (count > 0 && !is_full)
			length += (size_t)count;
	}
}

// One that did not end in time is not waited for: it may hang inside the device.
static ssize_t attend(
	pid_t child, int fd, unsigned timeout_ms, char *output, size_t size, int *code)
{
	ssize_t length = read_output(fd, clock_now_ms() + timeout_ms, output, size);
	int status;

	if (length < 0) {
		kill(child, SIGKILL);
		(void)waitpid(child, NULL, WNOHANG);
		return length;
	}
	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	*code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	return length;
}

static ssize_t run(const char *program, const char *const *arguments, unsigned timeout_ms,
	char *output, size_t size, int *code)
{
	int ends[2];
	ssize_t length;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	child = fork();
	if (child == 0)
		execute(program, arguments, ends[1]);
	length = child < 0 ? -errno : 0;
	close(ends[1]);
	if (child > 0)
		length = attend(child, ends[0], timeout_ms, output, size, code);
	close(ends[0]);
	return length;
}

ssize_t helper_run(
	const char *const *arguments, unsigned timeout_ms, char *output, size_t size, int *code)
{
	struct sigaction plain = {.sa_handler = SIG_DFL}, inherited;
	char program[PATH_MAX];
	int error = install_find_program(arguments[0], program);
	ssize_t length;

	if (error)
		return error;
	// Inherited as ignored, it would make the kernel reap for us and lose the status (wait(2)).
	sigaction(SIGCHLD, &plain, &inherited);
	length = run(program, arguments, timeout_ms, output, size, code);
	sigaction(SIGCHLD, &inherited, NULL);
	return length;
}
