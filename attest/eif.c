// SPDX-License-Identifier: MIT
// Theory. An image is a header of 548 bytes and then its sections back to back, each behind a head
// of its own. Where a section lies is therefore said twice: by the header's table of offsets and
// sizes, which QEMU follows, and by walking from one section head to the next, which nitro-cli
// does. An image in which the two disagree (the table swaps two ramdisks, say) boots as one thing
// and measures as another. So the walk is made, every step of it is compared with the table, and
// the walk must end with the file: no gap, no overlap, nothing behind the last section. What has no
// meaning yet (reserved fields, table entries that are not in use, unknown flags) must be zero.
//
// The CRC finds damage only: whoever makes an image can make it right. It is therefore computed
// last, when the rest is known to be sound.
#include "attest/eif.h"

#include <endian.h>
#include <inttypes.h>
#include <string.h>

#include <zlib.h>

static const uint8_t eif_magic[4] = {'.', 'e', 'i', 'f'};

static uint16_t read_16(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return be16toh(value);
}

static uint32_t read_32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return be32toh(value);
}

static uint64_t read_64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return be64toh(value);
}

static bool malformed(
	struct attest_error *error, const char *field, size_t offset, const char *reason)
{
	return attest_fail(error, ATTEST_FAULT_MALFORMED, field, offset, "%s", reason);
}

// --- the header

static bool check_count(const struct eif *eif, struct attest_error *error)
{
	if (eif->section_count < 2 || eif->section_count > EIF_SECTIONS_MAX)
		return attest_fail(error, ATTEST_FAULT_MALFORMED, "section count", EIF_OFFSET_COUNT,
			"%zu is not in 2 to 32", eif->section_count);
	return true;
}

static bool parse_header(
	const uint8_t *data, size_t length, struct eif *eif, struct attest_error *error)
{
	if (length < EIF_HEADER_SIZE)
		return malformed(error, "header", length, "ends before its 548 bytes");
	if (memcmp(data, eif_magic, sizeof(eif_magic)) != 0)
		return malformed(error, "magic", 0, "is not that of an enclave image");
	eif->version = read_16(data + EIF_OFFSET_VERSION);
	if (eif->version < EIF_VERSION_MIN || eif->version > EIF_VERSION_MAX)
		return attest_fail(error, ATTEST_FAULT_MALFORMED, "version", EIF_OFFSET_VERSION,
			"%u is not in 2 to 4", eif->version);
	eif->flags = read_16(data + EIF_OFFSET_FLAGS);
	if (eif->flags & ~EIF_FLAG_AARCH64)
		return malformed(error, "flags", EIF_OFFSET_FLAGS, "unknown flags are set");
	eif->default_memory = read_64(data + EIF_OFFSET_MEMORY);
	eif->default_cpus = read_64(data + EIF_OFFSET_CPUS);
	if (read_16(data + EIF_OFFSET_RESERVED) != 0)
		return malformed(error, "reserved", EIF_OFFSET_RESERVED, "is not zero");
	eif->section_count = read_16(data + EIF_OFFSET_COUNT);
	if (!check_count(eif, error))
		return false;
	if (read_32(data + EIF_OFFSET_UNUSED) != 0)
		return malformed(error, "unused", EIF_OFFSET_UNUSED, "is not zero");
	return true;
}

static uint64_t table_offset(const uint8_t *data, size_t index)
{
	return read_64(data + EIF_OFFSET_OFFSETS + 8 * index);
}

static uint64_t table_size(const uint8_t *data, size_t index)
{
	return read_64(data + EIF_OFFSET_SIZES + 8 * index);
}

static bool check_unused_entries(const uint8_t *data, size_t used, struct attest_error *error)
{
	for (size_t i = used; i < EIF_SECTIONS_MAX; i++) {
		if (table_offset(data, i) != 0)
			return malformed(error, "offset of no section", EIF_OFFSET_OFFSETS + 8 * i,
				"is not zero");
		if (table_size(data, i) != 0)
			return malformed(error, "size of no section", EIF_OFFSET_SIZES + 8 * i,
				"is not zero");
	}
	return true;
}

// --- the sections

static bool parse_type(
	const uint8_t *data, size_t at, struct eif_section *section, struct attest_error *error)
{
	uint16_t type = read_16(data + at);

	if (type < EIF_KERNEL || type > EIF_METADATA)
		return attest_fail(
			error, ATTEST_FAULT_MALFORMED, "section type", at, "%u is not known", type);
	if (read_16(data + at + 2) != 0)
		return malformed(error, "section flags", at + 2, "are not zero");
	section->type = (enum eif_section_type)type;
	return true;
}

