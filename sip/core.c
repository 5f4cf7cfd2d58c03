// SPDX-License-Identifier: BSD-3-Clause
#include "sip/core.h"

#include "sip/chars.h"
#include "sip/entry.h"
#include "sip/hdr_date.h"
#include "sip/multipart.h"

#include <errno.h>

// Where the first fault is kept while decoding goes on: an answer needs what can still be read.
struct verdict {
	uint8_t fault;
	uint8_t header;
};

static void verdict_set(struct verdict *v, enum td_fault fault, enum td_header_id header)
{
	if (v->fault != TD_FAULT_NONE)
		return;
	v->fault = (uint8_t)fault;
	v->header = (uint8_t)header;
}

// What must stand once: its value, an empty span where it is missing.
static struct td_span single(const struct td_msg *msg, enum td_header_id id, struct verdict *v)
{
	uint8_t first = msg->first[id];

	if (first == 0xff) {
		verdict_set(v, TD_FAULT_MISSING, id);
		return (struct td_span){ 0 };
	}
	if (msg->headers[first].next != 0xff)
		verdict_set(v, TD_FAULT_TWICE, id);
	return td_msg_value(msg, &msg->headers[first]);
}

// Via and Contact are lists: only the first entry is decoded here.
static void decode_via(const struct td_msg *msg, struct td_core *core, struct verdict *v)
{
	struct td_span value = td_msg_get(msg, TD_H_VIA);

	memset(&core->via, 0, sizeof(core->via));
	if (!td_msg_has(msg, TD_H_VIA)) {
		verdict_set(v, TD_FAULT_MISSING, TD_H_VIA);
	} else if (!td_via_scan(value.ptr, value.ptr + value.len, &core->via)) {
		verdict_set(v, TD_FAULT_VIA, TD_H_VIA);
		memset(&core->via, 0, sizeof(core->via));
	}
}

static void decode_from(const struct td_msg *msg, struct td_core *core, struct verdict *v)
{
	if (td_name_addr_decode(single(msg, TD_H_FROM, v), &core->from) == 0 && !core->from.star)
		return;
	verdict_set(v, TD_FAULT_FROM, TD_H_FROM);
	memset(&core->from, 0, sizeof(core->from));
}

static void decode_contact(const struct td_msg *msg, struct td_core *core, struct verdict *v)
{
	struct td_span value = td_msg_get(msg, TD_H_CONTACT);

	memset(&core->contact, 0, sizeof(core->contact));
	if (!td_msg_has(msg, TD_H_CONTACT) ||
		td_name_addr_scan(value.ptr, value.ptr + value.len, &core->contact))
		return;
	verdict_set(v, TD_FAULT_CONTACT, TD_H_CONTACT);
	memset(&core->contact, 0, sizeof(core->contact));
}

// callid = word ["@" word] (§25.1): every visible character that a word may have; never white
// space.
static void decode_call_id(struct td_span value, struct td_core *core, struct verdict *v)
{
	uint32_t i =
		value.len > 0
			? (uint32_t)(td_skip_word(value.ptr, value.ptr + value.len) - value.ptr)
			: 0;

	core->call_id = value;
	while (i < value.len && value.ptr[i] > ' ' && value.ptr[i] < 0x7f && value.ptr[i] != ',' &&
		value.ptr[i] != ';')
		i++;
	if (i > 0 && i == value.len)
		return;
	verdict_set(v, TD_FAULT_CALL_ID, TD_H_CALL_ID);
	core->call_id = (struct td_span){ 0 };
}

static void decode_cseq(
	struct td_msg *msg, struct td_span value, struct td_core *core, struct verdict *v)
{
	if (td_cseq_decode(value, &core->cseq) != 0)
		verdict_set(v, TD_FAULT_CSEQ, TD_H_CSEQ);
	else if (!msg->request)
		msg->method = core->cseq.method;
	else if (!td_span_eq(core->cseq.method_name, msg->method_name))
		verdict_set(v, TD_FAULT_CSEQ_METHOD, TD_H_CSEQ);
}

static void decode_max_forwards(const struct td_msg *msg, struct td_core *core, struct verdict *v)
{
	uint32_t hops = 70;

	core->has_max_forwards = td_msg_has(msg, TD_H_MAX_FORWARDS);
	if (core->has_max_forwards &&
		td_number_decode(single(msg, TD_H_MAX_FORWARDS, v), UINT8_MAX, &hops) != 0)
		verdict_set(v, TD_FAULT_MAX_FORWARDS, TD_H_MAX_FORWARDS);
	core->max_forwards = (uint8_t)hops;
}

