// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/mgmt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define READ_BYTES (64u << 10)
#define BACKLOG 16

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

// --- connections ---

static void conn_free(struct td_mgmt_conn *conn)
{
	close(conn->fd); // leaves epoll by itself
	td_frames_free(&conn->in);
	if (conn->passed_fd >= 0)
		close(conn->passed_fd);
	free(conn->out);
	*conn = (struct td_mgmt_conn){
		.fd = -1,
		.passed_fd = -1,
		.index = conn->index,
		.generation = conn->generation + 1,
	};
}

static struct td_mgmt_conn *conn_new(struct td_mgmt *mgmt, int fd)
{
	for (uint32_t i = 0; i < TD_MGMT_CONNS; i++) {
		struct td_mgmt_conn *conn = &mgmt->conns[i];
		if (conn->fd >= 0)
			continue;
		struct epoll_event event = { .events = EPOLLIN, .data.u32 = i };
		if (epoll_ctl(mgmt->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
			return NULL;
		conn->fd = fd;
		conn->in.max = TD_FRAME_MAX;
		return conn;
	}
	return NULL;
}

static void accept_all(struct td_mgmt *mgmt)
{
	int fd;

	while ((fd = accept4(mgmt->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct td_mgmt_conn *conn = conn_new(mgmt, fd);
		if (conn)
			mgmt->handler.opened(mgmt->handler.ctx, conn);
		else
			close(fd);
	}
}

uint64_t td_mgmt_tag(const struct td_mgmt_conn *conn)
{
	return (uint64_t)conn->generation << 32 | (conn->index + 1);
}

struct td_mgmt_conn *td_mgmt_tagged(struct td_mgmt *mgmt, uint64_t tag)
{
	uint32_t index = (uint32_t)tag - 1;

	if (index >= TD_MGMT_CONNS || mgmt->conns[index].fd < 0 ||
		mgmt->conns[index].generation != tag >> 32)
		return NULL;
	return &mgmt->conns[index];
}

// --- output ---

static bool out_room(struct td_mgmt_conn *conn, size_t bytes)
{
	if (conn->out_sent > 0) {
		memmove(conn->out, conn->out + conn->out_sent, conn->out_len - conn->out_sent);
		conn->out_len -= conn->out_sent;
		conn->out_sent = 0;
	}
	size_t need = conn->out_len + bytes;
	if (need > TD_MGMT_OUT_MAX)
		return false;
	if (need <= conn->out_cap)
		return true;
	size_t cap = conn->out_cap ? conn->out_cap : 4096;
	while (cap < need)
		cap *= 2;
	uint8_t *bigger = realloc(conn->out, cap);
	if (!bigger)
		return false;
	conn->out = bigger;
	conn->out_cap = cap;
	return true;
}

void td_mgmt_send(struct td_mgmt_conn *conn, const Tandem__Frame *frame)
{
	size_t len = tandem__frame__get_packed_size(frame);

	if (conn->closing)
		return;
	if (!out_room(conn, TD_FRAME_HEADER + len)) {
		conn->closing = true;
		conn->out_len = conn->out_sent = 0;
		return;
	}
	td_frame_header(conn->out + conn->out_len, (uint32_t)len);
	tandem__frame__pack(frame, conn->out + conn->out_len + TD_FRAME_HEADER);
	conn->out_len += TD_FRAME_HEADER + len;
}

void td_mgmt_item_send(struct td_mgmt_conn *conn, uint64_t id, Tandem__Item *item)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;

	frame.version = 1;
	frame.id = id;
	frame.body_case = TANDEM__FRAME__BODY_ITEM;
	frame.item = item;
	td_mgmt_send(conn, &frame);
}

void td_mgmt_send_error(struct td_mgmt_conn *conn, uint64_t id, int code, const char *text)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__Error error = TANDEM__ERROR__INIT;

	frame.version = 1;
	frame.id = id;
	frame.body_case = TANDEM__FRAME__BODY_ERROR;
	frame.error = &error;
	error.code = code;
	error.text = (char *)text;
	td_mgmt_send(conn, &frame);
}

void td_mgmt_send_done(struct td_mgmt_conn *conn, uint64_t id, uint64_t count)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__Done done = TANDEM__DONE__INIT;

	frame.version = 1;
	frame.id = id;
	frame.body_case = TANDEM__FRAME__BODY_DONE;
	frame.done = &done;
	done.count = count;
	td_mgmt_send(conn, &frame);
}

static void conn_flush(struct td_mgmt *mgmt, struct td_mgmt_conn *conn)
{
	while (conn->out_sent < conn->out_len) {
		ssize_t n = send(conn->fd, conn->out + conn->out_sent,
			conn->out_len - conn->out_sent, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			conn->closing = true;
		if (n < 0)
			break;
		conn->out_sent += (size_t)n;
	}
	if (conn->closing) { // what the kernel did not take at once is lost: nobody may hold a slot
			     // by not reading
		conn_free(conn);
		return;
	}
	bool owed = conn->out_sent < conn->out_len;
	if (owed == conn->writable_wanted)
		return;
	struct epoll_event event = { .events = EPOLLIN | (owed ? EPOLLOUT : 0),
		.data.u32 = conn->index };
	epoll_ctl(mgmt->epoll_fd, EPOLL_CTL_MOD, conn->fd, &event);
	conn->writable_wanted = owed;
}

// --- input ---

static void frame_take(
	struct td_mgmt *mgmt, struct td_mgmt_conn *conn, const uint8_t *bytes, size_t len)
{
	Tandem__Frame *frame = tandem__frame__unpack(&mgmt->arena.allocator, len, bytes);

	if (!frame) {
		td_mgmt_send_error(conn, 0, EBADMSG, "this is no frame of tandem.proto");
		conn->closing = true;
	} else if (frame->version != 1) {
		td_mgmt_send_error(conn, frame->id, EPROTONOSUPPORT,
			"only version 1 of the protocol is spoken here");
		conn->closing = true;
	} else {
		mgmt->handler.frame(mgmt->handler.ctx, conn, frame);
	}
	td_arena_reset(&mgmt->arena);
}

uint32_t td_mgmt_input(struct td_mgmt *mgmt, struct td_mgmt_conn *conn, uint32_t max)
{
	const uint8_t *payload;
	size_t len;
	uint32_t n = 0;
	int got = 1;

	// A job in progress, or an output that nobody reads, holds the connection's further
	// requests.
	while (got > 0 && n < max && !conn->closing && conn->job.kind == 0 &&
		conn->out_len - conn->out_sent < TD_MGMT_OUT_EASY) {
		got = td_frames_next(&conn->in, &payload, &len);
		if (got > 0) {
			frame_take(mgmt, conn, payload, len);
			n++;
		}
	}
	if (got < 0) {
		td_mgmt_send_error(conn, 0, EMSGSIZE, "the frame is longer than 16 MiB");
		conn->closing = true;
	}
	return n;
}

// One descriptor at a time: what comes beyond it is closed.
static void passed_keep(struct td_mgmt_conn *conn, struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (conn->passed_fd < 0)
				conn->passed_fd = fd;
			else
				close(fd);
		}
	}
}

