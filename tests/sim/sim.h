// SPDX-License-Identifier: BSD-3-Clause
// The simulation: thousands of user agents, the switch with N owners, and a network that loses,
// delays, reorders, duplicates and corrupts; one process, one thread, virtual time, one seed
// (architecture §10).
//
// Everything random is drawn from the seed and from who asks for the how-many-th time, never from
// the order of events of different calls: so the same seed gives the same life of each call
// whatever the number of owners.
#pragma once

#include "sip/engine.h"
#include "sip/number.h"
#include "sip/policy.h"
#include "sip/shared_count.h"
#include "sip/token.h"

#include <stdio.h>

enum { WEST, EAST, REALMS };
enum {
	TRUNK_WEST_1,
	TRUNK_EAST_1,
	TRUNK_EAST_2,
	TRUNK_WEST_2,
	TRUNKS,
	SLOTS = TRUNKS + 1
}; // the last: of subscribers

#define OWNERS_MAX 8
#define ATTEMPTS_SEEN_MAX 8
#define MS 1000000ull
#define SECOND (1000 * MS)
#define GARBAGE "z9hG4bK-garbage" // branch of requests whose answer nobody waits for
#define NO_CALL (UINT32_MAX - 1)  // of an agent that belongs to none
#define GATEWAYS 6
#define T1 (500 * MS)
#define T2 (4 * SECOND)

// What kind of call it is; each kind is one line of the report.
enum kind {
	KIND_ANSWER,
	KIND_BUSY,
	KIND_DECLINE,
	KIND_UNKNOWN_NUMBER,
	KIND_NO_ANSWER,
	KIND_CANCEL,
	KIND_FAILOVER,
	KIND_ALL_FAIL,
	KIND_HOLD,
	KIND_GLARE,
	KIND_DELAYED_OFFER,
	KIND_LOST_ACK,
	KIND_DEAD,
	KIND_OPERATOR,
	KIND_JUNK,
	KIND_PHONES,
	KIND_FLOWS,
	KIND__COUNT
};

struct options {
	uint64_t seed;
	uint32_t calls, owners, calls_per_second;
	uint32_t loss, duplicate, corrupt; // per million datagrams
	uint32_t scarce; // per million questions to the host: no buffer, port, room or flow
	bool reload;     // the policy is pushed anew every few seconds
	bool gateways;   // they come and go, and the switch asks them by OPTIONS
	bool limits;     // groups and routes are limited, at random with each policy
	bool numbers;    // trunks have number rules, at random with each policy
	uint32_t delay_ms, jitter_ms;
	uint32_t trace; // call whose messages are shown, UINT32_MAX: none
};

struct script {
	uint8_t kind;     // enum kind
	uint8_t n_fail;   // attempts that fail before the one that decides
	uint16_t fail[4]; // their status, 0: silence
	uint16_t final;   // what the deciding attempt answers: 200, 486 …; 0: rings for ever
	bool ring, early_media;
	uint32_t ring_ms, answer_ms, talk_ms;
	uint32_t cancel_ms; // after the INVITE; 0: never
	uint8_t hangup_by;  // 0 caller, 1 callee, 2 both at once
	bool delayed_offer;
	uint32_t acks_lost; // of the caller's, UINT32_MAX: all
	uint8_t dead;       // bit 0: the caller falls silent during the talk, bit 1: the callee
	bool media_timeout; // the data plane notices
	uint8_t winner;     // of the phones of a called subscriber: which one answers
	uint8_t rival;      // and what the others do (enum rival)
};

// Phones of one subscriber: two of the higher q, one of the lower. Of a phone with as many flows it
// is these that are so.
#define PHONES 3
enum rival { RIVAL_RINGS, RIVAL_REFUSES, RIVAL_ANSWERS, RIVAL__COUNT };

static inline bool calls_phones(const struct script *s)
{
	return s->kind == KIND_PHONES || s->kind == KIND_FLOWS;
}

struct ua;

