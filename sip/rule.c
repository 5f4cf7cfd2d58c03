// SPDX-License-Identifier: BSD-3-Clause
// A rule upon a number. Packet path.
#include "sip/rule_priv.h"

// What the replacement says, with what the groups hold. false: it does not fit.
static bool replacement_put(
	const struct td_rule_conf *conf, const struct td_number *from, const PCRE2_SIZE *at,
	int n_groups, struct td_number *out)
{
	for (const char *c = conf->replace; *c; c++) {
		struct td_span piece = td_span(c, 1);
		if (*c == '\\') {
			int group = *++c - '0';
			bool set = group < n_groups && at[2 * group] != PCRE2_UNSET;
			piece = set ? td_span(from->text + at[2 * group],
					      at[2 * group + 1] - at[2 * group])
				    : (struct td_span){ 0 };
		}
		if (!td_number_append(out, piece))
			return false;
	}
	return true;
}

enum td_rule_result td_rule_apply(
	const struct td_rule *rule, struct td_rule_matcher *matcher, struct td_number *number)
{
	struct td_number made = { 0 };
	int n = pcre2_match(rule->code, (PCRE2_SPTR)number->text, number->len, 0, 0, matcher->data,
		matcher->limits);

	if (n == PCRE2_ERROR_NOMATCH)
		return TD_RULE_PASSED;
	if (n < 0)
		return TD_RULE_GAVE_UP;
	if (n == 0) // more groups than a replacement can name; those it can are there
		n = RULE_GROUPS;
	const PCRE2_SIZE *at = pcre2_get_ovector_pointer(matcher->data);
	if (at[0] > at[1]) // \K in a look-ahead
		return TD_RULE_GAVE_UP;
	if (!td_number_append(&made, td_span(number->text, at[0])) ||
		!replacement_put(&rule->conf, number, at, n, &made) ||
		!td_number_append(
			&made, td_span(number->text + at[1], number->len - at[1])))
		return TD_RULE_TOO_LONG;
	*number = made;
	return TD_RULE_APPLIED;
}

const struct td_rule_conf *td_rule_conf(const struct td_rule *rule)
{
	return &rule->conf;
}
