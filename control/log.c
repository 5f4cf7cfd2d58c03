// SPDX-License-Identifier: BSD-3-Clause
#include "control/log.h"

#include "control/text.h"
#include "include/log_line.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void td_log(enum td_log_level level, const char *event, const char *format, ...)
{
	static const char *const levels[] = { "info", "warning", "error" };
	char text[2048] = "", clean[2048], stamp[32], line[2200];
	struct timespec now;
	struct tm tm;

	if (format) {
		va_list ap;
		va_start(ap, format);
		td_log_values(text, sizeof(text), format, ap);
		va_end(ap);
	}
	td_text_clean(text, sizeof(text), false, clean, sizeof(clean));
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	int n = snprintf(line, sizeof(line), "%s.%03ldZ %s %s%s%s\n", stamp, now.tv_nsec / 1000000,
		levels[level], event, clean[0] ? " " : "", clean);
	// One write, so that lines of two processes on one terminal stay whole; a lost log line is
	// nobody's failure.
	if (n > 0 && write(STDERR_FILENO, line,
			     (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1) < 0)
		return;
}
