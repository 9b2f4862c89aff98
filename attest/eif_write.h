// SPDX-License-Identifier: MIT
// Lays out an enclave image: the reverse of eif_parse(). Pure; section data are not copied.
#ifndef AIRLOCK_ATTEST_EIF_WRITE_H
#define AIRLOCK_ATTEST_EIF_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attest/bytes.h"
#include "attest/eif.h"
#include "attest/error.h"
#include "wire/compiler.h"

#define EIF_PARTS_MAX (1 + 2 * EIF_SECTIONS_MAX)

// The file is the parts one after the other; they point into this struct and to the sections' data.
struct eif_layout {
	uint8_t header[EIF_HEADER_SIZE];
	uint8_t heads[EIF_SECTIONS_MAX][EIF_SECTION_HEADER_SIZE];
	size_t part_count;
	struct bytes parts[EIF_PARTS_MAX];
};

// Offsets, sizes and CRC of what *eif describes, its sections in their order. False as
// eif_check_sections() is.
bool eif_lay_out(
	const struct eif *eif, struct eif_layout *layout, struct attest_error *error) MUST_CHECK;

struct eif_metadata {
	const char *name, *version; // of the image: printable ASCII
	const char *build_time;     // RFC 3339
};

// The metadata section's JSON, with every field that nitro-cli's describe-eif wants to find
// (EifIdentityInfo in src/defs/mod.rs). Written to out, NUL terminated. Returns its length, or 0
// when a text is not printable ASCII or it does not fit.
size_t eif_metadata_format(const struct eif_metadata *metadata, char *out, size_t size);

#endif
