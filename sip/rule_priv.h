// SPDX-License-Identifier: BSD-3-Clause
// The inside of number rules, for rule*.c alone.
#pragma once

#include "sip/rule.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define RULE_GROUPS 10 // \0 – \9

struct td_rule {
	struct td_rule_conf conf;
	pcre2_code *code;
};

enum {
	// Steps of one match. What people write takes some dozens; what never ends takes them in
	// a fraction of a millisecond.
	RULE_STEPS_MAX = 5000,
	// PCRE2 keeps its frames in memory of the match data: 20 KiB at first, then twice that.
	RULE_FRAMES_KIB = 40,
	RULE_SMALL_BYTES = 4096, // contexts and match data
};

// A place that PCRE2 may have for its frames.
struct rule_slot {
	char *bytes;
	size_t size;
	bool lent;
};

struct td_rule_matcher {
	pcre2_general_context *general;
	pcre2_match_context *limits;
	pcre2_match_data *data;
	struct rule_slot slots[2];
	size_t small_used;
	_Alignas(16) char small[RULE_SMALL_BYTES];
	_Alignas(16) char first[20 << 10];
	_Alignas(16) char second[RULE_FRAMES_KIB << 10];
};
