// SPDX-License-Identifier: BSD-3-Clause
// The SIP engine of one worker: bytes + flow + now in, bytes + timers + events out (architecture
// §5).
//
// Owner: one thread. Allocates only in td_engine_new(); what it needs later comes from pools sized
// by its limits. No clock, no socket, no global: two engines in one process share nothing, and the
// same inputs give the same outputs.
#pragma once

#include "include/config.h"
#include "include/counters.h"
#include "include/host.h"
#include "include/traffic.h"

struct td_engine;
struct td_peek;        // sip/peek.h
struct td_policy;      // sip/policy.h
struct td_source_rate; // sip/source_rate.h
struct td_subscribers; // sip/subscribers.h
struct td_location;    // sip/location.h
struct td_penalties;   // sip/penalty.h

// The realm as the engine sees it; index = td_flow.realm.
struct td_engine_realm {
	char name[TD_NAME_LEN];
	uint8_t n_addresses;
	uint8_t unknown; // enum td_unknown
	struct td_realm_address addresses[TD_REALM_ADDRS_MAX];
	uint8_t n_listeners;
	struct td_listener_conf listeners[TD_REALM_LISTENERS_MAX];
	struct td_registrar_conf registrar; // n_domains 0: there is none
};

struct td_engine_conf {
	const struct td_host_ops *ops;
	void *host;
	td_count *counters; // TD_C__COUNT, written by this engine's thread alone
	// Memory at start-up; NULL stands for malloc/free. A test fails the n-th call.
	void *(*alloc)(void *alloc_ctx, size_t bytes);
	void (*free)(void *alloc_ctx, void *ptr);
	// As alloc, for memory of which only the first resident bytes are expected to be used: what
	// lies behind serves more calls in set-up at once than limits.cps lets expect. NULL: alloc.
	void *(*reserve)(void *alloc_ctx, size_t bytes, size_t resident);
	void *alloc_ctx;

	uint16_t node;               // hash of the node's name
	uint8_t worker;              // 0 …
	uint8_t n_workers;           // of the switch: a trunk belongs to slot mod n_workers; 0: 1
	uint32_t epoch;              // boot epoch of this data plane
	uint8_t token_key[32];       // shared by all workers of a boot
	char node_name[TD_NAME_LEN]; // in cdr.id and the Server header

	uint32_t max_calls; // of this worker
	uint32_t interim_s; // between two records of a call that lasts; 0: none
	uint32_t max_cps;   // of this worker: sizes tombstones
	uint32_t sip_message_bytes;
	uint32_t t1_ms, t2_ms, t4_ms;
	uint64_t wall_offset_ns; // wall = now + offset; td_engine_set_wall() follows clock steps

	uint16_t n_realms;
	const struct td_engine_realm *realms; // borrowed, outlives the engine

	// One for all workers, borrowed, outlives the engine. NULL: limits.source_cps is none.
	struct td_source_rate *source_rate;
	struct td_health *health; // as above; NULL: every peer counts as up
	uint32_t max_probes;            // peers that this worker asks by OPTIONS; 0: 512
	struct td_penalties *penalties; // as above; NULL: the engine has its own

	uint32_t max_registrations; // bindings of this worker; 0: nobody registers
	uint64_t changed_us; // that changes of bindings by earlier boots lie before; 0: none
	bool location_sync;         // a 200 to REGISTER waits for bindings_write()
	struct td_subscribers *subscribers; // borrowed, outlives the engine; or NULL
};

// NULL and errno ENOMEM or EINVAL.
struct td_engine *td_engine_new(const struct td_engine_conf *conf);
// Ends without messages: calls still up are forgotten, their legs closed, nothing is journalled.
void td_engine_free(struct td_engine *engine);

// The policy in force from now on; borrowed until the next call of this function returns. NULL: 503
// to new calls. Calls in progress keep what they copied (trunk names, slots, timeouts).
void td_engine_set_policy(struct td_engine *engine, const struct td_policy *policy);
void td_engine_set_wall(struct td_engine *engine, uint64_t wall_offset_ns);

