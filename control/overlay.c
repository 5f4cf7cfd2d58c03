// SPDX-License-Identifier: BSD-3-Clause
#include "control/overlay.h"

#include "control/control.h"
#include "control/log.h"
#include "control/policy_pb.h"
#include "control/state_file.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define FILE_NAME "trunks.state"

static struct td_trunk_conf *trunk_find(struct td_policy_conf *policy, const char *name)
{
	for (uint32_t i = 0; i < policy->n_trunks; i++)
		if (strcmp(policy->trunks[i].name, name) == 0)
			return &policy->trunks[i];
	return NULL;
}

static struct td_overlay_entry *entry_find(struct td_overlay *overlay, const char *name)
{
	for (uint32_t i = 0; i < overlay->n; i++)
		if (strcmp(overlay->list[i].name, name) == 0)
			return &overlay->list[i];
	return NULL;
}

// --- the file: "NAME enabled" or "NAME disabled" a line ---

static void overlay_print(FILE *out, const void *what)
{
	const struct td_overlay *overlay = what;

	for (uint32_t i = 0; i < overlay->n; i++)
		fprintf(out, "%s %s\n", overlay->list[i].name,
			overlay->list[i].enabled ? "enabled" : "disabled");
}

static bool overlay_save(const struct td_overlay *overlay, const char *state_dir)
{
	int rc = td_state_print(state_dir, FILE_NAME, overlay_print, overlay);

	if (rc != 0)
		td_log(TD_LOG_WARNING, "trunks.not_saved", "path=%s/" FILE_NAME " error=\"%s\"",
			state_dir, strerror(-rc));
	return rc == 0;
}

static void overlay_load(struct td_overlay *overlay, const char *state_dir)
{
	char path[PATH_MAX], name[TD_NAME_LEN], word[16];

	static_assert(TD_NAME_LEN == 32, "the width in the format below");
	snprintf(path, sizeof(path), "%s/" FILE_NAME, state_dir);
	FILE *file = fopen(path, "re");
	while (file && overlay->n < TD_OVERLAY_MAX && fscanf(file, "%31s %15s", name, word) == 2) {
		struct td_overlay_entry *entry = &overlay->list[overlay->n++];
		*entry = (struct td_overlay_entry){ .enabled = strcmp(word, "enabled") == 0 };
		memcpy(entry->name, name, sizeof(name));
	}
	if (file)
		fclose(file);
}

// --- over a policy ---

void td_overlay_apply(struct td_overlay *overlay, struct td_policy_conf *policy)
{
	for (uint32_t i = 0; i < overlay->n; i++) {
		struct td_overlay_entry *entry = &overlay->list[i];
		struct td_trunk_conf *trunk = trunk_find(policy, entry->name);
		entry->seen_next = trunk != NULL;
		if (!trunk)
			continue;
		entry->file_next = trunk->enabled;
		trunk->enabled = entry->enabled;
	}
}

void td_overlay_commit(struct td_overlay *overlay, const char *state_dir)
{
	uint32_t kept = 0, before = overlay->n;

	for (uint32_t i = 0; i < overlay->n; i++) {
		struct td_overlay_entry entry = overlay->list[i];
		entry.file = entry.file_next;
		if (entry.seen_next && entry.enabled != entry.file)
			overlay->list[kept++] = entry;
	}
	overlay->n = kept;
	if (kept != before)
		overlay_save(overlay, state_dir);
}

void td_overlay_begin(
	struct td_overlay *overlay, const char *state_dir, struct td_policy_conf *policy)
{
	overlay_load(overlay, state_dir);
	td_overlay_apply(overlay, policy);
	td_overlay_commit(overlay, state_dir);
	for (uint32_t i = 0; i < overlay->n; i++)
		td_log(TD_LOG_WARNING, "trunk.overlaid", "trunk=%s state=%s by=operator",
			overlay->list[i].name, overlay->list[i].enabled ? "enabled" : "disabled");
}

void td_overlay_report(FILE *out, const struct td_overlay *overlay)
{
	for (uint32_t i = 0; i < overlay->n; i++) {
		const struct td_overlay_entry *entry = &overlay->list[i];
		if (entry->seen_next && entry->enabled != entry->file_next)
			fprintf(out,
				"trunk %s stays %s, as an operator said (tandemctl trunk %s %s)\n",
				entry->name, entry->enabled ? "enabled" : "disabled",
				entry->enabled ? "disable" : "enable", entry->name);
	}
}

