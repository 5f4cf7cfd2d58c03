// SPDX-License-Identifier: BSD-3-Clause
#include "control/reload_report.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_MAX 50 // lines of one section

// --- a trunk that differs ---

// What a trunk's line names when it differs.
#define FIELD(name, field)                                                                         \
	{                                                                                          \
		name, offsetof(struct td_trunk_conf, field),                                       \
			sizeof(((struct td_trunk_conf *)0)->field)                                 \
	}
static const struct {
	const char *name;
	size_t offset, size;
} trunk_fields[] = {
	FIELD("realm", realm),
	FIELD("enabled", enabled),
	FIELD("plan", plan),
	FIELD("trust", trust),
	FIELD("peers", peers),
	FIELD("sources", sources),
	FIELD("match", match),
	FIELD("use_rn", use_rn),
	FIELD("early", early_single),
	FIELD("failover_codes", failover_codes),
	FIELD("max_calls", max_calls),
	FIELD("max_cps", max_cps),
	FIELD("cps_burst", cps_burst),
	FIELD("attempt_timeout", attempt_timeout_ms),
	FIELD("ring_timeout", ring_timeout_ms),
	FIELD("max_duration", max_duration_s),
	FIELD("media_timeout", media_timeout_s),
	FIELD("media.sources", media_sources),
	FIELD("health", health),
	FIELD("auth", credentials),
	FIELD("register", registration),
	FIELD("number", numbers.form),
	FIELD("rules.in", numbers.in),
	FIELD("rules.out", numbers.out),
	FIELD("caller_id.in", numbers.caller_in),
	FIELD("caller_id.out", numbers.caller_out),
	FIELD("what the realm says", numbers.from_realm),
};

static void hosts_print(FILE *out, const struct td_trunk_conf *trunk)
{
	for (uint8_t i = 0; i < trunk->n_hosts; i++) {
		fprintf(out, " %s", trunk->hosts[i].name);
		if (trunk->hosts[i].port != 0)
			fprintf(out, ":%u", trunk->hosts[i].port);
	}
	if (trunk->n_hosts == 0)
		fputs(" none", out);
}

static bool hosts_change(FILE *out, const struct td_trunk_conf *now,
	const struct td_trunk_conf *next, const char *lead)
{
	if (memcmp(now->hosts, next->hosts, sizeof(now->hosts)) == 0)
		return false;
	fprintf(out, "%shosts", lead);
	hosts_print(out, now);
	fputs(" →", out);
	hosts_print(out, next);
	return true;
}

static void trunk_change(FILE *out, const void *before_element, const void *after_element)
{
	const struct td_trunk_conf *now = before_element, *next = after_element;
	const char *lead = ": ";
	bool named = false;

	fprintf(out, "  ~ %s", now->name);
	for (size_t i = 0; i < sizeof(trunk_fields) / sizeof(trunk_fields[0]); i++) {
		size_t at = trunk_fields[i].offset;
		if (memcmp((const char *)now + at, (const char *)next + at, trunk_fields[i].size) ==
			0)
			continue;
		fprintf(out, "%s%s", lead, trunk_fields[i].name);
		lead = ", ";
		named = true;
		if (trunk_fields[i].size == sizeof(uint32_t)) {
			uint32_t before, after;
			memcpy(&before, (const char *)now + at, sizeof(before));
			memcpy(&after, (const char *)next + at, sizeof(after));
			fprintf(out, " %u → %u", before, after);
		}
	}
	named |= hosts_change(out, now, next, lead);
	fputs(named ? "\n" : ": other settings\n", out);
}

// --- lists of what has a name ---

struct tally {
	uint32_t added, removed, changed, shown;
};

static bool show(struct tally *tally)
{
	return tally->shown++ < SHOWN_MAX;
}

static void more(FILE *out, const struct tally *tally)
{
	if (tally->shown > SHOWN_MAX)
		fprintf(out, "  … and %u more\n", tally->shown - SHOWN_MAX);
}

// The name is what each element begins with.
struct list {
	const void *elements;
	uint32_t n;
	size_t bytes;
	const char **sorted; // NULL: no memory
};

