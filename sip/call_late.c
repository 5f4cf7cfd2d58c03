// SPDX-License-Identifier: BSD-3-Clause
// A 2xx that nobody wants: it came after its INVITE was given up or refused, or from a fork that
// lost. It made a dialog all the same, which is ended by ACK and BYE (§13.2.2.4, RFC 6026 §7.2).
//
// All that the two are written from stands in the 2xx itself, so that nothing of the attempt has to
// be kept while its transaction lingers: only the hash of the last remote tag that had its BYE.
#include "sip/call_priv.h"

#include "sip/hash.h"

#include <errno.h>

uint64_t late_ended(const struct td_engine *engine, struct td_span tag)
{
	return td_hash_of(engine->keys.hash, tag.ptr, tag.len) | 1;
}

// The dialog as the 2xx says it. 0, -EBADMSG, -ENOBUFS.
static int late_dialog(struct td_engine *engine, const struct td_msg *msg,
	const struct td_core *core, struct td_side *side)
{
	struct td_dialog *dialog = &side->dialog;
	struct td_token token;
	const struct td_span fields[DLG__COUNT] = {
		[DLG_CALL_ID] = core->call_id,
		[DLG_LOCAL] = name_without_params(&core->from),
		[DLG_REMOTE] = name_without_params(&core->to),
		[DLG_TARGET] = core->to.uri.whole,
	};
	int trunk = engine->policy ? td_policy_ingress(engine->policy, &dialog->flow, core) : -1;

	if (trunk >= 0)
		trunk_ref_set(&side->trunk, td_policy_trunk(engine->policy, (uint32_t)trunk),
			(uint32_t)trunk);
	if (td_token_read(&engine->keys, core->from.tag, &token) != 0)
		return -EBADMSG;
	dialog->slot = token.slot;
	dialog->generation = token.generation;
	dialog->branch = token.branch;
	dialog->local_cseq = core->cseq.number;
	int rc = dialog_set(engine, dialog, fields);
	return rc != 0 ? rc : dialog_learn(engine, dialog, msg, core);
}

void late_put_down(struct td_engine *engine, const struct td_flow *flow, const struct td_msg *msg,
	const struct td_core *core, uint64_t *ended)
{
	struct td_side side = { .dialog.flow = *flow };
	struct td_far_ack ack = { .cseq = core->cseq.number };
	struct td_request bye;

	if (late_dialog(engine, msg, core, &side) == 0) {
		ack_send(engine, &side, &ack);
		// A repeated 2xx is ACKed again, but one BYE is enough.
		if (*ended != late_ended(engine, core->to.tag)) {
			dialog_request(engine, &side, TD_M_BYE, &bye);
			td_ctx_new(engine, &bye, NULL, NULL);
			*ended = late_ended(engine, core->to.tag);
		}
	}
	dialog_free(engine, &side.dialog);
}

static const struct td_ctx_user late_user;

static void late_response(struct td_engine *engine, struct td_ctx *ctx, const struct td_msg *msg,
	const struct td_core *core, const struct td_flow *flow)
{
	uint64_t ended = (uint64_t)(uintptr_t)td_ctx_data(ctx);

	if (msg->status < 200 || msg->status > 299)
		return;
	late_put_down(engine, td_ctx_flow(ctx), msg, core, &ended);
	td_ctx_set_user(ctx, &late_user, (void *)(uintptr_t)ended);
}

static void late_timeout(struct td_engine *engine, struct td_ctx *ctx, bool transport_error)
{
}

static void late_over(struct td_engine *engine, struct td_ctx *ctx)
{
}

static const struct td_ctx_user late_user = {
	.response = late_response, .timeout = late_timeout, .ended = late_over
};

void late_watch(struct td_ctx *ctx, uint64_t ended)
{
	td_ctx_set_user(ctx, &late_user, (void *)(uintptr_t)ended);
}