// A transaction of a user agent, either side.
struct tx {
	struct tx *next;
	struct ua *ua;
	bool server;
	uint8_t state; // enum tx_state
	char method[16];
	uint32_t cseq;
	char branch[96];
	struct td_sockaddr to;
	char *msg;     // what is repeated
	char *request; // a server's
	uint32_t len, request_len;
	uint64_t interval, stop;
	uint64_t timer; // generation of its one timer
	uint16_t status;
	bool cancel_wanted;
	bool ack_sdp; // the INVITE had no offer: its ACK carries the answer
};

enum tx_state { TX_TRYING, TX_PROCEEDING, TX_FINAL, TX_DONE };
enum ua_state { UA_IDLE, UA_INVITING, UA_UP, UA_LEAVING, UA_OVER };

// One end of one call: a phone with an address, a dialog and an ear.
struct ua {
	struct sim *sim;
	uint32_t call;
	uint8_t side, attempt; // 0 caller, 1 callee
	uint8_t realm, state, trunk;
	bool dead, wants_out, offer_mine, hold;
	struct td_sockaddr address, gateway, rtp;
	char call_id[128], local_tag[32], remote_tag[64];
	char local[96], remote[128], target[160]; // From and To of its own requests, remote target
	uint32_t cseq, remote_cseq;
	uint32_t sdp_version, acks_lost;
	uint16_t final;           // the INVITE's final status, as sent or received
	struct td_sockaddr media; // where the switch wants this agent's RTP
	uint8_t remote_direction;
	uint64_t up_at, heard, said;
	struct tx *txs;
	uint64_t rng, rng_in; // of what it does and sends; of what is sent to it
	uint64_t digest;
	struct ua *next_by_id;
};

#define NUMBER_CAP 160
#define SIM_RULES 24
#define SIM_LIST 4 // rules of one list at most
#define SIM_WAYS 4 // caller and callee in, caller and callee out

struct sim_rule {
	uint8_t kind; // numbers.c
	bool last;
	const char *prefix, *becomes;
};

// Those of one policy.
struct sim_rules {
	struct sim_rules *before;
	struct sim_rule rules[SIM_RULES];
	uint8_t lists[TRUNKS][SIM_WAYS][SIM_LIST]; // index + 1, 0 ends it
};

struct call {
	struct script script;
	struct ua caller;
	struct ua *callees[ATTEMPTS_SEEN_MAX];
	uint32_t n_callees;
	uint32_t n_started, n_ended; // CDRs
	struct td_cdr cdr;
	bool reached;                  // an INVITE of it arrived whole
	const struct sim_rules *rules; // in force then; NULL: there are none
	uint64_t random; // what the switch draws while it handles this call's messages
};

struct gateway {
	struct ua ua;
	uint8_t mode;   // gateway.c
	uint64_t since; // in that mode
	uint64_t rng;
};

struct leg {
	bool open;
	uint32_t generation;
	struct td_leg_open opened;
	struct td_leg_local local;
	struct td_leg_modify now;
};

// One owner of calls: an engine and what its host keeps for it.
struct owner {
	struct sim *sim;
	uint32_t index;
	struct td_engine *engine;
	td_count counters[TD_C__COUNT];
	uint64_t tick_at;
	uint64_t rng, rng_scarce;
	uint32_t bufs_out, reserved;
	// Ports of this owner, oldest freed first.
	struct {
		uint16_t *ring;
		uint64_t *free_at;
		uint32_t head, n, cap;
	} ports[REALMS];
};

struct event {
	uint64_t at, seq;
	void (*fire)(struct sim *sim, void *what, uint64_t arg);
	void *what;
	uint64_t arg;
};

// Breaches of an invariant, each with the first one's story.
enum breach {
	BREACH_CALL_LEFT,
	BREACH_AGENT_LEFT,
	BREACH_CDR,
	BREACH_RESOURCE_LEFT,
	BREACH_HEARD,
	BREACH_LEAK,
	BREACH_MALFORMED,
	BREACH_ASTRAY,
	BREACH_LIMIT,
	BREACH_OUTCOME,
	BREACH_SILENT,
	BREACH_NUMBER,
	BREACH_DOWN,
	BREACH_HEALTH,
	BREACH__COUNT
};

