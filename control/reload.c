// SPDX-License-Identifier: BSD-3-Clause
#include "control/reload.h"

#include "control/control.h"
#include "control/log.h"
#include "control/policy_file.h"
#include "control/policy_pb.h"
#include "control/reload_report.h"

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

// What is control's own, with the policy or without it. What an operator said may be what the file
// says now.
static void own_take(struct reload *r)
{
	struct td_control *control = r->control;
	struct td_dns_conf *dns = &control->conf->dns;
	const char *error = "";

	td_overlay_commit(&control->overlay, control->conf->state_dir);
	td_trunks_in_force(&control->trunks);
	if (memcmp(dns, &r->next->dns, sizeof(*dns)) == 0)
		return;
	if (td_dns_names_change(&control->names, &r->next->dns, &error) == 0)
		*dns = r->next->dns;
	else // it asks as before, and the next reload tries again
		td_log(TD_LOG_ERROR, "dns.not_changed", "error=\"%s\"", error);
}

// The new policy is in force, or will be when the data plane is back.
static void on_pushed(void *user, int code, const char *text)
{
	struct reload *r = user;
	struct td_policy_conf before = r->control->conf->policy;

	if (code != 0) {
		reload_end(r, code, text);
		return;
	}
	r->control->conf->policy = r->next->policy;
	r->next->policy = before;
	own_take(r);
	td_events_tell(
		&r->control->events, TD_EVENT_POLICY, "reload", "committed", "%s", r->report);
	reload_end(r, 0, r->report);
}

// --- the beginning ---

static char *report_text(const struct td_control *control, const struct td_config *next)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	td_reload_report(out, control->conf, next);
	td_overlay_report(out, &control->overlay);
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
	int rc = td_config_load_stored(control->path, control->sets, control->n_sets,
		control->trunks.list.trunks, control->trunks.list.n, &r->next, &faults);

	if (rc != 0)
		*words = td_faults_text(&faults);
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
	td_overlay_apply(&control->overlay, &r->next->policy);
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
	if (same && !dry_run)
		own_take(r);
	if (dry_run || same) {
		reload_end(r, 0, r->report);
		return;
	}
	td_pushed_push(&control->pushed,
		&(struct td_pushed_wish){ &r->next->policy, NULL, on_pushed, r });
}
