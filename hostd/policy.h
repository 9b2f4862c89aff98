// SPDX-License-Identifier: MIT
// What an enclave may reach. Pure: no I/O, no clock. Order of the questions: known CID, rule by
// name or address and port (deny rules first, default deny), then each resolved address.
#ifndef AIRLOCK_HOSTD_POLICY_H
#define AIRLOCK_HOSTD_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "hostd/config.h"
#include "wire/address.h"
#include "wire/compiler.h"

#define POLICY_REASON_SIZE 160

struct policy_decision {
	bool is_allowed;
	const struct rule
		*rule; // that decided; NULL: none (default deny, or an address of a special kind)
	char reason[POLICY_REASON_SIZE]; // a sentence for the log, for explain and for the outcome
};

// May the enclave ask for this name and port at all? name in wire form.
void policy_check_name(const struct enclave *enclave, const char *name, uint16_t port,
	struct policy_decision *decision);

// May it ask for this literal address and port? Includes the special-address rule.
void policy_check_literal(const struct enclave *enclave, const struct address *address,
	uint16_t port, struct policy_decision *decision);

// The name was allowed by name_rule and resolved to this address: may it be dialled? A special
// address must be named by a rule for a block, or by to= of any allow rule for this name and port.
void policy_check_resolved(const struct enclave *enclave, const struct rule *name_rule,
	const char *name, const struct address *address, uint16_t port,
	struct policy_decision *decision);

// May the enclave look the name up, for any port?
bool policy_may_lookup(const struct enclave *enclave, const char *name);

#endif