static int name_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void list_sort(struct list *list)
{
	list->sorted = calloc(list->n + 1, sizeof(*list->sorted));
	if (!list->sorted)
		return;
	for (uint32_t i = 0; i < list->n; i++)
		list->sorted[i] = (const char *)list->elements + i * list->bytes;
	qsort(list->sorted, list->n, sizeof(*list->sorted), name_compare);
}

// Walks both lists in the order of names. out NULL: only counts. change prints the line of one that
// differs; NULL: its name is all.
static void lists_walk(FILE *out, const struct list *now, const struct list *next,
	void (*change)(FILE *out, const void *now, const void *next), struct tally *tally)
{
	for (uint32_t i = 0, j = 0; i < now->n || j < next->n;) {
		const char *before = i < now->n ? now->sorted[i] : NULL,
			   *after = j < next->n ? next->sorted[j] : NULL;
		int order = !before ? 1 : !after ? -1 : strcmp(before, after);
		bool differs = order != 0 || memcmp(before, after, now->bytes) != 0;
		tally->added += order > 0;
		tally->removed += order < 0;
		tally->changed += order == 0 && differs;
		if (out && differs && show(tally)) {
			if (order == 0 && change)
				change(out, before, after);
			else
				fprintf(out, "  %c %s\n",
					order > 0   ? '+'
					: order < 0 ? '-'
						    : '~',
					order > 0 ? after : before);
		}
		i += order <= 0;
		j += order >= 0;
	}
}

static void report_list(FILE *out, const char *what, struct list now, struct list next,
	void (*change)(FILE *out, const void *now, const void *next))
{
	struct tally tally = { 0 }, again = { 0 };

	if (now.n == next.n &&
		(now.n == 0 || memcmp(now.elements, next.elements, now.n * now.bytes) == 0))
		return;
	list_sort(&now);
	list_sort(&next);
	if (now.sorted && next.sorted) {
		lists_walk(NULL, &now, &next, change, &tally);
		fprintf(out, "%s: %u added, %u removed, %u changed%s\n", what, tally.added,
			tally.removed, tally.changed,
			tally.added + tally.removed + tally.changed == 0 ? ", in another order"
									 : "");
		lists_walk(out, &now, &next, change, &again);
		more(out, &again);
	}
	free(now.sorted);
	free(next.sorted);
}

// --- routes: one text each, in order ---

// What a route says beside its number and its targets.
static void route_conditions(FILE *out, const struct td_route_conf *route)
{
	const struct {
		const char *name, *value;
	} words[] = { { "name", route->name }, { "caller", route->caller },
		{ "window", route->window }, { "limit", route->limit },
		{ "failover", route->failover } };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i].value[0])
			fprintf(out, ", %s %s", words[i].name, words[i].value);
	if (route->max_duration_s != 0)
		fprintf(out, ", max_duration %u", route->max_duration_s);
}

static char *route_text(const struct td_route_conf *route)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	for (uint16_t i = 0; i < route->n_from; i++)
		fprintf(out, "%s%s", i ? ", " : "", route->from[i]);
	fprintf(out, ": %s%s%s%s →", route->prefix[0] ? route->prefix : "any",
		route->domain[0] ? " @" : "", route->domain, route->prefix[0] ? "*" : "");
	if (route->block != 0)
		fprintf(out, " block %u", route->block);
	for (uint16_t i = 0; i < route->n_to; i++) {
		const struct td_route_target_conf *to = &route->to[i];
		fprintf(out, "%s %s (priority %u, weight %u", i ? "," : "",
			to->registrar ? "registrar" : to->trunk, to->priority, to->weight);
		if (to->cost != 0)
			fprintf(out, ", cost %g", to->cost / 1e6);
		fputc(')', out);
	}
	route_conditions(out, route);
	return fclose(out) == 0 ? text : NULL;
}

static void texts_free(char **texts, uint32_t n)
{
	for (uint32_t i = 0; texts && i < n; i++)
		free(texts[i]);
	free(texts);
}

