// SPDX-License-Identifier: BSD-3-Clause
// Number rules: a pattern of PCRE2 and what the part that it finds becomes. A rule is compiled
// once, when the policy is, and read by any thread; matching takes memory that its thread has from
// the start (struct td_rule_matcher), allocates nothing, and is bounded: a pattern that backtracks
// without end is given up.
#pragma once

#include "include/policy_conf.h"
#include "sip/number.h"
#include "sip/pool.h"

struct td_rule;
struct td_rule_matcher;

// 0; -EINVAL and why it is none, -ENOMEM.
int td_rule_compile(
	const struct td_rule_conf *conf, struct td_rule **out, char *why, size_t why_cap);
void td_rule_free(struct td_rule *rule); // NULL is fine
const struct td_rule_conf *td_rule_conf(const struct td_rule *rule);

// For one thread; NULL: no memory. The memory is alloc's, to be given back to it.
struct td_rule_matcher *td_rule_matcher_new(const struct td_alloc *alloc);
void td_rule_matcher_free(struct td_rule_matcher *matcher, const struct td_alloc *alloc);

enum td_rule_result {
	TD_RULE_PASSED,   // the pattern is not found
	TD_RULE_APPLIED,  // *number is another
	TD_RULE_GAVE_UP,  // it takes too many steps
	TD_RULE_TOO_LONG, // what it makes is no number that fits
};

enum td_rule_result td_rule_apply(
	const struct td_rule *rule, struct td_rule_matcher *matcher, struct td_number *number);
