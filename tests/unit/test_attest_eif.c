// SPDX-License-Identifier: MIT
#include "attest/eif.h"

#include <stdio.h>
#include <string.h>

#include <cbor.h>
#include <criterion/criterion.h>

#include "attest/eif_signature.h"
#include "attest/eif_write.h"
#include "attest/files.h"
#include "wire/compiler.h"

static struct bytes text(const char *content)
{
	return (struct bytes){(const uint8_t *)content, strlen(content)};
}

static struct eif sample(void)
{
	return (struct eif){
		.version = 4,
		.default_memory = 1 << 30,
		.default_cpus = 2,
		.section_count = 5,
		.sections =
			{
				{EIF_KERNEL, text("kernel")},
				{EIF_CMDLINE, text("console=ttyS0")},
				{EIF_METADATA, text("{}")},
				{EIF_RAMDISK, text("init")},
				{EIF_RAMDISK, text("application")},
			},
	};
}

static size_t write_file(const struct eif *eif, uint8_t *out)
{
	struct eif_layout layout;
	size_t length = 0;

	cr_assert(eif_lay_out(eif, &layout, NULL));
	for (size_t i = 0; i < layout.part_count; i++) {
		memcpy(out + length, layout.parts[i].data, layout.parts[i].length);
		length += layout.parts[i].length;
	}
	return length;
}

Test(eif, what_is_written_is_read_again)
{
	struct eif eif = sample(), again;
	uint8_t file[2048];
	size_t length;

	eif.flags = EIF_FLAG_AARCH64;
	eif.default_memory = UINT64_MAX;
	length = write_file(&eif, file);
	cr_assert_eq(length, EIF_HEADER_SIZE + 5 * EIF_SECTION_HEADER_SIZE + 36);
	cr_assert(eif_parse(file, length, &again, NULL));
	cr_assert(again.version == 4 && again.flags == EIF_FLAG_AARCH64);
	cr_assert(again.default_memory == UINT64_MAX && again.default_cpus == 2);
	cr_assert_eq(again.section_count, 5);
	for (size_t i = 0; i < 5; i++) {
		cr_assert_eq(again.sections[i].type, eif.sections[i].type);
		cr_assert_eq(again.sections[i].data.length, eif.sections[i].data.length);
		cr_assert_eq(memcmp(again.sections[i].data.data, eif.sections[i].data.data,
				     eif.sections[i].data.length),
			0);
	}
}

Test(eif, an_error_names_the_field_and_its_place)
{
	struct attest_error error;
	struct eif eif = sample();
	uint8_t file[2048];
	size_t length = write_file(&eif, file);

	file[EIF_OFFSET_OFFSETS + 8 * 3 + 7]++;
	cr_assert_not(eif_parse(file, length, &eif, &error));
	cr_assert_eq(error.fault, ATTEST_FAULT_MALFORMED);
	cr_assert_str_eq(error.field, "section offset");
	cr_assert_eq(error.offset, EIF_OFFSET_OFFSETS + 8 * 3);
}

Test(eif, what_could_not_be_read_is_not_laid_out)
{
	struct eif_layout layout;
	struct eif eif = sample();

	eif.sections[4].type = EIF_KERNEL;
	cr_assert_not(eif_lay_out(&eif, &layout, NULL));
	eif = sample();
	eif.section_count = 1;
	cr_assert_not(eif_lay_out(&eif, &layout, NULL));
	eif.section_count = EIF_SECTIONS_MAX + 1;
	cr_assert_not(eif_lay_out(&eif, &layout, NULL));
}

Test(eif, sections_are_found_by_type)
{
	struct eif eif = sample();

	cr_assert_eq(eif_find(&eif, EIF_RAMDISK), &eif.sections[3]);
	cr_assert_null(eif_find(&eif, EIF_SIGNATURE));
}