// Sorted; NULL: no memory.
static char **route_texts(const struct td_policy_conf *policy)
{
	char **texts = calloc(policy->n_routes + 1, sizeof(*texts));

	for (uint32_t i = 0; texts && i < policy->n_routes; i++) {
		texts[i] = route_text(&policy->routes[i]);
		if (!texts[i]) {
			texts_free(texts, i);
			return NULL;
		}
	}
	if (texts)
		qsort(texts, policy->n_routes, sizeof(*texts), name_compare);
	return texts;
}

static void routes_walk(
	FILE *out, char *const *now, uint32_t n, char *const *next, uint32_t m, struct tally *tally)
{
	for (uint32_t i = 0, j = 0; i < n || j < m;) {
		int order = i == n ? 1 : j == m ? -1 : strcmp(now[i], next[j]);
		tally->added += order > 0;
		tally->removed += order < 0;
		if (out && order != 0 && show(tally))
			fprintf(out, "  %c %s\n", order > 0 ? '+' : '-',
				order > 0 ? next[j] : now[i]);
		i += order <= 0;
		j += order >= 0;
	}
}

static void report_routes(
	FILE *out, const struct td_policy_conf *now, const struct td_policy_conf *next)
{
	char **before = route_texts(now), **after = route_texts(next);
	struct tally tally = { 0 }, again = { 0 };
	bool differs = now->n_routes != next->n_routes ||
		       memcmp(now->routes, next->routes, now->n_routes * sizeof(*now->routes)) != 0;

	if (before && after)
		routes_walk(NULL, before, now->n_routes, after, next->n_routes, &tally);
	if (differs)
		fprintf(out, "routes: %u added, %u removed, %u before, %u now%s\n", tally.added,
			tally.removed, now->n_routes, next->n_routes,
			tally.added + tally.removed == 0 ? ", in another order" : "");
	if (before && after)
		routes_walk(out, before, now->n_routes, after, next->n_routes, &again);
	more(out, &again);
	texts_free(before, now->n_routes);
	texts_free(after, next->n_routes);
}

// --- what routes are written with ---

#define NAMED(record)                                                                              \
	static_assert(offsetof(struct record, name) == 0, "a list's elements begin with their "    \
							  "name")
NAMED(td_trunk_conf);
NAMED(td_port_conf);
NAMED(td_realm_conf);
NAMED(td_group_conf);
NAMED(td_window_conf);
NAMED(td_failover_conf);
NAMED(td_limit_conf);
NAMED(td_rule_conf);
NAMED(td_plan_conf);
static_assert(offsetof(struct td_realm_numbers_conf, realm) == 0, "its name begins it");

#define LIST(from, field, count)                                                                   \
	((struct list){ (from)->field, (from)->count, sizeof(*(from)->field), NULL })
#define BOTH(field, count) LIST(now, field, count), LIST(next, field, count)

static void report_routing(
	FILE *out, const struct td_policy_conf *now, const struct td_policy_conf *next)
{
	report_list(out, "groups", BOTH(groups, n_groups), NULL);
	report_list(out, "windows", BOTH(windows, n_windows), NULL);
	report_list(out, "failovers", BOTH(failovers, n_failovers), NULL);
	report_list(out, "route_limits", BOTH(limits, n_limits), NULL);
	report_list(out, "rules", BOTH(rules, n_rules), NULL);
	report_list(out, "plans", BOTH(plans, n_plans), NULL);
	report_list(out, "numbers of realms", BOTH(realms, n_realms), NULL);
	if (memcmp(&now->subscribers, &next->subscribers, sizeof(now->subscribers)) != 0)
		fprintf(out, "subscribers: changed\n");
	report_list(out, "emergency.numbers", BOTH(emergency, n_emergency), NULL);
}

// --- limits ---

