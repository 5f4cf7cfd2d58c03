// SPDX-License-Identifier: BSD-3-Clause
// QUIET_PLANT=malloc|rte_malloc|syscall puts what must not be there on every turn's way, so that
// the gate can be seen to find it. A file of its own: quiet.c's functions must not be inlined into
// it.
#include "dataplane/worker.h"

#include <rte_malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint32_t __real_td_port_rx(struct td_worker *w);

uint32_t __wrap_td_port_rx(struct td_worker *w)
{
	static const char *plant;
	void *volatile ptr;

	if (!plant)
		plant = getenv("QUIET_PLANT") ? getenv("QUIET_PLANT") : "";
	if (strcmp(plant, "malloc") == 0) {
		ptr = malloc(32);
		free(ptr);
	} else if (strcmp(plant, "rte_malloc") == 0) {
		ptr = rte_malloc("planted", 32, 0);
		rte_free(ptr);
	} else if (strcmp(plant, "syscall") == 0) {
		getppid();
	}
	return __real_td_port_rx(w);
}
