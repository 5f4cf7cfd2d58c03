// SPDX-License-Identifier: BSD-3-Clause
#include "control/alarm.h"

#include "control/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static uint64_t wall_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

// The list holds names and subjects cut to its fields: what is looked for is cut alike, or a long
// one would be raised anew each time and never be cleared.
static bool same(const char *kept, size_t cap, const char *text)
{
	return strncmp(kept, text, cap - 1) == 0;
}

static struct td_alarm *find(struct td_alarms *alarms, const char *name, const char *subject)
{
	for (uint32_t i = 0; i < alarms->n; i++) {
		struct td_alarm *alarm = &alarms->list[i];
		if (same(alarm->name, sizeof(alarm->name), name) &&
			same(alarm->subject, sizeof(alarm->subject), subject))
			return alarm;
	}
	return NULL;
}

// A free place; where there is none a critical alarm takes that of the newest warning. NULL: it is
// lost.
static struct td_alarm *place(struct td_alarms *alarms, enum td_severity severity)
{
	if (alarms->n < TD_ALARMS_MAX)
		return &alarms->list[alarms->n++];
	alarms->lost++;
	for (uint32_t i = alarms->n; severity == TD_CRITICAL && i-- > 0;)
		if (alarms->list[i].severity == TD_WARNING)
			return &alarms->list[i];
	return NULL;
}

static struct td_alarm *add(
	struct td_alarms *alarms, enum td_severity severity, const char *name, const char *subject)
{
	struct td_alarm *alarm = place(alarms, severity);

	if (!alarm)
		return NULL;
	*alarm = (struct td_alarm){ .since_us = wall_us() };
	snprintf(alarm->name, sizeof(alarm->name), "%s", name);
	snprintf(alarm->subject, sizeof(alarm->subject), "%s", subject);
	return alarm;
}

// One without a place is raised again and again: the log has the first, then one a minute.
static bool lost_due(struct td_alarms *alarms)
{
	uint64_t now_us = wall_us(), next_us = alarms->lost_told_us + TD_ALARMS_LOST_S * 1000000ull;

	if (alarms->lost_told_us != 0 && now_us < next_us)
		return false;
	alarms->lost_told_us = now_us;
	return true;
}

void td_alarm_raise(struct td_alarms *alarms, enum td_severity severity, const char *name,
	const char *subject, const char *advice, const char *format, ...)
{
	char text[sizeof(((struct td_alarm *)0)->text)];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	pthread_mutex_lock(&alarms->lock);
	struct td_alarm *alarm = find(alarms, name, subject);
	bool again = alarm != NULL;
	if (!alarm)
		alarm = add(alarms, severity, name, subject);
	if (alarm) {
		alarm->severity = severity;
		snprintf(alarm->text, sizeof(alarm->text), "%s", text);
		snprintf(alarm->advice, sizeof(alarm->advice), "%s", advice);
	}
	bool kept = alarm != NULL, due = !kept && lost_due(alarms);
	uint32_t lost = alarms->lost;
	pthread_mutex_unlock(&alarms->lock);
	if (due)
		td_log(TD_LOG_ERROR, "alarm.list_full",
			"lost=%u alarm=%s subject=\"%s\" text=\"%s\" advice=\"see to those that "
			"tandemctl alarms lists\"",
			lost, name, subject, text);
	if (!kept)
		return;
	if (!again)
		td_log(severity == TD_CRITICAL ? TD_LOG_ERROR : TD_LOG_WARNING, "alarm.raised",
			"alarm=%s subject=\"%s\" text=\"%s\" advice=\"%s\"", name, subject, text,
			advice);
	if (!again && alarms->changed)
		alarms->changed(alarms->user, name, subject, true, text);
}

bool td_alarm_clear(struct td_alarms *alarms, const char *name, const char *subject)
{
	uint64_t since_us = 0;

	pthread_mutex_lock(&alarms->lock);
	struct td_alarm *alarm = find(alarms, name, subject);
	if (alarm) {
		since_us = alarm->since_us;
		alarms->n--;
		memmove(alarm, alarm + 1,
			(size_t)(&alarms->list[alarms->n] - alarm) * sizeof(*alarm));
	}
	pthread_mutex_unlock(&alarms->lock);
	if (since_us != 0)
		td_log(TD_LOG_INFO, "alarm.cleared", "alarm=%s subject=\"%s\" after_s=%" PRIu64,
			name, subject, (wall_us() - since_us) / 1000000);
	if (since_us != 0 && alarms->changed)
		alarms->changed(alarms->user, name, subject, false, "");
	return since_us != 0;
}

uint32_t td_alarms_lost(struct td_alarms *alarms)
{
	pthread_mutex_lock(&alarms->lock);
	uint32_t lost = alarms->lost;
	pthread_mutex_unlock(&alarms->lock);
	return lost;
}

uint32_t td_alarms_copy(struct td_alarms *alarms, struct td_alarm *out)
{
	pthread_mutex_lock(&alarms->lock);
	uint32_t n = alarms->n;
	memcpy(out, alarms->list, n * sizeof(*out));
	pthread_mutex_unlock(&alarms->lock);
	return n;
}
