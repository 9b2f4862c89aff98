// SPDX-License-Identifier: MIT
// `airlock` as the first process: airlock-init(8).
#ifndef AIRLOCK_LAUNCHER_ENCLAVE_INIT_H
#define AIRLOCK_LAUNCHER_ENCLAVE_INIT_H

#include "preload/shared/settings.h"

// What `airlock run` does as the first process, once things are mounted: entropy, the report. What
// fails is said and stops nothing.
void enclave_prepare(const struct settings *settings);

// The program when it is started as `init`. Returns the exit code of a container's, or does not
// return.
int enclave_init_main(void);

#endif