static ssize_t conn_receive(struct td_mgmt_conn *conn, void *dst, size_t len)
{
	char control[CMSG_SPACE(8 * sizeof(int))] __attribute__((aligned(8)));
	struct iovec part = { dst, len };
	struct msghdr msg = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(conn->fd, &msg, MSG_CMSG_CLOEXEC);

	if (n > 0)
		passed_keep(conn, &msg);
	return n;
}

static void conn_read(struct td_mgmt_conn *conn)
{
	struct td_frames *in = &conn->in;

	if (td_frames_full(in) || !td_frames_room(in, READ_BYTES))
		return; // whole frames wait; they go first
	ssize_t n = conn_receive(conn, in->bytes + in->end, in->cap - in->end);
	if (n > 0)
		in->end += (size_t)n;
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		conn->closing = true;
}

// --- the socket ---

static bool somebody_listens(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool there =
		fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;

	if (fd >= 0)
		close(fd);
	return there;
}

static int listen_open(struct td_mgmt *mgmt)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memcpy(address.sun_path, mgmt->path, sizeof(address.sun_path));
	if (somebody_listens(&address))
		return -EADDRINUSE;
	unlink(mgmt->path);
	mgmt->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (mgmt->listen_fd < 0)
		return -errno;
	mode_t mask = umask(0177); // 0600 from the first moment on
	int rc = bind(mgmt->listen_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno
											 : 0;
	umask(mask);
	if (rc == 0 && listen(mgmt->listen_fd, BACKLOG) < 0)
		rc = -errno;
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = TD_MGMT_CONNS };
	if (rc == 0 && epoll_ctl(mgmt->epoll_fd, EPOLL_CTL_ADD, mgmt->listen_fd, &event) < 0)
		rc = -errno;
	return rc;
}

