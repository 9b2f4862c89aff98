// SPDX-License-Identifier: MIT
// Internationalised names for AI_IDN and AI_CANONIDN, through libidn2 when the system has it, as
// libc does: gai_strerror(3)'s EAI_IDN_ENCODE otherwise.
#ifndef AIRLOCK_PRELOAD_IDNA_H
#define AIRLOCK_PRELOAD_IDNA_H

#include "wire/compiler.h"

// text, in the locale's encoding, as A-labels; pure ASCII stays as it is. Returns 0 with *ascii
// malloc'ed, EAI_IDN_ENCODE or EAI_MEMORY.
int idna_to_ascii(const char *text, char **ascii) MUST_CHECK;

// The reverse, for a canonical name. A name that cannot be shown in the locale's encoding stays as
// it is, like libc's. Returns 0 with *text malloc'ed, or EAI_MEMORY.
int idna_from_ascii(const char *ascii, char **text) MUST_CHECK;

#endif
