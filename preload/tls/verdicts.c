// SPDX-License-Identifier: MIT
#include "preload/tls/verdicts.h"

#include <string.h>

void verdicts_put(struct verdicts *verdicts, const uint8_t key[static VERDICTS_KEY_SIZE],
	time_t now, time_t end)
{
	struct verdict *slot = &verdicts->slots[key[0] % VERDICTS_SLOTS];
	time_t left = end - now;

	memcpy(slot->key, key, VERDICTS_KEY_SIZE);
	slot->from = now;
	slot->until = left < VERDICTS_LIFETIME ? end + 1 : now + VERDICTS_LIFETIME;
}

bool verdicts_find(
	const struct verdicts *verdicts, const uint8_t key[static VERDICTS_KEY_SIZE], time_t now)
{
	const struct verdict *slot = &verdicts->slots[key[0] % VERDICTS_SLOTS];

	return slot->until != 0 && now >= slot->from && now < slot->until &&
	       memcmp(slot->key, key, VERDICTS_KEY_SIZE) == 0;
}
