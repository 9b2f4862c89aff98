// SPDX-License-Identifier: MIT
// What `airlock-attest verify` prints. The JSON forms are described in README.md: the order of keys
// is fixed, bytes are lower-case hex.
#ifndef AIRLOCK_ATTEST_REPORT_H
#define AIRLOCK_ATTEST_REPORT_H

#include <stdio.h>

#include "attest/error.h"
#include "attest/verify.h"

// options are those that it was verified with.
void report_print_text(
	FILE *out, const struct attest_result *result, const struct verify_options *options);
void report_print_json(
	FILE *out, const struct attest_result *result, const struct verify_options *options);

// All keys of the other form are there too, and null: nothing of the document is known.
void report_print_refusal_json(FILE *out, const struct attest_error *error);

#endif
