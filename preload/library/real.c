// SPDX-License-Identifier: MIT
#include "preload/library/real.h"

#include <dlfcn.h>

void *real_pointers[REAL_COUNT];

#define REAL_NAME(result, name, parameters) #name,
static const char *const real_function_names[REAL_COUNT] = {REAL_FUNCTIONS(REAL_NAME)};

// Every function of the list is in every glibc since 2.34, the oldest that the library links with.
void *real_find(enum real_index index)
{
	void *pointer = dlsym(RTLD_NEXT, real_function_names[index]);

	__atomic_store_n(&real_pointers[index], pointer, __ATOMIC_RELAXED);
	return pointer;
}

#define REAL_LOOK_UP(result, name, parameters) (void)real_pointer(REAL_INDEX_##name);
void real_initialise(void)
{
	REAL_SOCKET_FUNCTIONS(REAL_LOOK_UP)
}

void *real_find_in_library(const char *library, const char *function)
{
	void *handle = dlopen(library, RTLD_LAZY);

	return handle ? dlsym(handle, function) : NULL;
}
