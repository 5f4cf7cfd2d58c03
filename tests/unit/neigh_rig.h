// SPDX-License-Identifier: BSD-3-Clause
// What the tests of neighbours share: a path of two workers, a far end that answers for any
// address, and what is sent to it.
#pragma once

#include "path_host.h"

extern uint8_t neigh_frame[4096]; // the frame that path_take() gave last

int neigh_setup(void **state);
int neigh_teardown(void **state);
// As SIP sends: n payload bytes from a worker to an address.
void neigh_send(uint16_t worker, uint16_t realm, const char *src, const char *dst, uint16_t n);
// Takes all frames that left the port. Returns how many.
uint32_t neigh_sent(int port);
void neigh_learn(uint16_t realm, const char *ip); // it has the MAC of the far end
