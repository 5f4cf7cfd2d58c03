// SPDX-License-Identifier: BSD-3-Clause
#include "sip/txn_priv.h"

enum { EXPIRE_BURST = 64 };

static void oldest_drop(struct td_txn *txn)
{
	txn_remove(txn, txn->tombstones[txn->oldest].node.key, REF_TOMBSTONE, txn->oldest);
	if (++txn->oldest == txn->tombstone_capacity)
		txn->oldest = 0;
	txn->n_tombstones--;
}

void tombstone_put(
	struct td_engine *e, uint64_t key, uint16_t status, bool silent, struct td_span tag)
{
	struct td_txn *txn = e->txn;

	if (txn->n_tombstones == txn->tombstone_capacity)
		oldest_drop(txn);
	uint32_t index = txn->oldest + txn->n_tombstones++;
	if (index >= txn->tombstone_capacity)
		index -= txn->tombstone_capacity;
	struct tombstone *t = &txn->tombstones[index];
	t->due_ms = txn_after(e, txn->timeout_ms);
	t->status = status;
	t->silent = silent;
	t->tag_len = (uint8_t)tag.len;
	if (tag.len > 0)
		memcpy(t->tag, tag.ptr, tag.len);
	txn_insert(txn, key, REF_TOMBSTONE, index);
	if (!td_timer_armed(&txn->tombstone_timer))
		td_timer_start(&e->wheel, &txn->tombstone_timer, t->due_ms);
}

void tombstone_expired(void *engine, struct td_timer *timer)
{
	struct td_engine *e = engine;
	struct td_txn *txn = e->txn;

	for (unsigned i = 0; i < EXPIRE_BURST && txn->n_tombstones > 0; i++) {
		if (txn->tombstones[txn->oldest].due_ms > td_engine_now_ms(e))
			break;
		oldest_drop(txn);
	}
	if (txn->n_tombstones > 0)
		td_timer_start(&e->wheel, timer, txn->tombstones[txn->oldest].due_ms);
}
