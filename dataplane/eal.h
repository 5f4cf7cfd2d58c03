// SPDX-License-Identifier: BSD-3-Clause
// EAL's command line, built from the configuration: nobody writes one by hand (architecture §7).
// Start-up only.
#pragma once

#include "include/config.h"

#define TD_EAL_ARGS_MAX (40 + 2 * TD_PORTS_MAX)

struct td_eal_args {
	int argc;
	char *argv[TD_EAL_ARGS_MAX + 1];
	size_t used;
	char text[8192];
};

// Lcore ids are ours: 0 is main, 1 + i is worker i, then the DSP lcores; several may share a CPU.
// memory_mb: what EAL must have; huge: from hugepages. 0 or -E2BIG.
int td_eal_args(
	const struct td_config *conf, uint32_t memory_mb, bool huge, struct td_eal_args *out);
// Megabytes in free hugepages of all sizes.
uint64_t td_eal_huge_free_mb(void);
// rte_eal_init() with args. 0 or -errno.
int td_eal_start(struct td_eal_args *args);

static inline unsigned int td_eal_worker_lcore(uint16_t worker)
{
	return 1u + worker;
}
