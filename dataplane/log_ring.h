// SPDX-License-Identifier: BSD-3-Clause
// A worker's lines on their way to standard error. Bounded: a line that finds no room is dropped
// and counted.
//
// Producer: the worker. Consumer: main, which alone enters the kernel.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define TD_LOG_LINE 508 // longer ones are cut
#define TD_LOG_LINES 512

struct td_log_line {
	uint32_t len;
	char text[TD_LOG_LINE];
};

struct td_log_ring {
	_Atomic uint32_t head __attribute__((aligned(64))); // producer: wo
	_Atomic uint32_t tail __attribute__((aligned(64))); // consumer: wo
	struct td_log_line lines[TD_LOG_LINES];
};

struct td_log_ring *td_log_ring_new(void); // NULL: ENOMEM
void td_log_ring_free(struct td_log_ring *ring);
// false: full. Control characters, which came off the wire if they are there, become '?'.
bool td_log_ring_put(struct td_log_ring *ring, const char *text, uint32_t len);
// The oldest line, or NULL; valid until the next call of td_log_ring_next().
const struct td_log_line *td_log_ring_peek(struct td_log_ring *ring);
void td_log_ring_next(struct td_log_ring *ring);