// One step of the walk. *at is where the section's head must be, and then the next one's.
static bool parse_section(const uint8_t *data, size_t length, size_t index, size_t *at,
	struct eif_section *section, struct attest_error *error)
{
	uint64_t size;

	if (table_offset(data, index) != *at)
		return attest_fail(error, ATTEST_FAULT_MALFORMED, "section offset",
			EIF_OFFSET_OFFSETS + 8 * index,
			"section %zu begins at %zu and the table says %" PRIu64, index, *at,
			table_offset(data, index));
	if (length - *at < EIF_SECTION_HEADER_SIZE)
		return malformed(error, "section head", *at, "runs over the end of the file");
	if (!parse_type(data, *at, section, error))
		return false;
	size = read_64(data + *at + 4);
	if (table_size(data, index) != size)
		return attest_fail(error, ATTEST_FAULT_MALFORMED, "section size",
			EIF_OFFSET_SIZES + 8 * index,
			"section %zu has %" PRIu64 " bytes and the table says %" PRIu64, index,
			size, table_size(data, index));
	*at += EIF_SECTION_HEADER_SIZE;
	if (size > length - *at)
		return malformed(error, "section", *at, "runs over the end of the file");
	section->data = (struct bytes){data + *at, (size_t)size};
	*at += (size_t)size;
	return true;
}

bool eif_check_sections(const struct eif *eif, struct attest_error *error)
{
	static const char *const names[] = {
		[EIF_KERNEL] = "kernel",
		[EIF_CMDLINE] = "command line",
		[EIF_RAMDISK] = "ramdisk",
		[EIF_SIGNATURE] = "signature",
		[EIF_METADATA] = "metadata",
	};
	unsigned seen[ARRAY_SIZE(names)] = {0};

	if (!check_count(eif, error))
		return false;
	for (size_t i = 0; i < eif->section_count; i++) {
		enum eif_section_type type = eif->sections[i].type;
		size_t entry = EIF_OFFSET_OFFSETS + 8 * i;

		if (type == EIF_RAMDISK && seen[EIF_KERNEL] == 0)
			return malformed(error, names[type], entry, "stands before the kernel");
		if (type != EIF_RAMDISK && seen[type] > 0)
			return malformed(error, names[type], entry, "stands there twice");
		seen[type]++;
	}
	for (enum eif_section_type type = EIF_KERNEL; type <= EIF_CMDLINE; type++) {
		if (seen[type] == 0)
			return malformed(error, names[type], EIF_OFFSET_COUNT, "there is none");
	}
	return true;
}

uint32_t eif_crc(const void *data, size_t length)
{
	const uint8_t *bytes = data;
	uLong crc = crc32_z(0, bytes, EIF_OFFSET_CRC);

	return (uint32_t)crc32_z(crc, bytes + EIF_HEADER_SIZE, length - EIF_HEADER_SIZE);
}

static bool check_crc(const uint8_t *data, size_t length, struct attest_error *error)
{
	uint32_t said = read_32(data + EIF_OFFSET_CRC), found = eif_crc(data, length);

	if (said != found)
		return attest_fail(error, ATTEST_FAULT_MALFORMED, "CRC", EIF_OFFSET_CRC,
			"is %08" PRIx32 " and the file's is %08" PRIx32, said, found);
	return true;
}

bool eif_parse(const void *data, size_t length, struct eif *eif, struct attest_error *error)
{
	const uint8_t *bytes = data;
	size_t at = EIF_HEADER_SIZE;

	*eif = (struct eif){0};
	if (!parse_header(bytes, length, eif, error) ||
		!check_unused_entries(bytes, eif->section_count, error))
		return false;
	for (size_t i = 0; i < eif->section_count; i++) {
		if (!parse_section(bytes, length, i, &at, &eif->sections[i], error))
			return false;
	}
	if (at != length)
		return malformed(error, "end", at, "bytes follow the last section");
	return eif_check_sections(eif, error) && check_crc(bytes, length, error);
}

const struct eif_section *eif_find(const struct eif *eif, enum eif_section_type type)
{
	for (size_t i = 0; i < eif->section_count; i++) {
		if (eif->sections[i].type == type)
			return &eif->sections[i];
	}
	return NULL;
}
