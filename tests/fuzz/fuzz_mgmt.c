// SPDX-License-Identifier: BSD-3-Clause
// Bytes of an operator's connection, cut into pieces: whatever they are, the connection owes a
// bounded answer or ends.
#include "dataplane/mgmt.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_opened(void *ctx, struct td_mgmt_conn *conn)
{
}

static void on_frame(void *ctx, struct td_mgmt_conn *conn, const Tandem__Frame *frame)
{
	if (frame->version != 1)
		abort();
	td_mgmt_send(conn, frame); // what was understood can be said again
	if (frame->body_case == TANDEM__FRAME__BODY_HANGUP)
		conn->job.kind = 1;
}

static void on_resume(void *ctx, struct td_mgmt_conn *conn)
{
	conn->job.kind = 0;
	td_mgmt_send_done(conn, conn->job.id, 0);
}

static void piece_take(
	struct td_mgmt *mgmt, struct td_mgmt_conn *conn, const uint8_t *data, size_t size)
{
	size_t have = conn->in.end - conn->in.begin;
	uint8_t *in = malloc(have + size + 1); // exact, so that the sanitizer sees a byte too far

	if (have > 0)
		memcpy(in, conn->in.bytes + conn->in.begin, have);
	memcpy(in + have, data, size);
	free(conn->in.bytes);
	conn->in = (struct td_frames){
		.bytes = in, .end = have + size, .cap = have + size, .max = TD_FRAME_MAX
	};
	while (td_mgmt_input(mgmt, conn, TD_MGMT_FRAMES_PER_TURN) > 0 && conn->job.kind == 0)
		;
	if (conn->job.kind != 0)
		on_resume(NULL, conn);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct td_mgmt mgmt;
	struct td_mgmt_conn conn = { .fd = -1, .passed_fd = -1 };

	mgmt.handler = (struct td_mgmt_handler){ on_opened, on_frame, on_resume, NULL };
	td_arena_init(&mgmt.arena);
	while (size > 0 && !conn.closing) {
		size_t n = 1 + data[0] % 61;
		n = n < size ? n : size;
		piece_take(&mgmt, &conn, data, n);
		data += n;
		size -= n;
	}
	if (conn.out_len > TD_MGMT_OUT_MAX || mgmt.arena.bytes > TD_ARENA_MAX)
		abort();
	td_arena_fini(&mgmt.arena);
	td_frames_free(&conn.in);
	free(conn.out);
	return 0;
}
