// SPDX-License-Identifier: MIT
// Every input is read as an image as it is, then with the CRC that belongs to it (or the fuzzer
// would never get behind the check), and then as a description of an image that is written and must
// be read again. An image that is accepted has one form: laying it out again must give the same
// bytes.
#include "attest/eif.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "attest/eif_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static size_t join(const struct eif *eif, uint8_t *out, size_t size)
{
	static struct eif_layout layout;
	size_t length = 0;

	require(eif_lay_out(eif, &layout, NULL));
	for (size_t i = 0; i < layout.part_count; i++) {
		require(layout.parts[i].length <= size - length);
		if (layout.parts[i].length > 0)
			memcpy(out + length, layout.parts[i].data, layout.parts[i].length);
		length += layout.parts[i].length;
	}
	return length;
}

static bool check_image(const uint8_t *data, size_t size)
{
	struct attest_error error = {.fault = ATTEST_FAULT_NONE};
	struct eif_measurements measurements;
	struct eif eif;
	uint8_t *again;

	if (!eif_parse(data, size, &eif, &error)) {
		require(error.fault == ATTEST_FAULT_MALFORMED);
		require(error.offset <= size || error.offset <= EIF_HEADER_SIZE);
		return false;
	}
	again = malloc(size);
	require(join(&eif, again, size) == size && memcmp(again, data, size) == 0);
	free(again);
	if (!eif_measure(&eif, &measurements, &error))
		require(eif_find(&eif, EIF_SIGNATURE) != NULL);
	else
		require(measurements.is_signed == (eif_find(&eif, EIF_SIGNATURE) != NULL));
	return true;
}

static void check_with_crc(const uint8_t *data, size_t size)
{
	uint8_t *copy;
	uint32_t crc;

	if (size < EIF_HEADER_SIZE)
		return;
	copy = malloc(size);
	memcpy(copy, data, size);
	crc = htobe32(eif_crc(copy, size));
	memcpy(copy + EIF_OFFSET_CRC, &crc, sizeof(crc));
	check_image(copy, size);
	free(copy);
}

// Two bytes of the input say each section's type and length.
static void describe(const uint8_t *data, size_t size, struct eif *eif)
{
	*eif = (struct eif){.version = 4, .default_cpus = size};
	for (size_t at = 0; at + 2 <= size && eif->section_count < EIF_SECTIONS_MAX;) {
		struct eif_section *section = &eif->sections[eif->section_count++];
		size_t length = data[at + 1];

		section->type = EIF_KERNEL + data[at] % EIF_METADATA;
		at += 2;
		if (length > size - at)
			length = size - at;
		section->data = (struct bytes){data + at, length};
		at += length;
	}
}

static void check_written(const uint8_t *data, size_t size)
{
	static uint8_t file[EIF_HEADER_SIZE + EIF_SECTIONS_MAX * (EIF_SECTION_HEADER_SIZE + 255)];
	struct eif eif;

	describe(data, size, &eif);
	if (eif_check_sections(&eif, NULL))
		require(check_image(file, join(&eif, file, sizeof(file))));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_image(data, size);
	check_with_crc(data, size);
	check_written(data, size);
	return 0;
}
