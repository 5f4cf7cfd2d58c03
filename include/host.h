// SPDX-License-Identifier: BSD-3-Clause
// What the SIP engine needs from whoever runs it: the data plane's worker, the simulator, a unit
// test, a benchmark.
//
// All functions are called on the engine's own thread, from inside td_engine_rx(), td_engine_tick()
// or td_engine_answer(). None may block, and none may call back into the engine. A question with a
// TD_PENDING answer is settled later by td_engine_answer() with the cookie that the question
// carried, on the same thread.
#pragma once

#include "include/cdr.h"
#include "include/flow.h"
#include "include/leg.h"
#include "include/policy_conf.h"
#include "include/ceilings.h"

struct td_subscriber_entry; // sip/subscribers.h
struct td_health;           // sip/health.h

enum td_answer {
	TD_DONE,    // *out is filled
	TD_REFUSED, // the question has no positive answer; *out may carry why
	TD_PENDING, // td_engine_answer() will come, or the engine's deadline passes
};

// A buffer lent for one outgoing message. The engine writes data[0, len) and hands it to send() or
// back.
struct td_buf {
	char *data;
	uint32_t len; // bytes written
	uint32_t cap; // bytes that may be written
	void *owner;  // the host's own (an mbuf)
};

// Ask: who may the call that came in on trunk go to?
struct td_route_query {
	uint32_t trunk_in;      // index in the policy in force
	struct td_span number;  // routing number (contract): digits, no '+', no separators
	struct td_span domain;  // host of the R-URI
	uint64_t random;        // seeds the choice by weight, so that a simulation repeats
	bool emergency;         // urn:service:sos, or a number that is one
	bool anonymous;         // the caller hides who it is
	struct td_span user;    // user part of the R-URI, unescaped: routes to one AoR
	struct td_span caller;  // the caller's number, written as number is; empty: none
	struct td_span plan;    // a subscriber's dial plan; empty: that of trunk_in
	uint64_t wall_s;        // seconds since the epoch: time windows
	const struct td_health *health; // how peers stand (sip/health.h); NULL: all are up
	uint64_t now_ms;                // monotonic, for it
};

enum td_target_kind {
	TD_TARGET_PEER, // a peer of a trunk
	TD_TARGET_AOR,  // the bindings of the called AoR or number; trunk and peer are not set
};

struct td_route_target {
	uint32_t trunk; // index in the policy in force
	uint16_t peer;  // index in the trunk's peers
	uint8_t kind;   // enum td_target_kind
	uint8_t matched; // digits of the number that led to it; 255: the whole number or user
	uint16_t failover; // of td_policy_failover(); 0: as the trunk says
	uint16_t group;    // of td_policy_group(), whose limits count; 0: none
	uint16_t limit;    // of td_policy_limit(): the route's own; 0: none
	bool last;         // down or barely back, as far as anybody knows: after all others
	uint8_t zero;
	uint32_t max_duration_s; // 0: the trunk's
	const char *route; // name of the route, the policy's own text; NULL: it has none
};

struct td_route_answer {
	uint16_t n;         // targets in the order in which they are tried: peer before route
	uint16_t sip_code;  // with TD_REFUSED: 404, 480, 503
	struct td_route_target targets[TD_ATTEMPTS_MAX];
};

// Where an AoR may be reached: one of its bindings. Texts are borrowed until the event is over.
struct td_contact {
	struct td_span aor;      // "user@domain"
	struct td_span uri;      // the Request-URI of a request to it
	// Values for Route, comma-separated in their order (RFC 3327); or empty.
	struct td_span path;
	struct td_span instance; // RFC 5626; or empty
	struct td_flow flow;     // the only way to it
	uint16_t q;              // 0 – 1000
	uint32_t reg_id; // 0: none
};

// Two flows of one phone (RFC 5626 §5.3): a request goes over one of them at a time.
static inline bool td_contact_same_instance(const struct td_contact *a, const struct td_contact *b)
{
	return a->reg_id > 0 && b->reg_id > 0 && td_span_eq(a->instance, b->instance);
}

struct td_locate_answer {
	uint16_t n;        // contacts, the highest q first
	uint16_t sip_code; // with TD_REFUSED: 404 nobody's, 480 provisioned but not
			    // registered, 503 not known yet
	// Of the AoR or number, unless it is nobody's (sip/subscribers.h); until the event is over.
	const struct td_subscriber_entry *subscriber;
	struct td_contact contacts[TD_CONTACTS_MAX];
};

// The settlement of a TD_PENDING question.
struct td_late_answer {
	uint64_t cookie;
	enum td_answer answer; // TD_DONE or TD_REFUSED
	struct td_route_answer route;
	const struct td_locate_answer *located; // to a locate(), borrowed; NULL: to another one
};

