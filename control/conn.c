// SPDX-License-Identifier: BSD-3-Clause
#include "control/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define READ_BYTES 4096

struct td_conn *td_conn_new(
	uv_loop_t *loop, const struct td_conn_user *user, void *data, size_t in_max, size_t out_max)
{
	struct td_conn *conn = calloc(1, sizeof(*conn));

	if (!conn)
		return NULL;
	conn->user = user;
	conn->data = data;
	conn->in.max = in_max;
	conn->out_max = out_max;
	if (!td_frames_room(&conn->in, READ_BYTES) || uv_pipe_init(loop, &conn->pipe, 0) != 0) {
		td_frames_free(&conn->in);
		free(conn);
		return NULL;
	}
	conn->pipe.data = conn;
	return conn;
}

static void on_closed(uv_handle_t *handle)
{
	struct td_conn *conn = handle->data;

	conn->user->closed(conn);
	td_frames_free(&conn->in);
	free(conn);
}

void td_conn_close(struct td_conn *conn)
{
	if (conn->closing)
		return;
	conn->closing = true;
	uv_close((uv_handle_t *)&conn->pipe, on_closed);
}

// --- out ---

struct output {
	uv_write_t request;
	uint8_t bytes[];
};

static void on_written(uv_write_t *request, int status)
{
	struct td_conn *conn = request->handle->data;

	free(request->data);
	if (status < 0)
		td_conn_close(conn);
}

// Room for len bytes to send, or NULL and the connection is being closed.
static struct output *output_new(struct td_conn *conn, size_t len)
{
	struct output *out = NULL;

	if (conn->pipe.write_queue_size + len <= conn->out_max)
		out = malloc(sizeof(*out) + len);
	if (out)
		out->request.data = out;
	else
		td_conn_close(conn);
	return out;
}

static int output_send(struct td_conn *conn, struct output *out, size_t len)
{
	uv_buf_t buf = uv_buf_init((char *)out->bytes, (unsigned int)len);

	if (uv_write(&out->request, (uv_stream_t *)&conn->pipe, &buf, 1, on_written) == 0)
		return 0;
	free(out);
	td_conn_close(conn);
	return -EPIPE;
}

int td_conn_send_packed(
	struct td_conn *conn, const Tandem__Frame *head, const uint8_t *rest, size_t rest_len)
{
	size_t head_len = tandem__frame__get_packed_size(head), len = head_len + rest_len;

	if (conn->closing)
		return -EPIPE;
	if (len > TD_FRAME_MAX)
		return -EMSGSIZE;
	struct output *out = output_new(conn, TD_FRAME_HEADER + len);
	if (!out)
		return -ENOBUFS;
	td_frame_header(out->bytes, (uint32_t)len);
	tandem__frame__pack(head, out->bytes + TD_FRAME_HEADER);
	if (rest_len > 0)
		memcpy(out->bytes + TD_FRAME_HEADER + head_len, rest, rest_len);
	int rc = output_send(conn, out, TD_FRAME_HEADER + len);
	if (rc == 0 && conn->user->sent)
		conn->user->sent(conn, head);
	return rc;
}

int td_conn_send(struct td_conn *conn, const Tandem__Frame *frame)
{
	return td_conn_send_packed(conn, frame, NULL, 0);
}

int td_conn_write(struct td_conn *conn, const uint8_t *bytes, size_t len)
{
	if (conn->closing)
		return -EPIPE;
	if (len == 0)
		return 0;
	struct output *out = output_new(conn, len);
	if (!out)
		return -ENOBUFS;
	memcpy(out->bytes, bytes, len);
	return output_send(conn, out, len);
}

