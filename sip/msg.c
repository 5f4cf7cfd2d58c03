// SPDX-License-Identifier: BSD-3-Clause
#include "sip/msg.h"

#include "include/ceilings.h"
#include "sip/chars.h"
#include "sip/index.h"
#include "sip/scan.h"

#include <errno.h>

static const struct td_span methods[TD_M__COUNT] = {
	[TD_M_OTHER] = { 0 },
	[TD_M_INVITE] = { "INVITE", 6 },
	[TD_M_ACK] = { "ACK", 3 },
	[TD_M_BYE] = { "BYE", 3 },
	[TD_M_CANCEL] = { "CANCEL", 6 },
	[TD_M_OPTIONS] = { "OPTIONS", 7 },
	[TD_M_REGISTER] = { "REGISTER", 8 },
	[TD_M_PRACK] = { "PRACK", 5 },
	[TD_M_UPDATE] = { "UPDATE", 6 },
	[TD_M_INFO] = { "INFO", 4 },
	[TD_M_REFER] = { "REFER", 5 },
	[TD_M_NOTIFY] = { "NOTIFY", 6 },
	[TD_M_SUBSCRIBE] = { "SUBSCRIBE", 9 },
	[TD_M_MESSAGE] = { "MESSAGE", 7 },
	[TD_M_PUBLISH] = { "PUBLISH", 7 },
};

struct td_span td_method_text(enum td_method method)
{
	return methods[method];
}

#define IS(literal, id) (memcmp(name.ptr, literal, sizeof(literal) - 1) == 0 ? (id) : TD_M_OTHER)

enum td_method td_method_id(struct td_span name)
{
	switch (name.len) {
	case 3:
		return IS("ACK", TD_M_ACK) | IS("BYE", TD_M_BYE);
	case 4:
		return IS("INFO", TD_M_INFO);
	case 5:
		return IS("PRACK", TD_M_PRACK) | IS("REFER", TD_M_REFER);
	case 6:
		return IS("INVITE", TD_M_INVITE) | IS("CANCEL", TD_M_CANCEL) |
		       IS("UPDATE", TD_M_UPDATE) | IS("NOTIFY", TD_M_NOTIFY);
	case 7:
		return IS("OPTIONS", TD_M_OPTIONS) | IS("MESSAGE", TD_M_MESSAGE) |
		       IS("PUBLISH", TD_M_PUBLISH);
	case 8:
		return IS("REGISTER", TD_M_REGISTER);
	case 9:
		return IS("SUBSCRIBE", TD_M_SUBSCRIBE);
	default:
		return TD_M_OTHER;
	}
}

const char *td_fault_text(enum td_fault fault)
{
	static const char *const text[TD_FAULT__COUNT] = {
		[TD_FAULT_NONE] = "OK",
		[TD_FAULT_START_LINE] = "Malformed Start Line",
		[TD_FAULT_VERSION] = "Version Not Supported",
		[TD_FAULT_URI] = "Malformed Request-URI",
		[TD_FAULT_HEADER] = "Malformed Header Line",
		[TD_FAULT_TOO_MANY_HEADERS] = "Too Many Headers",
		[TD_FAULT_NO_END] = "Headers Do Not End",
		[TD_FAULT_CONTENT_LENGTH] = "Malformed Content-Length",
		[TD_FAULT_CONTENT_LENGTH_TWICE] = "Content-Length Twice",
		[TD_FAULT_BODY_SHORT] = "Body Shorter Than Content-Length",
		[TD_FAULT_VIA] = "Malformed Via",
		[TD_FAULT_FROM] = "Malformed From",
		[TD_FAULT_TO] = "Malformed To",
		[TD_FAULT_CALL_ID] = "Malformed Call-ID",
		[TD_FAULT_CSEQ] = "Malformed CSeq",
		[TD_FAULT_CSEQ_METHOD] = "CSeq Method Differs",
		[TD_FAULT_CONTACT] = "Malformed Contact",
		[TD_FAULT_MAX_FORWARDS] = "Malformed Max-Forwards",
		[TD_FAULT_ROUTE] = "Malformed Route",
		[TD_FAULT_TWICE] = "Header Given Twice",
		[TD_FAULT_MISSING] = "Header Missing",
		[TD_FAULT_DATE] = "Malformed Date",
		[TD_FAULT_SDP] = "Malformed SDP",
		[TD_FAULT_CONTENT_TYPE] = "Malformed Content-Type",
		[TD_FAULT_MULTIPART] = "Malformed Multipart Body",
		[TD_FAULT_TOO_LONG] = "Message Too Large",
	};

	return text[fault];
}

// The first fault is the one that is told; parsing goes on, so that the answer can be routed.
static void fault_set(struct td_msg *msg, enum td_fault fault, uint8_t header)
{
	if (msg->fault != TD_FAULT_NONE)
		return;
	msg->fault = (uint8_t)fault;
	msg->fault_header = header;
}

static void msg_reset(struct td_msg *msg, const char *buf, uint32_t len)
{
	memset(msg, 0, offsetof(struct td_msg, first));
	memset(msg->first, 0xff, sizeof(msg->first));
	msg->buf = buf;
	msg->len = len;
}

