// SPDX-License-Identifier: MIT
// Enclave image files: where their sections are, and what they measure to. Pure.
// Source: aws-nitro-enclaves-image-format, src/defs/mod.rs and src/utils/eif_reader.rs.
#ifndef AIRLOCK_ATTEST_EIF_H
#define AIRLOCK_ATTEST_EIF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/bytes.h"
#include "attest/error.h"
#include "wire/compiler.h"

#define EIF_HEADER_SIZE         548
#define EIF_SECTION_HEADER_SIZE 12
#define EIF_SECTIONS_MAX        32
#define EIF_VERSION_MIN         2
#define EIF_VERSION_MAX         4
#define EIF_FLAG_AARCH64        0x0001 // otherwise x86_64
#define EIF_PCR_SIZE            48

// Where the header's fields stand.
#define EIF_OFFSET_VERSION  4
#define EIF_OFFSET_FLAGS    6
#define EIF_OFFSET_MEMORY   8
#define EIF_OFFSET_CPUS     16
#define EIF_OFFSET_RESERVED 24
#define EIF_OFFSET_COUNT    26
#define EIF_OFFSET_OFFSETS  28
#define EIF_OFFSET_SIZES    284
#define EIF_OFFSET_UNUSED   540
#define EIF_OFFSET_CRC      544

enum eif_section_type {
	EIF_KERNEL = 1,
	EIF_CMDLINE,
	EIF_RAMDISK,
	EIF_SIGNATURE,
	EIF_METADATA,
};

struct eif_section {
	enum eif_section_type type;
	struct bytes data; // without the section's own header
};

struct eif {
	uint16_t version;
	uint16_t flags;
	uint64_t default_memory; // bytes
	uint64_t default_cpus;
	size_t section_count;
	struct eif_section sections[EIF_SECTIONS_MAX]; // in file order
};

// Refuses (MALFORMED) whatever two loaders could read differently; the file's head says what. All
// views point into data. Nothing is allocated; the CRC makes it proportional to length.
bool eif_parse(
	const void *data, size_t length, struct eif *eif, struct attest_error *error) MUST_CHECK;

// Whether there are 2 to 32 sections, one kernel, one command line, no ramdisk before the kernel
// and at most one signature and one metadata section. MALFORMED, at the header's entry.
bool eif_check_sections(const struct eif *eif, struct attest_error *error) MUST_CHECK;

// CRC-32 (IEEE 802.3) of a whole file without its CRC field. length is at least EIF_HEADER_SIZE.
uint32_t eif_crc(const void *data, size_t length);

// The first section of that type, or NULL.
const struct eif_section *eif_find(const struct eif *eif, enum eif_section_type type);

struct eif_measurements {
	uint8_t pcr0[EIF_PCR_SIZE]; // kernel, command line, all ramdisks
	uint8_t pcr1[EIF_PCR_SIZE]; // kernel, command line, first ramdisk
	uint8_t pcr2[EIF_PCR_SIZE]; // the other ramdisks
	bool is_signed;
	uint8_t pcr8[EIF_PCR_SIZE]; // the signing certificate; only when signed
};

// What a hypervisor that starts the image extends its PCRs with. A signature is verified first:
// REFUSED when it does not verify with its certificate or signs another PCR0.
bool eif_measure(const struct eif *eif, struct eif_measurements *measurements,
	struct attest_error *error) MUST_CHECK;

// The sections' own PCRs alone, whatever a signature says: for whoever is about to sign.
void eif_measure_content(const struct eif *eif, struct eif_measurements *measurements);

#endif
