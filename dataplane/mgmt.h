// SPDX-License-Identifier: BSD-3-Clause
// The management socket (architecture §8): run_dir/dataplane.sock, frames in, frames out. Knows
// bytes and connections; what a frame means is its handler's business.
//
// Owner: main. A turn handles at most 64 frames or 1 ms of them; what a connection may be owed is
// bounded, and one that does not read is closed. Garbage is answered with an error and the
// connection closed.
#pragma once

#include "dataplane/mgmt_arena.h"
#include "include/cdr.h"
#include "include/frame.h"

#include <tandem.pb-c.h>

#include <stdbool.h>
#include <sys/epoll.h>

#define TD_MGMT_CONNS 32
#define TD_MGMT_OUT_MAX (4u << 20)    // owed to one connection; more closes it
#define TD_MGMT_OUT_EASY (256u << 10) // a long answer goes on only below that
#define TD_MGMT_FRAMES_PER_TURN 64
#define TD_MGMT_NS_PER_TURN 1000000

// A request that takes more than one turn; further frames of its connection wait for its end.
struct td_mgmt_job {
	uint8_t kind;    // 0: none; the handler's own otherwise
	bool asked;      // a worker has a command of it
	uint16_t worker; // that is asked now
	uint32_t cursor;
	uint64_t id;    // of the request
	uint64_t count; // items so far
	uint64_t sum;   // the handler's own
	char key[TD_CDR_ID_LEN];
};

struct td_mgmt_conn {
	int fd; // -1: free
	uint32_t index;
	uint32_t generation; // of the slot
	bool closing;        // after what is owed was sent
	bool writable_wanted;
	struct td_frames in;
	uint8_t *out;
	size_t out_len, out_sent, out_cap;
	int passed_fd; // beside the last bytes (SCM_RIGHTS), the next frame's to take; -1: none
	struct td_mgmt_job job;
};

struct td_mgmt_handler {
	void (*opened)(void *ctx, struct td_mgmt_conn *conn);
	void (*frame)(void *ctx, struct td_mgmt_conn *conn,
		const Tandem__Frame *frame); // valid during the call
	void (*resume)(void *ctx,
		struct td_mgmt_conn
			*conn); // once a turn while job.kind is not 0 and the output is easy
	void *ctx;
};

struct td_mgmt {
	int listen_fd, epoll_fd;
	char path[108];
	struct td_mgmt_handler handler;
	struct td_arena arena;
	int n_events;
	struct epoll_event events[TD_MGMT_CONNS + 1];
	struct td_mgmt_conn conns[TD_MGMT_CONNS];
};

// A socket of that name which nobody listens on is replaced; -EADDRINUSE where somebody does. 0 or
// -errno.
int td_mgmt_open(struct td_mgmt *mgmt, const char *path, const struct td_mgmt_handler *handler);
void td_mgmt_close(struct td_mgmt *mgmt);
// Waits at most timeout_ms for something to do, which the next turn does. Returns the frames
// handled.
void td_mgmt_wait(struct td_mgmt *mgmt, int timeout_ms);
uint32_t td_mgmt_turn(struct td_mgmt *mgmt);

// Queues a frame. A connection that would be owed too much is closed instead.
void td_mgmt_send(struct td_mgmt_conn *conn, const Tandem__Frame *frame);
// One row of a table.
void td_mgmt_item_send(struct td_mgmt_conn *conn, uint64_t id, Tandem__Item *item);
void td_mgmt_send_error(struct td_mgmt_conn *conn, uint64_t id, int code,
	const char *text); // code: errno, positive
void td_mgmt_send_done(struct td_mgmt_conn *conn, uint64_t id, uint64_t count);
// The tag of a connection in a command to a worker, and back; NULL: it is gone.
uint64_t td_mgmt_tag(const struct td_mgmt_conn *conn);
struct td_mgmt_conn *td_mgmt_tagged(struct td_mgmt *mgmt, uint64_t tag);

// The bytes of a connection, for fuzzing and tests: takes whole frames of conn->in. Returns the
// frames handled.
uint32_t td_mgmt_input(struct td_mgmt *mgmt, struct td_mgmt_conn *conn, uint32_t max);
