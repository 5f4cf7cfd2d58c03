// SPDX-License-Identifier: BSD-3-Clause
// A takes its call back before the answer: by CANCEL (§9.2), or by BYE in its last early dialog
// (§15.1.2).
#include "sip/call_priv.h"

#include "sip/hiding.h"

// The Reason that A gave, for the CANCEL to B (RFC 3326 §2).
static struct td_span cancel_reason(struct td_call *call, const struct td_msg *cancel)
{
	struct td_writer out = call_writer(call->engine->calls, call->engine->calls->headers);
	struct td_span reason = cancel ? td_msg_get(cancel, TD_H_REASON) : (struct td_span){ 0 };

	if (reason.len == 0 || td_hiding_unfit(reason))
		return (struct td_span){ 0 };
	td_put_lit(&out, "Reason: ");
	td_put_unfolded(&out, reason);
	td_put_lit(&out, "\r\n");
	return out.overflow ? (struct td_span){ 0 } : call_written(&out);
}

void call_cancelled(struct td_call *call, const struct td_msg *cancel)
{
	if (call->state >= CALL_ANSWERED)
		return;
	uint16_t reason = cancel ? td_cause_of_reason(cancel) : 0;
	uint16_t cause = reason ? reason : CAUSE_NORMAL;
	struct td_span line = cancel_reason(call, cancel);

	for (struct td_attempt *attempt = call->attempts; attempt; attempt = attempt->next)
		attempt_give_up(attempt, 487, cause, line);
	call_fail(call, TD_RELEASED_A, 487, cause, (struct td_span){ 0 });
}
