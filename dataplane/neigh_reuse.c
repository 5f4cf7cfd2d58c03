// SPDX-License-Identifier: BSD-3-Clause
// Which neighbours leave the table, so that somebody who invents addresses cannot fill it.
//
// What nobody refers to goes by itself: who did not answer, a stranger that is not heard of again,
// and whom we sent nothing for ten minutes. When places get rare the others go too, the least
// useful and oldest first. Gateways, whom a leg sends to, and, while there is anybody else,
// trunks' peers stay.
#include "dataplane/leg.h"
#include "dataplane/neigh_table.h"
#include "sip/policy.h"

#include <stdlib.h>

#define SWEEP_NS 1000000000ull // while there are places
// Worth: who did not answer, then strangers, then whom we sent to, then trunks' peers; within each
// the older first.
#define WORTH_STRANGER (1ull << 61)
#define WORTH_WANTED (2ull << 61)
#define WORTH_PEER (3ull << 61)

static bool leg_holds(const struct td_dataplane *dp, uint32_t index)
{
	for (uint16_t i = 0; i < dp->n_workers; i++)
		if (td_leg_adjacency_held(dp->workers[i], index))
			return true;
	return false;
}

static void grace_end(struct td_dataplane *dp)
{
	struct td_neigh *n = dp->neigh;

	if (n->n_leaving == 0 || (dp->qsbr && rte_rcu_qsbr_check(dp->qsbr, n->token, false) != 1))
		return;
	for (uint32_t i = 0; i < n->n_leaving; i++) {
		uint32_t index = n->leaving[i];
		// A leg that was made while it left had found it before.
		if (leg_holds(dp, index))
			td_neigh_table_show(dp, index);
		else
			td_neigh_table_free(dp, index);
	}
	n->n_leaving = 0;
}

// Workers note that they sent; what they noted is when that was, a sweep late at most.
static void use_note(struct td_dataplane *dp, uint32_t index)
{
	struct td_adjacency *a = &dp->adjacencies[index];
	struct td_neighbour *e = &dp->neigh->neighbours[index];

	e->peer = false;
	if (!atomic_load_explicit(&a->used, memory_order_relaxed))
		return;
	atomic_store_explicit(&a->used, false, memory_order_relaxed);
	td_neigh_used(dp, index);
}

static void peers_note(struct td_dataplane *dp)
{
	const struct td_policy *policy = atomic_load_explicit(&dp->policy, memory_order_relaxed);
	uint32_t n = policy ? td_policy_n_trunks(policy) : 0;

	for (uint32_t t = 0; t < n; t++) {
		const struct td_trunk *trunk = td_policy_trunk(policy, t);
		for (uint32_t i = 0; i < trunk->conf.n_peers; i++) {
			uint32_t index = td_neigh_table_find(
				dp, trunk->realm, &trunk->conf.peers[i].address);
			if (index != TD_ADJACENCY_NONE)
				dp->neigh->neighbours[index].peer = true;
		}
	}
}

static uint64_t worth(const struct td_neighbour *e)
{
	if (e->peer)
		return WORTH_PEER + e->used_ns;
	if (e->state == TD_NEIGH_FAILED)
		return e->used_ns;
	if (!e->wanted || e->state == TD_NEIGH_ASKING) // perhaps there is no such host
		return WORTH_STRANGER + e->used_ns;
	return WORTH_WANTED + e->used_ns;
}

// Nobody misses it, whether places are rare or not.
static bool expired(const struct td_dataplane *dp, const struct td_neighbour *e)
{
	uint64_t now_ns = dp->main->now_ns;

	if (e->n_wait > 0)
		return false;
	if (e->state == TD_NEIGH_FAILED)
		return true;
	if (!e->wanted)
		return e->due_ns <= now_ns;
	return now_ns - e->used_ns > TD_NEIGH_IDLE_NS;
}

static void leave(struct td_dataplane *dp, uint32_t index)
{
	struct td_neigh *n = dp->neigh;

	td_neigh_unreachable(dp, index);
	td_neigh_table_hide(dp, index);
	n->leaving[n->n_leaving++] = index;
}

static int choice_compare(const void *a, const void *b)
{
	uint64_t x = ((const struct td_neigh_choice *)a)->worth;
	uint64_t y = ((const struct td_neigh_choice *)b)->worth;

	return (x > y) - (x < y);
}

// Who could go, and how many of them are expired.
static uint32_t choices_make(struct td_dataplane *dp, uint32_t *n_expired)
{
	struct td_neigh *n = dp->neigh;
	uint32_t live = atomic_load_explicit(&dp->n_adjacencies, memory_order_relaxed);
	uint32_t n_choices = 0;

	*n_expired = 0;
	for (uint32_t i = n->n_kept; i < live; i++) {
		const struct td_neighbour *e = &n->neighbours[i];
		if (e->state == TD_NEIGH_FREE)
			continue;
		use_note(dp, i);
		if (leg_holds(dp, i)) {
			td_neigh_used(dp, i);
			continue;
		}
		*n_expired += expired(dp, e);
		n->choices[n_choices++] = (struct td_neigh_choice){ .index = i };
	}
	return n_choices;
}

// The expired, and of the others as many as are too many.
static void choices_leave(struct td_dataplane *dp, uint32_t n_choices, uint32_t too_many)
{
	struct td_neigh *n = dp->neigh;
	uint32_t most = n->capacity / TD_NEIGH_RESERVE;

	for (uint32_t i = 0; i < n_choices; i++)
		n->choices[i].worth = worth(&n->neighbours[n->choices[i].index]);
	qsort(n->choices, n_choices, sizeof(*n->choices), choice_compare);
	for (uint32_t i = 0; i < n_choices && n->n_leaving < most; i++) {
		uint32_t index = n->choices[i].index;
		struct td_neighbour *e = &n->neighbours[index];
		if (n->n_leaving < too_many || (expired(dp, e) && !e->peer))
			leave(dp, index);
		else if (e->peer)
			td_neigh_used(dp, index); // is looked at again in ten minutes
	}
}

void td_neigh_sweep(struct td_dataplane *dp)
{
	struct td_neigh *n = dp->neigh;
	uint32_t n_expired, n_choices, limit = n->capacity - n->capacity / TD_NEIGH_RESERVE;

	grace_end(dp);
	uint32_t taken = td_neigh_table_count(dp);
	uint32_t too_many = taken > limit ? taken - limit : 0;
	// One grace period at a time.
	if (n->n_leaving > 0 || (too_many == 0 && dp->main->now_ns < n->sweep_ns))
		return;
	n->sweep_ns = dp->main->now_ns + SWEEP_NS;
	n_choices = choices_make(dp, &n_expired);
	if (n_expired == 0 && too_many == 0)
		return;
	peers_note(dp);
	choices_leave(dp, n_choices, too_many);
	if (dp->qsbr)
		n->token = rte_rcu_qsbr_start(dp->qsbr);
}
