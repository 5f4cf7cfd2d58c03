// SPDX-License-Identifier: BSD-3-Clause
// tandemctl hangup, drain, reload, wait, check: commands that end with a word instead of a table.
#include "control/config.h"
#include "control/ctl.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#define WAIT_STEP_MS 50
#define WAIT_DEFAULT_MS 60000

enum ctl_status ctl_act(struct ctl *ctl, Tandem__Frame *request, const char *text)
{
	if (ctl_ask(ctl, request, false) != CTL_DONE)
		return CTL_UNREACHABLE;
	Tandem__Frame *frame = ctl_next(ctl, false);
	enum ctl_status status;
	if (!frame || frame->body_case != TANDEM__FRAME__BODY_DONE)
		status = ctl_end_error(ctl, frame);
	else
		status = ctl_end(ctl, CTL_DONE, frame->done->text[0] ? frame->done->text : text);
	tandem__frame__free_unpacked(frame, NULL);
	return status;
}

enum ctl_status ctl_hangup(struct ctl *ctl)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__Hangup hangup = TANDEM__HANGUP__INIT;

	frame.body_case = TANDEM__FRAME__BODY_HANGUP;
	frame.hangup = &hangup;
	hangup.call_id = ctl->args[0];
	return ctl_act(ctl, &frame, "hung up");
}

enum ctl_status ctl_drain(struct ctl *ctl)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__Drain drain = TANDEM__DRAIN__INIT;

	frame.body_case = TANDEM__FRAME__BODY_DRAIN;
	frame.drain = &drain;
	drain.off = ctl_flag(ctl, "--off");
	return ctl_act(ctl, &frame,
		drain.off ? "new calls are taken again"
			  : "new calls get 503 from now on; drain --off takes them again");
}

enum ctl_status ctl_reload(struct ctl *ctl)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__Reload reload = TANDEM__RELOAD__INIT;

	frame.body_case = TANDEM__FRAME__BODY_RELOAD;
	frame.reload = &reload;
	reload.dry_run = ctl_flag(ctl, "--dry-run");
	return ctl_act(ctl, &frame, "reloaded");
}

// --- wait ---

// true: both daemons are up, in sync, and every port can send and receive. text: what is missing;
// an answer that does not come in time leaves what was said before.
static bool ready(struct ctl *ctl, char *text, size_t cap)
{
	Tandem__Frame request = TANDEM__FRAME__INIT;
	Tandem__StatusRequest status_request = TANDEM__STATUS_REQUEST__INIT;
	bool good = false;

	request.body_case = TANDEM__FRAME__BODY_STATUS_REQUEST;
	request.status_request = &status_request;
	bool asked = ctl_ask(ctl, &request, true) == CTL_DONE;
	Tandem__Frame *frame = asked ? ctl_next(ctl, true) : NULL;
	if (!asked)
		snprintf(text, cap, "tandem-control is not there at %s", ctl->socket);
	else if (!frame && !text[0])
		snprintf(text, cap, "tandem-control at %s does not answer", ctl->socket);
	if (frame && frame->body_case == TANDEM__FRAME__BODY_STATUS) {
		const Tandem__Status *s = frame->status;
		good = s->dataplane_connected && s->in_sync && s->ports_ready;
		snprintf(text, cap, "%s",
			s->text[0] ? s->text
			: good     ? "ready"
				   : "a port cannot send and receive yet");
	}
	if (frame)
		tandem__frame__free_unpacked(frame, NULL);
	ctl_disconnect(ctl);
	return good;
}

enum ctl_status ctl_wait(struct ctl *ctl)
{
	uint64_t end_ms =
		ctl_now_ms() + (uint64_t)(ctl->timeout_ms >= 0 ? ctl->timeout_ms : WAIT_DEFAULT_MS);
	struct timespec step = { .tv_nsec = WAIT_STEP_MS * 1000000l };
	char text[512] = "";

	ctl->deadline_ms = end_ms;
	while (!ready(ctl, text, sizeof(text))) {
		if (ctl_now_ms() + WAIT_STEP_MS > end_ms)
			return ctl_end(ctl, CTL_UNREACHABLE, text);
		nanosleep(&step, NULL);
	}
	return ctl_end(ctl, CTL_DONE, text);
}

// --- check ---

enum ctl_status ctl_check(struct ctl *ctl)
{
	const char *path = ctl->n_args == 1 ? ctl->args[0]
			   : ctl->config    ? ctl->config
					    : "/etc/tandem/tandem.conf";
	struct td_faults faults = { 0 };
	struct td_config *conf = NULL;
	const char *sets[CTL_OPTIONS_MAX];
	char text[512];
	int n = 0;

	while (n < CTL_OPTIONS_MAX && (sets[n] = ctl_value(ctl, "--set", n)))
		n++;
	if (td_config_load(path, sets, n, &conf, &faults) == 0) {
		snprintf(text, sizeof(text),
			"%s is right: %u ports, %u realms, %u trunks, %u routes", path,
			conf->n_ports, conf->n_realms, conf->policy.n_trunks,
			conf->policy.n_routes);
		td_config_free(conf);
		return ctl_end(ctl, CTL_DONE, text);
	}
	if (ctl->json) {
		json_t *list = json_array();
		for (uint32_t i = 0; i < faults.kept; i++)
			json_array_append_new(list, ctl_text(faults.texts[i]));
		ctl_print_json(
			json_pack("{s:b, s:i, s:o}", "ok", 0, "n", (int)faults.n, "faults", list));
	} else {
		td_faults_print(&faults, STDERR_FILENO);
	}
	td_faults_free(&faults);
	return CTL_REFUSED;
}
