// SPDX-License-Identifier: BSD-3-Clause
// Responses of the switch as a UAS, and the header lines that pass from one side to the other.
#include "sip/call_priv.h"

int call_respond_a(struct td_call *call, uint16_t status, uint8_t branch, struct td_span headers,
	struct td_span body)
{
	struct td_dialog as = call->a.dialog;
	char contact[80], tag[TD_TOKEN_LEN];

	if (!call->stx)
		return -1;
	as.branch = branch;
	dialog_tag(call->engine, &as, tag);
	bool dialog = status > 100 && status < 300;
	struct td_response response = {
		.status = status,
		.to_tag = td_span(tag, sizeof(tag)),
		.contact = dialog ? call_contact(call->engine, &as.flow, contact)
				  : (struct td_span){ 0 },
		.record_route = dialog,
		.headers = headers,
		.content_type = body.len > 0 ? CALL_SDP_TYPE : (struct td_span){ 0 },
		.body = body,
	};
	return td_stx_respond(call->engine, call->stx, &response);
}

void call_refuse_a(struct td_call *call, uint16_t status, struct td_span headers)
{
	if (!call->stx || call->answered)
		return;
	call_respond_a(call, status, TD_CALL_TAG_A, headers, (struct td_span){ 0 });
	td_stx_set_user(call->stx, NULL, NULL);
	call->stx = NULL;
}

void call_fail(struct td_call *call, enum td_released_by by, uint16_t status, uint16_t cause,
	struct td_span headers)
{
	call_refuse_a(call, status, headers);
	call_end(call, by, status, cause);
}

void call_reply(struct td_engine *engine, const struct td_flow *flow, const struct td_msg *msg,
	const struct td_core *core, uint16_t status, struct td_span headers)
{
	const struct td_response response = { .status = status, .headers = headers };

	call_reply_with(engine, flow, msg, core, response);
}

void call_reply_with(struct td_engine *engine, const struct td_flow *flow, const struct td_msg *msg,
	const struct td_core *core, struct td_response response)
{
	// A tag of ours that no call answers to: later requests with it get 481.
	struct td_dialog nobody = { 0 };
	char tag[TD_TOKEN_LEN];

	dialog_tag(engine, &nobody, tag);
	response.to_tag = td_span(tag, sizeof(tag));
	struct td_stx *stx = td_stx_new(engine, flow, msg, core, NULL, NULL);
	if (stx) {
		td_stx_respond(engine, stx, &response);
		return;
	}
	td_respond_stateless(engine, flow, msg, core, &response);
}

uint16_t status_for_other(uint16_t status)
{
	if (status < 400 || status == 430) // RFC 5626 §11.5: no endpoint hears of flows
		return 480;
	return status == 401 || status == 407 ? 403 : status;
}

struct td_writer call_relayed(struct td_call *call, const struct td_side *from,
	const struct td_side *to, const struct td_msg *msg)
{
	struct td_engine *engine = call->engine;
	struct td_writer out = call_writer(engine->calls, engine->calls->headers);
	struct td_headers_way way = {
		.trust_in = from->trunk.trust,
		.trust_out = to->trunk.trust,
		.our_address =
			td_engine_advertised(engine, to->dialog.flow.realm, &to->dialog.flow.local),
		.privacy = call->privacy,
		.privacy_is = to->trunk.privacy,
		.own_identities = msg->request && to->trunk.own,
	};

	td_headers_relay(msg, &way, &out);
	if (out.overflow) // half a line would be worse than none
		out.pos = out.start;
	return out;
}

void call_put_reason(struct td_writer *out, uint16_t cause)
{
	if (cause == 0)
		return;
	td_put_lit(out, "Reason: Q.850;cause=");
	td_put_uint(out, cause);
	td_put_lit(out, "\r\n");
}
