// SPDX-License-Identifier: BSD-3-Clause
// The last good answers of host names, in state_dir/dns.state: a start without a name server goes
// on with them. A line for each name and one for each of its records; what does not hold is passed
// over.
#pragma once

#include "control/dns_lookup.h"

struct td_dns_kept {
	char name[TD_HOST_LEN];
	uint16_t port;
	uint64_t resolved_s; // wall clock
	struct td_dns_answer answer;
};

// Calls take for each name of the file.
void td_dns_file_read(const char *state_dir,
	void (*take)(void *user, const struct td_dns_kept *kept), void *user);
// next: the k-th name to keep; NULL behind the last. 0 or negative errno; the old file stays then.
int td_dns_file_write(const char *state_dir,
	const struct td_dns_kept *(*next)(void *user, uint32_t k), void *user);
