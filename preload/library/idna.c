// SPDX-License-Identifier: MIT
// The library is looked for at each use: names that need it are rare, and dlopen() of a loaded
// library is cheap. It is never unloaded.
#include "preload/library/idna.h"

#include <netdb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "preload/library/real.h"

#define LIBIDN2     "libidn2.so.0"
#define IDN2_OK     0
#define IDN2_MALLOC (-100)

// idn2_lookup_ul(3) and idn2_to_unicode_lzlz(3) have the same form.
typedef int (*convert_function)(const char *input, char **output, int flags);
typedef void (*free_function)(void *memory);

static bool is_ascii(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text >= 0x80)
			return false;
	}
	return true;
}

static int copy(const char *text, char **result)
{
	*result = strdup(text);
	return *result ? 0 : EAI_MEMORY;
}

// What libidn2 allocates must be freed by libidn2, what getaddrinfo returns by free(): so it is
// copied.
static int convert(const char *function_name, const char *text, char **result)
{
	convert_function function = (convert_function)real_find_in_library(LIBIDN2, function_name);
	free_function release = (free_function)real_find_in_library(LIBIDN2, "idn2_free");
	char *converted;

	if (!function || !release)
		return EAI_IDN_ENCODE;
	int error = function(text, &converted, 0);
	if (error != IDN2_OK)
		return error == IDN2_MALLOC ? EAI_MEMORY : EAI_IDN_ENCODE;
	int status = copy(converted, result);
	release(converted);
	return status;
}

int idna_to_ascii(const char *text, char **ascii)
{
	if (is_ascii(text))
		return copy(text, ascii);
	return convert("idn2_lookup_ul", text, ascii);
}

int idna_from_ascii(const char *ascii, char **text)
{
	if (!strstr(ascii, "xn--"))
		return copy(ascii, text);
	int error = convert("idn2_to_unicode_lzlz", ascii, text);
	return error == EAI_IDN_ENCODE ? copy(ascii, text) : error;
}