// What of a body of several parts is for the switch. A request that wants more of it handled than
// that has no description: it is refused as one of an unknown type.
static void decode_multipart(const struct td_msg *msg, struct td_span subtype,
	struct td_span params, struct td_core *core, struct verdict *v)
{
	struct td_multipart parts;
	bool alternative = td_span_ieq(subtype, TD_SPAN("alternative"));

	if (td_multipart_read(params, msg->body, alternative, &parts) != 0) {
		verdict_set(v, TD_FAULT_MULTIPART, TD_H_CONTENT_TYPE);
		return;
	}
	if (parts.must_handle && msg->request)
		return;
	core->sdp = parts.sdp.len > 0;
	core->sdp_body = parts.sdp;
}

// media-type = type SLASH subtype *(SEMI parameter) (§20.15).
static void decode_content_type(const struct td_msg *msg, struct td_core *core, struct verdict *v)
{
	core->content_type = core->sdp_body = (struct td_span){ 0 };
	core->sdp = false;
	if (!td_msg_has(msg, TD_H_CONTENT_TYPE))
		return;
	struct td_span value = single(msg, TD_H_CONTENT_TYPE, v);
	if (td_span_eq(value, TD_SPAN("application/sdp"))) {
		core->content_type = value;
		core->sdp_body = msg->body;
		core->sdp = msg->body.len > 0;
		return;
	}
	const char *p = value.ptr, *end = value.ptr + value.len;
	const char *type_end = td_skip(p, end, TD_CH_TOKEN);
	const char *slash = td_skip_space(type_end, end);
	const char *subtype = slash < end && *slash == '/' ? td_skip_space(slash + 1, end) : end;
	const char *subtype_end = td_skip(subtype, end, TD_CH_TOKEN);
	const char *rest = td_skip_space(subtype_end, end);
	if (type_end == p || subtype_end == subtype || (rest < end && *rest != ';')) {
		verdict_set(v, TD_FAULT_CONTENT_TYPE, TD_H_CONTENT_TYPE);
		return;
	}
	core->content_type = td_span(p, (size_t)(subtype_end - p));
	struct td_span type = td_span(p, (size_t)(type_end - p)),
		       sub = td_span(subtype, (size_t)(subtype_end - subtype));
	if (msg->body.len == 0)
		return;
	if (td_span_ieq(type, TD_SPAN("multipart"))) {
		rest += rest < end;
		decode_multipart(msg, sub, td_span(rest, (size_t)(end - rest)), core, v);
	} else if (td_span_ieq(type, TD_SPAN("application")) && td_span_ieq(sub, TD_SPAN("sdp"))) {
		core->sdp = true;
		core->sdp_body = msg->body;
	}
}

// A Request-URI carries no headers (§19.1.1).
static void decode_uri(const struct td_msg *msg, struct td_core *core, struct verdict *v)
{
	if (!msg->request) {
		memset(&core->uri, 0, sizeof(core->uri));
		return;
	}
	if (td_uri_parse(msg->uri, &core->uri) == 0 && core->uri.headers.ptr == NULL)
		return;
	verdict_set(v, TD_FAULT_URI, TD_H_OTHER);
	memset(&core->uri, 0, sizeof(core->uri));
}

void td_core_decode_to(const struct td_msg *msg, struct td_core *core)
{
	if (td_name_addr_decode(td_msg_get(msg, TD_H_TO), &core->to) != 0 || core->to.star)
		memset(&core->to, 0, sizeof(core->to));
}

int td_core_decode(struct td_msg *msg, struct td_core *core)
{
	td_core_decode_to(msg, core);
	return td_core_decode_rest(msg, core);
}

int td_core_decode_rest(struct td_msg *msg, struct td_core *core)
{
	struct verdict v = { msg->fault, msg->fault_header };

	decode_uri(msg, core, &v);
	decode_via(msg, core, &v);
	decode_from(msg, core, &v);
	single(msg, TD_H_TO, &v);
	if (core->to.whole.len == 0)
		verdict_set(&v, TD_FAULT_TO, TD_H_TO);
	decode_call_id(single(msg, TD_H_CALL_ID, &v), core, &v);
	decode_cseq(msg, single(msg, TD_H_CSEQ, &v), core, &v);
	decode_contact(msg, core, &v);
	decode_max_forwards(msg, core, &v);
	decode_content_type(msg, core, &v);
	if (msg->request && td_msg_has(msg, TD_H_DATE) &&
		!td_date_valid(td_msg_get(msg, TD_H_DATE)))
		verdict_set(&v, TD_FAULT_DATE, TD_H_DATE);
	msg->fault = v.fault;
	msg->fault_header = v.header;
	return v.fault == TD_FAULT_NONE ? 0 : -EBADMSG;
}
