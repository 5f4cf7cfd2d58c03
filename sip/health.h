// SPDX-License-Identifier: BSD-3-Clause
// How each peer of each trunk stands: up, down, or coming back with a growing share of the calls.
// What is found out about a peer, by OPTIONS (sip/probe.h) or by calls that it leaves unanswered,
// is said here, and the choice of a route asks here.
//
// One table for all workers: any thread may ask and tell, nobody locks; one atomic word a peer, and
// one a trunk that is 0 as long as nothing is wrong with any of its peers. A state belongs to a
// trunk's slot and a peer's address and stands over reloads. Which peers there are is main's to say
// (td_health_follow). Memory comes once and is touched as trunks come.
#pragma once

#include "include/addr.h"
#include "include/policy_conf.h"
#include "sip/policy.h"

#include <stdatomic.h>

enum td_peer_state { TD_PEER_UP, TD_PEER_DOWN, TD_PEER_RETURNING };

#define TD_HEALTH_SILENT 408 // sip_code of a peer that said nothing

struct td_peer_view {
	uint8_t state;        // enum td_peer_state
	uint16_t sip_code;    // what told last of the peer; 0: nothing yet
	uint16_t share_10000; // of its calls that it gets: 10000 up, 0 down
	uint32_t rtt_us;      // of the last OPTIONS that was answered; 0: none yet
	uint64_t since_ms;    // monotonic; 0: from the beginning
};

// What a finding has come to.
struct td_peer_change {
	bool changed;  // the state is another now
	bool doubtful; // another finding should follow soon
	uint8_t state; // enum td_peer_state
};

struct td_health {
	// By slot. Bit n of marked: something is to be said of the n-th entry of it.
	_Atomic uint32_t marked[TD_TRUNK_SLOTS];
	_Atomic uint32_t used[TD_TRUNK_SLOTS]; // main: wo
	uint32_t resting[TD_TRUNK_SLOTS];      // main's
	uint32_t wanted[TD_TRUNK_SLOTS];       // main's, inside a sweep
	struct td_health_entry *entries;
};

struct td_health *td_health_new(void); // NULL: ENOMEM
void td_health_free(struct td_health *health);

// --- main ---

// Before the policy is published: its peers have their places. One that finds none counts as up.
void td_health_follow(struct td_health *health, const struct td_policy *policy);
// When no worker holds an older policy than that one: gives the places of peers that are gone back.
void td_health_sweep(struct td_health *health, const struct td_policy *policy);

// --- any thread; slots and peers that have no place are up ---

static inline uint32_t td_health_marked(const struct td_health *health, uint32_t slot)
{
	return slot < TD_TRUNK_SLOTS
		       ? atomic_load_explicit(&health->marked[slot], memory_order_relaxed)
		       : 0;
}

struct td_peer_view td_health_view(const struct td_health *health, uint32_t slot,
	const struct td_sockaddr *peer, const struct td_health_conf *conf, uint64_t now_ms);
// Is it a returning peer's turn? random: 32 bits of it.
bool td_health_takes(const struct td_peer_view *view, uint32_t random);

// An OPTIONS was answered with that status after rtt_us, or with TD_HEALTH_SILENT not at all.
struct td_peer_change td_health_probed(struct td_health *health, uint32_t slot,
	const struct td_sockaddr *peer, const struct td_health_conf *conf, uint64_t now_ms,
	uint16_t sip_code, uint32_t rtt_us);
// An INVITE was answered, or not at all until its attempt_timeout.
struct td_peer_change td_health_called(struct td_health *health, uint32_t slot,
	const struct td_sockaddr *peer, const struct td_health_conf *conf, uint64_t now_ms,
	bool heard);

const char *td_peer_state_name(uint8_t state);