// --- one trunk ---

struct trunk_set {
	struct td_control *control;
	char name[TD_NAME_LEN];
	bool enabled, before;
	bool begun; // the policy of the configuration has it
	td_trunk_set_done done;
	void *user;
};

static void enabled_set(struct td_control *control, const char *name, bool enabled)
{
	struct td_policy_conf *policy = &control->conf->policy;

	trunk_find(policy, name)->enabled = enabled; // no reload is possible meanwhile
	policy->generation = td_policy_generation_of(policy);
}

static void on_begin(void *user)
{
	struct trunk_set *set = user;

	enabled_set(set->control, set->name, set->enabled);
	set->begun = true;
}

static void set_end(struct trunk_set *set, int code, const char *text)
{
	set->control->reloading = false;
	set->done(set->user, code, text);
	free(set);
}

// Into the list, or out of it where the file says the same. false: the list is full.
static bool entry_note(struct td_overlay *overlay, const char *name, bool enabled, bool before)
{
	struct td_overlay_entry *entry = entry_find(overlay, name);

	if (!entry && overlay->n == TD_OVERLAY_MAX)
		return false;
	if (!entry) {
		entry = &overlay->list[overlay->n++];
		*entry = (struct td_overlay_entry){ .file_next = before };
		snprintf(entry->name, sizeof(entry->name), "%s", name);
	}
	entry->enabled = enabled;
	return true;
}

static void set_commit(struct trunk_set *set)
{
	struct td_control *control = set->control;
	const char *state_dir = control->conf->state_dir;
	char text[240];

	for (uint32_t i = 0; i < control->overlay.n; i++) { // what the file says has not changed
		control->overlay.list[i].seen_next = true;
		control->overlay.list[i].file_next = control->overlay.list[i].file;
	}
	bool noted = entry_note(&control->overlay, set->name, set->enabled, set->before);
	struct td_overlay_entry *entry = entry_find(&control->overlay, set->name);
	if (entry)
		entry->seen_next = true;
	td_overlay_commit(&control->overlay, state_dir);
	bool kept = overlay_save(&control->overlay, state_dir);
	td_events_tell(&control->events, TD_EVENT_POLICY, set->name,
		set->enabled ? "enabled" : "disabled", "by an operator");
	snprintf(text, sizeof(text), "trunk %s is %s%s%s", set->name,
		set->enabled ? "enabled" : "disabled; calls that are up go on",
		noted ? "" : ", until the next reload: too many trunks differ from the file",
		kept ? ""
		     : "; it could not be saved and ends with tandem-control: look at the disk "
		       "of state_dir");
	set_end(set, 0, text);
}

static void on_pushed(void *user, int code, const char *text)
{
	struct trunk_set *set = user;

	if (code == 0) {
		set_commit(set);
		return;
	}
	if (set->begun)
		enabled_set(set->control, set->name, set->before);
	set_end(set, code, text);
}

void td_trunk_set(struct td_control *control, const char *name, bool enabled,
	td_trunk_set_done done, void *user)
{
	const struct td_trunk_conf *trunk = trunk_find(&control->conf->policy, name);

	if (!trunk) {
		done(user, -ENOENT, "no trunk has that name; show trunks lists them");
		return;
	}
	if (trunk->enabled == enabled) {
		done(user, 0, enabled ? "it is enabled already" : "it is disabled already");
		return;
	}
	struct trunk_set *set = control->reloading ? NULL : calloc(1, sizeof(*set));
	if (!set) {
		done(user, control->reloading ? -EBUSY : -ENOMEM,
			control->reloading ? "another change is under way" : "no memory");
		return;
	}
	*set = (struct trunk_set){ .control = control,
		.enabled = enabled,
		.before = trunk->enabled,
		.done = done,
		.user = user };
	snprintf(set->name, sizeof(set->name), "%s", name);
	control->reloading = true;
	td_pushed_push(&control->pushed,
		&(struct td_pushed_wish){ &control->conf->policy, on_begin, on_pushed, set });
}