// One datagram or one framed message. data is borrowed until return. now_ns: monotonic, never going
// back.
void td_engine_rx(struct td_engine *engine, uint64_t now_ns, const struct td_flow *flow,
	const char *data, uint32_t len);
// The same where td_peek() has looked at just these bytes: its token is not verified again.
void td_engine_rx_peeked(struct td_engine *engine, uint64_t now_ns, const struct td_flow *flow,
	const char *data, uint32_t len, const struct td_peek *peek);
// Runs timers that are due, at most max of them. Returns the next deadline (ns) or UINT64_MAX.
uint64_t td_engine_tick(struct td_engine *engine, uint64_t now_ns, uint32_t max);
// Settles a pending question. A stale cookie is ignored.
void td_engine_answer(
	struct td_engine *engine, uint64_t now_ns, const struct td_late_answer *answer);
// The far end of a leg of that call (td_leg_open.call) sent nothing for its timeout: BYE to both
// sides.
void td_engine_media_timeout(struct td_engine *engine, uint64_t now_ns, uint64_t call);

// The bindings of this engine, which any thread may read under a grace period; NULL: none.
const struct td_location *td_engine_location(const struct td_engine *engine);
// When its newest change of a binding was made, by its own account (struct td_binding). Any thread.
uint64_t td_engine_changed_us(const struct td_engine *engine);
// Takes a binding back that an earlier boot wrote (a packed record, include/binding.h); one that
// was changed meanwhile stays. 0; -EBADMSG; -ESTALE: expired or removed; -ENOENT: its realm or our
// address is gone; -EEXIST; -ENOSPC.
int td_engine_restore_binding(
	struct td_engine *engine, uint64_t now_ns, const uint8_t *record, uint32_t bytes);

// New calls get 503 + Retry-After (RFC 3261 §21.5.4), OPTIONS 503; emergency calls pass.
void td_engine_drain(struct td_engine *engine, bool draining);
// BYE or CANCEL to both sides. id: cdr.id. 0 or -ENOENT.
int td_engine_hangup(struct td_engine *engine, uint64_t now_ns, struct td_span id);
// The same for every call, at most max of them a turn; returns how many calls are left.
uint32_t td_engine_hangup_all(struct td_engine *engine, uint64_t now_ns, uint32_t max);

uint32_t td_engine_calls(const struct td_engine *engine); // calls not ended
uint32_t td_engine_held(
	const struct td_engine *engine); // they, and ended ones whose BYE has no answer yet
uint32_t td_engine_legs(const struct td_engine *engine); // media legs open
uint32_t td_engine_busy(
	const struct td_engine *engine); // calls + transactions + tombstones + timers

// What passed through this engine. Written by its thread; any thread may read it, and may see it
// lag.
const struct td_traffic *td_engine_traffic(const struct td_engine *engine);

#define TD_ENGINE_POOLS 6
struct td_pool_view {
	const char *name; // "calls", "server_transactions", …
	uint64_t used, size;
};
// Fills out[0, TD_ENGINE_POOLS). Any thread, as above.
void td_engine_pools(const struct td_engine *engine, struct td_pool_view *out);

struct td_call_leg_view {
	td_leg_id leg;
	char side; // 'a' or 'b'
	struct td_sockaddr local, remote;
	struct td_leg_stats stats;
};

// One line of `show calls`.
struct td_call_view {
	char id[TD_CDR_ID_LEN];
	const char *state; // "routing", "calling", "ringing", "answered", "ending"
	char trunk_in[TD_NAME_LEN], trunk_out[TD_NAME_LEN];
	char from[TD_CDR_TEXT_LEN], to[TD_CDR_TEXT_LEN];
	char codec[24];
	uint64_t start_us, answer_us; // wall; 0: not yet
	uint8_t n_legs;
	struct td_call_leg_view legs[2 * TD_STREAMS_MAX];
};

// Fills out[0, max) with calls from *cursor (0: the first) on and moves the cursor. Returns the
// number filled; fewer than max: that was the end. Calls that come or go meanwhile may be missed;
// none is shown twice.
uint32_t td_engine_list(
	struct td_engine *engine, uint32_t *cursor, struct td_call_view *out, uint32_t max);
