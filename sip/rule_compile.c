// SPDX-License-Identifier: BSD-3-Clause
// Patterns compiled, and the memory that matching has. Start-up and an operator's push.
#include "sip/rule_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

// --- patterns ---

// Every \ is followed by the number of a group that the pattern has.
static int replace_check(
	const struct td_rule_conf *conf, uint32_t groups, char *why, size_t why_cap)
{
	for (const char *c = conf->replace; *c; c++) {
		if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f) {
			snprintf(why, why_cap, "the replacement holds a blank or a character that "
					       "no number has");
			return -EINVAL;
		}
		if (*c != '\\')
			continue;
		c++;
		if (*c < '0' || *c > '9' || (uint32_t)(*c - '0') > groups) {
			snprintf(why, why_cap,
				"the replacement speaks of group \\%.1s, the pattern has %u", c,
				groups);
			return -EINVAL;
		}
	}
	return 0;
}

static pcre2_code *pattern_compile(
	const struct td_rule_conf *conf, char *why, size_t why_cap, int *rc)
{
	pcre2_compile_context *limits = pcre2_compile_context_create(NULL);
	PCRE2_SIZE at = 0;
	int error = PCRE2_ERROR_NOMEMORY;
	PCRE2_UCHAR words[128] = "";

	*rc = -ENOMEM;
	if (!limits)
		return NULL;
	pcre2_set_parens_nest_limit(limits, 32);
	pcre2_code *code = pcre2_compile((PCRE2_SPTR)conf->match, PCRE2_ZERO_TERMINATED,
		PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY,
		&error, &at, limits);
	pcre2_compile_context_free(limits);
	if (code || error == PCRE2_ERROR_HEAP_FAILED)
		return code;
	pcre2_get_error_message(error, words, sizeof(words));
	snprintf(why, why_cap, "the pattern is wrong at character %zu: %s", (size_t)at + 1,
		(const char *)words);
	*rc = -EINVAL;
	return NULL;
}

int td_rule_compile(
	const struct td_rule_conf *conf, struct td_rule **out, char *why, size_t why_cap)
{
	uint32_t groups = 0;
	int rc = -ENOMEM;
	struct td_rule *rule = calloc(1, sizeof(*rule));

	if (!rule)
		return -ENOMEM;
	rule->conf = *conf;
	rule->code = pattern_compile(conf, why, why_cap, &rc);
	if (rule->code) {
		pcre2_pattern_info(rule->code, PCRE2_INFO_CAPTURECOUNT, &groups);
		rc = replace_check(conf, groups, why, why_cap);
	}
	if (rc == 0)
		*out = rule;
	else
		td_rule_free(rule);
	return rc;
}

void td_rule_free(struct td_rule *rule)
{
	if (!rule)
		return;
	pcre2_code_free(rule->code);
	free(rule);
}

// --- the memory of a thread ---

// What is asked for at start-up is never given back before the end; frames come and go.
static void *matcher_get(size_t bytes, void *ctx)
{
	struct td_rule_matcher *m = ctx;
	size_t end = m->small_used + ((bytes + 15) & ~(size_t)15);

	if (bytes <= RULE_SMALL_BYTES && end <= RULE_SMALL_BYTES) {
		char *place = m->small + m->small_used;
		m->small_used = end;
		return place;
	}
	for (unsigned i = 0; i < 2; i++)
		if (!m->slots[i].lent && bytes <= m->slots[i].size) {
			m->slots[i].lent = true;
			return m->slots[i].bytes;
		}
	return NULL;
}

static void matcher_put(void *place, void *ctx)
{
	struct td_rule_matcher *m = ctx;

	for (unsigned i = 0; i < 2; i++)
		if (m->slots[i].bytes == place)
			m->slots[i].lent = false;
}

struct td_rule_matcher *td_rule_matcher_new(const struct td_alloc *alloc)
{
	struct td_rule_matcher *m = alloc->alloc(alloc->ctx, sizeof(*m));

	if (!m)
		return NULL;
	memset(m, 0, sizeof(*m));
	m->slots[0] = (struct rule_slot){ m->first, sizeof(m->first), false };
	m->slots[1] = (struct rule_slot){ m->second, sizeof(m->second), false };
	m->general = pcre2_general_context_create(matcher_get, matcher_put, m);
	m->limits = m->general ? pcre2_match_context_create(m->general) : NULL;
	m->data = m->limits ? pcre2_match_data_create(RULE_GROUPS, m->general) : NULL;
	if (!m->data) {
		alloc->free(alloc->ctx, m);
		return NULL;
	}
	pcre2_set_match_limit(m->limits, RULE_STEPS_MAX);
	pcre2_set_depth_limit(m->limits, RULE_STEPS_MAX);
	pcre2_set_heap_limit(m->limits, RULE_FRAMES_KIB);
	return m;
}

void td_rule_matcher_free(struct td_rule_matcher *matcher, const struct td_alloc *alloc)
{
	if (matcher) // what PCRE2 holds lies in it
		alloc->free(alloc->ctx, matcher);
}
