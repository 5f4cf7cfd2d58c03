// SPDX-License-Identifier: BSD-3-Clause
// A stream of management frames (include/frame.h) on a libuv pipe: bounded in both directions,
// never trusting.
//
// Owner: tandem-control's loop. A connection is freed by itself after closed() was called.
#pragma once

#include "include/frame.h"

#include <tandem.pb-c.h>
#include <uv.h>

#include <stdbool.h>

struct td_conn;

struct td_conn_user {
	// A whole frame of version 1; it is freed after the return. The callee may close the
	// connection.
	void (*frame)(struct td_conn *conn, const Tandem__Frame *frame);
	// The last call: the far end went, something was not to be trusted, or td_conn_close() was
	// called.
	void (*closed)(struct td_conn *conn);
	// A frame is on its way out; NULL: not of interest.
	void (*sent)(struct td_conn *conn, const Tandem__Frame *frame);
};

struct td_conn {
	uv_pipe_t pipe;
	const struct td_conn_user *user;
	void *data; // the user's
	struct td_frames in;
	size_t out_max; // bytes that may wait for the far end to read
	bool closing;
};

// NULL: no memory. The pipe is ready for uv_accept() or uv_pipe_connect().
struct td_conn *td_conn_new(uv_loop_t *loop, const struct td_conn_user *user, void *data,
	size_t in_max, size_t out_max);
int td_conn_start(struct td_conn *conn); // reads from now on; 0 or a libuv error
// 0; -ENOBUFS: the far end does not read, and the connection is being closed; -EPIPE: it is closing
// already; -EMSGSIZE: longer than a frame, nothing was sent.
int td_conn_send(struct td_conn *conn, const Tandem__Frame *frame);
// The same of a frame in two pieces: rest is a packed Frame of len bytes whose fields join head's
// (Protobuf: two messages one behind the other are one). It is copied.
int td_conn_send_packed(
	struct td_conn *conn, const Tandem__Frame *head, const uint8_t *rest, size_t len);
// The same for len bytes of packed frames, which are copied.
int td_conn_write(struct td_conn *conn, const uint8_t *bytes, size_t len);
// The same with a descriptor beside the frame (SCM_RIGHTS), which stays the caller's. -EAGAIN:
// other frames are on their way, or the far end does not read: nothing was sent.
int td_conn_send_fd(struct td_conn *conn, const Tandem__Frame *frame, int fd);
// Idempotent; closed() comes later, never from inside.
void td_conn_close(struct td_conn *conn);
// Sends an Error in answer to request id.
int td_conn_error(struct td_conn *conn, uint64_t id, int code, const char *text);
int td_conn_done(struct td_conn *conn, uint64_t id, uint64_t count, const char *text);
int td_conn_item(struct td_conn *conn, uint64_t id, Tandem__Item *item); // a row of the answer
