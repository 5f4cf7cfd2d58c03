// SPDX-License-Identifier: BSD-3-Clause
// What a trunk does with the numbers of calls: its lists of rules and the form of its numbers
// (struct td_numbers_conf), compiled. Read by any thread; what one run needs is its thread's.
#pragma once

#include "sip/rule.h"
#include "sip/writer.h"

enum td_numbers_who { TD_CALLER, TD_CALLEE };

struct td_rule_list {
	const struct td_rule *rules[TD_RULE_LIST_MAX];
	uint8_t n;
};

struct td_numbers {
	struct td_rule_list in[2], out[2]; // by enum td_numbers_who
	struct td_number_form_conf form;
};

// One change of a number, for people.
struct td_numbers_step {
	const char *what; // "rule", "number"
	const char *name; // of the rule
	const char *why;  // it was not applied; NULL: it was
	enum td_numbers_who who;
	struct td_number before, after;
};

struct td_numbers_trace {
	void (*step)(void *ctx, const struct td_numbers_step *step);
	void *ctx;
};

// What happened on the way. names: of the rules that applied, with commas; what does not fit is
// left out.
struct td_numbers_run {
	struct td_rule_matcher *matcher;
	const struct td_numbers_trace *trace; // NULL: nobody asks
	struct td_number names;
	uint32_t applied, failed; // rules
};

// Of a call that comes in from the trunk, and of one that goes out to it.
void td_numbers_in(const struct td_numbers *numbers, struct td_numbers_run *run,
	enum td_numbers_who who, struct td_number *number);
void td_numbers_out(const struct td_numbers *numbers, struct td_numbers_run *run,
	enum td_numbers_who who, struct td_number *number);
