// SPDX-License-Identifier: BSD-3-Clause
#include "control/dns_names.h"

#include "control/dns_file.h"
#include "control/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define RETRY_MIN_MS 1000
#define RETRY_MAX_MS 60000
// Until a name that has no record is asked for again: as its zone says (RFC 2308), within bounds.
#define NOTHING_S 30
#define NOTHING_MIN_S 5
#define NOTHING_MAX_S 300
#define SAVE_MS 1000
#define STEP_MIN_MS 10

static void timer_arm(struct td_dns_names *names);

static uint64_t now_ms(const struct td_dns_names *names)
{
	return uv_now(names->timer.loop);
}

const char *td_dns_state_name(enum td_dns_state state)
{
	static const char *const texts[] = { "new", "resolved", "stale", "unresolved" };

	return texts[state];
}

static uint32_t bucket_of(const char *name, uint16_t port)
{
	uint32_t hash = 2166136261u ^ port; // FNV-1a: names are the configuration's

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u;
	return (hash ^ hash >> 16) % TD_DNS_BUCKETS;
}

static struct td_dns_name *name_find(
	const struct td_dns_names *names, const char *name, uint16_t port)
{
	struct td_dns_name *at = names->buckets[bucket_of(name, port)];

	while (at && (at->port != port || strcmp(at->name, name) != 0))
		at = at->next;
	return at;
}

const struct td_dns_name *td_dns_names_find(
	const struct td_dns_names *names, const char *name, uint16_t port)
{
	const struct td_dns_name *found = name_find(names, name, port);

	return found && found->wanted ? found : NULL;
}

uint32_t td_dns_names_count(const struct td_dns_names *names, enum td_dns_state state)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < names->n; i++)
		n += names->list[i]->wanted && names->list[i]->state == state;
	return n;
}

// --- the file ---

static void kept_take(void *user, const struct td_dns_kept *kept)
{
	struct td_dns_names *names = user;
	struct td_dns_name *name = name_find(names, kept->name, kept->port);

	if (!name || name->answer.n > 0)
		return;
	name->answer = kept->answer;
	name->resolved_s = kept->resolved_s;
	name->state = TD_DNS_STALE;
	td_log(TD_LOG_INFO, "dns.kept", "name=%s port=%u records=%u resolved_s=%" PRIu64,
		name->name, name->port, kept->answer.n, kept->resolved_s);
	names->changed(names->user);
}

struct saving {
	const struct td_dns_names *names;
	struct td_dns_kept kept;
	uint32_t at;
};

static const struct td_dns_kept *kept_next(void *user, uint32_t k)
{
	struct saving *saving = user;

	while (saving->at < saving->names->n) {
		const struct td_dns_name *name = saving->names->list[saving->at++];
		if (name->answer.n == 0)
			continue;
		memcpy(saving->kept.name, name->name, sizeof(name->name));
		saving->kept.port = name->port;
		saving->kept.resolved_s = name->resolved_s;
		saving->kept.answer = name->answer;
		return &saving->kept;
	}
	return NULL;
}

static void save(struct td_dns_names *names)
{
	struct saving saving = { .names = names };
	int rc = td_dns_file_write(names->state_dir, kept_next, &saving);

	if (rc != 0)
		td_log(TD_LOG_WARNING, "dns.not_saved", "state_dir=%s error=\"%s\"",
			names->state_dir, strerror(-rc));
	names->dirty = false;
	names->saved_ms = now_ms(names);
}

// --- answers ---

static void event(const struct td_dns_name *name, const char *state, const char *text)
{
	if (name->names->events)
		td_events_tell(name->names->events, TD_EVENT_DNS, name->shown, state, "%s", text);
}

static void records_print(const struct td_dns_answer *answer, char *dst, size_t cap)
{
	size_t at = 0;

	dst[0] = '\0';
	for (uint16_t i = 0; i < answer->n && at + TD_ADDR_STRLEN + 2 < cap; i++) {
		if (i > 0)
			at += (size_t)snprintf(dst + at, cap - at, ", ");
		at += td_sockaddr_format(&answer->records[i].address, dst + at, cap - at);
	}
}

