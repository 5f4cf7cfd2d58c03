// SPDX-License-Identifier: BSD-3-Clause
// The switch as a customer of providers in the simulation: accounts that reloads give to one trunk,
// to another one, or to none, and providers that challenge, refuse, fall silent and begin anew.
#pragma once

#include "tests/sim/sim.h"

#define PROV_ACCOUNTS 8
#define PROV_TRUNKS (2 * PROV_ACCOUNTS) // an account is at either of two trunks, or at none
#define PROV_PROVIDERS 3
#define PROV_PEERS 2
#define PROV_CONTACTS 2
#define PROV_ANSWERS 16 // kept for copies, by each account's provider
#define PROV_OWNERS 2
#define PROV_OPENS 8 // Call-IDs followed at once for one Contact

struct prov_options {
	uint64_t seed;
	uint32_t life_s; // of faults
	uint32_t loss, duplicate, jitter_ms;
	bool faults; // of providers
};

enum prov_breach {
	PROV_TWO,
	PROV_HASTY,
	PROV_TARDY,
	PROV_TAKEN,
	PROV_UNBOUND,
	PROV_BEHIND,
	PROV_SPENT,
	PROV__COUNT
};

// The transaction that the switch has open under one Call-ID for one Contact, as the wire tells.
struct prov_open {
	char call_id[48], branch[96];
	bool answered;
	uint64_t since;
	int trunk;        // whose account it was then; -1: nobody's
	uint32_t changes; // of that trunk, or reloads
};

// What a provider knows of one account.
struct prov_binding {
	bool bound;
	char call_id[48];
	uint32_t cseq;
	uint64_t until;
};

struct prov_account {
	struct prov_binding bindings[PROV_CONTACTS];
	struct prov_open opens[PROV_OPENS * PROV_CONTACTS];
	uint32_t next_open;
	char nonce[32];
	struct {
		char branch[96], text[1024];
	} answers[PROV_ANSWERS];
	uint32_t next_answer;
};

// What the switch has said of a trunk, and what it may do next.
struct prov_trunk {
	bool registered;
	uint32_t failures;
	uint64_t until;       // granted, as told
	uint64_t not_before;  // the next first REGISTER
	uint64_t retry_after; // as the last 503 said
	uint64_t asked;       // when it last went out
	uint32_t changes;     // of its configuration
};

struct prov_owner {
	struct prov *p;
	struct td_engine *engine;
	td_count counters[TD_C__COUNT];
	uint64_t tick_at;
	uint32_t bufs_out;
};

struct prov {
	struct sim sim; // the first: of its events
	struct prov_options opt;
	uint64_t rng;
	bool quiet; // no more faults
	struct td_engine_realm realm;
	struct td_policy *policy;
	struct td_trunk_conf trunks[PROV_TRUNKS];
	uint32_t reloads;
	struct prov_owner owners[PROV_OWNERS];
	struct prov_account accounts[PROV_ACCOUNTS];
	struct prov_trunk told[PROV_TRUNKS];
	uint64_t down_until[PROV_PROVIDERS][PROV_PEERS];
	uint32_t n_bound, n_removed, n_challenged, n_brief, n_busy, n_lost;
	uint32_t breaches[PROV__COUNT];
	char stories[PROV__COUNT][256];
};

static inline struct prov *prov_of(struct sim *sim)
{
	return (struct prov *)sim;
}

void prov_breach(struct prov *p, enum prov_breach what, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

// provider_switch.c
int prov_switch_up(struct prov *p); // 0 or -1
void prov_switch_down(struct prov *p);
void prov_reload(struct prov *p, bool none); // draws who has which account; none: nobody has one
void prov_switch_rx(struct prov *p, uint32_t owner, const struct td_flow *flow, const char *text);
// The trunk that has the account with that contact by the policy in force; -1: none.
int prov_wanted(const struct prov *p, uint32_t account, uint32_t contact);
uint64_t prov_left(const struct prov *p); // bindings that the switch says it had to leave behind

// provider_peer.c: a datagram of that owner has arrived.
void prov_peer_rx(
	struct prov *p, uint32_t owner, const struct td_flow *flow, const char *data, uint32_t len);
void prov_restart(struct prov *p, uint32_t provider);
// Who and what a REGISTER is about. false: it is none of ours.
bool prov_read(const struct sip *m, uint32_t *account, uint32_t *contact, uint32_t *expires_s);

// provider.c: lives of so many seeds, and a report of them all.
void prov_run(const char *part, const struct prov_options *opt, uint32_t seeds);
