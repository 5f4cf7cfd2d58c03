// SPDX-License-Identifier: BSD-3-Clause
// The data plane's side of struct td_host_ops: what a worker's engine asks for, answered from
// mbufs, the worker's legs and rings, and the counts that all workers share. host is the struct
// td_worker.
//
// Owner: the worker. Memory comes at creation.
#pragma once

#include "dataplane/random.h"
#include "dataplane/worker.h"
#include "include/host.h"

struct td_sip_host {
	struct td_random random;
	uint32_t small_bytes; // what a frame's mbuf holds of a message
};

extern const struct td_host_ops td_sip_host_ops;

int td_sip_host_create(struct td_worker *w); // fills w->sip_host; needs w->mbufs. 0 or -errno
void td_sip_host_destroy(struct td_worker *w);
