// SPDX-License-Identifier: BSD-3-Clause
// The inside of an engine, for the files of sip/ that make it up. Nobody outside sip/ includes
// this.
#pragma once

#include "sip/auth.h"
#include "sip/call.h"
#include "sip/engine.h"
#include "sip/policy.h"
#include "sip/pool.h"
#include "sip/register.h"
#include "sip/rule.h"
#include "sip/slab.h"
#include "sip/source_rate.h"
#include "sip/token.h"
#include "sip/wheel.h"

// What the switch takes part in; in every 405 and OPTIONS answer.
#define TD_ALLOW_LINE "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO\r\n"

// The bodies that it reads.
#define TD_ACCEPT_LINE "Accept: application/sdp, multipart/mixed\r\n"

// What an OPTIONS inside a call is told.
#define TD_OPTIONS_LINES TD_ALLOW_LINE TD_ACCEPT_LINE

// With a 503 of the switch's own: soon enough for a limit, late enough for an overload.
#define TD_RETRY_AFTER_LINE "Retry-After: 5\r\n"

// How a local address of a realm is written for its peers.
struct td_own_text {
	struct td_sockaddr local;
	uint16_t realm;
	uint8_t len; // 0: nothing here yet
	char text[TD_ADDR_STRLEN];
};

#define TD_OWN_TEXTS 16

struct td_engine {
	struct td_engine_conf conf;
	uint64_t now_ns; // of the event being handled
	const struct td_policy *policy;
	bool draining;
	struct td_token_keys keys;
	struct td_wheel wheel; // arg: the engine
	struct td_slab *slab;  // text of calls and transactions
	struct td_txn *txn;
	struct td_calls *calls;
	struct td_auth *auth; // NULL, both: nobody registers here
	struct td_registrar *registrar;
	struct td_challenges *challenges; // of providers
	struct td_registrations *registrations; // of our own at theirs
	struct td_probes *probes; // of their peers
	struct td_rule_matcher *matcher;
	struct td_alloc alloc;
	const struct td_peek *peek; // of the message being handled; NULL: nobody looked
	const char *call_hash_of;   // Call-ID of that message; NULL: none is being handled
	uint64_t call_hash;         // of it, where it is known
	bool call_hash_known;
	struct td_msg msg;          // scratch of the message being handled
	struct td_core core;
	struct td_traffic traffic;
	struct td_own_text own_texts[TD_OWN_TEXTS]; // those that were needed last
};

static_assert((int)TD_M__COUNT <= TD_TRAFFIC_METHODS, "a place for each method");

// Calls that are being set up at once where each takes that long: for so many memory lies ready.
// All of limits.calls may ring at once; what more of them take is reserved.
static inline uint32_t td_engine_setups(const struct td_engine_conf *conf, uint32_t seconds)
{
	uint64_t n = (uint64_t)conf->max_cps * seconds + 1024;

	return n < conf->max_calls ? (uint32_t)n : conf->max_calls;
}

static inline uint64_t td_engine_now_ms(const struct td_engine *e)
{
	return e->now_ns / 1000000;
}

static inline uint64_t td_engine_wall_us(const struct td_engine *e)
{
	return (e->now_ns + e->conf.wall_offset_ns) / 1000;
}

static inline void td_engine_count(struct td_engine *e, enum td_counter counter)
{
	td_count_add(&e->conf.counters[counter], 1);
}

// ms, less a part of up to an eighth: what comes back again and again drifts apart.
uint64_t td_engine_spread(struct td_engine *e, uint64_t ms);
// The address that peers of a realm see for a local one (1:1 NAT), port kept.
struct td_sockaddr td_engine_advertised(
	const struct td_engine *e, uint16_t realm, const struct td_sockaddr *local);
// The same as text: "10.0.0.1:5060". It stays until the next call.
struct td_span td_engine_sent_by(struct td_engine *e, const struct td_flow *flow);
// A local SIP address of the realm for a family: the first listener's; family 0 when there is none.
struct td_sockaddr td_engine_local(const struct td_engine *e, uint16_t realm, uint8_t family);
// The token that is this text of the message being handled; as td_token_read().
int td_engine_token(const struct td_engine *e, struct td_span text, struct td_token *out);
// Hash of a Call-ID; that of the message being handled is worked out once. It may be shown.
uint64_t td_engine_call_hash(struct td_engine *e, struct td_span call_id);
// Answers the OPTIONS in msg (sip/options.c).
void td_options_answer(struct td_engine *e, const struct td_flow *flow);