static void report_limits(
	FILE *out, const struct td_policy_conf *now, const struct td_policy_conf *next)
{
	const struct {
		const char *name;
		uint32_t before, after;
	} limits[] = {
		{ "limits.calls", now->max_calls, next->max_calls },
		{ "limits.cps", now->max_cps, next->max_cps },
		{ "limits.cps_burst", now->cps_burst, next->cps_burst },
		{ "limits.source_cps", now->source_cps, next->source_cps },
		{ "limits.drain_s", now->drain_s, next->drain_s },
		{ "subscribers.media_timeout", now->subscribers_media_timeout_s,
			next->subscribers_media_timeout_s },
		{ "subscribers.max_duration", now->subscribers_max_duration_s,
			next->subscribers_max_duration_s },
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		if (limits[i].before != limits[i].after)
			fprintf(out, "%s: %u → %u\n", limits[i].name, limits[i].before,
				limits[i].after);
}

// --- what needs a restart ---

// Places that only a start reads. conf: as started.
static void report_restart(FILE *out, const struct td_config *conf, const struct td_config *next)
{
	const struct {
		const char *what;
		bool differs;
	} parts[] = {
		{ "node", strcmp(conf->node, next->node) != 0 },
		{ "run_dir", strcmp(conf->run_dir, next->run_dir) != 0 },
		{ "state_dir", strcmp(conf->state_dir, next->state_dir) != 0 },
		{ "store", strcmp(conf->store, next->store) != 0 },
		{ "cdr.csv", memcmp(&conf->cdr_csv, &next->cdr_csv, sizeof(conf->cdr_csv)) != 0 },
		{ "cdr.jsonl",
			memcmp(&conf->cdr_jsonl, &next->cdr_jsonl, sizeof(conf->cdr_jsonl)) != 0 },
		{ "cdr.interim_s", conf->cdr_interim_s != next->cdr_interim_s },
		{ "location.share", conf->location_share != next->location_share },
		{ "location.durability", conf->location_sync != next->location_sync },
		{ "lcores", conf->main_cpu != next->main_cpu ||
				    conf->n_workers != next->n_workers ||
				    conf->poll != next->poll ||
				    memcmp(conf->worker_cpus, next->worker_cpus,
					    sizeof(conf->worker_cpus)) != 0 },
		{ "memory", conf->huge_mb != next->huge_mb },
		{ "limits.calls above the value at the start", next->max_calls > conf->max_calls },
		{ "limits.cps above the value at the start", next->max_cps > conf->max_cps },
		{ "limits.registrations", conf->max_registrations != next->max_registrations },
		{ "limits.sip_message_bytes", conf->sip_message_bytes != next->sip_message_bytes },
		{ "limits.quarantine_ms", conf->quarantine_ms != next->quarantine_ms },
		{ "sip", conf->t1_ms != next->t1_ms || conf->t2_ms != next->t2_ms ||
				 conf->t4_ms != next->t4_ms },
		{ "metrics", conf->metrics_enabled != next->metrics_enabled ||
				     !td_sockaddr_eq(&conf->metrics, &next->metrics) },
		{ "ports", conf->n_ports != next->n_ports ||
				   memcmp(conf->ports, next->ports, sizeof(conf->ports)) != 0 },
		{ "realms", conf->n_realms != next->n_realms ||
				    memcmp(conf->realms, next->realms, sizeof(conf->realms)) != 0 },
	};
	const char *lead = "needs a restart: ";

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (parts[i].differs) {
			fprintf(out, "%s%s", lead, parts[i].what);
			lead = ", ";
		}
	}
	if (lead[0] == ',')
		fputc('\n', out);
}

void td_reload_report(FILE *out, const struct td_config *conf, const struct td_config *next)
{
	const struct td_policy_conf *before = &conf->policy, *after = &next->policy;

	report_list(out, "trunks", LIST(before, trunks, n_trunks), LIST(after, trunks, n_trunks),
		trunk_change);
	report_routes(out, before, after);
	report_routing(out, before, after);
	report_limits(out, before, after);
	if (memcmp(&conf->dns, &next->dns, sizeof(conf->dns)) != 0)
		fputs("dns: changed, every name is asked anew\n", out);
	report_list(out, "ports", LIST(conf, ports, n_ports), LIST(next, ports, n_ports), NULL);
	report_list(
		out, "realms", LIST(conf, realms, n_realms), LIST(next, realms, n_realms), NULL);
	report_restart(out, conf, next);
}
