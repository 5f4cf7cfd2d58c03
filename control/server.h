// SPDX-License-Identifier: BSD-3-Clause
// The operators' side: run_dir/control.sock, one client per connection, file permissions as the
// gate (architecture §8).
//
// Owner: the loop. A client that does not read is closed when TD_CLIENT_OUT_MAX bytes wait for it.
#pragma once

#include "control/audit.h"
#include "control/conn.h"
#include "control/events.h"

#define TD_CLIENTS_MAX 64
#define TD_CLIENT_FRAME_MAX (64u << 10) // requests are small
#define TD_CLIENT_IDLE_MS 60000         // so long unused, and a full house has it closed
#define TD_CLIENT_OUT_MAX (32u << 20)   // `show calls` of 100,000 calls

struct td_control;
struct td_server;

struct td_client {
	struct td_server *server;
	struct td_conn *conn; // NULL: free
	uint64_t serial;      // of this connection, never used again
	uint64_t used_ms;     // when a frame last came or went
	struct td_actor actor;
	struct td_subscription subscription;
	struct td_audit_pending audits[TD_AUDIT_PENDING];
};

struct td_server {
	uv_pipe_t listener;
	struct td_control *control;
	uint64_t next_serial;
	uv_pipe_t shed;      // one that there was no memory for, on its way out
	bool shedding, owed; // owed: the next one waits for that
	uint64_t n_shed;
	struct td_client clients[TD_CLIENTS_MAX];
};

// Listens on path; a socket that a dead process left is replaced. 0 or a libuv error.
int td_server_start(
	struct td_server *server, uv_loop_t *loop, const char *path, struct td_control *control);
void td_server_stop(struct td_server *server);
// The connection with that serial, NULL when it is gone: answers may come later than their asker
// stays.
struct td_conn *td_server_client(struct td_server *server, uint64_t serial);