// libuv passes no descriptor of a file, so this goes to the socket itself, behind nothing.
int td_conn_send_fd(struct td_conn *conn, const Tandem__Frame *frame, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = { 0 };
	uint8_t bytes[TD_FRAME_HEADER + 512];
	size_t len = tandem__frame__get_packed_size(frame);
	struct iovec part = { bytes, TD_FRAME_HEADER + len };
	struct msghdr msg = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	uv_os_fd_t socket;

	if (conn->closing || uv_fileno((uv_handle_t *)&conn->pipe, &socket) != 0)
		return -EPIPE;
	if (conn->pipe.write_queue_size > 0)
		return -EAGAIN;
	if (len > sizeof(bytes) - TD_FRAME_HEADER)
		return -EMSGSIZE;
	td_frame_header(bytes, (uint32_t)len);
	tandem__frame__pack(frame, bytes + TD_FRAME_HEADER);
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	ssize_t n = sendmsg(socket, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return -EAGAIN;
	if (n == (ssize_t)part.iov_len)
		return 0;
	td_conn_close(conn); // half a frame cannot be taken back
	return -EPIPE;
}

int td_conn_item(struct td_conn *conn, uint64_t id, Tandem__Item *item)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;

	frame.version = 1;
	frame.id = id;
	frame.body_case = TANDEM__FRAME__BODY_ITEM;
	frame.item = item;
	return td_conn_send(conn, &frame);
}

int td_conn_error(struct td_conn *conn, uint64_t id, int code, const char *text)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__Error error = TANDEM__ERROR__INIT;

	frame.version = 1;
	frame.id = id;
	frame.body_case = TANDEM__FRAME__BODY_ERROR;
	frame.error = &error;
	error.code = code;
	error.text = (char *)(uintptr_t)text; // only read by the packer
	return td_conn_send(conn, &frame);
}

int td_conn_done(struct td_conn *conn, uint64_t id, uint64_t count, const char *text)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__Done done = TANDEM__DONE__INIT;

	frame.version = 1;
	frame.id = id;
	frame.body_case = TANDEM__FRAME__BODY_DONE;
	frame.done = &done;
	done.count = count;
	done.text = (char *)(uintptr_t)text;
	return td_conn_send(conn, &frame);
}

// --- in ---

// A far end that sends what is no frame is told so if it listens, and left.
static void refuse(struct td_conn *conn, uint64_t id, int code, const char *text)
{
	if (!conn->closing)
		td_conn_error(conn, id, code, text);
	td_conn_close(conn);
}

static void frame_take(struct td_conn *conn, const uint8_t *bytes, size_t len)
{
	Tandem__Frame *frame = tandem__frame__unpack(NULL, len, bytes);

	if (!frame)
		refuse(conn, 0, EBADMSG, "not a frame of this protocol");
	else if (frame->version != 1)
		refuse(conn, frame->id, EPROTONOSUPPORT, "protocol version 1 is spoken here");
	else
		conn->user->frame(conn, frame);
	if (frame)
		tandem__frame__free_unpacked(frame, NULL);
}

static void frames_take(struct td_conn *conn)
{
	const uint8_t *payload;
	size_t len;
	int got = 0;

	while (!conn->closing && (got = td_frames_next(&conn->in, &payload, &len)) > 0)
		frame_take(conn, payload, len);
	if (got < 0)
		refuse(conn, 0, EMSGSIZE, "the frame is too long");
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct td_conn *conn = handle->data;

	// Without room libuv reads nothing and says ENOBUFS.
	if (td_frames_room(&conn->in, READ_BYTES))
		*buf = uv_buf_init((char *)conn->in.bytes + conn->in.end,
			(unsigned int)(conn->in.cap - conn->in.end));
	else
		*buf = uv_buf_init(NULL, 0);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct td_conn *conn = stream->data;

	if (n == UV_ENOBUFS)
		refuse(conn, 0, ENOMEM, "no memory for the frame");
	if (n < 0) {
		td_conn_close(conn);
		return;
	}
	conn->in.end += (size_t)n;
	frames_take(conn);
}

int td_conn_start(struct td_conn *conn)
{
	return uv_read_start((uv_stream_t *)&conn->pipe, on_alloc, on_read);
}
