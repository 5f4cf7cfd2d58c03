// SPDX-License-Identifier: BSD-3-Clause
// An engine that is a registrar in the west realm, its subscribers, and one phone.
//
// Subscribers of tandem.example, all with password "secret": alice, bob; md5only, who has no
// SHA-256; barred, who may not.
#pragma once

#include "sip/subscribers.h"
#include "tests/unit/digest_client.h"
#include "tests/unit/fake_host.h"

#define RIG_URI "sip:tandem.example"
#define RIG_ALICE "alice@tandem.example"

struct register_rig {
	struct fake_host host;
	struct td_engine *engine;
	struct td_subscribers *subscribers;
	struct digest_client phone; // alice's, SHA-256
	unsigned cseq, branch;
	const char *call_id, *ip;
	uint16_t port;
	char last[4096]; // the REGISTER sent last
};

// change may alter the registrar before the engine is made. 0 or -1.
int register_rig_up(struct register_rig *rig,
	void (*change)(struct register_rig *rig, struct td_engine_conf *conf));
uint32_t register_rig_down(struct register_rig *rig); // what was not given back

// Sends a REGISTER of the phone with these further lines (Contact, Expires …), answers a challenge,
// and gives the final answer. The nonce is kept for the next.
const struct fake_sent *rig_register(struct register_rig *rig, const char *lines);
// The same request as the last, byte for byte.
const struct fake_sent *rig_repeat(struct register_rig *rig);
// One REGISTER to that AoR with credentials or without; what comes back at once.
const struct fake_sent *rig_send(
	struct register_rig *rig, const char *to, bool credentials, const char *lines);
