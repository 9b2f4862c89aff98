// SPDX-License-Identifier: MIT
#include "attest/eif_write.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

#include <zlib.h>

static void put_16(uint8_t *at, uint16_t value)
{
	value = htobe16(value);
	memcpy(at, &value, sizeof(value));
}

static void put_32(uint8_t *at, uint32_t value)
{
	value = htobe32(value);
	memcpy(at, &value, sizeof(value));
}

static void put_64(uint8_t *at, uint64_t value)
{
	value = htobe64(value);
	memcpy(at, &value, sizeof(value));
}

static void put_header(uint8_t *header, const struct eif *eif)
{
	memcpy(header, ".eif", 4);
	put_16(header + EIF_OFFSET_VERSION, eif->version);
	put_16(header + EIF_OFFSET_FLAGS, eif->flags);
	put_64(header + EIF_OFFSET_MEMORY, eif->default_memory);
	put_64(header + EIF_OFFSET_CPUS, eif->default_cpus);
	put_16(header + EIF_OFFSET_COUNT, (uint16_t)eif->section_count);
}

// The CRC's own field is the header's last, so everything before it and all that follows.
static uint32_t parts_crc(const struct eif_layout *layout)
{
	uLong crc = crc32_z(0, layout->header, EIF_OFFSET_CRC);

	for (size_t i = 1; i < layout->part_count; i++) {
		// crc32_z() takes no data for "begin anew".
		if (layout->parts[i].length > 0)
			crc = crc32_z(crc, layout->parts[i].data, layout->parts[i].length);
	}
	return (uint32_t)crc;
}

bool eif_lay_out(const struct eif *eif, struct eif_layout *layout, struct attest_error *error)
{
	uint64_t at = EIF_HEADER_SIZE;

	if (!eif_check_sections(eif, error))
		return false;
	memset(layout->header, 0, sizeof(layout->header));
	put_header(layout->header, eif);
	layout->parts[0] = (struct bytes){layout->header, sizeof(layout->header)};
	layout->part_count = 1;
	for (size_t i = 0; i < eif->section_count; i++) {
		const struct eif_section *section = &eif->sections[i];
		uint8_t *head = layout->heads[i];

		put_64(layout->header + EIF_OFFSET_OFFSETS + 8 * i, at);
		put_64(layout->header + EIF_OFFSET_SIZES + 8 * i, section->data.length);
		put_16(head, (uint16_t)section->type);
		put_16(head + 2, 0);
		put_64(head + 4, section->data.length);
		layout->parts[layout->part_count++] = (struct bytes){head, EIF_SECTION_HEADER_SIZE};
		layout->parts[layout->part_count++] = section->data;
		at += EIF_SECTION_HEADER_SIZE + section->data.length;
	}
	put_32(layout->header + EIF_OFFSET_CRC, parts_crc(layout));
	return true;
}

// --- metadata

// JSON's escapes of printable ASCII (RFC 8259 7). Returns false for anything else.
static bool escape(const char *text, char *out, size_t size)
{
	size_t at = 0;

	for (; *text; text++) {
		if (*text < ' ' || *text > '~' || at + 3 > size)
			return false;
		if (*text == '"' || *text == '\\')
			out[at++] = '\\';
		out[at++] = *text;
	}
	out[at] = '\0';
	return true;
}

size_t eif_metadata_format(const struct eif_metadata *metadata, char *out, size_t size)
{
	char name[512], version[512], build_time[128];
	int length;

	if (!escape(metadata->name, name, sizeof(name)) ||
		!escape(metadata->version, version, sizeof(version)) ||
		!escape(metadata->build_time, build_time, sizeof(build_time)))
		return 0;
	length = snprintf(out, size,
		"{\"ImageName\":\"%s\",\"ImageVersion\":\"%s\",\"BuildMetadata\":{"
		"\"BuildTime\":\"%s\",\"BuildTool\":\"airlock-attest\","
		"\"BuildToolVersion\":\"" AIRLOCK_VERSION "\",\"OperatingSystem\":\"Linux\","
		"\"KernelVersion\":\"Unknown\"},\"DockerInfo\":null,\"CustomMetadata\":null}",
		name, version, build_time);
	return length < 0 || (size_t)length >= size ? 0 : (size_t)length;
}
