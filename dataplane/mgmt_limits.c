// SPDX-License-Identifier: BSD-3-Clause
// The table of limits: the whole switch, trunks that have a limit, groups, routes, and all
// subscribers together. In pieces, as fast as it is read.
#include "dataplane/admin.h"
#include "dataplane/limit_table.h"
#include "sip/policy.h"
#include "sip/subscribers.h"

#define LIMITS_PER_TURN 256
#define SLOTS_PER_TURN 65536 // of subscribers

// What the job's worker counts here: the kinds in turn, then subscribers.
enum { STAGE_SUBSCRIBERS = TD_LIMIT__KINDS, STAGE_END };

static void row_send(struct td_mgmt_conn *conn, const char *kind, Tandem__LimitState *row)
{
	Tandem__Item item = TANDEM__ITEM__INIT;

	row->kind = (char *)(uintptr_t)kind;
	item.row_case = TANDEM__ITEM__ROW_LIMIT;
	item.limit = row;
	td_mgmt_item_send(conn, conn->job.id, &item);
	conn->job.count++;
}

static void limit_send(const struct td_admin *admin, struct td_mgmt_conn *conn,
	enum td_limit_kind kind, const struct td_policy_limit *limit)
{
	static const char *const kinds[TD_LIMIT__KINDS] = { "switch", "trunk", "group", "route" };
	const struct td_limit_count *count =
		td_limit_count_of(admin->dp->limits, kind, limit->slot);
	Tandem__LimitState row = TANDEM__LIMIT_STATE__INIT;

	row.name = (char *)(uintptr_t)limit->name;
	row.max_calls = limit->limit.max_calls;
	row.max_cps = limit->limit.max_cps;
	row.cps_burst = limit->limit.cps_burst;
	if (count) {
		row.calls = atomic_load_explicit(&count->c.calls, memory_order_relaxed);
		row.cps = td_stats_cps(admin->stats, kind, limit->slot);
		row.refused = atomic_load_explicit(&count->refused, memory_order_relaxed);
	}
	row_send(conn, kinds[kind], &row);
}

// The i-th limit of a kind. false: there is none any more.
static bool limit_at(const struct td_policy *policy, enum td_limit_kind kind, uint32_t i,
	struct td_policy_limit *out)
{
	const struct td_policy_conf *whole = td_policy_limits(policy);
	const struct td_trunk *trunk = td_policy_trunk(policy, i);

	switch (kind) {
	case TD_LIMIT_WHOLE:
		*out = (struct td_policy_limit){ .name = "switch",
			.limit = { whole->max_calls, whole->max_cps, whole->cps_burst } };
		return i == 0;
	case TD_LIMIT_TRUNK:
		if (!trunk)
			return false;
		*out = (struct td_policy_limit){ trunk->conf.name,
			{ trunk->conf.max_calls, trunk->conf.max_cps, trunk->conf.cps_burst },
			trunk->slot };
		return true;
	case TD_LIMIT_GROUP:
	case TD_LIMIT_ROUTE:
		if (!td_policy_limit(policy, kind, (uint16_t)(i + 1)))
			return false;
		*out = *td_policy_limit(policy, kind, (uint16_t)(i + 1));
		return true;
	case TD_LIMIT__KINDS:
		break;
	}
	return false;
}

static void kind_more(const struct td_admin *admin, struct td_mgmt_conn *conn)
{
	enum td_limit_kind kind = (enum td_limit_kind)conn->job.worker;
	const struct td_policy *policy = admin->policy->current;
	struct td_policy_limit limit;

	for (int n = 0; n < LIMITS_PER_TURN; n++) {
		if (!policy || !limit_at(policy, kind, conn->job.cursor, &limit)) {
			conn->job.cursor = 0;
			conn->job.worker++;
			return;
		}
		conn->job.cursor++;
		if (kind != TD_LIMIT_TRUNK || limit.limit.max_calls || limit.limit.max_cps)
			limit_send(admin, conn, kind, &limit);
	}
}

static uint64_t counted(const struct td_dataplane *dp, enum td_counter c)
{
	uint64_t sum = 0;

	for (uint16_t i = 0; i < dp->n_workers; i++)
		sum += td_count_get(&dp->workers[i]->counters[c]);
	return sum;
}

static void subscribers_more(const struct td_admin *admin, struct td_mgmt_conn *conn)
{
	const struct td_dataplane *dp = admin->dp;
	Tandem__LimitState row = TANDEM__LIMIT_STATE__INIT;
	char name[] = "subscribers";

	if (dp->subscribers && td_subscribers_calls(dp->subscribers, &conn->job.cursor,
				       SLOTS_PER_TURN, &conn->job.sum))
		return;
	conn->job.worker = STAGE_END;
	if (!dp->subscribers)
		return;
	row.name = name;
	row.calls = conn->job.sum;
	row.refused = counted(dp, TD_C_SIP_SUBSCRIBER_CALLS) + counted(dp, TD_C_SIP_SUBSCRIBER_CPS);
	row_send(conn, "subscribers", &row);
}

void td_mgmt_show_limits(const struct td_admin *admin, struct td_mgmt_conn *conn)
{
	if (conn->job.worker < STAGE_SUBSCRIBERS)
		kind_more(admin, conn);
	else
		subscribers_more(admin, conn);
	if (conn->job.worker != STAGE_END)
		return;
	struct td_mgmt_job job = conn->job;
	conn->job = (struct td_mgmt_job){ 0 };
	td_mgmt_send_done(conn, job.id, job.count);
}