// SIP-Version: 0, or the fault (§7.1: compared without case).
static enum td_fault version_fault(const char *p, const char *end)
{
	if (end - p == 7 &&
		(memcmp(p, "SIP/2.0", 7) == 0 || td_span_ieq(td_span(p, 7), TD_SPAN("SIP/2.0"))))
		return TD_FAULT_NONE;
	if (end - p < 7 || !td_span_ieq(td_span(p, 4), TD_SPAN("SIP/")))
		return TD_FAULT_START_LINE;
	const char *dot = td_skip(p + 4, end, TD_CH_DIGIT);
	if (dot == p + 4 || dot == end || *dot != '.' || dot + 1 == end ||
		td_skip(dot + 1, end, TD_CH_DIGIT) != end)
		return TD_FAULT_START_LINE;
	return TD_FAULT_VERSION;
}

// Request-Line = Method SP Request-URI SP SIP-Version CRLF, single spaces (§7.1).
static enum td_fault request_line(struct td_msg *msg, const char *p, const char *end)
{
	const char *method_end = td_skip(p, end, TD_CH_TOKEN);

	msg->request = true;
	msg->method_name = td_span(p, (size_t)(method_end - p));
	msg->method = (uint8_t)td_method_id(msg->method_name);
	if (method_end == p || method_end == end || *method_end != ' ')
		return TD_FAULT_START_LINE;
	const char *uri = method_end + 1;
	const char *uri_end = memchr(uri, ' ', (size_t)(end - uri));
	if (!uri_end || uri_end == uri)
		return TD_FAULT_START_LINE;
	msg->uri = td_span(uri, (size_t)(uri_end - uri));
	return version_fault(uri_end + 1, end);
}

// Status-Line = SIP-Version SP Status-Code SP Reason-Phrase CRLF (§7.2). The second SP may be
// missing where the reason is empty too: it is seen in the field and cannot be misread.
static enum td_fault status_line(struct td_msg *msg, const char *p, const char *end)
{
	const char *version_end = memchr(p, ' ', (size_t)(end - p));

	if (!version_end)
		return TD_FAULT_START_LINE;
	enum td_fault fault = version_fault(p, version_end);
	const char *code = version_end + 1;
	const char *code_end = td_skip(code, end, TD_CH_DIGIT);
	if (code_end - code != 3 || (code_end < end && *code_end != ' '))
		return TD_FAULT_START_LINE;
	unsigned status =
		(unsigned)((code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0'));
	if (status < 100 || status > 699)
		return TD_FAULT_START_LINE;
	msg->status = (uint16_t)status;
	if (code_end < end)
		msg->reason = td_span(code_end + 1, (size_t)(end - code_end - 1));
	return fault;
}

static void start_line(struct td_msg *msg, const char *p, const char *end)
{
	bool response = end - p >= 4 && td_span_ieq(td_span(p, 4), TD_SPAN("SIP/"));

	fault_set(msg, response ? status_line(msg, p, end) : request_line(msg, p, end), 0);
}

// Content-Length decides where the body ends; every doubt about it is a fault (§18.3, RFC 4475
// §3.3.9).
static void cut_body(struct td_msg *msg, uint32_t body_off)
{
	uint32_t rest = msg->len - body_off;
	uint32_t len = rest;

	if (td_msg_has(msg, TD_H_CONTENT_LENGTH)) {
		const struct td_header *h = &msg->headers[msg->first[TD_H_CONTENT_LENGTH]];
		if (h->next != 0xff) {
			fault_set(msg, TD_FAULT_CONTENT_LENGTH_TWICE, TD_H_CONTENT_LENGTH);
			return;
		}
		len = 0;
		for (uint32_t i = 0; i < h->value_len; i++) {
			char c = msg->buf[h->value_off + i];
			if (c < '0' || c > '9') {
				fault_set(msg, TD_FAULT_CONTENT_LENGTH, TD_H_CONTENT_LENGTH);
				return;
			}
			len = len > TD_SIP_MESSAGE_MAX ? len : len * 10 + (uint32_t)(c - '0');
		}
		if (h->value_len == 0)
			fault_set(msg, TD_FAULT_CONTENT_LENGTH, TD_H_CONTENT_LENGTH);
		if (len > rest) {
			fault_set(msg, TD_FAULT_BODY_SHORT, TD_H_CONTENT_LENGTH);
			return;
		}
	}
	msg->body = td_span(msg->buf + body_off, len);
	msg->len = body_off + len;
}

int td_msg_parse(struct td_msg *msg, const char *buf, uint32_t len)
{
	struct td_lines lines; // not cleared: td_scan_lines fills what it counts
	uint32_t from = 0;

	msg_reset(msg, buf, len < TD_SIP_MESSAGE_MAX ? len : TD_SIP_MESSAGE_MAX);
	if (len > TD_SIP_MESSAGE_MAX)
		fault_set(msg, TD_FAULT_TOO_LONG, 0);
	while (from + 2 <= msg->len && buf[from] == '\r' && buf[from + 1] == '\n')
		from += 2; // §7.5: empty lines before the start line
	td_scan_lines(&lines, buf, from, msg->len, true);
	if (lines.n == 0) {
		fault_set(msg, TD_FAULT_START_LINE, 0);
		return -EBADMSG;
	}
	const char *end = buf + lines.end[0];
	start_line(msg, buf + from, end - (end > buf + from && end[-1] == '\r'));
	enum td_fault fault = td_index_headers(msg, &lines);
	if (fault != TD_FAULT_NONE)
		fault_set(msg, fault, 0);
	if (lines.bare_cr || lines.bare_lf)
		fault_set(msg, TD_FAULT_HEADER, 0);
	if (lines.blank)
		cut_body(msg, lines.end[lines.n - 1] + 1u);
	else
		fault_set(msg, lines.full ? TD_FAULT_TOO_MANY_HEADERS : TD_FAULT_NO_END, 0);
	return msg->fault == TD_FAULT_NONE ? 0 : -EBADMSG;
}
