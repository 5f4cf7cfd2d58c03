// SPDX-License-Identifier: BSD-3-Clause
// A number (or the user part that stands in its place) as text, and the forms that a number has:
// E.164, and as people dial it. Pure; any thread.
#pragma once

#include "include/policy_conf.h"
#include "sip/uri.h"

#define TD_NUMBER_TEXT 64

struct td_number {
	uint8_t len;
	char text[TD_NUMBER_TEXT - 1]; // printable, without blanks; not terminated
};

static inline struct td_span td_number_span(const struct td_number *number)
{
	return td_span(number->text, number->len);
}

// Without the '+' of E.164.
static inline struct td_span td_number_digits(const struct td_number *number)
{
	uint32_t plus = number->len > 0 && number->text[0] == '+';

	return td_span(number->text + plus, number->len - plus);
}

static inline bool td_number_eq(const struct td_number *a, const struct td_number *b)
{
	return td_span_eq(td_number_span(a), td_number_span(b));
}

bool td_number_append(struct td_number *number, struct td_span text); // false: no room
// The number that a URI names, its '+' kept, without separators and parameters; of a user part that
// is none, that. false: there is none, or it is too long, or holds what no number may hold.
bool td_number_of(const struct td_uri *uri, struct td_number *out);
bool td_number_is_e164(const struct td_number *number); // '+' and 1 to 15 digits
// From the form in which a trunk says it to E.164; what cannot be told stays as it is. false: so it
// did.
bool td_number_accept(const struct td_number_form_conf *form, struct td_number *number);
// From E.164 to the form that a trunk wants; anything else stays as it is.
bool td_number_format(const struct td_number_form_conf *form, struct td_number *number);
