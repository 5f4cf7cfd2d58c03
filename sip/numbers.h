// SPDX-License-Identifier: BSD-3-Clause
// What a trunk, or a dial plan, does with the numbers of calls: its lists of rules and the form of
// its numbers (struct td_numbers_conf), compiled. Read by any thread; what one run needs is its
// thread's.
#pragma once

#include "sip/rule.h"
#include "sip/writer.h"

enum td_numbers_who { TD_CALLER, TD_CALLEE };

struct td_rule_list {
	const struct td_rule *rules[TD_RULE_LIST_MAX];
	uint8_t n;
};

struct td_numbers {
	char plan[TD_NAME_LEN];            // whose they are; empty: a trunk's
	struct td_rule_list in[2], out[2]; // by enum td_numbers_who
	struct td_number_form_conf form;
	struct td_caller_id_conf caller_in, caller_out;
	const char *realm;  // of the trunk
	uint8_t from_realm; // bit n: enum td_numbers_part n is what the realm says
};

// The realm that says that part; NULL: whose numbers they are does.
static inline const char *td_numbers_realm(
	const struct td_numbers *numbers, enum td_numbers_part part)
{
	return numbers->from_realm >> part & 1 ? numbers->realm : NULL;
}

// What a caller is told to be.
enum td_caller_verdict {
	TD_CALLER_FITS,
	TD_CALLER_REPLACED, // another number is shown
	TD_CALLER_HIDDEN,   // shown as anonymous
	TD_CALLER_REFUSED,
};

// One change of a number, for people.
struct td_numbers_step {
	const char *what; // "rule", "number", "caller"
	const char *name; // of the rule
	const char *why;  // it was not applied; NULL: it was
	const char *plan; // whose rule it is; NULL or empty: a trunk's
	const char *realm; // that says so for the trunk; NULL: the trunk does
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
	const char *plan, *realm;             // of a step; set by those that run
	struct td_number names;
	uint32_t applied, failed; // rules
};

// Of a call that comes in from the trunk, and of one that goes out to it.
void td_numbers_in(const struct td_numbers *numbers, struct td_numbers_run *run,
	enum td_numbers_who who, struct td_number *number);
// Screens the caller: the number in From, and the one that somebody vouches for (RFC 3325); len 0:
// there is none. A number that is allowed by name is vouched for from then on. Steps tell
// run->realm as it is.
enum td_caller_verdict td_numbers_screen(const struct td_caller_id_conf *conf,
	struct td_numbers_run *run, struct td_number *caller, struct td_number *asserted);
void td_numbers_out(const struct td_numbers *numbers, struct td_numbers_run *run,
	enum td_numbers_who who, struct td_number *number);
