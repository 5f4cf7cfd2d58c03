// SPDX-License-Identifier: BSD-3-Clause
// CSeq and the bare numbers: Max-Forwards, Expires, RSeq … (RFC 3261 §20.16, §20.22).
#include "sip/chars.h"
#include "sip/core.h"

#include <errno.h>

// 1*DIGIT. Position behind it, NULL where there is none; *number stays above max where the digits
// say more.
static const char *digits_parse(const char *p, const char *end, uint32_t max, uint64_t *number)
{
	const char *q = p;

	*number = 0;
	for (; q < end && td_char_is(*q, TD_CH_DIGIT); q++)
		if (*number <= max)
			*number = *number * 10 + (uint64_t)(*q - '0');
	return q == p ? NULL : q;
}

int td_cseq_decode(struct td_span value, struct td_cseq *out)
{
	uint64_t number;

	memset(out, 0, sizeof(*out));
	if (value.len == 0)
		return -EBADMSG;
	const char *end = value.ptr + value.len;
	const char *p = digits_parse(value.ptr, end, INT32_MAX, &number);
	if (!p || number > INT32_MAX)
		return -EBADMSG;
	const char *method = td_skip_space(p, end);
	if (method == p || method == end || td_skip(method, end, TD_CH_TOKEN) != end)
		return -EBADMSG;
	out->number = (uint32_t)number;
	out->method_name = td_span(method, (size_t)(end - method));
	out->method = (uint8_t)td_method_id(out->method_name);
	return 0;
}

int td_number_decode(struct td_span value, uint32_t max, uint32_t *out)
{
	uint64_t number;

	if (value.len == 0)
		return -EBADMSG;
	const char *end = value.ptr + value.len;
	if (digits_parse(value.ptr, end, max, &number) != end)
		return -EBADMSG;
	if (number > max)
		return -ERANGE;
	*out = (uint32_t)number;
	return 0;
}
