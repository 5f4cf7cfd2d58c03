// SPDX-License-Identifier: BSD-3-Clause
// Receive interrupts: a worker at rest is woken by its queues instead of looking at them every now
// and then. Only where every queue of the worker has them; kernel-backed devices have none.
//
// Owner: the worker, on its own thread, except td_rx_wait_possible().
#pragma once

#include "dataplane/worker.h"

// Main, after the device was started: does it take interrupts on all its queues?
bool td_rx_wait_possible(uint16_t ethdev, uint16_t n_rxq);
// The worker's queues wake this thread from now on; says whether they can, in w->rx_wait.
bool td_rx_wait_start(struct td_worker *w);
// Armed queues tell what comes from then on: look once more before waiting.
void td_rx_wait_arm(struct td_worker *w);
void td_rx_wait_disarm(struct td_worker *w);
// true: something came; false: the time is over. Only while armed.
bool td_rx_wait(int timeout_ms);
