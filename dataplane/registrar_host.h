// SPDX-License-Identifier: BSD-3-Clause
// The data plane's side of the registrar: where all workers' bindings are looked up, how changes of
// them reach the journal, when old memory may be used again, and what comes back after a restart.
//
// Owner: the worker, but for the boxes, which main fills while they are empty. Memory comes at
// creation.
#pragma once

#include "dataplane/worker.h"
#include "include/host.h"

#define TD_RESTORE_BOX_BYTES (1u << 20)
#define TD_SYNC_WAITS_MAX 16384 // answers that wait for the disk at once

// Bindings on their way from main to the worker that owns them, packed one after the other.
struct td_restore_box {
	_Atomic bool full; // main sets it, the worker clears it; the rest is whose turn it is
	uint32_t len, at;
	uint8_t bytes[TD_RESTORE_BOX_BYTES];
};

struct td_sync_wait {
	uint64_t until; // place in the journal ring that must be safe
	uint64_t cookie;
};

struct td_registrar_host {
	uint32_t first, n; // of waits, a ring in the order of their places
	struct td_sync_wait waits[TD_SYNC_WAITS_MAX];
	// One is filled while the other is emptied, in turns.
	struct td_restore_box boxes[2];
	uint8_t fill;  // main
	uint8_t drain; // worker
};

// Where a realm has a registrar: fills w->registrar. 0 or -ENOMEM.
int td_registrar_host_create(struct td_worker *w);
void td_registrar_host_destroy(struct td_worker *w);
// Is there a registrar in any realm?
bool td_registrar_configured(const struct td_config *conf);

// Once a turn: answers what is safe on disk, takes bindings back. Returns how many of both.
uint32_t td_registrar_host_turn(struct td_worker *w);

// td_host_ops; host is the worker.
enum td_answer td_registrar_locate(
	void *host, struct td_span who, uint64_t cookie, struct td_locate_answer *out);
enum td_answer td_registrar_bindings_write(
	void *host, const uint8_t *records, uint32_t bytes, uint32_t n, uint64_t cookie);
bool td_registrar_bindings_restoring(void *host); // they come once in a boot, from control
uint64_t td_registrar_grace_begin(void *host);
bool td_registrar_grace_over(void *host, uint64_t token);
