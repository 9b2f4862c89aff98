// SPDX-License-Identifier: MIT
// What the launcher says on stderr. Unlike the library it may speak: it is the command that was
// typed.
#ifndef AIRLOCK_LAUNCHER_MESSAGE_H
#define AIRLOCK_LAUNCHER_MESSAGE_H

#include "preload/shared/settings.h"
#include "wire/compiler.h"

// Prints "airlock: ", the text and a newline.
void message_print(const char *format, ...) PRINTF_LIKE(1, 2);

// The same where the configuration or AIRLOCK_LOG asks for info or more: message_set_level says so,
// and nothing is printed before it was called.
void message_inform(const char *format, ...) PRINTF_LIKE(1, 2);
void message_set_level(enum settings_log_level level);

// What a negative result of control_client.h means, for people. Never NULL.
const char *message_for_control(int error);

#endif
