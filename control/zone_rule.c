// SPDX-License-Identifier: BSD-3-Clause
#include "control/zone_rule.h"

#include <ctype.h>

#define DAY_S 86400

// --- the text ---

struct reader {
	const char *at, *end;
};

static bool take(struct reader *r, char c)
{
	if (r->at == r->end || *r->at != c)
		return false;
	r->at++;
	return true;
}

static bool number_take(struct reader *r, int32_t min, int32_t max, int32_t *out)
{
	const char *start = r->at;
	int32_t n = 0;

	while (r->at < r->end && isdigit((unsigned char)*r->at) && n <= max)
		n = n * 10 + (*r->at++ - '0');
	*out = n;
	return r->at > start && n >= min && n <= max;
}

// [+-]hh[:mm[:ss]]
static bool time_take(struct reader *r, int32_t max_hours, int32_t *out)
{
	int32_t hours, minutes = 0, seconds = 0;
	int32_t sign = take(r, '-') ? -1 : 1;

	if (sign > 0)
		take(r, '+');
	if (!number_take(r, 0, max_hours, &hours) ||
		(take(r, ':') && !number_take(r, 0, 59, &minutes)) ||
		(take(r, ':') && !number_take(r, 0, 59, &seconds)))
		return false;
	*out = sign * (hours * 3600 + minutes * 60 + seconds);
	return true;
}

// Letters, or anything between '<' and '>'.
static bool name_take(struct reader *r)
{
	const char *start = r->at;

	if (take(r, '<')) {
		while (r->at < r->end && *r->at != '>')
			r->at++;
		return take(r, '>');
	}
	while (r->at < r->end && isalpha((unsigned char)*r->at))
		r->at++;
	return r->at - start >= 3;
}

// West of UTC is positive there.
static bool offset_take(struct reader *r, int32_t *east_s)
{
	int32_t west_s;

	if (!time_take(r, 24, &west_s))
		return false;
	*east_s = -west_s;
	return true;
}

static bool date_take(struct reader *r, struct td_zone_date *out)
{
	int32_t month = 0, week = 0, day;
	bool good;

	*out = (struct td_zone_date){ .kind = 'D', .time_s = 2 * 3600 };
	if (take(r, 'M')) {
		out->kind = 'M';
		good = number_take(r, 1, 12, &month) && take(r, '.') &&
		       number_take(r, 1, 5, &week) && take(r, '.') && number_take(r, 0, 6, &day);
	} else if (take(r, 'J')) {
		out->kind = 'J';
		good = number_take(r, 1, 365, &day);
	} else {
		good = number_take(r, 0, 365, &day);
	}
	if (!good)
		return false;
	out->month = (uint8_t)month;
	out->week = (uint8_t)week;
	out->day = (uint16_t)day;
	return !take(r, '/') || time_take(r, 167, &out->time_s);
}

bool td_zone_rule_read(struct td_span text, struct td_zone_rule *out)
{
	struct reader r = { text.ptr, text.ptr + text.len };

	*out = (struct td_zone_rule){ 0 };
	if (!name_take(&r) || !offset_take(&r, &out->winter_s))
		return false;
	if (r.at == r.end)
		return true;
	out->has_summer = true;
	out->summer_s = out->winter_s + 3600;
	if (!name_take(&r) || r.at == r.end || (*r.at != ',' && !offset_take(&r, &out->summer_s)))
		return false;
	return take(&r, ',') && date_take(&r, &out->begin) && take(&r, ',') &&
	       date_take(&r, &out->end) && r.at == r.end;
}

// --- its changes ---

static bool is_leap(int64_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

// Days from 1970 to the first of January; of years from 1970 on.
static int64_t year_days(int64_t year)
{
	int64_t y = year - 1;

	return 365 * (year - 1970) + (y / 4 - y / 100 + y / 400) -
	       (1969 / 4 - 1969 / 100 + 1969 / 400);
}

static int64_t month_days(int64_t year, unsigned month)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return days[month - 1] + (month == 2 && is_leap(year));
}

static int64_t date_days(const struct td_zone_date *date, int64_t year)
{
	int64_t first = year_days(year);

	if (date->kind == 'D')
		return first + date->day;
	if (date->kind == 'J')
		return first + date->day - 1 + (is_leap(year) && date->day >= 60);
	for (unsigned month = 1; month < date->month; month++)
		first += month_days(year, month);
	int64_t weekday = (first + 4) % 7; // 1970 began on a Thursday
	int64_t day = (date->day - weekday + 7) % 7 + 7 * (date->week - 1);
	return first + (day < month_days(year, date->month) ? day : day - 7); // week 5: the last
}

void td_zone_rule_year(const struct td_zone_rule *rule, int64_t year, struct td_zone_step out[2])
{
	struct td_zone_step begin = { date_days(&rule->begin, year) * DAY_S + rule->begin.time_s -
					      rule->winter_s,
		rule->summer_s };
	struct td_zone_step end = { date_days(&rule->end, year) * DAY_S + rule->end.time_s -
					    rule->summer_s,
		rule->winter_s };
	bool south = end.at_s < begin.at_s;

	out[0] = south ? end : begin;
	out[1] = south ? begin : end;
}
