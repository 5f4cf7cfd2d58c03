// SPDX-License-Identifier: BSD-3-Clause
// Values of groups, windows and failover rules: periods of time, zones, classes of status codes.
#include "control/config_schema.h"
#include "control/zone.h"

#include <ctype.h>
#include <stdio.h>

static const char *text_of(const config_setting_t *setting)
{
	const char *text = config_setting_get_string(setting);

	return text ? text : "";
}

// --- windows ---

static int weekday_of(const char *text, size_t len)
{
	static const char days[7][4] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" };

	for (int i = 0; i < 7; i++)
		if (len == 3 && strncmp(text, days[i], 3) == 0)
			return i;
	return -1;
}

// "mon-fri,sun": false where it is not of that form.
static bool weekdays_parse(const char *text, uint8_t *out)
{
	*out = 0;
	for (const char *at = text;; at++) {
		size_t len = strcspn(at, ",");
		const char *dash = memchr(at, '-', len);
		size_t first_len = dash ? (size_t)(dash - at) : len;
		int first = weekday_of(at, first_len);
		int last = dash ? weekday_of(dash + 1, len - first_len - 1) : first;
		if (first < 0 || last < 0)
			return false;
		for (int day = first;; day = (day + 1) % 7) {
			*out |= (uint8_t)(1u << day);
			if (day == last)
				break;
		}
		at += len;
		if (*at == '\0')
			return true;
	}
}

void cfg_read_weekdays(struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	struct td_period_conf *period = record;

	if (setting && !weekdays_parse(text_of(setting), &period->weekdays))
		cfg_fault(reader, setting, "days such as \"mon-fri\" or \"mon,wed,sat-sun\"");
}

static bool minute_parse(const char *text, uint16_t *out)
{
	unsigned hour, minute;
	char after;

	if (!isdigit((unsigned char)text[0]) ||
		sscanf(text, "%2u:%2u%c", &hour, &minute, &after) != 2 || minute > 59 ||
		hour * 60 + minute > 1440)
		return false;
	*out = (uint16_t)(hour * 60 + minute);
	return true;
}

void cfg_read_from_minute(struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	if (setting &&
		!minute_parse(text_of(setting), &((struct td_period_conf *)record)->from_min))
		cfg_fault(reader, setting, "a time of day such as \"08:00\"");
}

void cfg_read_to_minute(struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	if (setting && !minute_parse(text_of(setting), &((struct td_period_conf *)record)->to_min))
		cfg_fault(reader, setting, "a time of day such as \"17:30\"");
}

// Days since 1970-01-01 of a date of the Gregorian calendar.
static bool day_parse(const char *text, size_t len, int32_t *out)
{
	static const uint16_t before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334,
		365 };
	int year, month, day;
	char copy[11], after;

	if (len != 10)
		return false;
	td_span_cstr(td_span(text, len), copy, sizeof(copy));
	if (sscanf(copy, "%4d-%2d-%2d%c", &year, &month, &day, &after) != 3 || year < 1970 ||
		month < 1 || month > 12 || day < 1)
		return false;
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	if (day > before[month] - before[month - 1] + (leap && month == 2))
		return false;
	int y = year - 1;
	*out = (y * 365 + y / 4 - y / 100 + y / 400) - 719162 + before[month - 1] +
	       (leap && month > 2) + day - 1;
	return true;
}

void cfg_read_dates(struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	struct td_period_conf *period = record;
	const char *text = setting ? text_of(setting) : "";
	const char *slash = strchr(text, '/');
	size_t first = slash ? (size_t)(slash - text) : strlen(text);

	if (!setting)
		return;
	bool good = day_parse(text, first, &period->first_day);
	period->last_day = period->first_day;
	if (good && slash)
		good = day_parse(slash + 1, strlen(slash + 1), &period->last_day) &&
		       period->last_day >= period->first_day;
	if (!good)
		cfg_fault(reader, setting,
			"a date such as \"2026-12-24\", or two with a '/' between");
}

void cfg_read_zone(struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	struct td_window_conf *window = record;
	const char *text = setting ? text_of(setting) : "UTC";

	td_span_cstr(td_span_str(text), window->zone, sizeof(window->zone));
	if (strlen(text) >= sizeof(window->zone) || td_zone_read(window->zone, window) != 0)
		cfg_fault(reader, setting, "a time zone of this machine such as \"Europe/Berlin\"");
}

// --- failover ---

void cfg_read_failover_rule_codes(
	struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	struct td_failover_conf *rule = record;
	int count = setting ? config_setting_length(setting) : 0;
	int max = sizeof(rule->codes) / sizeof(rule->codes[0]);

	for (int i = 0; i < count; i++) {
		int code = config_setting_get_int_elem(setting, i);
		if (count > max || code < 300 || code > 599)
			cfg_fault(reader, setting,
				"an array of at most %d status codes from 300 to 599", max);
		else
			rule->codes[rule->n_codes++] = (uint16_t)code;
		if (count > max)
			break;
	}
}

void cfg_read_failover_rule_classes(
	struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	struct td_failover_conf *rule = record;
	int count = setting ? config_setting_length(setting) : 0;

	for (int i = 0; i < count; i++) {
		int class = config_setting_get_int_elem(setting, i);
		if (class < 3 || class > 5)
			cfg_fault(reader, setting, "an array of the classes 3, 4 and 5");
		else
			rule->classes |= (uint8_t)(1u << class);
	}
}
