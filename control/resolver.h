// SPDX-License-Identifier: BSD-3-Clause
// Questions to name servers, by c-ares on the loop: its sockets and its timer are the loop's, and
// nothing waits. Only name servers are asked, never /etc/hosts, and names are taken as they stand:
// without a search list.
//
// Owner: the loop.
#pragma once

#include "control/dns_lookup.h"
#include "include/config.h"

#include <uv.h>

struct ares_channeldata;
struct td_watched;

struct td_resolver {
	uv_loop_t *loop;
	struct ares_channeldata *channel; // NULL: not started
	uv_timer_t timer;
	struct td_watched *sockets; // of c-ares, that are watched
	uint64_t queries, failures; // failures: all but answers, "there is none" among them
	uint32_t waiting;
};

// Returns 0, or negative errno with *error a text.
int td_resolver_start(struct td_resolver *resolver, uv_loop_t *loop, const struct td_dns_conf *conf,
	const char **error);
// From now on it asks as conf says; whoever waits for an answer hears -ECANCELED. Fails as
// td_resolver_start() does, and goes on as before.
int td_resolver_change(
	struct td_resolver *resolver, const struct td_dns_conf *conf, const char **error);
// Whoever waits for an answer hears -ECANCELED first.
void td_resolver_stop(struct td_resolver *resolver);
// td_dns_asker.ask; ctx: the resolver.
void td_resolver_ask(
	void *ctx, const char *name, enum td_dns_type type, td_dns_heard heard, void *user);
// For people: "timed out", "there is no such name or record", …
const char *td_dns_error(int code);
