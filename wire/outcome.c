// SPDX-License-Identifier: MIT
#include "wire/outcome.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "wire/parse.h"

static const char *const stage_names[] = {
	[OUTCOME_STAGE_OPEN] = "open",
	[OUTCOME_STAGE_POLICY] = "policy",
	[OUTCOME_STAGE_NAME] = "name",
	[OUTCOME_STAGE_DIAL] = "dial",
	[OUTCOME_STAGE_RELAY] = "relay",
	[OUTCOME_STAGE_LIMIT] = "limit",
	[OUTCOME_STAGE_TLS] = "tls",
	[OUTCOME_STAGE_INTERNAL] = "internal",
};

static const struct {
	const char *name;
	int error;
} classes[] = {
	[OUTCOME_NONE] = {"none", 0},
	[OUTCOME_REFUSED] = {"refused", ECONNREFUSED},
	[OUTCOME_TIMED_OUT] = {"timed-out", ETIMEDOUT},
	[OUTCOME_HOST_UNREACHABLE] = {"host-unreachable", EHOSTUNREACH},
	[OUTCOME_NET_UNREACHABLE] = {"net-unreachable", ENETUNREACH},
	[OUTCOME_DENIED] = {"denied", EACCES},
	[OUTCOME_NO_SUCH_NAME] = {"no-such-name", EHOSTUNREACH},
	// connect() of a stream socket never says EAGAIN to mean a name server's trouble, and
	// programs would take it for a full backlog.
	[OUTCOME_TRY_AGAIN] = {"try-again", EHOSTUNREACH},
	[OUTCOME_LIMIT] = {"limit", ECONNREFUSED},
	[OUTCOME_RESET] = {"reset", ECONNRESET},
	[OUTCOME_TLS_FAILED] = {"tls-failed", EPROTO},
	[OUTCOME_INTERNAL] = {"internal", ENETUNREACH},
};

int outcome_errno(enum outcome_class class)
{
	return (size_t) class < ARRAY_SIZE(classes) ? classes[class].error : ENETUNREACH;
}

enum outcome_class outcome_class_from_errno(int error)
{
	switch (error) {
	case 0:
		return OUTCOME_NONE;
	case ECONNREFUSED:
		return OUTCOME_REFUSED;
	case ETIMEDOUT:
		return OUTCOME_TIMED_OUT;
	case EHOSTUNREACH:
	case EHOSTDOWN:
		return OUTCOME_HOST_UNREACHABLE;
	case ENETUNREACH:
	case ENETDOWN:
		return OUTCOME_NET_UNREACHABLE;
	case EACCES:
	case EPERM:
		return OUTCOME_DENIED;
	case ECONNRESET:
		return OUTCOME_RESET;
	default:
		return OUTCOME_INTERNAL;
	}
}

const char *outcome_stage_name(enum outcome_stage stage)
{
	return (size_t)stage < ARRAY_SIZE(stage_names) ? stage_names[stage] : "unknown";
}

const char *outcome_class_name(enum outcome_class class)
{
	return (size_t) class < ARRAY_SIZE(classes) ? classes[class].name : "unknown";
}

void outcome_set(struct outcome *outcome, enum outcome_stage stage, enum outcome_class class,
	const char *format, ...)
{
	char text[OUTCOME_TEXT_SIZE];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);

	outcome->stage = stage;
	outcome->class = class;
	parse_copy_printable(outcome->text, sizeof(outcome->text), text, strlen(text));
}
