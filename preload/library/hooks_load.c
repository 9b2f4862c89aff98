// SPDX-License-Identifier: MIT
// Libraries that are loaded with RTLD_DEEPBIND find libc's functions before ours (dlopen(3)): PHP
// loads its extensions so, and with them libcurl and libpq. Without the flag they are like any
// other.
#include <dlfcn.h>

#include "preload/library/hooks.h"
#include "preload/library/real.h"

// libc tells by the return address whose search path and name space it is to use. So this must be
// compiled to a jump, which leaves the caller's.
EXPORT void *dlopen(const char *file, int mode)
{
	return real_dlopen(file, mode & ~RTLD_DEEPBIND);
}
