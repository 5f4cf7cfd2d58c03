// SPDX-License-Identifier: BSD-3-Clause
// A request that is challenged goes on with the trunk's credentials in a transaction of its own
// (RFC 3261 §22.2): its user learns of the new handle and of nothing else.
#include "sip/credentials.h"
#include "sip/txn_priv.h"

// One challenge, and one more where the provider says that only the nonce was too old.
#define CHALLENGES_MAX 2

static const struct td_trunk *trunk_of(struct td_engine *e, struct td_ctx *ctx)
{
	const struct td_trunk *trunk =
		ctx->user && ctx->user->trunk ? ctx->user->trunk(e, ctx) : NULL;

	return trunk && trunk->credentials ? trunk : NULL;
}

// Its realm and algorithm are ours, and they have not been refused before.
static bool may_answer(struct td_engine *e, const struct td_ctx *ctx, const struct td_trunk *trunk,
	const struct td_msg *msg)
{
	bool stale = false;

	if (td_challenge_learn(e->challenges, trunk, msg, &stale) != 0) {
		td_engine_count(e, TD_C_SIP_CHALLENGE_FOREIGN);
		return false;
	}
	if (ctx->challenges == 0 || (stale && ctx->challenges < CHALLENGES_MAX))
		return true;
	td_engine_count(e, TD_C_SIP_CREDENTIALS_REFUSED);
	return false;
}

bool ctx_challenged(struct td_engine *e, struct td_ctx *ctx, const struct td_msg *msg)
{
	const struct td_ctx_user *user = ctx->user;

	if ((msg->status != 401 && msg->status != 407) || ctx->cancel_wanted ||
		ctx->text_len <= ctx->marks.core_len)
		return false;
	const struct td_trunk *trunk = trunk_of(e, ctx);
	if (!trunk || !may_answer(e, ctx, trunk, msg))
		return false;
	const struct td_request request = { .method = ctx->method,
		.cseq = user->next_cseq ? user->next_cseq(e, ctx) : ctx->cseq + 1,
		.flow = ctx->flow,
		.trunk = trunk };
	struct td_ctx *fresh = ctx_new(e, &request, ctx, user, ctx->user_data);
	if (!fresh)
		return false;
	fresh->challenges = (uint8_t)(ctx->challenges + 1);
	td_engine_count(e, TD_C_SIP_CHALLENGE_ANSWERED);
	ctx->user = NULL;
	if (user->moved)
		user->moved(e, ctx, fresh);
	return true;
}
