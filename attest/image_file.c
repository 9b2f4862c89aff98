// SPDX-License-Identifier: MIT
#include "attest/image_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void close_file(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static bool fail_errno(const char *path, const char *what, struct attest_error *error)
{
	return attest_fail(error, ATTEST_FAULT_DEVICE, path, ATTEST_NO_OFFSET, "%s: %s", what,
		strerror(errno));
}

static bool copy(int from, int to)
{
	uint8_t bytes[65536];
	ssize_t got;

	while ((got = TEMP_FAILURE_RETRY(read(from, bytes, sizeof(bytes)))) > 0) {
		for (ssize_t done = 0, put; done < got; done += put) {
			put = TEMP_FAILURE_RETRY(write(to, bytes + done, (size_t)(got - done)));
			if (put < 0)
				return false;
		}
	}
	return got == 0;
}

// Standard input that is a pipe cannot be mapped: what comes through it is kept in memory.
static int open_standard(void)
{
	struct stat status;
	int fd;

	if (fstat(STDIN_FILENO, &status) < 0)
		return -1;
	if (!S_ISFIFO(status.st_mode) && !S_ISSOCK(status.st_mode))
		return fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	fd = memfd_create("image", MFD_CLOEXEC);
	if (fd < 0 || copy(STDIN_FILENO, fd))
		return fd;
	close_file(&fd);
	return -1;
}

bool image_file_map(const char *path, struct bytes *content, struct attest_error *error)
{
	__attribute__((cleanup(close_file))) int fd =
		strcmp(path, "-") == 0 ? open_standard()
				       : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat status;
	void *map;

	*content = (struct bytes){NULL, 0};
	if (fd < 0 || fstat(fd, &status) < 0)
		return fail_errno(path, "cannot be opened", error);
	if (!S_ISREG(status.st_mode))
		return attest_fail(error, ATTEST_FAULT_DEVICE, path, ATTEST_NO_OFFSET,
			"is not a regular file");
	// There is no mapping of no bytes.
	if (status.st_size == 0)
		return true;
	map = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return fail_errno(path, "cannot be mapped", error);
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
