// SPDX-License-Identifier: BSD-3-Clause
// What a data plane finds in its state_dir, torn or written over: it starts without it, or with all
// of it, and the number of its boot is one that no earlier boot had.
//
// Input: a byte says which file the rest is: the epoch, the policy or a dial plan.
#include "control/policy_pb.h"
#include "dataplane/limit_table.h"
#include "dataplane/log.h"
#include "dataplane/policy_apply.h"
#include "dataplane/state_file.h"
#include "dataplane/trunk_state.h"
#include "sip/health.h"
#include "tests/fuzz/must.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define WALL_S 1900000000u

static char dir[64];
static struct td_dataplane *dp;

// Lines of the log would drown a crash.
void td_log(enum td_log_level level, const char *event, const char *format, ...)
{
}

static void clean_up(void)
{
	char command[96];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (system(command) != 0)
		fprintf(stderr, "fuzz_state: %s is left\n", dir);
}

static void set_up(void)
{
	char plans[80];

	snprintf(dir, sizeof(dir), "/dev/shm/td_fuzz_state_%d", (int)getpid());
	snprintf(plans, sizeof(plans), "%s/plans", dir);
	must(mkdir(dir, 0700) == 0 && mkdir(plans, 0700) == 0);
	atexit(clean_up);
	dp = zeroed(sizeof(*dp));
	snprintf(dp->conf.state_dir, sizeof(dp->conf.state_dir), "%s", dir);
	dp->conf.n_realms = dp->n_realms = 1;
	snprintf(dp->conf.realms[0].name, TD_NAME_LEN, "west");
	dp->realms[0].conf = dp->conf.realms[0];
	dp->trunks = td_trunk_state_new();
	dp->limits = td_limit_table_new();
	dp->health = td_health_new();
	dp->qsbr = zeroed(rte_rcu_qsbr_get_memsize(1));
	must(dp->trunks && dp->limits && dp->health && rte_rcu_qsbr_init(dp->qsbr, 1) == 0);
}

static void file_put(const char *name, const uint8_t *data, size_t size)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *file = fopen(path, "wb");
	must(file && fwrite(data, 1, size, file) == size && fclose(file) == 0);
}

static void epoch_try(const uint8_t *data, size_t size)
{
	uint32_t first = 0, second = 0;

	file_put("epoch", data, size);
	int rc = td_state_epoch_next(dir, WALL_S, &first);
	must(rc == 0 || (rc == -EFBIG && size > 64));
	if (rc != 0)
		return;
	// A sequence number of a segment, which has it in its upper half, keeps its sign.
	must(first > 0 && first <= INT32_MAX);
	must(td_state_epoch_next(dir, WALL_S, &second) == 0 && second > first);
}

static void boot(void)
{
	static const struct td_policy_codec codec = { td_policy_from_pb, td_policy_unpack,
		td_policy_pack, td_policy_conf_free };
	struct td_policy_apply apply;
	struct td_plans plans;
	char error[256] = "";

	td_plans_init(&plans, dir);
	td_plans_load_saved(&plans);
	td_policy_apply_init(&apply, dp, &plans, &codec);
	int rc = td_policy_apply_saved(&apply, error, sizeof(error));
	must((rc == 0) == (error[0] == '\0') && (rc == 0) == (apply.conf != NULL));
	td_policy_apply_collect(&apply);
	td_policy_apply_fini(&apply);
	td_plans_fini(&plans);
	dp->policy = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "epoch", "policy.bin", "plans/a.img" };

	if (!dp)
		set_up();
	if (size == 0)
		return 0;
	unsigned which = data[0] % 3;
	if (which == 0) {
		epoch_try(data + 1, size - 1);
		return 0;
	}
	file_put(names[which], data + 1, size - 1);
	boot();
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", dir, names[which]);
	unlink(path);
	return 0;
}