static bool same_records(const struct td_dns_answer *a, const struct td_dns_answer *b)
{
	return a->n == b->n && memcmp(a->records, b->records, a->n * sizeof(a->records[0])) == 0;
}

static uint64_t clamped_ms(const struct td_dns_names *names, uint32_t ttl_s)
{
	uint32_t s = ttl_s < names->conf.min_ttl_s ? names->conf.min_ttl_s : ttl_s;

	return 1000ull * (s < names->conf.max_ttl_s ? s : names->conf.max_ttl_s);
}

// Alarms are few: a name server that is away must not hide what else is wrong.
static void alarm_clear(struct td_dns_name *name)
{
	struct td_dns_names *names = name->names;

	if (name->alarmed) {
		td_alarm_clear(names->alarms, "dns.unresolved", name->shown);
		td_alarm_clear(names->alarms, "dns.stale", name->shown);
		names->n_alarmed--;
	}
	name->alarmed = false;
	if (names->many_alarmed && td_dns_names_count(names, TD_DNS_UNRESOLVED) +
						   td_dns_names_count(names, TD_DNS_STALE) <=
					   TD_DNS_ALARMS_MAX) {
		names->many_alarmed = false;
		td_alarm_clear(names->alarms, "dns.many", "dns");
	}
}

static void name_alarm(struct td_dns_name *name)
{
	static const char advice[] = "dig it; what serves dns.servers (or /etc/resolv.conf)?";
	struct td_alarms *alarms = name->names->alarms;
	uint64_t s = (uint64_t)time(NULL) - name->resolved_s;

	if (!name->alarmed && name->names->n_alarmed == TD_DNS_ALARMS_MAX) {
		name->names->many_alarmed = true;
		td_alarm_raise(alarms, TD_CRITICAL, "dns.many", "dns", advice,
			"dns: more than %d host names do not resolve; tandemctl show dns",
			TD_DNS_ALARMS_MAX);
		return;
	}
	name->names->n_alarmed += !name->alarmed;
	name->alarmed = true;
	if (name->state == TD_DNS_UNRESOLVED)
		td_alarm_raise(alarms, TD_CRITICAL, "dns.unresolved", name->shown, advice,
			"dns: %s never resolved: %s; calls to it get 503", name->shown,
			td_dns_error(name->error));
	else
		td_alarm_raise(alarms, TD_WARNING, "dns.stale", name->shown, advice,
			"dns: %s has not resolved for %" PRIu64
			" s: %s; its old addresses serve on",
			name->shown, s, td_dns_error(name->error));
}

static void name_resolved(struct td_dns_name *name)
{
	struct td_dns_names *names = name->names;
	const struct td_dns_lookup *l = name->lookup;
	bool changed = !same_records(&name->answer, &l->answer);
	char text[256];

	name->answer = l->answer;
	name->resolved_s = (uint64_t)time(NULL);
	name->ends_ms = now_ms(names) + clamped_ms(names, l->ttl_s);
	name->due_ms = l->partial ? now_ms(names) + clamped_ms(names, 0) : name->ends_ms;
	name->failures = 0;
	name->error = l->partial ? l->error : 0;
	name->state = TD_DNS_RESOLVED;
	alarm_clear(name);
	if (!changed)
		return;
	records_print(&name->answer, text, sizeof(text));
	td_log(TD_LOG_INFO, "dns.changed", "name=%s port=%u records=\"%s\" left_out=%u", name->name,
		name->port, text, name->answer.left_out);
	event(name, "changed", text);
	names->dirty = true;
	names->changed(names->user);
}

// The pause after a failure; none_s: for how long there is none, where that was it.
static uint64_t pause_ms(const struct td_dns_name *name, int code, uint32_t none_s)
{
	uint64_t ms = RETRY_MIN_MS;

	if (code == -ENOENT) {
		uint32_t s = none_s == UINT32_MAX ? NOTHING_S : none_s;
		s = s < NOTHING_MIN_S ? NOTHING_MIN_S : s;
		return 1000ull * (s < NOTHING_MAX_S ? s : NOTHING_MAX_S);
	}
	for (uint32_t i = 0; i < name->failures && ms < RETRY_MAX_MS; i++)
		ms *= 2;
	return ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS;
}

