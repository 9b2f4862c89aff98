// SPDX-License-Identifier: MIT
// The root certificates that AWS signs enclaves' documents with, as DER in the code.
#ifndef AIRLOCK_ATTEST_ROOTS_H
#define AIRLOCK_ATTEST_ROOTS_H

#include "attest/bytes.h"
#include "attest/verify.h"

// The root of ATTEST_AWS or ATTEST_AWS_US_GOV (there is no other); absent for anything else.
// SHA-256 of the first: 641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b, of the
// second 20bcd30a3e168ea03789e1c45912bc123c4de3c977b8a6e1c125c7929d668b3b.
struct bytes roots_find(enum attest_partition partition);

// The partition whose root has exactly these bytes, 0 when it is none of AWS's.
enum attest_partition roots_partition(struct bytes certificate);

#endif
