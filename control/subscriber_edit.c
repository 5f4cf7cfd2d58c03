// SPDX-License-Identifier: BSD-3-Clause
#include "control/subscriber_edit.h"

#include "control/text.h"
#include "sip/digest.h"
#include "sip/uri.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

// --- values ---

// What databases and JSON take: UTF-8 without control characters.
static bool printable(const char *text, size_t cap)
{
	char clean[TD_AOR_LEN];
	size_t len = td_text_clean(text, cap, false, clean, sizeof(clean));

	return len < cap && strcmp(text, clean) == 0;
}

bool td_aor_read(const char *text, char aor[TD_AOR_LEN])
{
	char whole[TD_AOR_LEN + 8], user[TD_AOR_LEN];
	struct td_uri uri;
	int len = snprintf(
		whole, sizeof(whole), "%s%s", strncmp(text, "sip:", 4) == 0 ? "" : "sip:", text);

	if (len < 0 || (size_t)len >= sizeof(whole) ||
		td_uri_parse(td_span_str(whole), &uri) != 0 || uri.scheme != TD_SCHEME_SIP ||
		uri.user.len == 0 || uri.has_port || uri.password.len > 0 || uri.params.len > 0 ||
		uri.headers.len > 0)
		return false;
	int n = td_uri_unescape(uri.user, user, sizeof(user));
	for (int i = 0; i < n; i++)
		if ((unsigned char)user[i] <= ' ' || user[i] == 0x7f)
			return false;
	if (n <= 0 || (size_t)n + 1 + uri.host.len >= TD_AOR_LEN)
		return false;
	memcpy(aor, user, (size_t)n);
	aor[n] = '@';
	for (size_t i = 0; i < uri.host.len; i++)
		aor[(size_t)n + 1 + i] = (char)tolower((unsigned char)uri.host.ptr[i]);
	aor[(size_t)n + 1 + uri.host.len] = '\0';
	return printable(aor, TD_AOR_LEN);
}

bool td_number_read(const char *text, char number[TD_NUMBER_LEN])
{
	size_t n = 0;

	for (const char *c = text[0] == '+' ? text + 1 : text; *c; c++) {
		if (strchr(" -.()", *c))
			continue;
		if (!isdigit((unsigned char)*c) || n + 1 == TD_NUMBER_LEN)
			return false;
		number[n++] = *c;
	}
	number[n] = '\0';
	return n > 0;
}

// --- fields ---

enum kind { SECRET, NUMBERS, TEXT, COUNT, STATE };

// Named as in SubscriberAdd. Where it lies in a subscriber: from that member up to the next.
#define FIELD(name_, kind_, from_, next_)                                                          \
	{                                                                                          \
		name_, kind_, offsetof(struct td_subscriber, from_),                               \
			offsetof(struct td_subscriber, next_) -                                    \
				offsetof(struct td_subscriber, from_)                              \
	}

static const struct field {
	const char *name;
	enum kind kind;
	size_t at, bytes;
} fields[] = {
	FIELD("password", SECRET, ha1_md5, enabled),
	FIELD("disabled", STATE, enabled, n_numbers),
	FIELD("numbers", NUMBERS, n_numbers, plan),
	FIELD("plan", TEXT, plan, display),
	FIELD("display", TEXT, display, max_calls),
	FIELD("max_calls", COUNT, max_calls, max_cps),
	FIELD("max_cps", COUNT, max_cps, cps_burst),
	{ "cps_burst", COUNT, offsetof(struct td_subscriber, cps_burst), sizeof(uint32_t) },
};
#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))
#define ALL_FIELDS ((1u << N_FIELDS) - 1)
#define NAMED(edit, name) (((edit)->fields & field_bit(name)) != 0)

static uint32_t field_bit(const char *name)
{
	for (uint32_t i = 0; i < N_FIELDS; i++)
		if (strcmp(fields[i].name, name) == 0)
			return 1u << i;
	return 0;
}

bool td_subscriber_edit_password(const struct td_subscriber_edit *edit)
{
	return NAMED(edit, "password");
}

bool td_subscriber_edit_plan(const struct td_subscriber_edit *edit)
{
	return NAMED(edit, "plan");
}

void td_subscriber_edit_apply(
	const struct td_subscriber_edit *edit, struct td_subscriber *subscriber)
{
	for (uint32_t i = 0; i < N_FIELDS; i++)
		if (edit->fields & 1u << i)
			memcpy((char *)subscriber + fields[i].at,
				(const char *)&edit->to + fields[i].at, fields[i].bytes);
}

// --- reading ---

static void password_hash(struct td_subscriber *s, const char *password)
{
	const char *at = strrchr(s->aor, '@');
	struct td_span user = td_span(s->aor, (size_t)(at - s->aor)), domain = td_span_str(at + 1);
	uint8_t ha1[TD_DIGEST_BYTES_MAX];

	td_digest_ha1(TD_DIGEST_MD5, user, domain, td_span_str(password), ha1);
	memcpy(s->ha1_md5, ha1, sizeof(s->ha1_md5));
	td_digest_ha1(TD_DIGEST_SHA256, user, domain, td_span_str(password), ha1);
	memcpy(s->ha1_sha256, ha1, sizeof(s->ha1_sha256));
	s->has_md5 = s->has_sha256 = true;
	explicit_bzero(ha1, sizeof(ha1));
}

