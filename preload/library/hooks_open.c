// SPDX-License-Identifier: MIT
// libc's own functions, fopen() among them, open files without passing here, and so do programs
// that make the system call themselves.
#undef _FORTIFY_SOURCE
#include "preload/library/hooks.h"

#include <fcntl.h>
#include <stdarg.h>

#include "preload/library/nsm_device.h"
#include "preload/library/real.h"

// The mode is there when the flags ask for one; a register is read either way.
#define MODE_ARGUMENT(mode, last)                                                                  \
	va_list list;                                                                              \
	va_start(list, last);                                                                      \
	mode_t mode = va_arg(list, mode_t);                                                        \
	va_end(list)

EXPORT int open(const char *path, int flags, ...)
{
	MODE_ARGUMENT(mode, flags);
	return airlock_open(path, flags, mode);
}

EXPORT int open64(const char *path, int flags, ...)
{
	MODE_ARGUMENT(mode, flags);
	return airlock_open(path, flags, mode);
}

EXPORT int openat(int directory, const char *path, int flags, ...)
{
	MODE_ARGUMENT(mode, flags);
	return airlock_openat(directory, path, flags, mode);
}

EXPORT int openat64(int directory, const char *path, int flags, ...)
{
	MODE_ARGUMENT(mode, flags);
	return airlock_openat(directory, path, flags, mode);
}

// What calls without a mode become under _FORTIFY_SOURCE; libc's own ends the program when the
// flags need one.
static bool needs_mode(int flags)
{
	return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

static int open_2(const char *path, int flags)
{
	return needs_mode(flags) ? real___open_2(path, flags) : airlock_open(path, flags, 0);
}

static int openat_2(int directory, const char *path, int flags)
{
	return needs_mode(flags) ? real___openat_2(directory, path, flags)
				 : airlock_openat(directory, path, flags, 0);
}

EXPORT int __open_2(const char *path, int flags);
EXPORT int __open_2(const char *path, int flags)
{
	return open_2(path, flags);
}

EXPORT int __open64_2(const char *path, int flags);
EXPORT int __open64_2(const char *path, int flags)
{
	return open_2(path, flags);
}

EXPORT int __openat_2(int directory, const char *path, int flags);
EXPORT int __openat_2(int directory, const char *path, int flags)
{
	return openat_2(directory, path, flags);
}

EXPORT int __openat64_2(int directory, const char *path, int flags);
EXPORT int __openat64_2(int directory, const char *path, int flags)
{
	return openat_2(directory, path, flags);
}
