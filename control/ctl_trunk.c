// SPDX-License-Identifier: BSD-3-Clause
// tandemctl trunk: takes a trunk out of service and back; keeps further ones in the store.
#include "control/ctl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STEP_MS 250

static enum ctl_status trunk_set(struct ctl *ctl, bool enabled)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__TrunkSet set = TANDEM__TRUNK_SET__INIT;

	frame.body_case = TANDEM__FRAME__BODY_TRUNK_SET;
	frame.trunk_set = &set;
	set.name = ctl->args[0];
	set.enabled = enabled;
	return ctl_act(ctl, &frame, "done");
}

enum ctl_status ctl_trunk_enable(struct ctl *ctl)
{
	return trunk_set(ctl, true);
}

enum ctl_status ctl_trunk_disable(struct ctl *ctl)
{
	return trunk_set(ctl, false);
}

struct wanted_trunk {
	const char *name;
	int64_t calls; // -1: it is not there
};

static bool trunk_look(void *user, const Tandem__Item *item)
{
	struct wanted_trunk *wanted = user;

	if (item->row_case == TANDEM__ITEM__ROW_TRUNK &&
		strcmp(item->trunk->name, wanted->name) == 0)
		wanted->calls = (int64_t)item->trunk->calls;
	return true;
}

// Calls on the trunk; -1: the answer broke off or was refused, which is told, or it is gone.
static int64_t calls_of(struct ctl *ctl, const char *name)
{
	struct wanted_trunk wanted = { name, -1 };

	if (ctl_each_row(ctl, TANDEM__TABLE__TRUNKS, false, trunk_look, &wanted) != CTL_DONE)
		return -1;
	if (wanted.calls < 0)
		ctl_end(ctl, CTL_REFUSED, "the trunk is disabled, and the data plane lacks it");
	return wanted.calls;
}

enum ctl_status ctl_trunk_drain(struct ctl *ctl)
{
	struct timespec step = { .tv_nsec = STEP_MS * 1000000l };
	uint64_t end_ms =
		ctl->timeout_ms >= 0 ? ctl_now_ms() + (uint64_t)ctl->timeout_ms : UINT64_MAX;
	Tandem__Frame frame = TANDEM__FRAME__INIT, *answer;
	Tandem__TrunkSet set = TANDEM__TRUNK_SET__INIT;
	char text[160];
	int64_t calls, left = 0;

	frame.body_case = TANDEM__FRAME__BODY_TRUNK_SET;
	frame.trunk_set = &set;
	set.name = ctl->args[0];
	ctl->deadline_ms = end_ms;
	if (ctl_ask(ctl, &frame, false) != CTL_DONE)
		return CTL_UNREACHABLE;
	answer = ctl_next(ctl, false);
	bool done = answer && answer->body_case == TANDEM__FRAME__BODY_DONE;
	enum ctl_status refused = done ? CTL_DONE : ctl_end_error(ctl, answer);
	tandem__frame__free_unpacked(answer, NULL);
	if (!done)
		return refused;
	ctl_disconnect(ctl);
	// A question that the end cuts short does not undo what was known before it.
	while ((calls = calls_of(ctl, ctl->args[0])) > 0 && ctl_now_ms() + STEP_MS <= end_ms) {
		left = calls;
		nanosleep(&step, NULL);
	}
	if (calls > 0 || (calls < 0 && left > 0 && ctl_now_ms() >= end_ms)) {
		snprintf(text, sizeof(text),
			"%" PRId64 " calls are still up on trunk %s, which takes no new ones",
			calls > 0 ? calls : left, ctl->args[0]);
		return ctl_end(ctl, CTL_REFUSED, text);
	}
	if (calls < 0)
		return CTL_UNREACHABLE; // told
	snprintf(text, sizeof(text), "trunk %s is disabled and has no call left", ctl->args[0]);
	return ctl_end(ctl, CTL_DONE, text);
}

// --- trunks of the store ---

#define OWN_OPTIONS 5 // that have a name of their own, beside --set

