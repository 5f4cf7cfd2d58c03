// SPDX-License-Identifier: BSD-3-Clause
// What the frames on the management socket mean: control's policy, operators' tables, hangup,
// drain. The tables are in mgmt_show.c. Owner: main.
#pragma once

#include "dataplane/command.h"
#include "dataplane/drain.h"
#include "dataplane/journal_thread.h"
#include "dataplane/mgmt.h"
#include "dataplane/plans.h"
#include "dataplane/policy_apply.h"
#include "dataplane/provision.h"
#include "dataplane/stats.h"
#include "sip/numbers.h"

enum td_admin_job {
	TD_JOB_NONE,
	TD_JOB_CALLS,
	TD_JOB_TRUNKS,
	TD_JOB_PEERS,
	TD_JOB_LIMITS,
	TD_JOB_HANGUP,
	TD_JOB_BINDINGS,
};

struct td_admin {
	struct td_dataplane *dp;
	struct td_mgmt mgmt;
	struct td_policy_apply *policy;
	struct td_plans *plans;
	struct td_drain *drain;
	struct td_stats *stats;
	struct td_provision *provision;
	const struct td_journal *journal;
	uint64_t bindings_tag; // of the connection whose bindings are handed over
};

// What frames are given to; admin is borrowed.
void td_admin_handler(struct td_admin *admin, struct td_mgmt_handler *handler);
// Opens run_dir/dataplane.sock. 0 or -errno.
int td_admin_open(struct td_admin *admin);
// Collects what workers answered; once a turn.
uint32_t td_admin_collect(struct td_admin *admin);

// Puts a dial plan in force that has been read meanwhile; once a turn.
void td_admin_plans(struct td_admin *admin);

// --- route_test.c ---

void td_route_test(struct td_admin *admin, struct td_mgmt_conn *conn, uint64_t id,
	const Tandem__RouteTest *request);

extern const struct td_alloc td_rule_test_memory; // main may allocate

// --- rule_test.c ---

void td_rule_test(struct td_admin *admin, struct td_mgmt_conn *conn, uint64_t id,
	const Tandem__RuleTest *request);
void td_rules_show(const struct td_admin *admin, struct td_mgmt_conn *conn, uint64_t id);
// A step of a number as a row; it lives until the return.
void td_number_step_send(
	struct td_mgmt_conn *conn, uint64_t id, const struct td_numbers_step *step);

// --- mgmt_show.c ---

void td_mgmt_show(
	struct td_admin *admin, struct td_mgmt_conn *conn, uint64_t id, const Tandem__Show *show);
// The next piece of a table that takes more than one turn.
void td_mgmt_show_more(struct td_admin *admin, struct td_mgmt_conn *conn);
// mgmt_stats.c
void td_mgmt_show_stats(const struct td_admin *admin, struct td_mgmt_conn *conn, uint64_t id);
void td_mgmt_show_limits(const struct td_admin *admin, struct td_mgmt_conn *conn); // the next piece
void td_mgmt_show_calls(struct td_mgmt_conn *conn, const struct td_command *answer);
