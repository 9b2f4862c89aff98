// SPDX-License-Identifier: MIT
#include "attest/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gnutls/gnutls.h>

#define READ_STEP 16384

static void close_file(const int *fd)
{
	if (*fd > STDERR_FILENO)
		close(*fd);
}

static void free_bytes(uint8_t **bytes)
{
	free(*bytes);
}

static bool fail_errno(const char *path, const char *what, struct attest_error *error)
{
	return attest_fail(error, ATTEST_FAULT_DEVICE, path, ATTEST_NO_OFFSET, "%s: %s", what,
		strerror(errno));
}

static bool is_standard(const char *path)
{
	return strcmp(path, "-") == 0;
}

// --- reading

// Room for at least one more byte and the NUL, and for no more than maximum + 2.
static bool grow(uint8_t **bytes, size_t length, size_t *size, size_t maximum)
{
	size_t wanted = *size < READ_STEP ? READ_STEP : 2 * *size;
	uint8_t *larger;

	if (length + 1 < *size)
		return true;
	if (wanted > maximum + 2)
		wanted = maximum + 2;
	larger = realloc(*bytes, wanted);
	if (!larger)
		return false;
	*bytes = larger;
	*size = wanted;
	return true;
}

bool file_read(const char *path, size_t maximum, uint8_t **data, size_t *length,
	struct attest_error *error)
{
	__attribute__((cleanup(close_file))) int fd =
		is_standard(path) ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	__attribute__((cleanup(free_bytes))) uint8_t *bytes = NULL;
	size_t size = 0, filled = 0;
	ssize_t got;

	*data = NULL;
	*length = 0;
	if (fd < 0)
		return fail_errno(path, "cannot be opened", error);
	do {
		if (!grow(&bytes, filled, &size, maximum))
			return fail_errno(path, "cannot be read", error);
		got = TEMP_FAILURE_RETRY(read(fd, bytes + filled, size - filled - 1));
		if (got < 0)
			return fail_errno(path, "cannot be read", error);
		filled += (size_t)got;
		if (filled > maximum)
			return attest_fail(error, ATTEST_FAULT_MALFORMED, path, maximum,
				"more than %zu bytes", maximum);
	} while (got > 0);
	bytes[filled] = '\0';
	*data = bytes;
	*length = filled;
	bytes = NULL;
	return true;
}

// --- writing

static int write_all(int fd, const struct bytes *parts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t done = 0; done < parts[i].length;) {
			ssize_t put = TEMP_FAILURE_RETRY(
				write(fd, parts[i].data + done, parts[i].length - done));

			if (put < 0)
				return -errno;
			done += (size_t)put;
		}
	}
	return 0;
}

// As it is: a pipe, a device, standard output.
static int write_through(const char *path, const struct bytes *parts, size_t count)
{
	__attribute__((cleanup(close_file))) int fd =
		is_standard(path) ? STDOUT_FILENO : open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : write_all(fd, parts, count);
}

// Synced before the rename: after a crash the name leads to the old content or to the whole of the
// new one.
static int write_synced(const char *path, const struct bytes *parts, size_t count, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	int status;

	if (fd < 0)
		return -errno;
	status = write_all(fd, parts, count);
	if (status == 0 && fsync(fd) < 0)
		status = -errno;
	if (close(fd) < 0 && status == 0)
		status = -errno;
	return status;
}

static int write_and_rename(const char *path, const struct bytes *parts, size_t count, mode_t mode)
{
	char temporary[PATH_MAX];
	struct timespec now;
	int status, used;

	clock_gettime(CLOCK_REALTIME, &now);
	used = snprintf(
		temporary, sizeof(temporary), "%s.%d-%09ld", path, (int)getpid(), now.tv_nsec);
	if (used < 0 || (size_t)used >= sizeof(temporary))
		return -ENAMETOOLONG;
	status = write_synced(temporary, parts, count, mode);
	if (status == -EEXIST)
		return status;
	if (status == 0 && rename(temporary, path) < 0)
		status = -errno;
	if (status < 0)
		unlink(temporary);
	return status;
}

bool file_write_parts(const char *path, const struct bytes *parts, size_t count, mode_t mode,
	struct attest_error *error)
{
	struct stat existing;
	char target[PATH_MAX];
	int status;

