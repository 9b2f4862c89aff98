// SPDX-License-Identifier: MIT
#include "attest/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "wire/parse.h"

PRINTF_LIKE(6, 0)
static void fill(struct attest_error *error, int check, enum attest_fault fault, const char *field,
	size_t offset, const char *format, va_list arguments)
{
	char message[sizeof(error->message)];

	if (!error)
		return;
	error->fault = fault;
	error->check = check;
	error->offset = offset;
	if (!field)
		field = "";
	parse_copy_printable(error->field, sizeof(error->field), field, strlen(field));
	vsnprintf(message, sizeof(message), format, arguments);
	parse_copy_printable(error->message, sizeof(error->message), message, strlen(message));
}

bool attest_fail(struct attest_error *error, enum attest_fault fault, const char *field,
	size_t offset, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fill(error, 0, fault, field, offset, format, arguments);
	va_end(arguments);
	return false;
}

bool attest_fail_check(struct attest_error *error, int check, enum attest_fault fault,
	const char *field, size_t offset, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fill(error, check, fault, field, offset, format, arguments);
	va_end(arguments);
	return false;
}

const char *attest_error_format(const struct attest_error *error, char *text, size_t size)
{
	char where[128] = "", offset[40] = "", check[24] = "";

	if (error->check)
		snprintf(check, sizeof(check), "check %d", error->check);
	if (error->offset != ATTEST_NO_OFFSET)
		snprintf(offset, sizeof(offset), "%soffset %zu", error->field[0] ? ", " : "",
			error->offset);
	if (error->field[0] || offset[0])
		snprintf(where, sizeof(where), check[0] ? " (%s%s)" : "%s%s", error->field, offset);
	snprintf(text, size, "%s%s%s%s", check, where, check[0] || where[0] ? ": " : "",
		error->message);
	return text;
}
