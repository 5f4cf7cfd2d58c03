// SPDX-License-Identifier: BSD-3-Clause
#include "sip/hiding.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
	return is_digit(c) || (td_lower(c) >= 'a' && td_lower(c) <= 'f');
}

// Length of a dotted quad at the start of the text (leading zeros included), 0: none.
static uint32_t quad_at(struct td_span s)
{
	uint32_t i = 0;

	for (uint32_t part = 0; part < 4; part++) {
		uint32_t digits = 0, value = 0;
		while (i < s.len && is_digit(s.ptr[i]) && digits < 4) {
			value = 10 * value + (uint32_t)(s.ptr[i++] - '0');
			digits++;
		}
		if (digits == 0 || digits > 3 || value > 255)
			return 0;
		if (part < 3 && (i == s.len || s.ptr[i++] != '.'))
			return 0;
	}
	return i;
}

// A run of hexadecimal digits and colons is an IPv6 address where it holds "::" or seven colons. A time ("12:30:00") or a
// codec parameter ("mode:1") holds neither.
static bool run_is_ipv6(struct td_span run)
{
	uint32_t colons = 0;

	for (uint32_t i = 0; i < run.len; i++) {
		if (run.ptr[i] != ':')
			continue;
		colons++;
		if (i + 1 < run.len && run.ptr[i + 1] == ':')
			return true;
	}
	return colons >= 7;
}

static bool control_character(struct td_span s, uint32_t i)
{
	unsigned char c = (unsigned char)s.ptr[i];

	if (c == '\r' || c == '\n') { // part of a fold: white space must follow the line end
		uint32_t next = i + 1;
		if (c == '\r' && next < s.len && s.ptr[next] == '\n')
			next++;
		return next >= s.len || (s.ptr[next] != ' ' && s.ptr[next] != '\t');
	}
	return (c < 0x20 && c != '\t') || c == 0x7f;
}

static bool address_at(struct td_span text, uint32_t i)
{
	char c = text.ptr[i];

	if (is_digit(c) && (i == 0 || !is_digit(text.ptr[i - 1])) && quad_at(td_span(text.ptr + i, text.len - i)) > 0)
		return true;
	bool starts = i == 0 || (!is_hex(text.ptr[i - 1]) && text.ptr[i - 1] != ':' && text.ptr[i - 1] != '.');
	if (!starts || (!is_hex(c) && c != ':'))
		return false;
	uint32_t end = i;
	while (end < text.len && (is_hex(text.ptr[end]) || text.ptr[end] == ':'))
		end++;
	return run_is_ipv6(td_span(text.ptr + i, end - i));
}

bool td_hiding_unfit(struct td_span text)
{
	for (uint32_t i = 0; i < text.len; i++)
		if (control_character(text, i) || address_at(text, i))
			return true;
	return false;
}

bool td_hiding_has_address(struct td_span text)
{
	for (uint32_t i = 0; i < text.len; i++)
		if (address_at(text, i))
			return true;
	return false;
}

void td_put_unfolded(struct td_writer *w, struct td_span value)
{
	uint32_t i = 0;

	while (i < value.len) {
		uint32_t start = i;
		while (i < value.len && value.ptr[i] != '\r' && value.ptr[i] != '\n')
			i++;
		td_put(w, value.ptr + start, i - start);
		if (i == value.len)
			return;
		while (i < value.len && (value.ptr[i] == '\r' || value.ptr[i] == '\n' || value.ptr[i] == ' ' ||
				value.ptr[i] == '\t'))
			i++;
		td_put_char(w, ' ');
	}
}
