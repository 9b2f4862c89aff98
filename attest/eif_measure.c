// SPDX-License-Identifier: MIT
// A PCR of an image is one extend of a PCR of zeros: SHA-384(48 zero bytes || SHA-384(content)),
// the content being the sections' data in file order. Images are large and mapped: each piece of a
// section goes into both of its hashes while it is in the cache.
#include "attest/eif.h"

#include <string.h>

#include <nettle/sha2.h>

#include "attest/eif_signature.h"

#define PIECE_SIZE 65536

_Static_assert(EIF_PCR_SIZE == SHA384_DIGEST_SIZE, "PCRs are SHA-384");

static void hash_both(struct sha384_ctx *first, struct sha384_ctx *second, const struct bytes *data)
{
	for (size_t done = 0; done < data->length; done += PIECE_SIZE) {
		size_t left = data->length - done;
		size_t piece = left < PIECE_SIZE ? left : PIECE_SIZE;

		sha384_update(first, piece, data->data + done);
		sha384_update(second, piece, data->data + done);
	}
}

static void extend_zeros(struct sha384_ctx *content, uint8_t pcr[EIF_PCR_SIZE])
{
	static const uint8_t zeros[EIF_PCR_SIZE];
	uint8_t digest[SHA384_DIGEST_SIZE];
	struct sha384_ctx outer;

	sha384_digest(content, sizeof(digest), digest);
	sha384_init(&outer);
	sha384_update(&outer, sizeof(zeros), zeros);
	sha384_update(&outer, sizeof(digest), digest);
	sha384_digest(&outer, EIF_PCR_SIZE, pcr);
}

void eif_measure_content(const struct eif *eif, struct eif_measurements *measurements)
{
	struct sha384_ctx image, bootstrap, application;
	bool is_first_ramdisk = true;

	memset(measurements, 0, sizeof(*measurements));
	sha384_init(&image);
	sha384_init(&bootstrap);
	sha384_init(&application);
	for (size_t i = 0; i < eif->section_count; i++) {
		const struct eif_section *section = &eif->sections[i];
		bool is_ramdisk = section->type == EIF_RAMDISK;

		if (is_ramdisk && !is_first_ramdisk)
			hash_both(&image, &application, &section->data);
		else if (is_ramdisk || section->type == EIF_KERNEL || section->type == EIF_CMDLINE)
			hash_both(&image, &bootstrap, &section->data);
		if (is_ramdisk)
			is_first_ramdisk = false;
	}
	extend_zeros(&image, measurements->pcr0);
	extend_zeros(&bootstrap, measurements->pcr1);
	extend_zeros(&application, measurements->pcr2);
}

// The PCR of one piece of data alone.
static void measure_bytes(const struct bytes *data, uint8_t pcr[EIF_PCR_SIZE])
{
	struct sha384_ctx content;

	sha384_init(&content);
	sha384_update(&content, data->length, data->data);
	extend_zeros(&content, pcr);
}

bool eif_measure(
	const struct eif *eif, struct eif_measurements *measurements, struct attest_error *error)
{
	const struct eif_section *section = eif_find(eif, EIF_SIGNATURE);
	struct eif_signature signature;

	eif_measure_content(eif, measurements);
	if (!section)
		return true;
	if (!eif_signature_parse(&section->data, &signature, error) ||
		!eif_signature_verify(&signature, measurements->pcr0, error))
		return false;
	measurements->is_signed = true;
	measure_bytes(&signature.certificate, measurements->pcr8);
	return true;
}
