// SPDX-License-Identifier: MIT
#include "attest/nsm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "wire/endpoint.h"
#include "wire/nsm_socket.h"

struct nsm {
	int fd;
	bool is_simulated;
	uint8_t response[NSM_RESPONSE_MAX];
};

static bool is_socket(const char *name)
{
	return strncmp(name, "unix:", strlen("unix:")) == 0;
}

// Returns the fd or -1 with *error filled.
static int open_socket(const char *name, struct attest_error *error)
{
	struct endpoint endpoint;
	struct parse_error inner;
	int fd;

	if (!endpoint_parse(name, strlen(name), false, &endpoint, &inner)) {
		attest_fail(error, ATTEST_FAULT_USAGE, name, ATTEST_NO_OFFSET, "%s", inner.reason);
		return -1;
	}
	fd = nsm_socket_dial(&endpoint);
	if (fd >= 0)
		return fd;
	attest_fail(error, ATTEST_FAULT_DEVICE, name, ATTEST_NO_OFFSET, "%s", strerror(-fd));
	return -1;
}

static int open_device(const char *name, struct attest_error *error)
{
	int fd = open(name, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		attest_fail(error, ATTEST_FAULT_DEVICE, name, ATTEST_NO_OFFSET, "%s%s",
			strerror(errno),
			errno == ENOENT ? " (outside a Nitro enclave there is none)" : "");
	return fd;
}

struct nsm *nsm_open(const char *name, struct attest_error *error)
{
	struct nsm *nsm = malloc(sizeof(*nsm));

	if (!nsm) {
		attest_fail(error, ATTEST_FAULT_DEVICE, NULL, ATTEST_NO_OFFSET, "out of memory");
		return NULL;
	}
	nsm->is_simulated = is_socket(name);
	nsm->fd = nsm->is_simulated ? open_socket(name, error) : open_device(name, error);
	if (nsm->fd >= 0)
		return nsm;
	free(nsm);
	return NULL;
}

void nsm_close(struct nsm *nsm)
{
	if (!nsm)
		return;
	close(nsm->fd);
	explicit_bzero(nsm->response, sizeof(nsm->response)); // may hold random bytes
	free(nsm);
}

// The device leaves in response_length what it wrote.
static ssize_t ask_device(struct nsm *nsm, const uint8_t *request, size_t length)
{
	struct nsm_ioctl message = {
		.request = (uintptr_t)request,
		.request_length = length,
		.response = (uintptr_t)nsm->response,
		.response_length = sizeof(nsm->response),
	};

	if (ioctl(nsm->fd, NSM_IOCTL, &message) < 0)
		return -errno;
	return (ssize_t)message.response_length;
}

static bool check_answer(const struct nsm_request *request, const struct nsm_response *response,
	struct attest_error *error)
{
	if (response->error[0] != '\0')
		return attest_fail(error, ATTEST_FAULT_DEVICE, NULL, ATTEST_NO_OFFSET,
			"the NSM says: %s", response->error);
	if (response->command != request->command)
		return attest_fail(error, ATTEST_FAULT_DEVICE, NULL, ATTEST_NO_OFFSET,
			"the NSM answered something else than what it was asked");
	return true;
}

bool nsm_call(struct nsm *nsm, const struct nsm_request *request, struct nsm_response *response,
	struct attest_error *error)
{
	uint8_t bytes[NSM_REQUEST_MAX];
	size_t length = nsm_request_encode(request, bytes, sizeof(bytes));
	ssize_t count;

	if (length == 0)
		return attest_fail(error, ATTEST_FAULT_USAGE, NULL, ATTEST_NO_OFFSET,
			"a request of more than %d bytes", NSM_REQUEST_MAX);
	count = nsm->is_simulated ? nsm_socket_ask(nsm->fd, bytes, length, nsm->response,
					    sizeof(nsm->response))
				  : ask_device(nsm, bytes, length);
	if (count < 0 || (size_t)count > sizeof(nsm->response))
		return attest_fail(error, ATTEST_FAULT_DEVICE, "nsm", ATTEST_NO_OFFSET, "%s",
			count < 0 ? strerror((int)-count) : "an answer that is too long");
	if (!nsm_response_decode(nsm->response, (size_t)count, response, error))
		return false;
	return check_answer(request, response, error);
}
