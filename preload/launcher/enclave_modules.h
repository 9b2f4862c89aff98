// SPDX-License-Identifier: MIT
// Kernel modules of an initramfs: there is nobody else to load them.
#ifndef AIRLOCK_LAUNCHER_ENCLAVE_MODULES_H
#define AIRLOCK_LAUNCHER_ENCLAVE_MODULES_H

#define ENCLAVE_MODULES "/lib/modules/airlock"

// Loads the modules that ENCLAVE_MODULES/order lists, in its order. Without the list does nothing;
// what cannot be loaded is said.
void enclave_load_modules(void);

#endif
