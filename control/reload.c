// SPDX-License-Identifier: BSD-3-Clause
#include "control/reload.h"

#include "control/control.h"
#include "control/log.h"
#include "control/policy_file.h"
#include "control/policy_pb.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reload {
	struct td_control *control;
	struct td_config *next;
	char *report;
	td_reload_done done;
	void *user;
};

// --- what differs ---

static const struct td_trunk_conf *trunk_find(const struct td_policy_conf *policy, const char *name)
{
	for (uint32_t i = 0; i < policy->n_trunks; i++)
		if (strcmp(policy->trunks[i].name, name) == 0)
			return &policy->trunks[i];
	return NULL;
}

static void report_trunks(
	FILE *out, const struct td_policy_conf *now, const struct td_policy_conf *next)
{
	uint32_t added = 0, removed = 0, changed = 0;

	for (uint32_t i = 0; i < next->n_trunks; i++) {
		const struct td_trunk_conf *old = trunk_find(now, next->trunks[i].name);
		if (!old)
			added++;
		else if (memcmp(old, &next->trunks[i], sizeof(*old)) != 0)
			changed++;
	}
	for (uint32_t i = 0; i < now->n_trunks; i++)
		removed += !trunk_find(next, now->trunks[i].name);
	if (added + removed + changed > 0)
		fprintf(out, "trunks: %u added, %u removed, %u changed\n", added, removed, changed);
}

static void report_policy(
	FILE *out, const struct td_policy_conf *now, const struct td_policy_conf *next)
{
	report_trunks(out, now, next);
	if (now->n_routes != next->n_routes ||
		memcmp(now->routes, next->routes, now->n_routes * sizeof(*now->routes)) != 0)
		fprintf(out, "routes: changed, %u before, %u now\n", now->n_routes, next->n_routes);
	if (now->max_calls != next->max_calls)
		fprintf(out, "limits.calls: %u before, %u now\n", now->max_calls, next->max_calls);
	if (now->max_cps != next->max_cps)
		fprintf(out, "limits.cps: %u before, %u now\n", now->max_cps, next->max_cps);
	if (now->source_cps != next->source_cps)
		fprintf(out, "limits.source_cps: %u before, %u now\n", now->source_cps,
			next->source_cps);
	if (now->drain_s != next->drain_s)
		fprintf(out, "limits.drain_s: %u before, %u now\n", now->drain_s, next->drain_s);
}

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

// A trunk in a realm that the running data plane lacks cannot come into force. Its name, or NULL.
static const char *homeless_trunk(const struct td_config *conf, const struct td_policy_conf *policy)
{
	for (uint32_t t = 0; t < policy->n_trunks; t++) {
		bool found = false;
		for (uint8_t r = 0; r < conf->n_realms && !found; r++)
			found = strcmp(conf->realms[r].name, policy->trunks[t].realm) == 0;
		if (!found)
			return policy->trunks[t].name;
	}
	return NULL;
}

// --- the end ---

static void reload_end(struct reload *r, int code, const char *text)
{
	if (code == 0)
		td_log(TD_LOG_INFO, "reload.done", "text=\"%s\"", text);
	else
		td_log(TD_LOG_ERROR, "reload.refused", "text=\"%s\"", text);
	r->control->reloading = false;
	r->done(r->user, code, text);
	td_config_free(r->next);
	free(r->report);
	free(r);
}

// The new policy is in force, or will be when the data plane is back.
static void reload_commit(struct reload *r, bool in_force)
{
	struct td_policy_conf before = r->control->conf->policy;

	r->control->conf->policy = r->next->policy;
	r->next->policy = before;
	int saved = td_policy_file_write(r->control->conf->state_dir, &r->control->conf->policy);
	if (saved != 0)
		td_log(TD_LOG_WARNING, "policy.not_saved", "state_dir=%s error=\"%s\"",
			r->control->conf->state_dir, strerror(-saved));
	td_link_set_policy(&r->control->link, &r->control->conf->policy, in_force);
	td_events_tell(
		&r->control->events, TD_EVENT_POLICY, "reload", "committed", "%s", r->report);
	reload_end(r, 0, r->report);
}

static void on_pushed(void *user, const Tandem__Frame *frame, int error)
{
	struct reload *r = user;

	if (frame && frame->body_case == TANDEM__FRAME__BODY_DONE)
		reload_commit(r, true);
	else if (frame && frame->body_case == TANDEM__FRAME__BODY_ERROR)
		reload_end(r, -EINVAL, frame->error->text);
	else
		reload_end(r, error ? error : -EPROTO,
			"the data plane did not say whether it took the policy; nothing changed "
			"here");
}

// --- the beginning ---

static char *faults_text(const struct td_faults *faults)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	for (uint32_t i = 0; i < faults->kept; i++)
		fprintf(out, "%s\n", faults->texts[i]);
	if (faults->n > faults->kept)
		fprintf(out, "and %u more\n", faults->n - faults->kept);
	fclose(out);
	return text;
}

static char *report_text(const struct td_control *control, const struct td_config *next)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	report_policy(out, &control->conf->policy, &next->policy);
	report_restart(out, control->conf, next);
	if (ftell(out) == 0)
		fputs("nothing changed\n", out);
	fclose(out);
	return text;
}

// true: r->next and r->report are there. false: *words and code say why not.
static bool reload_read(struct reload *r, char **words)
{
	struct td_control *control = r->control;
	struct td_faults faults = { 0 };
	int rc = td_config_load(control->path, control->sets, control->n_sets, &r->next, &faults);

	if (rc != 0)
		*words = faults_text(&faults);
	td_faults_free(&faults);
	if (rc != 0)
		return false;
	const char *homeless = homeless_trunk(control->conf, &r->next->policy);
	if (homeless &&
		asprintf(words,
			"trunk %s is in a realm that the running switch lacks: needs a restart",
			homeless) < 0)
		*words = NULL;
	if (homeless)
		return false;
	r->next->policy.generation = td_policy_generation_of(&r->next->policy);
	r->report = report_text(control, r->next);
	return r->report != NULL;
}

void td_reload(struct td_control *control, bool dry_run, td_reload_done done, void *user)
{
	struct reload *r = calloc(1, sizeof(*r));
	char *words = NULL;

	if (!r) {
		done(user, -ENOMEM, "no memory");
		return;
	}
	if (control->reloading) {
		free(r);
		done(user, -EBUSY, "another reload is under way");
		return;
	}
	*r = (struct reload){ .control = control, .done = done, .user = user };
	control->reloading = true;
	if (!reload_read(r, &words)) {
		reload_end(r, -EINVAL, words ? words : "no memory");
		free(words);
		return;
	}
	bool same = r->next->policy.generation == control->conf->policy.generation;
	if (dry_run || same) {
		reload_end(r, 0, r->report);
		return;
	}
	int rc = td_link_push(&control->link, &r->next->policy, on_pushed, r);
	if (rc == -ENOTCONN)
		reload_commit(r, false);
	else if (rc != 0)
		reload_end(r, rc, "the policy could not be sent to the data plane");
}
