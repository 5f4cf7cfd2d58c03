// SPDX-License-Identifier: BSD-3-Clause
// One request to control and its answer, with a deadline over all.
#include "control/ctl.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define READ_BYTES (64u << 10)
#define SLICE_MS 60000
#define AGAIN_MS 10

uint64_t ctl_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool wait_for(struct ctl *ctl, short events)
{
	for (;;) {
		uint64_t now = ctl_now_ms();
		struct pollfd pfd = { .fd = ctl->fd, .events = events };
		if (now >= ctl->deadline_ms) {
			errno = ETIMEDOUT;
			return false;
		}
		// A deadline that never comes does not fit into what poll() takes.
		uint64_t left = ctl->deadline_ms - now;
		int n = poll(&pfd, 1, left < SLICE_MS ? (int)left : SLICE_MS);
		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
	}
}

static bool connect_to(struct ctl *ctl)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memcpy(address.sun_path, ctl->socket, sizeof(address.sun_path));
	td_frames_free(&ctl->in);
	ctl->in.max = TD_FRAME_MAX;
	ctl->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const struct timespec again = { .tv_nsec = AGAIN_MS * 1000000l };
	for (;;) {
		if (ctl->fd < 0)
			return false;
		if (connect(ctl->fd, (struct sockaddr *)&address, sizeof(address)) == 0)
			return true;
		// Many ask at once, and control has not taken them in yet: it will.
		if (errno != EAGAIN || ctl_now_ms() >= ctl->deadline_ms)
			return false;
		nanosleep(&again, NULL);
	}
}

static bool send_all(struct ctl *ctl, const uint8_t *bytes, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = send(ctl->fd, bytes + at, len - at, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		if (n < 0 && !wait_for(ctl, POLLOUT))
			return false;
		at += n > 0 ? (size_t)n : 0;
	}
	return true;
}

static void unreachable(const struct ctl *ctl, bool quiet)
{
	char text[sizeof(ctl->socket) + 256];
	int error = errno;

	if (quiet)
		return;
	if (error == ETIMEDOUT)
		snprintf(text, sizeof(text),
			"tandem-control at %s is there, but does not answer: it hangs or was "
			"stopped (systemctl status tandem-control)",
			ctl->socket);
	else
		snprintf(text, sizeof(text), "cannot reach tandem-control at %s: %s%s", ctl->socket,
			strerror(error),
			error == EACCES || error == EPERM
				? "; it takes its own user and root"
				: "; is it running (systemctl status tandem-control), and with "
				  "that run_dir? -c FILE or -s SOCKET name another");
	ctl_end(ctl, CTL_UNREACHABLE, text);
}

enum ctl_status ctl_ask(struct ctl *ctl, Tandem__Frame *frame, bool quiet)
{
	frame->version = 1;
	frame->id = 1;
	size_t len = tandem__frame__get_packed_size(frame);
	uint8_t *bytes = malloc(TD_FRAME_HEADER + len);
	bool sent = false;

	if (bytes) {
		td_frame_header(bytes, (uint32_t)len);
		tandem__frame__pack(frame, bytes + TD_FRAME_HEADER);
		// Who is sent away finds the reason in what he was sent.
		sent = connect_to(ctl) &&
		       (send_all(ctl, bytes, TD_FRAME_HEADER + len) || errno == EPIPE);
	}
	free(bytes);
	if (sent)
		return CTL_DONE;
	unreachable(ctl, quiet);
	ctl_disconnect(ctl);
	return CTL_UNREACHABLE;
}

// Receives once. false: end, error or time-out.
static bool receive(struct ctl *ctl)
{
	struct td_frames *in = &ctl->in;

	if (!td_frames_room(in, READ_BYTES)) {
		errno = ENOMEM;
		return false;
	}
	for (;;) {
		ssize_t n = recv(ctl->fd, in->bytes + in->end, in->cap - in->end, 0);
		if (n > 0) {
			in->end += (size_t)n;
			// Who asked for no limit of his own waits as long as something comes: a
			// list may be a million rows.
			uint64_t patience = ctl_now_ms() + CTL_TIMEOUT_MS;
			if (ctl->timeout_ms < 0 && ctl->deadline_ms < patience)
				ctl->deadline_ms = patience;
			return true;
		}
		if (n == 0)
			errno = ECONNRESET;
		if (n == 0 || (errno != EAGAIN && errno != EINTR) || !wait_for(ctl, POLLIN))
			return false;
	}
}

Tandem__Frame *ctl_next(struct ctl *ctl, bool quiet)
{
	const uint8_t *payload;
	size_t len;
	int got;

	while ((got = td_frames_next(&ctl->in, &payload, &len)) == 0) {
		if (!receive(ctl)) {
			unreachable(ctl, quiet);
			return NULL;
		}
	}
	Tandem__Frame *frame = got > 0 ? tandem__frame__unpack(NULL, len, payload) : NULL;
	errno = EBADMSG;
	if (!frame)
		unreachable(ctl, quiet);
	return frame;
}

void ctl_disconnect(struct ctl *ctl)
{
	if (ctl->fd >= 0)
		close(ctl->fd);
	ctl->fd = -1;
}
