// SPDX-License-Identifier: BSD-3-Clause
#include "sip/hdr_date.h"

#include "sip/chars.h"

static bool one_of(const char *p, const char *names)
{
	for (; *names; names += 3)
		if (td_span_ieq(td_span(p, 3), td_span(names, 3)))
			return true;
	return false;
}

// "Sat, 13 Nov 2010 23:29:00 GMT": fixed columns; '0' in the picture is a digit, '?' a letter of a
// name.
bool td_date_valid(struct td_span value)
{
	static const char picture[] = "???, 00 ??? 0000 00:00:00 GMT";

	if (value.len != sizeof(picture) - 1)
		return false;
	for (uint32_t i = 0; i < value.len; i++) {
		char c = value.ptr[i];
		if (picture[i] == '0' ? !td_char_is(c, TD_CH_DIGIT)
				      : picture[i] != '?' && td_lower(c) != td_lower(picture[i]))
			return false;
	}
	return one_of(value.ptr, "MonTueWedThuFriSatSun") &&
	       one_of(value.ptr + 8, "JanFebMarAprMayJunJulAugSepOctNovDec");
}