// "A", "A:P", "[A]:P" and "A" of IPv6: as a peer of tandem.conf(5).
static void peer_print(FILE *out, const char *text)
{
	const char *colon = strrchr(text, ':');
	bool port = colon && (strchr(text, ':') == colon || (text[0] == '[' && colon[-1] == ']'));
	size_t len = port ? (size_t)(colon - text) : strlen(text);

	if (len > 1 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	fprintf(out, "{ address = \"%.*s\"; ", (int)len, text);
	if (port)
		fprintf(out, "port = %s; ", colon + 1);
	fputs("}", out);
}

static char *peers_setting(const struct ctl *ctl)
{
	char *text = NULL;
	size_t size;
	FILE *out = ctl_value(ctl, "--peer", 0) ? open_memstream(&text, &size) : NULL;
	const char *peer;

	if (!out)
		return NULL;
	fputs("peers=( ", out);
	for (int i = 0; (peer = ctl_value(ctl, "--peer", i)); i++) {
		fputs(i ? ", " : "", out);
		peer_print(out, peer);
	}
	fputs(" )", out);
	return fclose(out) == 0 ? text : NULL;
}

// A name is a text even where it looks like a number.
static char *setting_of(const struct ctl *ctl, const char *option, const char *key, bool quoted)
{
	const char *value = ctl_value(ctl, option, 0);
	const char *quote = quoted && value && value[0] ? "\"" : "";
	char *text = NULL;

	if (value && asprintf(&text, "%s=%s%s%s", key, quote, value, quote) < 0)
		return NULL;
	return text;
}

static enum ctl_status trunk_put(struct ctl *ctl, bool create)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__TrunkPut put = TANDEM__TRUNK_PUT__INIT;
	char *settings[CTL_OPTIONS_MAX + OWN_OPTIONS], *own[OWN_OPTIONS] = {
		setting_of(ctl, "--realm", "realm", true),
		peers_setting(ctl),
		setting_of(ctl, "--max-calls", "max_calls", false),
		setting_of(ctl, "--max-cps", "max_cps", false),
		setting_of(ctl, "--plan", "plan", true),
	};
	const char *more;

	frame.body_case = TANDEM__FRAME__BODY_TRUNK_PUT;
	frame.trunk_put = &put;
	put.name = ctl->args[0];
	put.create = create;
	put.settings = settings;
	for (size_t i = 0; i < OWN_OPTIONS; i++)
		if (own[i])
			settings[put.n_settings++] = own[i];
	for (int i = 0; (more = ctl_value(ctl, "--set", i)); i++)
		settings[put.n_settings++] = (char *)(uintptr_t)more;
	enum ctl_status status = ctl_act(ctl, &frame, "done");
	for (size_t i = 0; i < OWN_OPTIONS; i++)
		free(own[i]);
	return status;
}

enum ctl_status ctl_trunk_add(struct ctl *ctl)
{
	return trunk_put(ctl, true);
}

enum ctl_status ctl_trunk_change(struct ctl *ctl)
{
	return trunk_put(ctl, false);
}

enum ctl_status ctl_trunk_del(struct ctl *ctl)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__TrunkRemove gone = TANDEM__TRUNK_REMOVE__INIT;

	frame.body_case = TANDEM__FRAME__BODY_TRUNK_REMOVE;
	frame.trunk_remove = &gone;
	gone.name = ctl->args[0];
	return ctl_act(ctl, &frame, "done");
}

static const char *const stored_columns[] = { "name", "settings" };

static void stored_cells(const struct ctl *ctl, struct ctl_table *out, const Tandem__Item *item)
{
	const Tandem__StoredTrunk *t = item->stored_trunk;
	char text[1024] = "";

	for (size_t i = 0, at = 0; i < t->n_settings && at < sizeof(text); i++)
		at += (size_t)snprintf(
			text + at, sizeof(text) - at, "%s%s", i ? "; " : "", t->settings[i]);
	ctl_table_cell(out, "%s", t->name);
	ctl_table_cell(out, "%s", text);
}

static json_t *stored_json(const struct ctl *ctl, const Tandem__Item *item)
{
	const Tandem__StoredTrunk *t = item->stored_trunk;
	json_t *settings = json_array();

	for (size_t i = 0; i < t->n_settings; i++)
		json_array_append_new(settings, ctl_text(t->settings[i]));
	return json_pack("{s:o, s:o}", "name", ctl_text(t->name), "settings", settings);
}

const struct ctl_view ctl_view_stored_trunks = { TANDEM__TABLE__STORED_TRUNKS,
	TANDEM__ITEM__ROW_STORED_TRUNK, CTL_COLUMNS(stored_columns),
	.none = "no trunk is kept in the store; show trunks lists all", .cells = stored_cells,
	.json = stored_json };
