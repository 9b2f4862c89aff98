// SPDX-License-Identifier: MIT
// Being the first process of a machine, whose end is the machine's.
#ifndef AIRLOCK_LAUNCHER_ENCLAVE_MACHINE_H
#define AIRLOCK_LAUNCHER_ENCLAVE_MACHINE_H

#include <stdbool.h>

// PID 1, and not merely of a PID namespace. Needs /proc; without it the answer is yes for PID 1,
// since containers always have it.
bool enclave_is_machine(void);

// Returns code, unless we are a machine's PID 1: then says it and restarts the machine.
int enclave_finish(int code);

#endif