static void name_failed(struct td_dns_name *name, int code, uint32_t none_s)
{
	struct td_dns_names *names = name->names;
	uint8_t state = name->answer.n == 0              ? TD_DNS_UNRESOLVED
			: now_ms(names) >= name->ends_ms ? TD_DNS_STALE
							 : name->state;

	name->error = code;
	name->due_ms = now_ms(names) + pause_ms(name, code, none_s);
	if (name->failures == 0 || state != name->state) {
		td_log(TD_LOG_WARNING, "dns.failed", "name=%s port=%u state=%s error=\"%s\"",
			name->name, name->port, td_dns_state_name(state), td_dns_error(code));
		event(name, td_dns_state_name(state), td_dns_error(code));
	}
	name->failures += name->failures < UINT32_MAX;
	name->state = state;
	// One lost question is no alarm, while there are addresses to send to; that there is
	// nothing is.
	if (state == TD_DNS_UNRESOLVED ||
		(state == TD_DNS_STALE && (name->failures >= 2 || code == -ENOENT)))
		name_alarm(name);
}

static void name_free(struct td_dns_name *name)
{
	struct td_dns_name **at = &name->names->buckets[bucket_of(name->name, name->port)];

	while (*at != name)
		at = &(*at)->next;
	*at = name->next;
	free(name->lookup);
	free(name);
}

static void on_done(struct td_dns_lookup *l, int rc)
{
	struct td_dns_name *name = l->user;
	struct td_dns_names *names = name->names;

	names->n_looking--;
	if (rc == 0 && name->wanted)
		name_resolved(name);
	else if (name->wanted && rc != -ECANCELED)
		name_failed(name, rc, l->none_s);
	free(l);
	name->lookup = NULL;
	timer_arm(names);
}

// --- when it is time ---

static void name_look(struct td_dns_name *name)
{
	struct td_dns_lookup *l = calloc(1, sizeof(*l));

	if (!l) {
		name_failed(name, -ENOMEM, UINT32_MAX);
		return;
	}
	l->asker = &name->names->asker;
	memcpy(l->name, name->name, sizeof(l->name));
	l->port = name->port;
	l->old = &name->answer;
	l->done = on_done;
	l->user = name;
	name->lookup = l;
	name->names->n_looking++;
	td_dns_lookup_begin(l);
}

// Names that left while they were looked up go here.
static void sweep(struct td_dns_names *names)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < names->n; i++) {
		struct td_dns_name *name = names->list[i];
		if (name->wanted || name->lookup)
			names->list[n++] = name;
		else
			name_free(name);
	}
	names->dirty |= n != names->n;
	names->n = n;
}

static void on_timer(uv_timer_t *timer)
{
	struct td_dns_names *names = timer->data;

	sweep(names);
	for (uint32_t i = 0; i < names->n && names->n_looking < TD_DNS_LOOKUPS_MAX; i++) {
		struct td_dns_name *name = names->list[i];
		if (name->wanted && !name->lookup && name->due_ms <= now_ms(names))
			name_look(name);
	}
	if (names->dirty && now_ms(names) >= names->saved_ms + SAVE_MS)
		save(names);
	timer_arm(names);
}

static void timer_arm(struct td_dns_names *names)
{
	uint64_t next_ms = names->dirty ? names->saved_ms + SAVE_MS : UINT64_MAX;
	bool room = names->n_looking < TD_DNS_LOOKUPS_MAX;

	if (uv_is_closing((uv_handle_t *)&names->timer))
		return;
	for (uint32_t i = 0; i < names->n; i++) {
		const struct td_dns_name *name = names->list[i];
		if (!name->lookup && !name->wanted)
			next_ms = 0;
		if (!name->lookup && room && name->due_ms < next_ms)
			next_ms = name->due_ms;
	}
	uint64_t now = now_ms(names);
	if (next_ms == UINT64_MAX)
		uv_timer_stop(&names->timer);
	else
		uv_timer_start(&names->timer, on_timer,
			next_ms > now + STEP_MIN_MS ? next_ms - now : STEP_MIN_MS, 0);
}

