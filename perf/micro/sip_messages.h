// SPDX-License-Identifier: BSD-3-Clause
// The messages that a benchmark parses: shuffled variants of one INVITE, or every file of the
// folder that DATA names.
#pragma once

#include "include/span.h"

enum { SIP_MESSAGES_MAX = 4096, SIP_VARIANTS = 256 };

struct sip_messages {
	struct td_span message[SIP_MESSAGES_MAX];
	uint32_t n;
};

// Header lines in random order, digits and hex of identifiers at random, the length kept. Returns 0
// or -1 (said on stderr).
int sip_messages_load(struct sip_messages *set, const char *invite_path, uint64_t seed);
