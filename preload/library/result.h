// SPDX-License-Identifier: MIT
// Between the two ways of reporting: inside the library -errno, towards programs -1 and errno,
// which a success leaves as it was.
#ifndef AIRLOCK_PRELOAD_RESULT_H
#define AIRLOCK_PRELOAD_RESULT_H

#include <errno.h>
#include <pthread.h>
#include <sys/types.h>

static inline ssize_t result_return(ssize_t result, int saved_errno)
{
	errno = result < 0 ? (int)-result : saved_errno;
	return result < 0 ? -1 : result;
}

// errno's value as a result, for a call that gave -1.
static inline ssize_t result_of(ssize_t returned)
{
	return returned < 0 ? -errno : returned;
}

static inline int uncancelled_begin(void)
{
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	return state;
}

static inline void uncancelled_end(const int *state)
{
	pthread_setcancelstate(*state, NULL);
}

// No cancellation until the end of the enclosing block: there are descriptors that only it knows,
// or the program's call is no cancellation point (pthreads(7)).
#define UNCANCELLED                                                                                \
	__attribute__((cleanup(uncancelled_end), unused)) const int uncancelled_state =            \
		uncancelled_begin()

#endif
