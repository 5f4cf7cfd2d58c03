// SPDX-License-Identifier: BSD-3-Clause
// tandem-control's connection to the data plane: made again and again until it stands, brought into
// sync, then asked.
//
// Owner: the loop. Resync is one comparison: the data plane says which policy generation it has in
// force, and gets the whole policy when that is another than ours.
#pragma once

#include "control/conn.h"
#include "control/events.h"
#include "control/policy_resolve.h"

struct td_plan_store;

#define TD_LINK_PENDING_MAX 256
#define TD_LINK_PATIENCE_MS 10000 // between two frames of an answer
#define TD_LINK_WATCH_MS 500
#define TD_LINK_QUIET_MAX 6 // looks at a far end that owes an answer and says nothing: it hangs

// One frame of an answer, or frame NULL and error: -ETIMEDOUT, -ECONNRESET. Done, Error, Status and
// NULL are the last.
typedef void (*td_link_answer)(void *user, const Tandem__Frame *frame, int error);

struct td_link_pending {
	uint64_t id; // 0: free
	uint64_t deadline_ms;
	bool bulk; // with a descriptor: the far end may work at it for long without a word
	td_link_answer answer;
	void *user;
};

// Who wants to know that the data plane came or went; any may be NULL.
struct td_link_watcher {
	void (*hello)(void *user, const Tandem__Hello *hello);
	void (*lost)(void *user);
	void *user;
};

struct td_link {
	uv_loop_t *loop;
	char path[108];
	uv_timer_t retry, watch;
	uint64_t backoff_ms, hello_ms; // hello_ms: by when the far end must have said who it is
	uv_connect_t request;
	struct td_conn *conn; // NULL: down
	bool connected;       // the data plane's Hello came
	bool in_sync;
	bool silent;    // it is there, and neither answers nor says who it is
	unsigned quiet; // looks since its last word
	uint32_t epoch;
	uint64_t next_id;
	struct td_plan_store *plans;         // borrowed; told of each Hello; NULL: nobody is
	const struct td_resolved_policy *policy; // borrowed, sealed; what the data plane shall have
	struct td_events *events;            // borrowed; NULL: nobody is told
	struct td_link_watcher watcher;      // set before the start
	char refusal[256]; // the data plane's words when it did not take the policy
	struct td_link_pending pending[TD_LINK_PENDING_MAX];
};

// Begins to connect to path. policy: as td_link_set_policy().
int td_link_start(struct td_link *link, uv_loop_t *loop, const char *path,
	const struct td_resolved_policy *policy);
void td_link_stop(struct td_link
		*link); // ends timers and connection; answers what is pending with -ECONNRESET

// Gives the frame an id, sends it, and has answer called for each frame that comes back. 0;
// -ENOTCONN; -ENOBUFS.
int td_link_ask(struct td_link *link, Tandem__Frame *frame, td_link_answer answer, void *user);
// The same with a descriptor beside the frame (SCM_RIGHTS; -1: none), which stays the caller's, and
// with six times the patience. -EAGAIN: other frames are on their way; ask again later.
int td_link_ask_fd(
	struct td_link *link, Tandem__Frame *frame, int fd, td_link_answer answer, void *user);
// Sends a policy that is not ours yet (reload); the caller makes it ours when Done came.
int td_link_push(struct td_link *link, const struct td_resolved_policy *policy,
	td_link_answer answer, void *user);
// Whether the data plane took what it was sent is unknown: its next Hello will say so.
void td_link_doubt(struct td_link *link);
// Whether it is there, has said who it is, and answers.
bool td_link_answers(const struct td_link *link);
// What keeps the data plane from having the policy, in words; NULL: nothing does.
const char *td_link_lacking(const struct td_link *link);
// The policy to hold the data plane to from now on; in_force: it has it already.
void td_link_set_policy(
	struct td_link *link, const struct td_resolved_policy *policy, bool in_force);
