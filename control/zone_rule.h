// SPDX-License-Identifier: BSD-3-Clause
// The rule at the end of a zone file (RFC 8536 §3.3), by which its changes go on: a POSIX TZ text
// such as "CET-1CEST,M3.5.0,M10.5.0/3". Pure; any thread.
#pragma once

#include "include/policy_conf.h"

struct td_zone_date {
	char kind; // 'J': day 1 – 365 without leap days; 'D': 0 – 365; 'M': month, week, weekday
	uint8_t month, week;
	uint16_t day;
	int32_t time_s; // of local time
};

struct td_zone_rule {
	bool has_summer;
	int32_t winter_s, summer_s;     // east of UTC
	struct td_zone_date begin, end; // of summer time
};

// false: it is no such text.
bool td_zone_rule_read(struct td_span text, struct td_zone_rule *out);
// The two changes of a year, the earlier first; of a rule that has summer time.
void td_zone_rule_year(const struct td_zone_rule *rule, int64_t year, struct td_zone_step out[2]);
