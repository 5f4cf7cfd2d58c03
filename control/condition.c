// SPDX-License-Identifier: BSD-3-Clause
#include "control/condition.h"

#include "control/link.h"

#include <string.h>

#define AWAY "dataplane.away"
#define SILENT "dataplane.silent"

// What a data plane that went had is unknown: the next one may not even have that port.
static void ports_forget(struct td_alarms *alarms)
{
	static struct td_alarm list[TD_ALARMS_MAX];
	uint32_t n = td_alarms_copy(alarms, list);

	for (uint32_t i = 0; i < n; i++)
		if (strcmp(list[i].name, "port.down") == 0)
			td_alarm_clear(alarms, "port.down", list[i].subject);
}

static void away(
	struct td_alarms *alarms, const struct td_link *link, uint64_t *since_ms, uint64_t now_ms)
{
	if (*since_ms == 0)
		*since_ms = now_ms;
	ports_forget(alarms); // what is down still, the next data plane says anew
	if (now_ms - *since_ms < TD_CONDITION_PATIENCE_MS)
		return;
	td_alarm_clear(alarms, "journal.stopped", "");
	td_alarm_raise(alarms, TD_CRITICAL, AWAY, "",
		"look at tandem-dataplane (systemctl status tandem-dataplane; journalctl -u "
		"tandem-dataplane -n 50); it comes back into sync by itself",
		"%s", td_link_lacking(link));
}

static bool silent(struct td_alarms *alarms, const struct td_link *link)
{
	if (!link->silent) {
		td_alarm_clear(alarms, SILENT, "");
		return false;
	}
	td_alarm_clear(alarms, AWAY, "");
	td_alarm_raise(alarms, TD_CRITICAL, SILENT, "",
		"ps -o stat,wchan -C tandem-dataplane: T was stopped (kill -CONT); else take its "
		"state for the developers (gcore), then systemctl restart tandem-dataplane, which "
		"ends the calls that stand",
		"%s; whether calls are carried is unknown", td_link_lacking(link));
	return true;
}

void td_condition_link(struct td_alarms *alarms, const struct td_link *link,
	uint64_t *away_since_ms, uint64_t now_ms)
{
	if (silent(alarms, link)) {
		*away_since_ms = 0;
		return;
	}
	if (!link->connected) {
		away(alarms, link, away_since_ms, now_ms);
		return; // what it refused before is refused still, or not: its next Hello says
	}
	*away_since_ms = 0;
	td_alarm_clear(alarms, AWAY, "");
	if (!link->in_sync && link->refusal[0])
		td_alarm_raise(alarms, TD_CRITICAL, "policy.refused", "",
			"repair what it names, then tandemctl reload; until then the policy before "
			"it is in force",
			"the data plane does not take the policy: %s", link->refusal);
	else if (link->in_sync)
		td_alarm_clear(alarms, "policy.refused", "");
}

const char *td_condition_sick(const struct td_link *link, uint64_t away_since_ms, uint64_t now_ms)
{
	bool late = away_since_ms != 0 && now_ms - away_since_ms >= TD_CONDITION_PATIENCE_MS;

	return link->silent || late ? td_link_lacking(link) : "";
}

void td_condition_port(struct td_alarms *alarms, const Tandem__Port *port)
{
	if (port->up)
		td_alarm_clear(alarms, "port.down", port->name);
	else
		td_alarm_raise(alarms, TD_CRITICAL, "port.down", port->name,
			"cable, transceiver, the other end: it comes back with its carrier",
			"port %s (%s) has no carrier", port->name, port->device);
}

void td_condition_journal(struct td_alarms *alarms, bool failing)
{
	if (failing)
		td_alarm_raise(alarms, TD_CRITICAL, "journal.stopped", "",
			"make room on the disk of state_dir (df -h), or look whether it dies "
			"(dmesg); it goes on by itself",
			"call detail records cannot be written to disk: when memory for them is "
			"full, new calls get 503");
	else
		td_alarm_clear(alarms, "journal.stopped", "");
}
