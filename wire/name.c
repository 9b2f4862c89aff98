// SPDX-License-Identifier: MIT
#include "wire/name.h"

#include <string.h>

static bool is_name_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static bool is_hex_digit(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

// The last labels that make inet_aton and its imitators read the whole name as an address.
static bool is_number_label(const char *label, size_t length)
{
	size_t i = 0;

	while (i < length && label[i] >= '0' && label[i] <= '9')
		i++;
	if (i == length)
		return true;
	if (length < 2 || label[0] != '0' || label[1] != 'x')
		return false;
	for (i = 2; i < length && is_hex_digit(label[i]); i++)
		;
	return i == length;
}

// The length of the label at offset; 0 with error filled when it is refused.
static size_t check_label(const char *text, size_t length, size_t offset, struct parse_error *error)
{
	size_t end = offset;

	for (; end < length && text[end] != '.'; end++)
		if (!is_name_byte(text[end]))
			return parse_fail(error, end, "a byte that host names cannot have");
	if (end == offset)
		return parse_fail(error, offset, "an empty label");
	if (end - offset > NAME_LABEL_LENGTH)
		return parse_fail(error, offset, "a label over %d bytes", NAME_LABEL_LENGTH);
	return end - offset;
}

bool name_is_wire_form(const char *text, size_t length, struct parse_error *error)
{
	if (length == 0)
		return parse_fail(error, 0, "an empty name");
	if (length > NAME_MAX_LENGTH)
		return parse_fail(error, NAME_MAX_LENGTH, "a name over %d bytes", NAME_MAX_LENGTH);

	size_t offset = 0;
	for (;;) {
		size_t label_length = check_label(text, length, offset, error);
		if (label_length == 0)
			return false;
		if (offset + label_length == length) {
			if (is_number_label(text + offset, label_length))
				return parse_fail(
					error, offset, "the last label looks like a number");
			return true;
		}
		offset += label_length + 1;
	}
}

bool name_from_text(
	const char *text, size_t length, char name[static NAME_SIZE], struct parse_error *error)
{
	if (length > 0 && text[length - 1] == '.')
		length--;
	if (length > NAME_MAX_LENGTH)
		return parse_fail(error, NAME_MAX_LENGTH, "a name over %d bytes", NAME_MAX_LENGTH);

	char lower[NAME_SIZE];
	for (size_t i = 0; i < length; i++)
		lower[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 32) : text[i];
	lower[length] = '\0';
	if (!name_is_wire_form(lower, length, error))
		return false;
	memcpy(name, lower, length + 1);
	return true;
}
