// SPDX-License-Identifier: BSD-3-Clause
// The non-INVITE server transaction (RFC 3261 §17.2.2, figure 8).
//
//   Trying, Proceeding ─ final ─→ Completed ─→ tombstone that answers until J (a plain answer), or
//   J itself
#include "sip/txn_priv.h"

void nist_responded(struct td_engine *e, struct td_stx *stx)
{
	if (stx->status < 200)
		return;
	stx->state = STX_COMPLETED;
	// A plain answer is regenerated from the copy of the request by a tombstone: nothing need
	// wait for J.
	bool waits = stx->copy && !stx->flow.reliable;
	td_timer_start(&e->wheel, &stx->end, txn_after(e, waits ? e->txn->timeout_ms : 0));
	if (waits) {
		td_slab_put(e->slab, stx->head.text);
		stx->head.text = NULL;
	}
}

void nist_request(struct td_engine *e, struct td_stx *stx)
{
	td_engine_count(e, TD_C_SIP_RETRANSMISSION);
	stx_repeat(e, stx); // Trying has nothing to repeat
}

void nist_end_due(struct td_engine *e, struct td_stx *stx)
{
	if (stx->copy || stx->flow.reliable)
		stx_end(e, stx);
	else
		stx_end_with_tombstone(e, stx, false);
}
