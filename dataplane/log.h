// SPDX-License-Identifier: BSD-3-Clause
// Lines on standard error: "TIME LEVEL EVENT key=value …". Main and start-up only: it enters the
// kernel.
#pragma once

struct td_log_ring;

enum td_log_level { TD_LOG_INFO, TD_LOG_WARNING, TD_LOG_ERROR };

// event: "area.what"; format: "key=value …" or NULL.
void td_log(enum td_log_level level, const char *event, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
// Writes at most max lines that a worker left. Returns how many.
unsigned int td_log_drain(struct td_log_ring *ring, unsigned int max);
