// SPDX-License-Identifier: BSD-3-Clause
// The daemon's data plane of one worker between two net_ring ports with a carrier on each, and the
// bytes of both carriers. Single-threaded: the caller runs the worker's turns.
#pragma once

#include "dataplane/dataplane.h"
#include "dataplane/leg.h"

enum { WEST, EAST, BED_SIDES };

#define BED_RING 1024
#define BED_MESSAGE 2048
#define BED_SPREAD 9999u // trunks that calls in turn go out over

struct bed_call {
	char *invite;     // as it came to the callee
	char to[128];     // as the caller was answered
	char target[128]; // our Contact
};

struct bed {
	struct td_switch s;
	struct td_worker *w;
	struct td_policy *policy; // of two trunks
	bool registrar;          // set before bed_start(): each call asks first whether it is for a
				 // subscriber
	struct td_policy *large; // bed_grow(): in the place of it on request
	struct td_subscribers *few, *many; // in force with the one and the other
	struct rte_ring *in[BED_SIDES], *out[BED_SIDES];
	struct bed_call *calls;
	uint32_t n_calls;
	uint64_t *seen; // hashes of all messages that left; 0: a free place
	uint32_t seen_mask, copies;
	char message[BED_MESSAGE];
	char folder[32];
};

extern const char *const bed_peer_ip[BED_SIDES];

void bed_start(struct bed *bed, uint32_t max_calls, uint32_t n_calls);
// A second policy of BED_SPREAD trunks beside the caller's: a number of "49" and four digits goes
// out over one of its own. A second table of subscribers goes with it; none of them is called.
void bed_grow(struct bed *bed, uint32_t n_subscribers);
void bed_policy(struct bed *bed, const struct td_policy *policy); // in force from the next turn on
void bed_stop(struct bed *bed);
void bed_fail(const char *what) __attribute__((noreturn));

// Puts a datagram of a carrier on its port's ring.
void bed_send(struct bed *bed, int side, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
// Turns until nothing moves; TSC cycles in them.
uint64_t bed_turns(struct bed *bed);
// The next SIP message that left the port and is no copy of an earlier one, with NUL; valid until
// the next. Ends the process where there is none. Where the machine stood still for longer than T1
// the switch repeats itself; so would anybody's far end take no notice. copies says how often.
const char *bed_take(struct bed *bed, int side);
// The journal's thread has its turn.
void bed_rest(struct bed *bed);

void bed_keep(char **copy, const char *message);
// The value of the first header of that name, or empty.
void bed_header(const char *message, const char *name, char *dst, size_t cap);
void bed_uri(const char *message, const char *name, char *dst, size_t cap); // inside its <>