int td_mgmt_open(struct td_mgmt *mgmt, const char *path, const struct td_mgmt_handler *handler)
{
	*mgmt = (struct td_mgmt){ .listen_fd = -1, .epoll_fd = -1, .handler = *handler };
	for (uint32_t i = 0; i < TD_MGMT_CONNS; i++)
		mgmt->conns[i] = (struct td_mgmt_conn){ .fd = -1, .passed_fd = -1, .index = i };
	td_arena_init(&mgmt->arena);
	if ((size_t)snprintf(mgmt->path, sizeof(mgmt->path), "%s", path) >= sizeof(mgmt->path)) {
		mgmt->path[0] = '\0';
		return -ENAMETOOLONG;
	}
	mgmt->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	int rc = mgmt->epoll_fd < 0 ? -errno : listen_open(mgmt);
	if (rc == -EADDRINUSE)
		mgmt->path[0] = '\0'; // another's socket is not ours to remove
	if (rc < 0)
		td_mgmt_close(mgmt);
	return rc;
}

void td_mgmt_close(struct td_mgmt *mgmt)
{
	for (uint32_t i = 0; i < TD_MGMT_CONNS; i++) {
		if (mgmt->conns[i].fd < 0)
			continue;
		mgmt->conns[i].closing = true;
		conn_flush(mgmt, &mgmt->conns[i]);
		if (mgmt->conns[i].fd >= 0)
			conn_free(&mgmt->conns[i]);
	}
	if (mgmt->listen_fd >= 0)
		close(mgmt->listen_fd);
	if (mgmt->epoll_fd >= 0)
		close(mgmt->epoll_fd);
	if (mgmt->path[0] != '\0')
		unlink(mgmt->path);
	td_arena_fini(&mgmt->arena);
	mgmt->listen_fd = mgmt->epoll_fd = -1;
}

void td_mgmt_wait(struct td_mgmt *mgmt, int timeout_ms)
{
	mgmt->n_events = epoll_wait(mgmt->epoll_fd, mgmt->events, TD_MGMT_CONNS + 1, timeout_ms);
}

uint32_t td_mgmt_turn(struct td_mgmt *mgmt)
{
	uint64_t until = now_ns() + TD_MGMT_NS_PER_TURN;
	uint32_t frames = 0;

	for (int i = 0; i < mgmt->n_events; i++) {
		if (mgmt->events[i].data.u32 == TD_MGMT_CONNS)
			accept_all(mgmt);
		else if (mgmt->conns[mgmt->events[i].data.u32].fd >= 0)
			conn_read(&mgmt->conns[mgmt->events[i].data.u32]);
	}
	mgmt->n_events = 0;
	for (uint32_t i = 0; i < TD_MGMT_CONNS; i++) {
		struct td_mgmt_conn *conn = &mgmt->conns[i];
		if (conn->fd < 0)
			continue;
		if (conn->job.kind != 0 && conn->out_len - conn->out_sent < TD_MGMT_OUT_EASY)
			mgmt->handler.resume(mgmt->handler.ctx, conn);
		while (frames < TD_MGMT_FRAMES_PER_TURN && now_ns() < until &&
			td_mgmt_input(mgmt, conn, 1) > 0)
			frames++;
		conn_flush(mgmt, conn);
	}
	return frames;
}
