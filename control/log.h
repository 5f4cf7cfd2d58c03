// SPDX-License-Identifier: BSD-3-Clause
// One line per state change on standard error: "TIME LEVEL EVENT key=value …". any
// thread of tandem-control.
#pragma once

enum td_log_level { TD_LOG_INFO, TD_LOG_WARNING, TD_LOG_ERROR };

// event: "area.what"; format: "key=value …" or NULL.
void td_log(enum td_log_level level, const char *event, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
