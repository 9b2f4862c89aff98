// SPDX-License-Identifier: MIT
// Preloaded: the process stops when it is about to end, so that a test can look at what it leaves
// in its memory. Linked with -z now: the dynamic linker's lazy binding would itself save registers.
#include <signal.h>

__attribute__((destructor)) static void stop_at_the_end(void)
{
	raise(SIGSTOP);
}
