// SPDX-License-Identifier: BSD-3-Clause
// Bytes on the data plane's management socket, with everything behind it that needs no worker: each
// frame is answered or the connection ends, whatever policy, table or request it claims to be.
#include "control/policy_pb.h"
#include "dataplane/admin.h"
#include "dataplane/log.h"
#include "dataplane/limit_table.h"
#include "dataplane/trunk_state.h"
#include "sip/health.h"
#include "tests/unit/path_host.h"
#include "tests/fuzz/must.h"

#include <stdlib.h>

#define FRAMES_MAX 64
#define RESUMES_MAX 200 // a table of 16384 trunks is through after 64

static struct td_dataplane dp;
static struct td_worker main_worker;
static struct td_policy_apply policy;
static struct td_plans plans;
static struct td_drain drain;
static struct td_stats stats;
static struct td_journal journal;
static struct td_provision provision;
static struct td_admin admin;

// Lines of the log would drown a crash.
void td_log(enum td_log_level level, const char *event, const char *format, ...)
{
}

static void set_up(void)
{
	static const struct td_policy_codec codec = { td_policy_from_pb, td_policy_unpack,
		td_policy_pack, td_policy_conf_free };

	path_eal();
	dp.main = &main_worker;
	main_worker.id = TD_MAIN_ID;
	main_worker.dp = &dp;
	main_worker.mbufs = path.frames;
	main_worker.big_mbufs = path.big;
	snprintf(dp.conf.run_dir, sizeof(dp.conf.run_dir), "/tmp");
	snprintf(dp.conf.state_dir, sizeof(dp.conf.state_dir), "/dev/null"); // no copy is kept
	dp.conf.n_realms = dp.n_realms = 1;
	snprintf(dp.conf.realms[0].name, TD_NAME_LEN, "west");
	dp.realms[0].conf = dp.conf.realms[0];
	dp.n_ports = 1;
	snprintf(dp.ports[0].conf.name, TD_NAME_LEN, "a");
	dp.ports[0].steering = "single";
	dp.trunks = td_trunk_state_new();
	dp.limits = td_limit_table_new();
	dp.health = td_health_new();
	dp.qsbr = aligned_alloc(64, (rte_rcu_qsbr_get_memsize(1) + 63) & ~63ull);
	must(dp.trunks && dp.limits && dp.health && dp.qsbr && rte_rcu_qsbr_init(dp.qsbr, 1) == 0);
	must(td_stats_init(&stats, &dp) == 0);
	drain.dp = &dp;
	provision.dp = &dp; // no realm has a registrar: those requests are refused
	td_plans_init(&plans, dp.conf.state_dir);
	td_policy_apply_init(&policy, &dp, &plans, &codec);
	admin = (struct td_admin){ .dp = &dp,
		.policy = &policy,
		.drain = &drain,
		.stats = &stats,
		.journal = &journal,
		.provision = &provision,
		.plans = &plans };
	td_admin_handler(&admin, &admin.mgmt.handler);
}

// As the main loop does: frames while there are any, jobs to their end.
static void bytes_take(struct td_mgmt_conn *conn, const uint8_t *data, size_t size)
{
	size_t have = conn->in.end - conn->in.begin;
	uint8_t *in = malloc(have + size + 1);

	if (have > 0)
		memcpy(in, conn->in.bytes + conn->in.begin, have);
	memcpy(in + have, data, size);
	free(conn->in.bytes);
	conn->in = (struct td_frames){
		.bytes = in, .end = have + size, .cap = have + size, .max = TD_FRAME_MAX
	};
	for (int i = 0; i < FRAMES_MAX && td_mgmt_input(&admin.mgmt, conn, 1) > 0; i++) {
		int resumes = 0;
		while (conn->job.kind != 0 && !conn->closing && resumes++ < RESUMES_MAX)
			admin.mgmt.handler.resume(&admin, conn);
		must(conn->job.kind == 0 || conn->closing);
		td_policy_apply_collect(&policy);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct td_mgmt_conn conn = { .fd = -1, .passed_fd = -1 };

	if (!dp.main)
		set_up();
	td_arena_init(&admin.mgmt.arena);
	admin.mgmt.handler.opened(&admin, &conn); // Hello
	while (size > 0 && !conn.closing) {
		size_t n = 1 + data[0] % 127;
		n = n < size ? n : size;
		bytes_take(&conn, data, n);
		data += n;
		size -= n;
	}
	must(conn.out_len <= TD_MGMT_OUT_MAX && admin.mgmt.arena.bytes <= TD_ARENA_MAX);
	td_arena_fini(&admin.mgmt.arena);
	td_frames_free(&conn.in);
	free(conn.out);
	td_policy_apply_fini(&policy); // the next input finds nothing of this one
	dp.policy = NULL;
	atomic_store(&dp.draining, false);
	drain.by_operator = false;
	return 0;
}
