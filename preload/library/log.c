// SPDX-License-Identifier: MIT
#include "preload/library/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "preload/library/library.h"
#include "preload/library/real.h"

#define LINE_SIZE 512

struct line {
	char text[LINE_SIZE];
	size_t length;
};

// What descriptor 2 was when the program started.
static struct {
	bool is_open;
	dev_t device;
	ino_t inode;
} standard_error;

void log_initialise(void)
{
	struct stat status;

	if (fstat(STDERR_FILENO, &status) < 0)
		return;
	standard_error.is_open = true;
	standard_error.device = status.st_dev;
	standard_error.inode = status.st_ino;
}

// A program that has no stderr may get one of its own files or connections as number 2, and one
// that has may put another socket there. A file or pipe that it redirects stderr to is still
// stderr.
static bool is_still_stderr(void)
{
	struct stat status;

	if (!standard_error.is_open || fstat(STDERR_FILENO, &status) < 0)
		return false;
	return !S_ISSOCK(status.st_mode) ||
	       (status.st_dev == standard_error.device && status.st_ino == standard_error.inode);
}

bool log_is_on(enum settings_log_level level)
{
	return level <= library_settings()->log_level;
}

// Room for the newline is kept.
static void append(struct line *line, const char *text)
{
	for (; *text && line->length < LINE_SIZE - 1; text++)
		line->text[line->length++] = (unsigned char)*text < ' ' ? '?' : *text;
}

const char *log_number(long number, char text[static LOG_NUMBER_SIZE])
{
	unsigned long rest = number < 0 ? -(unsigned long)number : (unsigned long)number;
	char digits[LOG_NUMBER_SIZE];
	size_t count = 0, length = 0;

	do
		digits[count++] = (char)('0' + rest % 10);
	while ((rest /= 10) != 0);
	if (number < 0)
		text[length++] = '-';
	while (count > 0)
		text[length++] = digits[--count];
	text[length] = '\0';
	return text;
}

void log_texts(enum settings_log_level level, ...)
{
	static const char *const names[] = {"", "error: ", "warning: ", "", "debug: "};
	struct line line = {.length = 0};
	char number[LOG_NUMBER_SIZE];
	int saved_errno = errno;
	va_list list;

	if (!is_still_stderr()) {
		errno = saved_errno;
		return;
	}
	append(&line, "airlock[");
	append(&line, log_number(getpid(), number));
	append(&line, "]: ");
	append(&line, names[level]);
	va_start(list, level);
	for (const char *text; (text = va_arg(list, const char *)) != NULL;)
		append(&line, text);
	va_end(list);
	line.text[line.length++] = '\n';
	// Nothing can be done about a stderr that takes no more.
	if (real_write(STDERR_FILENO, line.text, line.length) < 0)
		errno = saved_errno;
	errno = saved_errno;
}
