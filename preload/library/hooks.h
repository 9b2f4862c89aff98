// SPDX-License-Identifier: MIT
// What the files of exported functions share. Each exported function does nothing but pass its
// arguments on to airlock_NAME; libairlock.map lists them.
#ifndef AIRLOCK_PRELOAD_HOOKS_H
#define AIRLOCK_PRELOAD_HOOKS_H

#define EXPORT __attribute__((visibility("default")))

#endif