	if (is_standard(path) || (stat(path, &existing) == 0 && !S_ISREG(existing.st_mode)))
		status = write_through(path, parts, count);
	else // a symbolic link stays one: what it leads to is replaced
		status = write_and_rename(
			realpath(path, target) ? target : path, parts, count, mode);
	errno = -status;
	return status == 0 || fail_errno(path, "cannot be written", error);
}

bool file_write(
	const char *path, const void *data, size_t length, mode_t mode, struct attest_error *error)
{
	struct bytes whole = {data, length};

	return file_write_parts(path, &whole, 1, mode, error);
}

// --- locks

int directory_lock(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int error;

	if (fd < 0 || TEMP_FAILURE_RETRY(flock(fd, LOCK_EX)) == 0)
		return fd < 0 ? -errno : fd;
	error = errno;
	close(fd);
	return -error;
}

void directory_unlock(const int *lock)
{
	if (*lock >= 0)
		close(*lock);
}

// --- hexadecimal

bool hex_decode(const char *text, size_t length, uint8_t **out, size_t *out_length)
{
	gnutls_datum_t given = {.data = (uint8_t *)(uintptr_t)text, .size = (unsigned)length};
	gnutls_datum_t decoded = {0};

	*out = NULL;
	*out_length = 0;
	if (length > UINT_MAX || gnutls_hex_decode2(&given, &decoded) < 0)
		return false;
	*out = decoded.data;
	*out_length = decoded.size;
	return true;
}

const char *hex_encode(const void *data, size_t length, char *text)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < length; i++) {
		text[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
		text[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
	}
	text[2 * length] = '\0';
	return text;
}

// --- times

// Exactly so many digits, and then *text is behind them. -1 for anything else.
static int take_digits(const char **text, int count)
{
	int value = 0;

	for (; count > 0; count--, (*text)++) {
		if (**text < '0' || **text > '9')
			return -1;
		value = 10 * value + **text - '0';
	}
	return value;
}

static bool take(const char **text, char wanted)
{
	if (**text != wanted)
		return false;
	(*text)++;
	return true;
}

static bool take_date_and_time(const char **text, struct tm *parts)
{
	int year = take_digits(text, 4);

	*parts = (struct tm){.tm_year = year - 1900};
	if (year < 0 || !take(text, '-'))
		return false;
	parts->tm_mon = take_digits(text, 2) - 1;
	if (!take(text, '-'))
		return false;
	parts->tm_mday = take_digits(text, 2);
	if (!take(text, 'T') && !take(text, 't'))
		return false;
	parts->tm_hour = take_digits(text, 2);
	if (!take(text, ':'))
		return false;
	parts->tm_min = take_digits(text, 2);
	if (!take(text, ':'))
		return false;
	parts->tm_sec = take_digits(text, 2);
	return true;
}

static bool take_fraction(const char **text)
{
	if (!take(text, '.'))
		return true;
	if (take_digits(text, 1) < 0)
		return false;
	while (take_digits(text, 1) >= 0)
		;
	return true;
}

static bool take_offset(const char **text, time_t *seconds)
{
	int sign = **text == '-' ? -1 : 1, hours, minutes;

	*seconds = 0;
	if (take(text, 'Z') || take(text, 'z'))
		return true;
	if (!take(text, '+') && !take(text, '-'))
		return false;
	hours = take_digits(text, 2);
	if (!take(text, ':'))
		return false;
	minutes = take_digits(text, 2);
	*seconds = sign * (hours * 3600 + minutes * 60);
	return hours >= 0 && hours <= 23 && minutes >= 0 && minutes <= 59;
}

bool time_parse(const char *text, time_t *when)
{
	struct tm parts, normal;
	time_t seconds, offset;

	if (!take_date_and_time(&text, &parts) || !take_fraction(&text) ||
		!take_offset(&text, &offset) || *text != '\0')
		return false;
	// timegm carries what is out of range (30 February, 25:00, a leap second) over into the
	// next field: such a time is none.
	normal = parts;
	seconds = timegm(&normal);
	if (normal.tm_year != parts.tm_year || normal.tm_mon != parts.tm_mon ||
		normal.tm_mday != parts.tm_mday || normal.tm_hour != parts.tm_hour ||
		normal.tm_min != parts.tm_min || normal.tm_sec != parts.tm_sec)
		return false;
	*when = seconds - offset;
	return true;
}

const char *time_format(time_t when, char text[static 32])
{
	struct tm parts;

	// A year past what struct tm holds.
	if (!gmtime_r(&when, &parts) || strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
		snprintf(text, 32, "@%lld", (long long)when);
	return text;
}
