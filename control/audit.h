// SPDX-License-Identifier: BSD-3-Clause
// Who changed what, and when: one line in state_dir/audit.log, in the log, and as an event, for
// each request that changes something, with how it ended. The file's fields are separated by tabs:
// time, user, uid, pid, what, on what, result, text; it is turned over at 16 MiB, and four old ones
// stay.
//
// Owner: the loop. Which requests are changes is said in the table of audit.c.
#pragma once

#include <tandem.pb-c.h>

#include <stdbool.h>
#include <stdint.h>

#define TD_AUDIT_PENDING 16

struct td_client;
struct td_control;

struct td_actor { // by the credentials of its socket
	uint32_t uid, pid;
	char user[32];
};

// A change whose answer has not gone out yet.
struct td_audit_pending {
	uint64_t id;      // of the request
	const char *what; // NULL: free
	char subject[96];
};

// The name of uid in /etc/passwd, else its number.
void td_actor_name(struct td_actor *actor);

// Notes a request of a client, where it is a change.
void td_audit_asked(struct td_client *client, const Tandem__Frame *frame);
// A frame went to the client: where it is the end of a change, that is written.
void td_audit_answered(struct td_client *client, const Tandem__Frame *frame);
void td_audit_left(struct td_client *client); // the client went before the answer

// Writes one line. code 0: done; else errno.
void td_audit_write(struct td_control *control, const struct td_actor *who, const char *what,
	const char *subject, int code, const char *text);
// Answers Show AUDIT with the last rows, at most frame->show->limit (0: 100), oldest first.
void td_audit_show(struct td_client *client, const Tandem__Frame *frame);
