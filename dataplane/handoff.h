// SPDX-License-Identifier: BSD-3-Clause
// The SPSC matrix between cores: SIP apart from RTP, frames for a queue's owner, errands for main
// (architecture §3).
//
// Rings are made before "ready". Each has one producer and one consumer; full is a named drop.
#pragma once

#include "dataplane/worker.h"

// Makes every ring of dp->workers and dp->main. socket: NUMA socket of the memory. 0 or -ENOMEM.
int td_handoff_create(struct td_dataplane *dp, int socket);
void td_handoff_destroy(struct td_dataplane *dp);

// To the worker that owns it (never w itself); leaves with td_handoff_flush() at the end of the
// turn. Takes the mbuf.
void td_handoff_rtp(struct td_worker *w, uint16_t to, struct rte_mbuf *packet);
// A SIP message to its owner's sip_in, which may be w's own: what waits behind TD_SIP_PER_LOOP.
// Takes the mbuf.
void td_handoff_sip(struct td_worker *w, uint16_t to, struct rte_mbuf *packet);
// To main, which does the errand. Takes the mbuf.
void td_handoff_main(struct td_worker *w, enum td_errand errand, struct rte_mbuf *packet);
void td_handoff_flush(struct td_worker *w);

// RTP and frames that others handed to w: to td_rtp_input() and to their queue. Returns packets
// taken.
uint32_t td_handoff_rtp_in(struct td_worker *w);
uint32_t td_handoff_tx_in(struct td_worker *w);
// Takes at most max messages from w's sip_in, one ring after the other, own and others'. Returns
// how many.
uint32_t td_handoff_sip_in(struct td_worker *w, struct rte_mbuf **packets, uint32_t max);
