// SPDX-License-Identifier: BSD-3-Clause
// One request to control and its answer, with a deadline over all.
#include "control/ctl.h"

#include "include/frame.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

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
		int n = now >= ctl->deadline_ms ? 0 : poll(&pfd, 1, (int)(ctl->deadline_ms - now));
		if (n > 0)
			return true;
		if (n == 0)
			errno = ETIMEDOUT;
		if (n == 0 || errno != EINTR)
			return false;
	}
}

static bool connect_to(struct ctl *ctl)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memcpy(address.sun_path, ctl->socket, sizeof(address.sun_path));
	ctl->in_len = 0;
	ctl->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return ctl->fd >= 0 && connect(ctl->fd, (struct sockaddr *)&address, sizeof(address)) == 0;
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
	if (!quiet)
		fprintf(stderr, "tandemctl: cannot reach tandem-control at %s: %s\n", ctl->socket,
			strerror(errno));
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
		sent = connect_to(ctl) && send_all(ctl, bytes, TD_FRAME_HEADER + len);
	}
	free(bytes);
	if (sent)
		return CTL_DONE;
	unreachable(ctl, quiet);
	ctl_disconnect(ctl);
	return CTL_UNREACHABLE;
}

// Makes room for a frame of need bytes and receives once. false: end, error or time-out.
static bool receive(struct ctl *ctl, size_t need)
{
	if (ctl->in_cap < need) {
		uint8_t *larger = realloc(ctl->in, need);
		if (!larger)
			return false;
		ctl->in = larger;
		ctl->in_cap = need;
	}
	for (;;) {
		ssize_t n = recv(ctl->fd, ctl->in + ctl->in_len, ctl->in_cap - ctl->in_len, 0);
		if (n > 0) {
			ctl->in_len += (size_t)n;
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
	int64_t len;

	while ((len = td_frame_length(ctl->in, ctl->in_len)) < 0) {
		size_t need = 1 << 16;
		if (ctl->in_len >= TD_FRAME_HEADER)
			need += (size_t)ctl->in[0] << 24 | ctl->in[1] << 16 | ctl->in[2] << 8 |
				ctl->in[3];
		errno = EBADMSG;
		if (len == -2 || !receive(ctl, need)) {
			unreachable(ctl, quiet);
			return NULL;
		}
	}
	Tandem__Frame *frame = tandem__frame__unpack(NULL, (size_t)len, ctl->in + TD_FRAME_HEADER);
	ctl->in_len -= TD_FRAME_HEADER + (size_t)len;
	memmove(ctl->in, ctl->in + TD_FRAME_HEADER + len, ctl->in_len);
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
