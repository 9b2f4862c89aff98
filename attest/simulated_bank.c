// SPDX-License-Identifier: MIT
#include "attest/simulated_bank.h"

#include <stdio.h>
#include <string.h>

#include <nettle/sha2.h>

#include "wire/compiler.h"

static void measure_text(uint8_t value[static DOCUMENT_PCR_SIZE], unsigned index)
{
	char text[32];
	struct sha384_ctx hash;

	snprintf(text, sizeof(text), "airlock simulated PCR%u", index);
	sha384_init(&hash);
	sha384_update(&hash, strlen(text), (const uint8_t *)text);
	sha384_digest(&hash, DOCUMENT_PCR_SIZE, value);
}

void simulated_bank_boot(struct simulated_bank *bank)
{
	static const unsigned measured[] = {0, 1, 2, 4};

	memset(bank, 0, sizeof(*bank));
	for (size_t i = 0; i < ARRAY_SIZE(measured); i++)
		measure_text(bank->values[measured[i]], measured[i]);
	for (size_t i = 0; i < SIMULATED_BANK_BOOT_LOCKED; i++)
		bank->is_locked[i] = true;
}

static const char *check_writable(const struct simulated_bank *bank, unsigned index)
{
	if (index >= DOCUMENT_PCRS)
		return "InvalidIndex";
	return bank->is_locked[index] ? "ReadOnlyIndex" : NULL;
}

const char *simulated_bank_extend(struct simulated_bank *bank, unsigned index, struct bytes data)
{
	const char *problem = check_writable(bank, index);
	struct sha384_ctx hash;

	if (problem)
		return problem;
	sha384_init(&hash);
	sha384_update(&hash, DOCUMENT_PCR_SIZE, bank->values[index]);
	sha384_update(&hash, data.length, data.data);
	sha384_digest(&hash, DOCUMENT_PCR_SIZE, bank->values[index]);
	return NULL;
}

const char *simulated_bank_lock(struct simulated_bank *bank, unsigned index)
{
	const char *problem = check_writable(bank, index);

	if (!problem)
		bank->is_locked[index] = true;
	return problem;
}

const char *simulated_bank_lock_range(struct simulated_bank *bank, unsigned range)
{
	if (range > DOCUMENT_PCRS)
		return "InvalidIndex";
	for (size_t i = 0; i < range; i++)
		bank->is_locked[i] = true;
	return NULL;
}
