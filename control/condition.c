// SPDX-License-Identifier: BSD-3-Clause
#include "control/condition.h"

#include "control/link.h"

#include <string.h>

// What a data plane that went had is unknown: the next one may not even have that port.
static void ports_forget(struct td_alarms *alarms)
{
	static struct td_alarm list[TD_ALARMS_MAX];
	uint32_t n = td_alarms_copy(alarms, list);

	for (uint32_t i = 0; i < n; i++)
		if (strcmp(list[i].name, "port.down") == 0)
			td_alarm_clear(alarms, "port.down", list[i].subject);
}

static void away(struct td_alarms *alarms, uint64_t *since_ms, uint64_t now_ms)
{
	if (*since_ms == 0)
		*since_ms = now_ms;
	ports_forget(alarms); // what is down still, the next data plane says anew
	if (now_ms - *since_ms < TD_CONDITION_PATIENCE_MS)
		return;
	td_alarm_clear(alarms, "journal.stopped", "");
	td_alarm_raise(alarms, TD_CRITICAL, "dataplane.away", "",
		"look at tandem-dataplane (systemctl status tandem-dataplane; journalctl -u "
		"tandem-dataplane -n 50); it comes back into sync by itself",
		"tandem-dataplane is not connected: where it does not run, no call is carried");
}

void td_condition_link(struct td_alarms *alarms, const struct td_link *link,
	uint64_t *away_since_ms, uint64_t now_ms)
{
	if (!link->connected) {
		away(alarms, away_since_ms, now_ms);
		return; // what it refused before is refused still, or not: its next Hello says
	}
	*away_since_ms = 0;
	td_alarm_clear(alarms, "dataplane.away", "");
	if (!link->in_sync && link->refusal[0])
		td_alarm_raise(alarms, TD_CRITICAL, "policy.refused", "",
			"repair what it names, then tandemctl reload; until then the policy before "
			"it is in force",
			"the data plane does not take the policy: %s", link->refusal);
	else if (link->in_sync)
		td_alarm_clear(alarms, "policy.refused", "");
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
