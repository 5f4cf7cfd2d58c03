// SPDX-License-Identifier: BSD-3-Clause
// OPTIONS to the peers of trunks, whether they are there (RFC 3261 §11): one probe for each peer of
// each enabled trunk with health.probe, spread over health.interval. Any answer is a sign of life
// but 503 and 408. What is found goes into sip/health.h.
//
// Owner: the engine's thread. A trunk belongs to the worker that its slot names. Memory is its own,
// so that many peers take none from calls: touched as they come, conf.max_probes at most.
#pragma once

#include "sip/engine.h"
#include "sip/health.h"
#include "sip/pool.h"

struct td_probes;
struct td_probes *td_probes_new(
	struct td_engine *engine, const struct td_alloc *alloc); // NULL: no memory
size_t td_probes_bytes(uint32_t max_probes); // what that allocates
void td_probes_pool(const struct td_probes *probes, struct td_pool_view *out);
void td_probes_free(struct td_probes *probes, const struct td_alloc *alloc);

// The engine's policy has changed: new peers are probed from some milliseconds on, those that are
// gone no more when their turn comes, and what goes on keeps its rhythm.
void td_probes_follow(struct td_probes *probes);

// Counts and logs that a peer is up, down or returning now.
void td_peer_changed(struct td_engine *engine, const struct td_trunk *trunk,
	const struct td_sockaddr *peer, uint8_t state, const char *why);
