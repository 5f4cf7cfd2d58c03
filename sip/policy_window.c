// SPDX-License-Identifier: BSD-3-Clause
// Time windows by wall time alone: no libc, no zone files, no lock. Who compiled the policy has put
// the zone's changes beside the periods.
#include "sip/policy_priv.h"

#define DAY_S 86400

static int64_t local_time(const struct td_window_conf *w, int64_t utc_s)
{
	int32_t offset_s = w->n_steps > 0 ? w->steps[0].offset_s : 0;

	for (uint32_t i = 0; i < w->n_steps && w->steps[i].at_s <= utc_s; i++)
		offset_s = w->steps[i].offset_s;
	return utc_s + offset_s;
}

static bool day_fits(const struct td_period_conf *p, int32_t day)
{
	if ((p->first_day != 0 || p->last_day != 0) && (day < p->first_day || day > p->last_day))
		return false;
	uint32_t weekday = (uint32_t)(day + 3) % 7; // 1970-01-01 was a Thursday; 0: Monday
	return p->weekdays == 0 || (p->weekdays >> weekday & 1) != 0;
}

// A period over midnight belongs to the day on which it begins.
static bool period_open(const struct td_period_conf *p, int32_t day, uint32_t minute)
{
	if (p->from_min == p->to_min)
		return day_fits(p, day);
	if (p->from_min < p->to_min)
		return minute >= p->from_min && minute < p->to_min && day_fits(p, day);
	return (minute >= p->from_min && day_fits(p, day)) ||
	       (minute < p->to_min && day_fits(p, day - 1));
}

bool window_open(const struct td_window_conf *window, uint64_t wall_s)
{
	int64_t local = local_time(window, (int64_t)wall_s);

	if (local < 0)
		return false;
	int32_t day = (int32_t)(local / DAY_S);
	uint32_t minute = (uint32_t)(local % DAY_S) / 60;
	for (uint32_t i = 0; i < window->n_periods; i++)
		if (period_open(&window->periods[i], day, minute))
			return true;
	return false;
}
