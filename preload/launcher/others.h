// SPDX-License-Identifier: MIT
// All processes but some, which kill(2) cannot say: for PID 1 alone.
#ifndef AIRLOCK_LAUNCHER_OTHERS_H
#define AIRLOCK_LAUNCHER_OTHERS_H

#include <sys/types.h>

#include "wire/compiler.h"

// Sends a signal, or with 0 none, to every process of our PID namespace but ourselves, the one that
// is spared, and kernel threads. Zombies are none any more. Returns how many there are, or -1 when
// /proc does not tell, being absent or another namespace's; nothing has been sent then.
int others_signal(pid_t spared, int number) MUST_CHECK;

#endif
