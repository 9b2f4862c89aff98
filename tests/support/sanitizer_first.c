// SPDX-License-Identifier: MIT
// Preloaded beside a sanitizer's runtime, linked with -z initfirst: starts the runtime before any
// constructor. A preloaded library is initialised after those that the program links, and a
// constructor among them (p11-kit's) allocates inside newlocale(3): the runtime would begin there,
// and wait for ever for the lock of locales in the dlerror(3) that its own beginning calls.
#include <stdlib.h>

static void *volatile allocated;

__attribute__((constructor)) static void start_runtime(void)
{
	allocated = malloc(1);
	free(allocated);
}
