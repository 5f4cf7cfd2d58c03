// SPDX-License-Identifier: BSD-3-Clause
// Number rules and forms of numbers of any bytes. Lines: pattern, replacement, number, then what a
// form says (country, area, international and national prefix; a digit each for bare digits,
// accept, format). A rule that is taken makes of a number what pcre2_substitute makes of it, a
// number again, or leaves it as it was.
#include "sip/rule_priv.h"
#include "tests/unit/heap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool truth)
{
	if (!truth)
		abort();
}

static struct td_span line_take(struct td_span *rest)
{
	const char *lf = memchr(rest->ptr, '\n', rest->len);
	struct td_span line = td_span(rest->ptr, lf ? (size_t)(lf - rest->ptr) : rest->len);

	*rest = td_span(rest->ptr + line.len + (lf != NULL), rest->len - line.len - (lf != NULL));
	return line;
}

static void text_put(char *dst, size_t cap, struct td_span text)
{
	size_t len = text.len < cap ? text.len : cap - 1;

	memcpy(dst, text.ptr, len);
	dst[len] = '\0';
}

// As a call brings one: printable, without blanks, or none.
static bool number_is_one(const struct td_number *number)
{
	if (number->len > sizeof(number->text))
		return false;
	for (uint8_t i = 0; i < number->len; i++)
		if (number->text[i] <= ' ' || number->text[i] >= 0x7f)
			return false;
	return true;
}

// "\1" in the words of pcre2_substitute.
static void words_of(const char *replace, char dst[4 * TD_RULE_REPLACE_LEN])
{
	for (const char *c = replace; *c; c++) {
		if (*c == '\\')
			dst += sprintf(dst, "${%c}", *++c);
		else if (*c == '$')
			dst += sprintf(dst, "$$");
		else
			*dst++ = *c;
	}
	*dst = '\0';
}

static void compare(const struct td_rule *rule, const struct td_number *before,
	enum td_rule_result result, const struct td_number *after)
{
	static pcre2_match_context *limits;
	char words[4 * TD_RULE_REPLACE_LEN], out[4096];
	PCRE2_SIZE len = sizeof(out);

	if (!limits) {
		limits = pcre2_match_context_create(NULL);
		pcre2_set_match_limit(limits, RULE_STEPS_MAX);
		pcre2_set_depth_limit(limits, RULE_STEPS_MAX);
	}
	words_of(td_rule_conf(rule)->replace, words);
	int n = pcre2_substitute(rule->code, (PCRE2_SPTR)before->text, before->len, 0,
		PCRE2_SUBSTITUTE_UNSET_EMPTY, NULL, limits, (PCRE2_SPTR)words,
		PCRE2_ZERO_TERMINATED, (PCRE2_UCHAR *)out, &len);
	switch (result) {
	case TD_RULE_PASSED:
		need(n == 0);
		break;
	case TD_RULE_APPLIED:
		need(n == 1 && td_span_eq(td_span(out, len), td_number_span(after)));
		break;
	case TD_RULE_GAVE_UP: // it has less memory
		break;
	case TD_RULE_TOO_LONG:
		need(n == 1 && len > sizeof(after->text));
		break;
	}
}

static void rule_try(const struct td_rule_conf *conf, const struct td_number *number)
{
	static struct td_rule_matcher *matcher;
	struct td_rule *rule = NULL;
	struct td_number after = *number;
	char why[160] = "";

	if (!matcher)
		need((matcher = td_rule_matcher_new(&heap)) != NULL);
	int rc = td_rule_compile(conf, &rule, why, sizeof(why));
	need((rc == 0) == (rule != NULL) && (rc != -EINVAL || why[0] != '\0'));
	if (!rule)
		return;
	enum td_rule_result result = td_rule_apply(rule, matcher, &after);
	need(result == TD_RULE_APPLIED || memcmp(&after, number, sizeof(after)) == 0);
	need(number_is_one(&after));
	compare(rule, number, result, &after);
	td_rule_free(rule);
}

static void digits_put(char *dst, size_t cap, struct td_span *rest)
{
	size_t n = 0;

	while (rest->len > 0 && rest->ptr[0] >= '0' && rest->ptr[0] <= '9') {
		if (n + 1 < cap)
			dst[n++] = rest->ptr[0];
		*rest = td_span(rest->ptr + 1, rest->len - 1);
	}
	if (rest->len > 0)
		*rest = td_span(rest->ptr + 1, rest->len - 1);
}

static uint8_t digit_take(struct td_span *rest, unsigned below)
{
	uint8_t digit = rest->len > 0 ? (uint8_t)((uint8_t)rest->ptr[0] % below) : 0;

	if (rest->len > 0)
		*rest = td_span(rest->ptr + 1, rest->len - 1);
	return digit;
}

static void form_try(struct td_span text, const struct td_number *number)
{
	struct td_number_form_conf form = { 0 };
	struct td_number heard = *number;

	digits_put(form.country, sizeof(form.country), &text);
	digits_put(form.area, sizeof(form.area), &text);
	digits_put(form.international, sizeof(form.international), &text);
	digits_put(form.national, sizeof(form.national), &text);
	form.bare_digits = digit_take(&text, 16);
	form.accept = digit_take(&text, TD_NUMBER_DIGITS + 1);
	form.format = digit_take(&text, TD_FORMAT_INTERNATIONAL + 1);
	bool accepted = td_number_accept(&form, &heard);
	need(accepted ? td_number_is_e164(&heard) : td_number_eq(&heard, number));
	struct td_number said = heard;
	bool formatted = td_number_format(&form, &said);
	need(number_is_one(&said) &&
		(formatted ? td_number_is_e164(&heard) : td_number_eq(&said, &heard)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct td_span rest = td_span((const char *)data, size);
	struct td_rule_conf conf = { .name = "fuzz" };
	struct td_number number = { 0 };

	if (size > 1024)
		return 0;
	text_put(conf.match, sizeof(conf.match), line_take(&rest));
	text_put(conf.replace, sizeof(conf.replace), line_take(&rest));
	if (!td_number_append(&number, line_take(&rest)) || !number_is_one(&number))
		return 0;
	rule_try(&conf, &number);
	form_try(rest, &number);
	return 0;
}