struct sim {
	struct options opt;
	uint64_t now, seq;
	struct event *heap;
	size_t n_events, cap_events;
	struct owner owners[OWNERS_MAX];
	struct td_token_keys keys;
	struct td_policy *policy;
	struct td_health *health; // NULL without opt.gateways
	struct gateway gateways[GATEWAYS];
	bool gateways_over;
	struct sim_rules *rules; // in force, and all before; NULL without opt.numbers
	struct td_engine_realm realms[REALMS];
	struct sim_limit {
		struct td_shared_count count;
		uint32_t calls, most, max;
		uint64_t asked_ns;
	} limits[TD_LIMIT__KINDS][SLOTS];
	struct leg *legs;
	uint32_t *leg_at[REALMS]; // by port: index + 1
	uint32_t n_legs, legs_open;
	uint32_t context; // the call whose message the switch is handling, UINT32_MAX: none
	struct call *calls;
	struct ua **by_id; // hash of Call-ID
	uint32_t by_id_mask;
	char (*cdr_ids)[TD_CDR_ID_LEN];
	uint32_t n_cdr_ids, cap_cdr_ids;
	uint64_t n_datagrams, n_lost, n_rtp, n_rtp_dropped, n_strays;
	uint32_t breaches[BREACH__COUNT];
	char stories[BREACH__COUNT][512];
};

// --- random numbers ---

static inline uint64_t rng_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static inline uint64_t rng_seed(uint64_t seed, uint64_t a, uint64_t b)
{
	uint64_t state = seed ^ a * 0xd6e8feb86659fd93u ^ b * 0xa0761d6478bd642fu;

	return rng_next(&state);
}

static inline uint32_t rng_below(uint64_t *state, uint32_t n)
{
	return (uint32_t)((rng_next(state) >> 32) * n >> 32);
}

static inline uint32_t rng_between(uint64_t *state, uint32_t lo, uint32_t hi)
{
	return lo + rng_below(state, hi - lo + 1);
}

static inline bool rng_chance(uint64_t *state, uint32_t per_million)
{
	return per_million > 0 && rng_below(state, 1000000) < per_million;
}

// --- net.c: events and the network ---

void at(struct sim *sim, uint64_t when, void (*fire)(struct sim *, void *, uint64_t), void *what,
	uint64_t arg);
bool next_event(struct sim *sim); // false: there is none
void net_to_switch(struct ua *from, const struct td_sockaddr *src, const struct td_sockaddr *dst,
	const char *data, uint32_t len);
void net_to_agent(struct sim *sim, const struct td_flow *flow, const char *data, uint32_t len);

// --- switch.c, host.c: the engines and what they stand on ---

int switch_up(struct sim *sim); // 0 or -1
void switch_down(struct sim *sim);
void switch_policy(struct sim *sim); // compiles and pushes it anew
void switch_rx(
	struct sim *sim, const struct td_flow *flow, uint32_t call, const char *data, uint32_t len);
void switch_media_timeout(struct sim *sim, struct ua *ua);
void switch_hangup(struct sim *sim, struct call *call);
void owner_run(struct owner *owner); // timers that are due, and when to come again
extern const struct td_host_ops sim_host_ops;
int host_up(struct owner *owner);
void host_down(struct owner *owner);
void host_rtp(struct sim *sim, struct ua *from);
struct leg *host_leg_at(struct sim *sim, uint32_t realm, uint16_t port);

// --- ua*.c, script.c: the agents ---

// A message as the agents read it: their own reading, not the engine's.
struct sip {
	bool request;
	char method[16]; // of the CSeq
	uint32_t cseq;
	int status;
	struct td_span uri, head, body;
};
bool sip_read(struct sip *m, const char *data, uint32_t len);
struct td_span sip_header(const struct sip *m, const char *name, uint32_t nth);
struct td_span sip_param(struct td_span value, const char *name);
struct td_span sip_uri(struct td_span value);              // what stands between < and >
uint64_t sip_digest(const struct sip *m, uint64_t digest); // without tokens, ports and lengths
bool sip_address(struct td_span uri, struct td_sockaddr *out);

