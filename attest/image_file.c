// SPDX-License-Identifier: MIT
#include "attest/image_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void close_file(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static bool fail_errno(const char *path, const char *what, int number, struct attest_error *error)
{
	return attest_fail(error, ATTEST_FAULT_DEVICE, path, ATTEST_NO_OFFSET, "%s: %s", what,
		strerror(number));
}

bool image_file_map(const char *path, struct bytes *content, struct attest_error *error)
{
	__attribute__((cleanup(close_file))) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat status;
	void *map;

	*content = (struct bytes){NULL, 0};
	if (fd < 0 || fstat(fd, &status) < 0)
		return fail_errno(path, "cannot be opened", errno, error);
	if (!S_ISREG(status.st_mode))
		return attest_fail(error, ATTEST_FAULT_DEVICE, path, ATTEST_NO_OFFSET,
			"is not a regular file");
	// There is no mapping of no bytes.
	if (status.st_size == 0)
		return true;
	map = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return fail_errno(path, "cannot be mapped", errno, error);
	(void)madvise(map, (size_t)status.st_size, MADV_SEQUENTIAL);
	*content = (struct bytes){map, (size_t)status.st_size};
	return true;
}

void image_file_unmap(struct bytes *content)
{
	void *data = (void *)(uintptr_t)content->data;

	if (data)
		munmap(data, content->length);
	*content = (struct bytes){NULL, 0};
}

// --- writing

static int write_parts(int fd, const struct bytes *parts, size_t count)
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

static int write_new(const char *path, int flags, const struct bytes *parts, size_t count)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0644), status;

	if (fd < 0)
		return -errno;
	status = write_parts(fd, parts, count);
	if (status == 0 && flags != 0 && fsync(fd) < 0)
		status = -errno;
	if (close(fd) < 0 && status == 0)
		status = -errno;
	return status;
}

static int write_and_rename(const char *path, const struct bytes *parts, size_t count)
{
	char temporary[PATH_MAX];
	int used = snprintf(temporary, sizeof(temporary), "%s.%d", path, (int)getpid()), status;

	if (used < 0 || (size_t)used >= sizeof(temporary))
		return -ENAMETOOLONG;
	status = write_new(temporary, O_CREAT | O_EXCL, parts, count);
	if (status == -EEXIST)
		return status;
	if (status == 0 && rename(temporary, path) < 0)
		status = -errno;
	if (status < 0)
		unlink(temporary);
	return status;
}

bool image_file_write(
	const char *path, const struct bytes *parts, size_t count, struct attest_error *error)
{
	struct stat found;
	int status;

	if (stat(path, &found) == 0 && !S_ISREG(found.st_mode))
		status = write_new(path, 0, parts, count);
	else
		status = write_and_rename(path, parts, count);
	return status == 0 || fail_errno(path, "cannot be written", -status, error);
}