Test(eif, an_empty_pcr_is_that_of_images_with_one_ramdisk)
{
	struct eif_measurements measurements;
	char hex[2 * EIF_PCR_SIZE + 1];
	struct eif eif = sample();

	eif.section_count = 4;
	eif_measure_content(&eif, &measurements);
	// Well known: PCR2 of every image without an application ramdisk.
	cr_assert_str_eq(hex_encode(measurements.pcr2, EIF_PCR_SIZE, hex),
		"21b9efbc184807662e966d34f390821309eeac6802309798826296bf3e8bec7c10edb30948c90ba6"
		"7310f7b964fc500a");
	cr_assert_eq(memcmp(measurements.pcr0, measurements.pcr1, EIF_PCR_SIZE), 0);
	cr_assert_not(measurements.is_signed);
}

Test(eif, pcr_info_writes_small_numbers_in_one_byte)
{
	uint8_t pcr0[EIF_PCR_SIZE] = {0, 23, 24, 255}, info[EIF_PCR_INFO_MAX];
	static const uint8_t values[] = {0x98, 0x30, 0x00, 0x17, 0x18, 0x18, 0x18, 0xff, 0x00};
	size_t length = eif_pcr_info(pcr0, info);

	cr_assert_eq(length, 32 + 2 + 48 + 2);
	cr_assert_eq(memcmp(info + 32, values, sizeof(values)), 0);
	memset(pcr0, 0xff, sizeof(pcr0));
	cr_assert_eq(eif_pcr_info(pcr0, info), 32 + 2 + 2 * 48);
}

static size_t put_numbers(uint8_t *out, size_t at, const char *key, const void *data, size_t length)
{
	const uint8_t *bytes = data;

	at += cbor_encode_string_start(strlen(key), out + at, 32);
	memcpy(out + at, key, strlen(key));
	at += strlen(key);
	at += cbor_encode_array_start(length, out + at, 9);
	for (size_t i = 0; i < length; i++)
		at += cbor_encode_uint(bytes[i], out + at, 9);
	return at;
}

// A signature section with this base64 as its certificate and an ES256 signature of zeros.
static bool parse_certificate(const char *base64, struct eif_signature *signature)
{
	static const uint8_t cose[9 + 64] = {0x84, 0x43, 0xa1, 0x01, 0x26, 0xa0, 0x40, 0x58, 0x40};
	uint8_t section[2048] = {0x81, 0xa2};
	char pem[256];
	int length = snprintf(pem, sizeof(pem),
		"-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n", base64);
	size_t at = put_numbers(section, 2, "signing_certificate", pem, (size_t)length);
	struct bytes view = {section, put_numbers(section, at, "signature", cose, sizeof(cose))};

	return eif_signature_parse(&view, signature, NULL);
}

Test(eif, a_certificate_is_one_der_item)
{
	static struct eif_signature signature;

	cr_assert(parse_certificate("MAA=", &signature));
	cr_assert_eq(signature.certificate.length, 2);
	cr_assert_eq(signature.algorithm, -7);
	cr_assert_eq(signature.value.length, 64);
	cr_assert_not(parse_certificate("MAAA", &signature), "a byte behind");
	cr_assert_not(parse_certificate("MAE=", &signature), "a byte short");
	cr_assert_not(parse_certificate("BAA=", &signature), "an octet string");
}

Test(eif, metadata_escapes_and_refuses)
{
	struct eif_metadata metadata = {"a\"b\\c", "1", "1970-01-01T00:00:00Z"};
	char out[512], name[600];
	static const char *const bad[] = {"tab\t", "line\n", "\x7f", "\xc3\xa4"};

	cr_assert_gt(eif_metadata_format(&metadata, out, sizeof(out)), 0);
	cr_assert_not_null(strstr(out, "\"ImageName\":\"a\\\"b\\\\c\""));
	cr_assert_eq(eif_metadata_format(&metadata, out, 100), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		metadata.name = bad[i];
		cr_assert_eq(eif_metadata_format(&metadata, out, sizeof(out)), 0, "%zu", i);
	}
	memset(name, '"', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	metadata.name = name;
	cr_assert_eq(eif_metadata_format(&metadata, out, sizeof(out)), 0);
}