// Whatever of it is named; what is not, has its default.
static const char *values_read(struct td_subscriber *s, const Tandem__SubscriberAdd *add)
{
	if (!td_aor_read(add->aor, s->aor))
		return "expected an AoR such as 1001@example.com";
	if (add->n_numbers > TD_SUBSCRIBER_NUMBERS_MAX)
		return "a subscriber has at most 8 numbers";
	if (!printable(add->plan, sizeof(s->plan)) || !printable(add->display, sizeof(s->display)))
		return "the plan or the display name is too long, or no printable UTF-8";
	for (size_t i = 0; i < add->n_numbers; i++)
		if (!td_number_read(add->numbers[i], s->numbers[s->n_numbers++]))
			return "expected a number of at most 23 digits";
	if (add->max_calls > TD_SUBSCRIBER_LIMIT_MAX || add->max_cps > TD_SUBSCRIBER_LIMIT_MAX ||
		add->cps_burst > TD_SUBSCRIBER_LIMIT_MAX)
		return "expected limits of at most 10000000; 0 is none";
	snprintf(s->plan, sizeof(s->plan), "%s", add->plan[0] ? add->plan : TD_PLAN_DEFAULT);
	snprintf(s->display, sizeof(s->display), "%s", add->display);
	s->max_calls = add->max_calls;
	s->max_cps = add->max_cps;
	s->cps_burst = add->cps_burst;
	s->enabled = !add->disabled;
	if (add->password[0])
		password_hash(s, add->password);
	return NULL;
}

const char *td_subscriber_edit_add(
	struct td_subscriber_edit *edit, const Tandem__SubscriberAdd *add)
{
	bool password = add->password[0] != '\0';
	const char *wrong = values_read(&edit->to, add);

	explicit_bzero(add->password, strlen(add->password));
	edit->fields = password ? ALL_FIELDS : ALL_FIELDS & ~field_bit("password");
	return !wrong && !password && !add->replace ? "expected a password" : wrong;
}

const char *td_subscriber_edit_set(
	struct td_subscriber_edit *edit, const Tandem__SubscriberSet *set)
{
	bool password = set->to && set->to->password[0] != '\0';
	const char *wrong = set->to ? values_read(&edit->to, set->to) : "expected what it is to be";

	if (set->to)
		explicit_bzero(set->to->password, strlen(set->to->password));
	for (size_t i = 0; !wrong && i < set->n_fields; i++) {
		uint32_t bit = field_bit(set->fields[i]);
		if (!bit)
			return "expected names of fields that change: password, disabled, numbers, "
			       "plan, display, max_calls, max_cps, cps_burst";
		edit->fields |= bit;
	}
	if (!wrong && !edit->fields)
		return "expected something that changes";
	return !wrong && NAMED(edit, "password") && !password ? "expected a password" : wrong;
}

// --- telling ---

static void numbers_print(const struct td_subscriber *s, FILE *out)
{
	for (uint8_t i = 0; i < s->n_numbers; i++)
		fprintf(out, "%s%s", i ? " " : "", s->numbers[i]);
	if (s->n_numbers == 0)
		fputs("none", out);
}

static void value_print(const struct field *f, const struct td_subscriber *s, FILE *out)
{
	const char *at = (const char *)s + f->at;
	uint32_t count;

	switch (f->kind) {
	case SECRET:
		return;
	case NUMBERS:
		numbers_print(s, out);
		return;
	case TEXT:
		fputs(at[0] ? at : "none", out);
		return;
	case COUNT:
		memcpy(&count, at, sizeof(count));
		fprintf(out, "%u", count);
		return;
	case STATE:
		fputs(s->enabled ? "no" : "yes", out);
		return;
	}
}

static void field_print(const struct field *f, const struct td_subscriber *before,
	const struct td_subscriber *after, FILE *out)
{
	fputs(f->name, out);
	if (f->kind == SECRET) {
		fputs(" changed", out);
		return;
	}
	fputc(' ', out);
	value_print(f, before, out);
	fputs(" → ", out);
	value_print(f, after, out);
}

void td_subscriber_difference(const struct td_subscriber *before, const struct td_subscriber *after,
	char text[TD_SUBSCRIBER_DIFFERENCE_LEN])
{
	FILE *out = fmemopen(text, TD_SUBSCRIBER_DIFFERENCE_LEN, "w");
	bool any = false;

	memset(text, 0, TD_SUBSCRIBER_DIFFERENCE_LEN);
	for (uint32_t i = 0; out && i < N_FIELDS; i++) {
		const struct field *f = &fields[i];
		if (memcmp((const char *)before + f->at, (const char *)after + f->at, f->bytes) ==
			0)
			continue;
		fputs(any ? ", " : "", out);
		any = true;
		field_print(f, before, after, out);
	}
	if (out)
		fclose(out);
}
