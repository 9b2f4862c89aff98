// SPDX-License-Identifier: MIT
// What the launcher says on stderr. Unlike the library it may speak: it is the command that was
// typed.
#ifndef AIRLOCK_LAUNCHER_MESSAGE_H
#define AIRLOCK_LAUNCHER_MESSAGE_H

#include "wire/compiler.h"

// Prints "airlock: ", the text and a newline.
void message_print(const char *format, ...) PRINTF_LIKE(1, 2);

// What a negative result of control_client.h means, for people. Never NULL.
const char *message_for_control(int error);

#endif
