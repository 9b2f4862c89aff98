// SPDX-License-Identifier: MIT
#include "preload/launcher/message.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static enum settings_log_level level;

static void PRINTF_LIKE(1, 0) print(const char *format, va_list arguments)
{
	fputs("airlock: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
}

void message_set_level(enum settings_log_level wanted)
{
	level = wanted;
}

void message_print(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print(format, arguments);
	va_end(arguments);
}

void message_inform(const char *format, ...)
{
	va_list arguments;

	if (level < SETTINGS_LOG_INFO)
		return;
	va_start(arguments, format);
	print(format, arguments);
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
