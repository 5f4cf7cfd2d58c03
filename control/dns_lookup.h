// SPDX-License-Identifier: BSD-3-Clause
// Where requests for a host go (RFC 3263 §4.1, §4.2), over UDP: with a port its addresses are asked
// for; without one NAPTR records lead to SRV records, those to addresses; where there is neither,
// the host's own addresses with port 5060.
//
// A state machine without a clock and without sockets: questions go through the asker, whose
// answers may come at once. Owner: one thread. Bounded in every list; each question is asked once.
#pragma once

#include "control/dns_reply.h"

// One address that the name leads to.
struct td_dns_record {
	struct td_sockaddr address; // with its port
	uint16_t priority, weight;  // of its SRV record; without one 0
	char host[TD_HOST_LEN];     // whose address it is
};

struct td_dns_answer {
	uint16_t n;        // lower priority first, in an order that stays the same
	uint16_t left_out; // what there was no room for, or no sense in
	struct td_dns_record records[TD_DNS_ANSWERS_MAX];
};

// code 0 and what there is; else code: -ENOENT (there is no such name or record; the reply's ttl_s
// says for how long), and reply NULL: -ETIMEDOUT, -ECONNREFUSED, -EIO (the server failed),
// -EBADMSG, -ECANCELED.
typedef void (*td_dns_heard)(void *user, int code, const struct td_dns_reply *reply);

struct td_dns_asker {
	void (*ask)(
		void *ctx, const char *name, enum td_dns_type type, td_dns_heard heard, void *user);
	void *ctx;
};

struct td_dns_lookup;

struct td_dns_question {
	struct td_dns_lookup *lookup;
	uint16_t srv; // index
	enum td_dns_type type;
};

struct td_dns_lookup {
	// Set before it begins:
	const struct td_dns_asker *asker;
	char name[TD_HOST_LEN];
	uint16_t port; // 0: as SRV records say
	const struct td_dns_answer
		*old; // what served until now; stays for what fails; may be empty
	// rc 0: answer and ttl_s are there; else as td_dns_heard says. The lookup is free again.
	void (*done)(struct td_dns_lookup *lookup, int rc);
	void *user;

	struct td_dns_answer answer;
	uint32_t ttl_s;  // for how long it holds; UINT32_MAX: nobody said
	uint32_t none_s; // the same of what there is none of, for rc -ENOENT
	bool partial;   // some of it failed or is old: it is worth asking again soon

	enum { TD_DNS_IDLE, TD_DNS_NAPTRS, TD_DNS_SRVS, TD_DNS_ADDRESSES } step;
	int error; // of the last question that failed, not of what there is none of
	bool naptr_failed;
	uint16_t n_naptr, next_naptr, n_srv;
	uint16_t waiting; // questions without an answer
	struct td_dns_naptr naptr[TD_DNS_ANSWERS_MAX];
	struct td_dns_srv srv[TD_DNS_ANSWERS_MAX];
	struct td_dns_question questions[2 * TD_DNS_ANSWERS_MAX];
};

void td_dns_lookup_begin(struct td_dns_lookup *lookup);

// The part of each record in the draw among those of its priority: a host with several addresses
// does not count for more. At least 1; 0 for weight 0 beside others that have one. shares has
// answer->n.
void td_dns_shares(const struct td_dns_answer *answer, uint16_t *shares);
