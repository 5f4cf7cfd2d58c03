// SPDX-License-Identifier: BSD-3-Clause
#include "sip/hdr_contact.h"

#include "sip/chars.h"
#include "sip/core.h"

#include <errno.h>

enum { MALFORMED_EXPIRES_S = 3600 }; // what one that cannot be read stands for (§20.10)

// qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] ) (§25.1)
static bool q_decode(struct td_span text, uint16_t *out)
{
	uint32_t q = 0, scale = 100;

	if (text.len == 0 || text.len > 5 || (text.ptr[0] != '0' && text.ptr[0] != '1') ||
		(text.len > 1 && text.ptr[1] != '.'))
		return false;
	q = (uint32_t)(text.ptr[0] - '0') * 1000;
	for (uint32_t i = 2; i < text.len; i++, scale /= 10) {
		if (!td_char_is(text.ptr[i], TD_CH_DIGIT))
			return false;
		q += (uint32_t)(text.ptr[i] - '0') * scale;
	}
	*out = (uint16_t)q;
	return q <= 1000;
}

// More than fits is as much as there is (§20.19).
static bool number_decode(struct td_span text, uint32_t *out)
{
	int rc = td_number_decode(text, UINT32_MAX, out);

	if (rc == -ERANGE)
		*out = UINT32_MAX;
	return rc == 0 || rc == -ERANGE;
}

static bool instance_decode(struct td_span text, struct td_span *out)
{
	if (text.len < 3 || text.ptr[0] != '"')
		return false;
	for (uint32_t i = 1; i + 1 < text.len; i++)
		if ((uint8_t)text.ptr[i] <= ' ' || text.ptr[i] == '\\' || text.ptr[i] == 0x7f)
			return false;
	*out = td_span(text.ptr + 1, text.len - 2);
	return true;
}

static bool param_take(struct td_span name, struct td_span value, struct td_contact_params *out)
{
	if (td_span_ieq(name, TD_SPAN("expires"))) {
		out->has_expires = true;
		if (!number_decode(value, &out->expires))
			out->expires = MALFORMED_EXPIRES_S;
		return true;
	}
	if (td_span_ieq(name, TD_SPAN("q")))
		return q_decode(value, &out->q);
	if (td_span_ieq(name, TD_SPAN("reg-id")))
		return number_decode(value, &out->reg_id) && out->reg_id > 0;
	if (td_span_ieq(name, TD_SPAN("+sip.instance")))
		return instance_decode(value, &out->instance);
	return true;
}

int td_contact_params_decode(struct td_span params, struct td_contact_params *out)
{
	struct td_span name, value;

	*out = (struct td_contact_params){ .q = 1000 };
	if (params.len == 0) // and may lie nowhere
		return 0;
	const char *p = params.ptr, *end = params.ptr + params.len;
	for (;; p++) {
		p = td_param_next(p, end, &name, &value);
		if (!p || !param_take(name, value, out))
			return -EBADMSG;
		if (p == end)
			return 0;
		if (*p != ';')
			return -EBADMSG;
	}
}
