// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/log.h"

#include "dataplane/log_ring.h"
#include "include/log_line.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// One write, so that lines of two processes on one terminal stay whole; a lost log line is nobody's
// failure.
static void line_write(const char *level, const char *text, int len)
{
	char stamp[32], line[2200];
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	int n = snprintf(line, sizeof(line), "%s.%03ldZ %s %.*s\n", stamp, now.tv_nsec / 1000000,
		level, len, text);
	if (n > 0 && write(STDERR_FILENO, line,
			     (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1) < 0)
		return;
}

void td_log(enum td_log_level level, const char *event, const char *format, ...)
{
	static const char *const levels[] = { "info", "warning", "error" };
	char text[2048];
	int n = snprintf(text, sizeof(text), "%s%s", event, format ? " " : "");
	va_list ap;

	if (format) {
		va_start(ap, format);
		n += (int)td_log_values(text + n, sizeof(text) - (size_t)n, format, ap);
		va_end(ap);
	}
	line_write(levels[level], text, n);
}

// What a terminal would obey and came off the wire: C1 in UTF-8. The worker has seen to the rest.
static void c1_clear(char *text, uint32_t len)
{
	for (uint32_t i = 0; i + 1 < len; i++)
		if ((uint8_t)text[i] == 0xc2 && (uint8_t)text[i + 1] < 0xa0)
			text[i] = text[i + 1] = '?';
}

unsigned int td_log_drain(struct td_log_ring *ring, unsigned int max)
{
	const struct td_log_line *line;
	unsigned int n = 0;

	for (; n < max && (line = td_log_ring_peek(ring)); n++) {
		char text[TD_LOG_LINE];
		memcpy(text, line->text, line->len);
		c1_clear(text, line->len);
		line_write("info", text, (int)line->len);
		td_log_ring_next(ring);
	}
	return n;
}
