// SPDX-License-Identifier: BSD-3-Clause
#include "sip/number.h"

#include "sip/chars.h"

enum { E164_DIGITS = 15 };

bool td_number_append(struct td_number *number, struct td_span text)
{
	if (text.len > sizeof(number->text) - number->len)
		return false;
	if (text.len > 0)
		memcpy(number->text + number->len, text.ptr, text.len);
	number->len = (uint8_t)(number->len + text.len);
	return true;
}

bool td_number_of(const struct td_uri *uri, struct td_number *out)
{
	char text[TD_NUMBER_TEXT];
	int len = td_uri_number(uri, false, text, sizeof(text));
	bool plus = uri->user.len > 0 && uri->user.ptr[0] == '+';

	out->len = 0;
	if (len <= 0)
		return false;
	for (int i = 0; i < len; i++)
		if ((unsigned char)text[i] <= ' ' || (unsigned char)text[i] >= 0x7f)
			return false;
	return (!plus || text[0] == '+' || td_number_append(out, TD_SPAN("+"))) &&
	       td_number_append(out, td_span(text, (size_t)len));
}

static bool all_digits(struct td_span text)
{
	for (uint32_t i = 0; i < text.len; i++)
		if (!td_char_is(text.ptr[i], TD_CH_DIGIT))
			return false;
	return text.len > 0;
}

bool td_number_is_e164(const struct td_number *number)
{
	return number->len > 1 && number->len <= E164_DIGITS + 1 && number->text[0] == '+' &&
	       all_digits(td_number_digits(number));
}

static bool begins(struct td_span text, const char *prefix)
{
	size_t len = strlen(prefix);

	return len > 0 && text.len > len && memcmp(text.ptr, prefix, len) == 0;
}

static struct td_span behind(struct td_span text, const char *prefix)
{
	size_t len = strlen(prefix);

	return td_span(text.ptr + len, text.len - len);
}

// "+", then the texts. false, and nothing changed: that is no number of E.164.
static bool become(
	struct td_number *number, const char *country, const char *area, struct td_span rest)
{
	struct td_number made = { .len = 1, .text = "+" };

	if (!td_number_append(&made, td_span_str(country)) ||
		!td_number_append(&made, td_span_str(area)) || !td_number_append(&made, rest) ||
		!td_number_is_e164(&made))
		return false;
	*number = made;
	return true;
}

bool td_number_accept(const struct td_number_form_conf *form, struct td_number *number)
{
	struct td_span text = td_number_span(number);

	if (form->country[0] == '\0' || !all_digits(text)) // with '+' it is E.164 already
		return false;
	if (form->accept == TD_NUMBER_DIGITS)
		return text.len >= form->bare_digits && become(number, "", "", text);
	if (begins(text, form->international))
		return become(number, "", "", behind(text, form->international));
	if (begins(text, form->national))
		return become(number, form->country, "", behind(text, form->national));
	if (form->bare_digits == 0 || text.len < form->bare_digits)
		return false; // a short code, or a number of this place alone
	return become(number, form->country, form->area, text);
}

bool td_number_format(const struct td_number_form_conf *form, struct td_number *number)
{
	struct td_number made = { 0 };
	struct td_span digits = td_number_digits(number);
	const char *prefix = "";

	if (!td_number_is_e164(number))
		return false;
	switch ((enum td_number_format)form->format) {
	case TD_FORMAT_KEEP:
	case TD_FORMAT_E164:
		return false;
	case TD_FORMAT_PLAIN:
		break;
	case TD_FORMAT_NATIONAL:
		prefix = form->international;
		if (begins(digits, form->country)) {
			prefix = form->national;
			digits = behind(digits, form->country);
		}
		break;
	case TD_FORMAT_INTERNATIONAL:
		prefix = form->international;
		break;
	}
	if (!td_number_append(&made, td_span_str(prefix)) || !td_number_append(&made, digits))
		return false;
	*number = made;
	return true;
}