uint32_t td_dns_names_refresh(struct td_dns_names *names, const char *text)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < names->n; i++) {
		struct td_dns_name *name = names->list[i];
		if (!name->wanted || strcasecmp(name->name, text) != 0)
			continue;
		n++;
		name->due_ms = 0;
	}
	timer_arm(names);
	return n;
}

// --- what the policy has ---

static void want(struct td_dns_names *names, const struct td_host_conf *host)
{
	struct td_dns_name *name = name_find(names, host->name, host->port);

	if (!name && names->n < TD_DNS_NAMES_MAX)
		name = calloc(1, sizeof(*name));
	if (!name) {
		td_log(TD_LOG_ERROR, "dns.no_room", "name=%s", host->name);
		return;
	}
	if (!name->names) {
		memcpy(name->name, host->name, sizeof(name->name));
		name->port = host->port;
		int n = snprintf(name->shown, sizeof(name->shown), "%s", name->name);
		if (name->port != 0)
			snprintf(name->shown + n, sizeof(name->shown) - (size_t)n, ":%u",
				name->port);
		name->names = names;
		names->list[names->n++] = name;
		struct td_dns_name **bucket = &names->buckets[bucket_of(name->name, name->port)];
		name->next = *bucket;
		*bucket = name;
	}
	name->wanted = true;
}

void td_dns_names_want(struct td_dns_names *names, const struct td_policy_conf *policy)
{
	uint32_t before = names->n;

	for (uint32_t i = 0; i < names->n; i++)
		names->list[i]->wanted = false;
	for (uint32_t t = 0; t < policy->n_trunks; t++)
		for (uint8_t i = 0; i < policy->trunks[t].n_hosts; i++)
			want(names, &policy->trunks[t].hosts[i]);
	for (uint32_t i = 0; i < names->n; i++) {
		struct td_dns_name *name = names->list[i];
		if (!name->wanted)
			alarm_clear(name);
	}
	if (names->n > before)
		td_dns_file_read(names->state_dir, kept_take, names);
	timer_arm(names);
}

// --- life ---

int td_dns_names_start(struct td_dns_names *names, uv_loop_t *loop, const struct td_dns_conf *conf,
	const char *state_dir, struct td_alarms *alarms, const char **error)
{
	names->list = calloc(TD_DNS_NAMES_MAX, sizeof(*names->list));
	if (!names->list) {
		*error = "no memory";
		return -ENOMEM;
	}
	int rc = td_resolver_start(&names->resolver, loop, conf, error);
	if (rc != 0)
		return rc;
	names->asker = (struct td_dns_asker){ td_resolver_ask, &names->resolver };
	names->conf = *conf;
	names->state_dir = state_dir;
	names->alarms = alarms;
	uv_timer_init(loop, &names->timer);
	names->timer.data = names;
	return 0;
}

int td_dns_names_change(
	struct td_dns_names *names, const struct td_dns_conf *conf, const char **error)
{
	int rc = td_resolver_change(&names->resolver, conf, error);

	if (rc != 0)
		return rc;
	names->conf = *conf;
	for (uint32_t i = 0; i < names->n; i++)
		names->list[i]->due_ms = 0;
	timer_arm(names);
	return 0;
}

void td_dns_names_stop(struct td_dns_names *names)
{
	if (!names->list || !names->resolver.loop)
		return;
	if (names->dirty || names->n > 0) // when they last resolved, too
		save(names);
	uv_close((uv_handle_t *)&names->timer, NULL);
	td_resolver_stop(&names->resolver); // ends what is under way
	for (uint32_t i = 0; i < names->n; i++)
		name_free(names->list[i]);
	free(names->list);
	names->list = NULL;
	names->n = 0;
}