enum td_registration_state {
	TD_REGISTRATION_NONE, // none is wanted, or none was tried yet
	TD_REGISTERED,
	TD_REGISTRATION_FAILED, // it is tried again
};

struct td_host_ops {
	// Lends *out with cap >= the bytes asked for (at most limits.sip_message_bytes). 0 or
	// -ENOBUFS.
	int (*buf_get)(void *host, uint32_t bytes, struct td_buf *out);
	// Gives a lent buffer back unsent.
	void (*buf_put)(void *host, struct td_buf *buf);
	// Sends and takes the buffer in every case. 0; -ENOTCONN: the flow is gone; -ENOBUFS: full.
	int (*send)(void *host, const struct td_flow *flow, struct td_buf *buf);

	enum td_answer (*route)(void *host, const struct td_route_query *query, uint64_t cookie,
		struct td_route_answer *out);

	// Counts a call (and a new INVITE) against a limit that all workers share; slot: as the
	// policy has it, 0 of the whole switch. now_ns is monotonic. 0; -EDQUOT: max_calls;
	// -EAGAIN: max_cps (nothing is held then). Given back by limit_release exactly once.
	int (*limit_acquire)(void *host, enum td_limit_kind kind, uint32_t slot,
		const struct td_limit *limit, uint64_t now_ns);
	void (*limit_release)(void *host, enum td_limit_kind kind, uint32_t slot);
	// In its place, where max_cps was asked and the call that asked came to nothing because of
	// another limit: what it took of the rate is given back, too. NULL: limit_release.
	void (*limit_cancel)(void *host, enum td_limit_kind kind, uint32_t slot);
	// One of them will be asked of that slot soon: its memory may come meanwhile. NULL: it is
	// near.
	void (*limit_expect)(void *host, enum td_limit_kind kind, uint32_t slot);

	// 0 and *out + *local, or -ENOSPC: no port left. The port rests limits.quarantine_ms after
	// leg_close.
	int (*leg_open)(void *host, const struct td_leg_open *open, td_leg_id *out,
		struct td_leg_local *local);
	void (*leg_modify)(void *host, td_leg_id leg, const struct td_leg_modify *modify);
	// Fills *stats (NULL: not wanted) and frees the leg; peers that point at it then drop as
	// rtp.no_peer.
	void (*leg_close)(void *host, td_leg_id leg, struct td_leg_stats *stats);
	void (*leg_stats)(void *host, td_leg_id leg, struct td_leg_stats *stats);

	// Journals. 0 or -ENOSPC. cdr_reserve() holds room for a call's start, end and attempts
	// before it is accepted: -ENOSPC then means 503 for the new call, and after 0 none of the
	// writes below may fail.
	int (*cdr_reserve)(void *host);
	void (*cdr_start)(void *host, const struct td_cdr *cdr);
	void (*cdr_attempt)(void *host, const struct td_cdr_attempt *attempt);
	// A call lasts: told only where it can be without taking room from the others. NULL: never.
	void (*cdr_interim)(void *host, const struct td_cdr *cdr);
	void (*cdr_end)(void *host, const struct td_cdr *cdr); // gives the reservation back

	// One structured line per call end and state change; text without secrets. Bounded ring,
	// never blocks.
	void (*log)(void *host, const char *text, uint32_t len);

	// Unpredictable bytes (tags, Call-IDs); a simulator's come from its seed.
	void (*random)(void *host, void *dst, uint32_t len);

	// Where is that subscriber, named by AoR ("user@domain") or number (digits)? NULL: nobody
	// registers here.
	enum td_answer (*locate)(void *host, struct td_span who, uint64_t cookie,
		struct td_locate_answer *out);
	// Journals n changes of bindings, packed one after the other (include/binding.h), all or
	// none of them: TD_DONE; TD_REFUSED where the journal is full (503); TD_PENDING until they
	// are safe on disk (location.durability = "sync"). NULL: nobody registers here.
	enum td_answer (*bindings_write)(void *host, const uint8_t *records, uint32_t bytes,
		uint32_t n, uint64_t cookie);
	// Are bindings of an earlier boot still to come? NULL: never.
	bool (*bindings_restoring)(void *host);

	// When nobody who reads now reads any more: a token, and whether that time has come. Never
	// waits. NULL, both: there are no other readers.
	uint64_t (*grace_begin)(void *host);
	bool (*grace_over)(void *host, uint64_t token);

	// How the switch's registration at that trunk's provider stands: enum
	// td_registration_state, the status code that said so, and for how long it was granted.
	// NULL: nobody asks.
	void (*trunk_registered)(void *host, uint32_t trunk_slot, uint8_t state, uint16_t sip_code,
		uint32_t expires_s);
	// An attempt at that trunk began, or was answered. NULL: nobody counts.
	void (*trunk_seized)(void *host, uint32_t trunk_slot, bool answered);
};
