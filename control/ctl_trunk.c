// SPDX-License-Identifier: BSD-3-Clause
// tandemctl trunk: takes a trunk out of service and back.
#include "control/ctl.h"

#include <inttypes.h>
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

// Calls on the trunk; -1: the answer broke off or was refused, which is told, or it is gone.
static int64_t calls_of(struct ctl *ctl, const char *name)
{
	Tandem__Frame request = TANDEM__FRAME__INIT, *frame;
	Tandem__Show show = TANDEM__SHOW__INIT;
	int64_t calls = -1;

	request.body_case = TANDEM__FRAME__BODY_SHOW;
	request.show = &show;
	show.table = TANDEM__TABLE__TRUNKS;
	if (ctl_ask(ctl, &request, false) != CTL_DONE)
		return -1;
	while ((frame = ctl_next(ctl, false)) && frame->body_case == TANDEM__FRAME__BODY_ITEM) {
		if (frame->item->row_case == TANDEM__ITEM__ROW_TRUNK &&
			strcmp(frame->item->trunk->name, name) == 0)
			calls = (int64_t)frame->item->trunk->calls;
		tandem__frame__free_unpacked(frame, NULL);
	}
	if (frame && frame->body_case == TANDEM__FRAME__BODY_ERROR) {
		ctl_end_error(ctl, frame);
		calls = -1;
	} else if (frame && calls < 0) {
		ctl_end(ctl, CTL_REFUSED, "the trunk is disabled, and the data plane lacks it");
	}
	if (frame)
		tandem__frame__free_unpacked(frame, NULL);
	ctl_disconnect(ctl);
	return calls;
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
	if (!answer || answer->body_case != TANDEM__FRAME__BODY_DONE)
		return ctl_end_error(ctl, answer);
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
