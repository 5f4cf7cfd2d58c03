// SPDX-License-Identifier: BSD-3-Clause
// Every host name of the policy and what it leads to: looked up anew when its answer ends, and with
// growing pauses where that fails. The old answer serves until a new one is there, over restarts
// too (state_dir/dns.state), however long that takes; an alarm says so.
//
// Owner: the loop.
#pragma once

#include "control/alarm.h"
#include "control/dns_lookup.h"
#include "control/events.h"
#include "control/resolver.h"
#include "include/policy_conf.h"

#define TD_DNS_NAMES_MAX 4096
#define TD_DNS_LOOKUPS_MAX 32 // under way at once
#define TD_DNS_ALARMS_MAX 16  // names with an alarm of their own; the others share one
#define TD_DNS_BUCKETS 4096   // a power of two

enum td_dns_state {
	TD_DNS_NEW, // nobody has said anything yet
	TD_DNS_RESOLVED,
	TD_DNS_STALE,      // the last answer has ended and serves on
	TD_DNS_UNRESOLVED, // never since it is known
	TD_DNS_STATE__COUNT,
};

struct td_dns_name {
	char name[TD_HOST_LEN];
	uint16_t port;               // 0: as SRV records say
	char shown[TD_HOST_LEN + 8]; // name:port, or the name alone: whom alarms and events mean
	uint8_t state; // enum td_dns_state
	bool wanted, alarmed;
	struct td_dns_answer answer; // the last good one; n 0: there was none
	uint64_t resolved_s;         // wall clock of that; 0: never
	uint64_t due_ms, ends_ms;    // of the loop's clock: the next look-up, the end of the answer
	uint32_t failures;           // since then
	int error;                   // of the last one
	struct td_dns_lookup *lookup; // NULL: none is under way
	struct td_dns_names *names;
	struct td_dns_name *next; // of its bucket
};

struct td_dns_names {
	struct td_resolver resolver;
	struct td_dns_asker asker;
	struct td_dns_conf conf;
	const char *state_dir;
	struct td_alarms *alarms;
	struct td_events *events;    // NULL: nobody is told
	void (*changed)(void *user); // some name leads elsewhere now
	void *user;
	uv_timer_t timer;
	bool dirty; // the file lacks something
	uint64_t saved_ms;
	uint32_t n, n_looking, n_alarmed;
	bool many_alarmed;         // more names fail than have alarms
	struct td_dns_name **list; // owned, in the order in which they became known
	struct td_dns_name *buckets[TD_DNS_BUCKETS];
};

// conf, state_dir and alarms stay the caller's. 0 or negative errno, with *error a text.
int td_dns_names_start(struct td_dns_names *names, uv_loop_t *loop, const struct td_dns_conf *conf,
	const char *state_dir, struct td_alarms *alarms, const char **error);
void td_dns_names_stop(struct td_dns_names *names);
// The hosts of that policy are looked up from now on, and no others. Those that are new and were
// kept in the file have an answer at once.
void td_dns_names_want(struct td_dns_names *names, const struct td_policy_conf *policy);
// Servers, time-outs and bounds of another configuration: everything is asked anew, and what serves
// goes on until there is an answer. 0 or negative errno, with *error a text: all stays as it was.
int td_dns_names_change(
	struct td_dns_names *names, const struct td_dns_conf *conf, const char **error);
const char *td_dns_state_name(enum td_dns_state state);
// NULL: nobody wants it.
const struct td_dns_name *td_dns_names_find(
	const struct td_dns_names *names, const char *name, uint16_t port);
// Looks up all of that name now, whatever their ports. How many these are.
uint32_t td_dns_names_refresh(struct td_dns_names *names, const char *name);
uint32_t td_dns_names_count(const struct td_dns_names *names, enum td_dns_state state);
