// SPDX-License-Identifier: MIT
#include "preload/launcher/message.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void message_print(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("airlock: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
}

const char *message_for_control(int error)
{
	switch (-error) {
	case ENETUNREACH:
		return "nobody listens there";
	case ECONNRESET:
		return "closed without an answer (does its configuration list this enclave's CID?)";
	case EPROTO:
		return "the answer is not of this protocol";
	case EPERM:
		return "permission denied (by the socket file's mode, or for vsock by a "
		       "container's "
		       "seccomp profile)";
	case EACCES:
		return "denied by its rules";
	case EBUSY:
		return "it is too busy to answer";
	default:
		return strerror(-error);
	}
}
