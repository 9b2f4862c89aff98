// SPDX-License-Identifier: MIT
#include "wire/conf_file.h"

#include <errno.h>
#include <unistd.h>

ssize_t conf_file_read(int fd, char *text, size_t size)
{
	size_t length = 0;

	while (length < size) {
		ssize_t got = read(fd, text + length, size - length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return (ssize_t)length;
		length += (size_t)got;
	}
	return -EFBIG;
}
