// SPDX-License-Identifier: BSD-3-Clause
// The INVITE server transaction (RFC 3261 §17.2.1, figure 7, with RFC 6026 §7.1).
//
//   Proceeding ─ 2xx ──────→ Accepted ── L ──→ end
//       │                        └─ nobody listens any more ─→ tombstone
//       └────── 300–699 ───→ Completed ─ ACK ─→ tombstone (Confirmed: copies and ACKs are absorbed)
//                                └────── H ──→ end
#include "sip/txn_priv.h"

void ist_start(struct td_engine *e, struct td_stx *stx)
{
	td_timer_start(&e->wheel, &stx->retransmit, txn_after(e, TRYING_MS));
}

static void ist_trying(struct td_engine *e, struct td_stx *stx)
{
	const struct td_response trying = { .status = 100 };

	td_stx_respond(e, stx, &trying);
}

void ist_responded(struct td_engine *e, struct td_stx *stx)
{
	struct td_txn *txn = e->txn;

	td_timer_stop(&e->wheel, &stx->retransmit);
	if (stx->status < 200)
		return;
	td_timer_start(&e->wheel, &stx->end, txn_after(e, txn->timeout_ms)); // H, L
	if (stx->status < 300) {
		stx->state = STX_ACCEPTED;
		if (stx->copy) {
			td_slab_put(e->slab, stx->head.text);
			stx->head.text = NULL;
		}
		return;
	}
	stx->state = STX_COMPLETED;
	if (stx->flow.reliable)
		return;
	stx->interval_ms = txn->t1_ms;
	td_timer_start(&e->wheel, &stx->retransmit, txn_after(e, stx->interval_ms)); // G
}

bool ist_request(struct td_engine *e, struct td_stx *stx, const struct td_msg *msg)
{
	if (msg->method == TD_M_ACK) {
		if (stx->state != STX_COMPLETED)
			return false;
		// Confirmed: only Timer I's absorbing is left, which a tombstone does.
		if (stx->flow.reliable)
			stx_end(e, stx);
		else
			stx_end_with_tombstone(e, stx, true);
		return true;
	}
	td_engine_count(e, TD_C_SIP_RETRANSMISSION);
	switch ((enum stx_state)stx->state) {
	case STX_PROCEEDING:
		if (stx->status == 0)
			ist_trying(e, stx);
		else
			stx_repeat(e, stx);
		break;
	case STX_COMPLETED:
		stx_repeat(e, stx);
		break;
	case STX_ACCEPTED: // RFC 6026 §7.1: absorbed; the user repeats its 2xx by its own timer
	case STX_ENDED:
		break;
	}
	return true;
}

void ist_cancel(struct td_engine *e, struct td_stx *stx, const struct td_msg *cancel)
{
	if (stx->state != STX_PROCEEDING || stx->cancelled)
		return;
	stx->cancelled = true;
	if (stx->user) {
		stx->user->cancelled(e, stx, cancel);
		return;
	}
	const struct td_response terminated = { .status = 487 };
	td_stx_respond(e, stx, &terminated);
}

void ist_retransmit_due(struct td_engine *e, struct td_stx *stx)
{
	struct td_txn *txn = e->txn;

	if (stx->state == STX_PROCEEDING) {
		ist_trying(e, stx);
		return;
	}
	stx_repeat(e, stx);
	stx->interval_ms = stx->interval_ms * 2 < txn->t2_ms ? stx->interval_ms * 2 : txn->t2_ms;
	td_timer_start(&e->wheel, &stx->retransmit, txn_after(e, stx->interval_ms));
}

void ist_end_due(struct td_engine *e, struct td_stx *stx)
{
	// H and L have absorbed for as long as a tombstone would.
	if (stx->state == STX_ACCEPTED && !stx->user)
		stx_end_with_tombstone(e, stx, true);
	else
		stx_end(e, stx);
}
