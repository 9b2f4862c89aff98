// SPDX-License-Identifier: MIT
// Theory of operation: an open of /dev/nsm gives a socket that is connected to the simulated NSM,
// so that it fails when there is none. The socket bears a name of its own in the abstract
// namespace, which says what it is to every process that it is duplicated into, inherited by, or
// sent to: there is no state here. Each ioctl asks over a fresh connection. The descriptor's own
// would mix up the answers of threads and processes that share it, for which the device has a
// mutex, and a lock that holds between processes and in signal handlers is not to be had; a unix
// connection costs some microseconds, the device milliseconds.
//
// The kernel opens first: then the path has been read, and can be compared without a bad pointer
// being a crash, and the usual open costs no comparison.
#include "preload/library/nsm_device.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "preload/library/fds.h"
#include "preload/library/fork_guard.h"
#include "preload/library/library.h"
#include "preload/library/log.h"
#include "preload/library/real.h"
#include "preload/library/result.h"
#include "preload/library/swap.h"
#include "preload/library/user_memory.h"
#include "wire/nsm_socket.h"

// unix(7), abstract: the NUL, this, and the socket's cookie, which no other socket has.
#define NAME_PREFIX "airlock-nsm-"
#define PREFIX_SIZE (sizeof(NAME_PREFIX) - 1)

_Atomic bool nsm_device_is_real;

void nsm_device_initialise(void)
{
	atomic_store(&nsm_device_is_real, library_settings()->nsm.transport == 0);
}

// --- the name

static int give_name(int fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	uint64_t cookie = fds_cookie(fd);
	socklen_t length = offsetof(struct sockaddr_un, sun_path) + 1 + PREFIX_SIZE;

	memcpy(address.sun_path + 1, NAME_PREFIX, PREFIX_SIZE);
	for (int shift = 60; shift >= 0; shift -= 4)
		address.sun_path[length++ - offsetof(struct sockaddr_un, sun_path)] =
			"0123456789abcdef"[cookie >> shift & 15];
	return bind(fd, (const struct sockaddr *)&address, length) < 0 ? -errno : 0;
}

static bool has_name(int fd)
{
	struct sockaddr_un address;
	socklen_t length = sizeof(address);

	return real_getsockname(fd, (struct sockaddr *)&address, &length) == 0 &&
	       address.sun_family == AF_UNIX &&
	       length > offsetof(struct sockaddr_un, sun_path) + 1 + PREFIX_SIZE &&
	       memcmp(address.sun_path, "\0" NAME_PREFIX, 1 + PREFIX_SIZE) == 0;
}

// --- open

// ENXIO is what open(2) gives for a file of a device that is not there.
static int open_simulated(int flags)
{
	UNCANCELLED;
	int fd = nsm_socket_dial(&library_settings()->nsm);
	int result;

	if (fd < 0) {
		char text[ENDPOINT_TEXT_SIZE];
		log_line(SETTINGS_LOG_ERROR, NSM_DEVICE " is simulated, but not at ",
			settings_nsm_name(library_settings(), text), ": ",
			strerrordesc_np(-fd) ? strerrordesc_np(-fd) : "unknown error");
		return fd == -EMFILE || fd == -ENFILE || fd == -EACCES ? fd : -ENXIO;
	}
	result = give_name(fd);
	if (result == 0 && !(flags & O_CLOEXEC) && real_fcntl(fd, F_SETFD, 0) < 0)
		result = -errno;
	if (result == 0 && (flags & O_NONBLOCK) && real_fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		result = -errno;
	if (result == 0)
		return fd;
	close(fd);
	return result;
}

// EINVAL, for the flags, and EFAULT are the errors before which the kernel may not have read the
// path (do_sys_openat2 in fs/open.c).
static bool names_device(int opened, const char *path)
{
	return (opened >= 0 || (errno != EINVAL && errno != EFAULT)) &&
	       strcmp(path, NSM_DEVICE) == 0;
}

static int divert(int opened, const char *path, int flags, int saved_errno)
{
	if (!names_device(opened, path) || library_settings()->nsm.transport == 0)
		return opened;
	if (opened >= 0)
		close(opened);
	return (int)result_return(open_simulated(flags), saved_errno);
}

int airlock_open(const char *path, int flags, mode_t mode)
{
	if (__builtin_expect(atomic_load_explicit(&nsm_device_is_real, memory_order_relaxed), 1))
		return real_open(path, flags, mode);
	int saved_errno = errno;
	return divert(real_open(path, flags, mode), path, flags, saved_errno);
}

int airlock_openat(int directory, const char *path, int flags, mode_t mode)
{
	if (__builtin_expect(atomic_load_explicit(&nsm_device_is_real, memory_order_relaxed), 1))
		return real_openat(directory, path, flags, mode);
	int saved_errno = errno;
	return divert(real_openat(directory, path, flags, mode), path, flags, saved_errno);
}

// --- ioctl

// The device needs no descriptor for an ioctl, we do: where none is left the soft limit gives way,
// and the program's standard streams are not for us even while they are closed.
static int dial(void)
{
	const struct endpoint *endpoint = &library_settings()->nsm;
	struct swap_limit limit;
	int fd = nsm_socket_dial(endpoint);

	if (fd == -EMFILE && swap_raise_limit(&limit)) {
		fd = nsm_socket_dial(endpoint);
		swap_return_limit(&limit);
	}
	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	int moved = real_fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	moved = moved < 0 ? -errno : moved;
	close(fd);
	return moved;
}

// What the driver reports is EFAULT, ETIMEDOUT or EIO.
static int translate(ssize_t result)
{
	return result == -EFAULT || result == -ETIMEDOUT ? (int)result : -EIO;
}

static int ask(struct nsm_ioctl *message)
{
	UNCANCELLED;
	FORK_GUARDED;
	int fd = dial();

	if (fd < 0)
		return translate(fd);
	ssize_t length = nsm_socket_ask(fd, (const void *)(uintptr_t)message->request,
		message->request_length, (void *)(uintptr_t)message->response,
		message->response_length);
	close(fd);
	if (length < 0)
		return translate(length);
	if (message->response_length > (uint64_t)length)
		message->response_length = (uint64_t)length;
	return 0;
}

static int answer(void *argument)
{
	struct nsm_ioctl message;
	int result = user_memory_read(&message, argument, sizeof(message));

	if (result == 0 && message.request_length > NSM_REQUEST_MAX)
		result = -EMSGSIZE;
	if (result == 0)
		result = ask(&message);
	return result < 0 ? result : user_memory_write(argument, &message, sizeof(message));
}

int nsm_device_ioctl(int fd, void *argument)
{
	int saved_errno = errno;

	if (library_settings()->nsm.transport == 0 || !has_name(fd)) {
		errno = saved_errno;
		return real_ioctl(fd, NSM_IOCTL, argument);
	}
	return (int)result_return(answer(argument), saved_errno);
}
