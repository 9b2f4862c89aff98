// SPDX-License-Identifier: MIT
#include "wire/parse.h"

#include <stdarg.h>
#include <stdio.h>

bool parse_fail(struct parse_error *error, size_t offset, const char *format, ...)
{
	if (!error)
		return false;

	va_list arguments;
	va_start(arguments, format);
	vsnprintf(error->reason, sizeof(error->reason), format, arguments);
	va_end(arguments);
	error->offset = offset;
	return false;
}

bool parse_number(const char *text, size_t length, unsigned long maximum, unsigned long *value)
{
	if (length == 0 || (length > 1 && text[0] == '0'))
		return false;

	unsigned long number = 0;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		unsigned long digit = (unsigned long)(text[i] - '0');
		if (__builtin_mul_overflow(number, 10, &number) ||
			__builtin_add_overflow(number, digit, &number) || number > maximum)
			return false;
	}
	*value = number;
	return true;
}

void parse_copy_printable(char *out, size_t size, const void *text, size_t length)
{
	const unsigned char *bytes = text;
	size_t used = length < size - 1 ? length : size - 1;

	for (size_t i = 0; i < used; i++)
		out[i] = bytes[i] >= 0x20 && bytes[i] < 0x7f ? (char)bytes[i] : '?';
	out[used] = '\0';
}
