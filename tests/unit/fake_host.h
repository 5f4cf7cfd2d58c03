// SPDX-License-Identifier: BSD-3-Clause
// The engine's host in unit tests: records what is sent, hands out legs and buffers, answers as the
// test says, and knows at the end whether everything was given back. One test, one host, one
// thread.
#pragma once

#include "include/subscriber.h"
#include "sip/engine.h"
#include "sip/policy.h"
#include "sip/shared_count.h"

#define FAKE_SENT_MAX 4096 // messages kept; more fail the test
#define FAKE_LEGS_MAX 8192
#define FAKE_SHARED 4       // slots of groups, and of routes
#define FAKE_RECORDS_MAX 64 // CDRs kept of each kind

enum {
	FAKE_WEST,
	FAKE_EAST,
	FAKE_REALMS
}; // 10.0.1.254 fd00:1::fe, 10.0.2.254 fd00:2::fe, port 5060

struct fake_sent {
	uint64_t at_ms;
	struct td_flow flow;
	char *data; // NUL after len bytes
	uint32_t len;
};

struct fake_leg {
	bool open;
	uint32_t generation;
	struct td_leg_open opened;
	struct td_leg_local local;
	struct td_leg_modify last;
	uint32_t n_modifies;
	struct td_leg_stats stats; // a test sets what it wants reported
};

struct fake_host {
	uint64_t now_ns;
	uint64_t random; // state of the generator
	td_count counters[TD_C__COUNT];

	// Messages in the order in which they went out; read is the next that fake_next() gives.
	struct fake_sent sent[FAKE_SENT_MAX];
	uint32_t n_sent, n_read;
	char last_log[256];                     // line
	uint32_t bufs_out, legs_open, reserved; // what the engine owes
	struct fake_leg legs[FAKE_LEGS_MAX];
	uint32_t n_legs;

	struct td_cdr starts[FAKE_RECORDS_MAX], ends[FAKE_RECORDS_MAX],
		interim; // interim: the last one
	unsigned n_interim;
	struct td_cdr_attempt attempts[FAKE_RECORDS_MAX];
	uint32_t n_starts, n_ends, n_attempts;

	// What the next questions are answered.
	enum td_answer route_answer;
	struct td_route_answer route;
	struct td_route_query last_query;
	char last_number[64];
	uint64_t last_cookie;
	enum td_answer locate_answer;
	struct td_locate_answer located;
	char last_who[TD_AOR_LEN], known_who[TD_AOR_LEN]; // whom the engine asked for; the only one
							  // it finds, empty: all
	int send_error; // what send() returns: 0, -ENOTCONN, -ENOBUFS
	int trunk_error,
		call_error; // what limit_acquire() returns for a trunk and for the whole switch
	uint32_t cancelled[TD_LIMIT__KINDS];
	uint32_t held[TD_LIMIT__KINDS],
		call_max; // calls counted; limits.calls as it was last asked for
	struct td_shared_count shared[TD_LIMIT__KINDS]
				     [FAKE_SHARED]; // of groups and routes, by slot
	int reserve_error;                          // what cdr_reserve() returns
	bool no_buffer, no_port;
	enum td_answer
		bindings_answer; // what bindings_write() answers; the record of what it was given:
	uint32_t n_bindings, bindings_len;
	uint8_t bindings[65536];
	bool restoring; // bindings of the boot before are still to come

	// What was last said of a registration at a provider.
	uint8_t registration_state; // enum td_registration_state
	uint16_t registration_code;
	uint32_t registration_expires_s;
	uint32_t seized, answered; // attempts at trunks

	// Start-up memory: the n-th call from now fails (0: none).
	uint32_t fail_alloc_at, n_allocs;
	uint32_t allocs_out;

	struct td_engine_realm realms[FAKE_REALMS];
};

// A host of two realms, and a configuration for an engine upon it (worker 0, 64 calls, RFC timers).
void fake_host_init(struct fake_host *host, uint64_t seed);
void fake_host_conf(struct fake_host *host, struct td_engine_conf *conf);
// Frees the record. Returns what was not given back: buffers, legs, trunk holds, reservations,
// memory; 0 is clean.
uint32_t fake_host_fini(struct fake_host *host);

void fake_forget(struct fake_host *host); // the messages sent so far

extern const struct td_host_ops fake_host_ops;

// Two carriers: trunk 0 "carrier-a" in west with peers 10.0.1.1 and fd00:1::1, trunk 1 "carrier-b"
// in east with peers 10.0.2.1 and 10.0.2.2; no routes (the host answers those questions). change
// may alter it before it is compiled; NULL: as it is. Freed with td_policy_free().
struct td_policy *fake_policy(void (*change)(struct td_policy_conf *conf));

// UDP from remote ("10.0.1.1", "fd00:1::1") to our listener of the realm.
struct td_flow fake_flow(
	const struct fake_host *host, uint16_t realm, const char *remote_ip, uint16_t remote_port);

// The next message that was not looked at, or NULL.
const struct fake_sent *fake_next(struct fake_host *host);
uint32_t fake_pending(const struct fake_host *host); // messages not looked at yet
bool fake_starts(const struct fake_sent *sent, const char *prefix);
bool fake_has(const struct fake_sent *sent, const char *text);
// Value of the first header line of that name ("Via"), "" where there is none; lives until the next
// call.
const char *fake_header(const struct fake_sent *sent, const char *name);

static inline void fake_rx(struct fake_host *host, struct td_engine *engine,
	const struct td_flow *flow, const char *text)
{
	// A copy of exact size, so that a sanitizer sees a read beyond the datagram.
	size_t len = strlen(text);
	char *data = __builtin_memcpy(__builtin_malloc(len ? len : 1), text, len);

	td_engine_rx(engine, host->now_ns, flow, data, (uint32_t)len);
	__builtin_free(data);
}

// Lets time pass in steps of a millisecond, so that what is sent carries its exact time.
static inline void fake_advance(struct fake_host *host, struct td_engine *engine, uint64_t ms)
{
	for (uint64_t i = 0; i < ms; i++) {
		host->now_ns += 1000000;
		td_engine_tick(engine, host->now_ns, UINT32_MAX);
	}
}
