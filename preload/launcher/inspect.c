// SPDX-License-Identifier: MIT
// Theory of operation: a command is a file; a script leads to its interpreter, `env` leads on to
// the program that it will run, and a text without #! leads to the shell, as execve(2) and
// execvp(3) do it. Each ELF file on the way is asked for a reason why the loader would ignore
// LD_PRELOAD, or why the library could not see the program's connects; the first reason ends the
// walk.
#include "preload/launcher/inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "preload/launcher/executable.h"

#define MAX_STEPS 8 // the kernel itself follows at most five interpreters (execve(2), ELOOP)

// The directories that execvp(3) searches when PATH is not set.
#define DEFAULT_SEARCH_PATH "/bin:/usr/bin"

static int may_execute(const char *path)
{
	struct stat status;

	if (stat(path, &status) != 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EACCES;
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0 ? 0 : -errno;
}

// As execvp(3): a name with a slash is a path; a file that may not be executed does not end the
// search, but is remembered as the reason.
static int find_command(const char *command, char path[static PATH_MAX])
{
	const char *directories = getenv("PATH");
	int error = -ENOENT;

	if (command[0] == '\0')
		return -ENOENT;
	if (strchr(command, '/')) {
		if ((size_t)snprintf(path, PATH_MAX, "%s", command) >= PATH_MAX)
			return -ENAMETOOLONG;
		return may_execute(path);
	}
	if (!directories)
		directories = DEFAULT_SEARCH_PATH;
	for (const char *start = directories;; start++) {
		size_t length = strcspn(start, ":");
		int written = snprintf(path, PATH_MAX, "%.*s%s%s", (int)length, start,
			length > 0 ? "/" : "./", command);
		int result = written < PATH_MAX ? may_execute(path) : -ENAMETOOLONG;

		if (result == 0)
			return 0;
		if (result == -EACCES)
			error = -EACCES;
		start += length;
		if (*start == '\0')
			return error;
	}
}

// Maps the file and reads it. Returns 0, -ENOEXEC with a sentence in reason, or another -errno.
static int read_executable(
	const char *path, struct executable *executable, struct parse_error *problem)
{
	struct stat status;
	void *bytes = NULL;
	bool is_good;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) != 0 || status.st_size == 0) {
		close(fd);
		memset(executable, 0, sizeof(*executable));
		return 0;
	}
	bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (bytes == MAP_FAILED)
		return -errno;
	is_good = executable_parse(bytes, (size_t)status.st_size, executable, problem);
	munmap(bytes, (size_t)status.st_size);
	return is_good ? 0 : -ENOEXEC;
}

// In secure-execution mode the loader ignores LD_PRELOAD paths (ld.so(8)).
static const char *privilege_reason(const char *path)
{
	struct stat status;

	if (stat(path, &status) != 0)
		return NULL;
	if (status.st_mode & S_ISUID)
		return "is set-user-ID: the loader ignores LD_PRELOAD for it";
	if ((status.st_mode & S_ISGID) && (status.st_mode & S_IXGRP))
		return "is set-group-ID: the loader ignores LD_PRELOAD for it";
	if (getxattr(path, "security.capability", NULL, 0) > 0)
		return "has file capabilities: the loader ignores LD_PRELOAD for it";
	return NULL;
}

static const char *loader_reason(const char *loader)
{
	const char *slash = strrchr(loader, '/');
	const char *name = slash ? slash + 1 : loader;

	if (loader[0] == '\0')
		return "is statically linked: no loader runs that could preload a library";
	if (strncmp(name, "ld-musl", strlen("ld-musl")) == 0)
		return "is linked with musl, and libairlock.so with glibc";
	if (strncmp(name, "ld-linux", strlen("ld-linux")) != 0)
		return "has a loader that is not glibc's";
	return NULL;
}

static const char *elf_reason(const char *path, const struct executable *executable)
{
	const char *reason;

	if (!executable->is_native)
		return "is for another architecture than libairlock.so";
	if (executable->is_go)
		return "is made by Go, which makes system calls without libc";
	reason = loader_reason(executable->interpreter);
	if (!reason)
		reason = privilege_reason(path);
	if (!reason && executable->uses_io_uring)
		reason = "uses liburing: a connect through io_uring does not pass libc";
	return reason;
}

static bool is_env(const char *path)
{
	const char *slash = strrchr(path, '/');

	return strcmp(slash ? slash + 1 : path, "env") == 0;
}

// The program that env(1) would run for the argument of a #! line, which it gets as one word, or
// splits itself after -S. Returns NULL when there is none; *is_cleared says that LD_PRELOAD would
// be lost.
static const char *env_program(char *argument, bool *is_cleared)
{
	bool is_split = strncmp(argument, "-S", 2) == 0 || strncmp(argument, "-vS", 3) == 0;
	char *rest = NULL;
	char *word = is_split ? strtok_r(argument, " \t", &rest) : argument;

	*is_cleared = false;
	while (word) {
		if (strncmp(word, "-S", 2) == 0 && word[2] != '\0')
			word += 2; // -Sprogram
		if (strcmp(word, "-i") == 0 || strcmp(word, "-") == 0 ||
			strcmp(word, "--ignore-environment") == 0)
			*is_cleared = true;
		else if (word[0] != '\0' && word[0] != '-' && !strchr(word, '='))
			return word;
		word = is_split ? strtok_r(NULL, " \t", &rest) : NULL;
	}
	return NULL;
}

static int refuse(struct inspection *inspection, const char *reason)
{
	snprintf(inspection->reason, sizeof(inspection->reason), "%s", reason);
	return 1;
}

// Replaces inspection->path by the next file on the way. Returns 0 to go on, 1 refused, 2 at the
// end.
static int follow(struct inspection *inspection, struct executable *executable)
{
	const char *program;
	bool is_cleared;

	if (executable->kind == EXECUTABLE_OTHER) {
		strcpy(inspection->path, "/bin/sh");
		return 0;
	}
	strcpy(inspection->path, executable->interpreter);
	if (!is_env(inspection->path))
		return 0;
	program = env_program(executable->argument, &is_cleared);
	if (is_cleared)
		return refuse(inspection, "clears the environment, and LD_PRELOAD with it");
	if (!program)
		return 0;
	return find_command(program, inspection->path) == 0 ? 0 : 2;
}

// Looks at one file. Returns 0 to go on with inspection->path, 1 refused, 2 at the end, or -ENOENT.
static int inspect_step(struct inspection *inspection)
{
	struct executable executable;
	struct parse_error problem;
	const char *reason;
	int error;

	error = read_executable(inspection->path, &executable, &problem);
	if (error == -ENOEXEC) {
		snprintf(inspection->reason, sizeof(inspection->reason), "cannot be understood: %s",
			problem.reason);
		return 1;
	}
	if (error == -ENOENT)
		return error; // an interpreter; the kernel would say the same
	if (error)
		return refuse(inspection, "cannot be read, so that nothing is known about it");
	if (executable.kind != EXECUTABLE_ELF)
		return follow(inspection, &executable);
	reason = elf_reason(inspection->path, &executable);
	return reason ? refuse(inspection, reason) : 2;
}

int inspect_command(const char *command, struct inspection *inspection)
{
	int result;

	inspection->reason[0] = '\0';
	result = find_command(command, inspection->path);
	if (result < 0) {
		snprintf(inspection->path, sizeof(inspection->path), "%s", command);
		return result;
	}
	for (int step = 0; step < MAX_STEPS && result == 0; step++)
		result = inspect_step(inspection);
	if (result == 0)
		return refuse(inspection, "leads to too many interpreters");
	return result < 0 ? result : result == 1;
}