struct ua *ua_find(struct sim *sim, struct td_span call_id);
void ua_init(struct ua *ua, struct sim *sim, uint32_t call, uint8_t side, uint8_t attempt,
	uint8_t trunk);
struct ua *ua_callee_of(
	struct sim *sim, const struct td_sockaddr *gateway, const struct sip *invite);
void ua_rx(struct ua *ua, const struct td_sockaddr *src, const struct td_sockaddr *dst,
	const char *data, uint32_t len);
void ua_invite(struct ua *ua);
void ua_cancel(struct ua *ua);
void ua_bye(struct ua *ua);
void ua_reinvite(struct ua *ua, bool hold);
void ua_over(struct ua *ua);
struct tx *ua_invite_tx(
	struct ua *ua, bool server); // its INVITE without a final answer, NULL: none

// ua_msg.c: writes into text[cap]; the length.
uint32_t ua_request(struct ua *ua, const char *method, uint32_t cseq, const char *branch, bool sdp,
	char *text, size_t cap);
uint32_t ua_response(
	struct ua *ua, const struct sip *request, int status, bool sdp, char *text, size_t cap);
void ua_read_sdp(struct ua *ua, struct td_span body);

// ua_tx.c
void tx_send_request(
	struct ua *ua, const char *method, uint32_t cseq, const char *branch, bool sdp);
void tx_respond(struct tx *tx, int status, bool sdp);
struct tx *tx_new(
	struct ua *ua, bool server, const char *method, uint32_t cseq, struct td_span branch);
struct tx *tx_find(struct ua *ua, bool server, const char *method, struct td_span branch);
void tx_start(struct tx *tx, uint64_t interval);
void tx_keep(struct tx *tx, const char *text, uint32_t len);
void tx_free_all(struct ua *ua);
void ua_tx_timeout(struct ua *ua, struct tx *tx);

void script_make(struct sim *sim, uint32_t call);
void script_called(struct ua *ua, struct tx *tx); // an INVITE came in that begins a call
void script_up(struct ua *ua);                    // the call is answered, as this agent sees it
void script_reinvited(struct ua *ua, struct tx *tx);
void script_start(struct sim *sim, void *what, uint64_t arg);
const char *kind_name(enum kind kind);

// --- gateway.c

extern const struct td_health_conf gateway_health;
void gateways_up(struct sim *sim);
struct gateway *gateway_at(struct sim *sim, const struct td_sockaddr *address); // NULL: none
void gateway_rx(struct ua *ua, const struct td_sockaddr *src, const struct td_sockaddr *dst,
	const struct sip *m);
void gateway_called(
	struct sim *sim, const struct td_sockaddr *address); // a call's first INVITE leaves for it
uint16_t gateway_says(struct sim *sim,
	const struct td_sockaddr *address); // to a call: 200 what it likes, 0 nothing

// --- numbers.c

void sim_numbers_draw(
	struct sim *sim, struct td_rule_conf conf[SIM_RULES], struct td_trunk_conf trunks[TRUNKS]);
void sim_numbers_free(struct sim *sim);
bool sim_numbers_call(
	struct td_span uri, uint32_t *call); // of the number in it; false: it is none of a call
void sim_numbers_check(const struct ua *callee, const struct sip *invite);

// main.c: one line of the report.
void report(bool good, const char *part, const char *what, uint32_t count, const char *story);

// --- check.c ---

void breach(struct sim *sim, enum breach what, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void check_message(struct ua *ua, const struct sip *m, const char *data, uint32_t len, bool whole);
void check_cdr(struct sim *sim, const struct td_cdr *cdr);
void check_end(struct sim *sim);
uint32_t check_kind(struct sim *sim, enum kind kind,
	uint32_t *n_calls); // calls whose outcome is not the script's
const char *breach_name(enum breach what);
