// SPDX-License-Identifier: MIT
#include "preload/library/user_memory.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

// Returns 0, -EFAULT, or another -errno when the call itself is not to be had.
static int move(void *local, const void *remote, size_t size, bool is_write)
{
	struct iovec here = {.iov_base = local, .iov_len = size};
	struct iovec there = {.iov_base = (void *)(uintptr_t)remote, .iov_len = size};
	int saved_errno = errno;
	ssize_t moved = is_write ? process_vm_writev(getpid(), &here, 1, &there, 1, 0)
				 : process_vm_readv(getpid(), &here, 1, &there, 1, 0);
	int result = moved < 0 ? -errno : 0;

	errno = saved_errno;
	if (moved >= 0 && (size_t)moved != size)
		result = -EFAULT;
	return result;
}

int user_memory_read(void *to, const void *from, size_t size)
{
	int result = size > 0 ? move(to, from, size, false) : 0;

	if (result == 0 || result == -EFAULT)
		return result;
	memcpy(to, from, size);
	return 0;
}

int user_memory_write(void *to, const void *from, size_t size)
{
	int result = size > 0 ? move((void *)(uintptr_t)from, to, size, true) : 0;

	if (result == 0 || result == -EFAULT)
		return result;
	memcpy(to, from, size);
	return 0;
}

bool user_memory_is_readable(const struct iovec *pieces, size_t count)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	for (size_t i = 0; i < count; i++) {
		uintptr_t at = (uintptr_t)pieces[i].iov_base, end = at + pieces[i].iov_len;

		for (char byte; at < end; at = (at | (page - 1)) + 1)
			if (user_memory_read(&byte, (const void *)at, 1) < 0)
				return false;
	}
	return true;
}

int user_memory_put_address(
	struct sockaddr *to, socklen_t *length, const void *address, socklen_t address_length)
{
	int room, result = user_memory_read(&room, length, sizeof(room));

	if (result < 0)
		return result;
	if (room < 0)
		return -EINVAL;
	if ((socklen_t)room > address_length)
		room = (int)address_length;
	result = user_memory_write(to, address, (size_t)room);
	return result < 0 ? result : user_memory_write(length, &address_length, sizeof(*length));
}

int user_memory_put_option(void *to, socklen_t *length, const void *value, socklen_t value_length)
{
	int room, result = user_memory_read(&room, length, sizeof(room));

	if (result < 0)
		return result;
	if (room < 0)
		return -EINVAL;
	if ((socklen_t)room > value_length)
		room = (int)value_length;
	result = user_memory_write(to, value, (size_t)room);
	return result < 0 ? result : user_memory_write(length, &room, sizeof(room));
}
