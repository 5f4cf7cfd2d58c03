// SPDX-License-Identifier: BSD-3-Clause
#include "control/resolver.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <stdlib.h>

#define EDNS_BYTES 1232 // passes every path unfragmented; what is longer comes over TCP

// A socket of c-ares, watched for as long as it wants that.
struct td_watched {
	uv_poll_t poll;
	struct td_resolver *resolver;
	ares_socket_t fd;
	struct td_watched *next;
};

struct question {
	struct td_resolver *resolver;
	enum td_dns_type type;
	td_dns_heard heard;
	void *user;
};

// --- the loop's side of c-ares ---

static void on_timer(uv_timer_t *timer);

static void timer_arm(struct td_resolver *r)
{
	struct timeval left, *next = ares_timeout(r->channel, NULL, &left);

	if (next)
		uv_timer_start(&r->timer, on_timer,
			(uint64_t)next->tv_sec * 1000 + (uint64_t)next->tv_usec / 1000 + 1, 0);
	else
		uv_timer_stop(&r->timer);
}

static void on_timer(uv_timer_t *timer)
{
	struct td_resolver *r = timer->data;

	ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	timer_arm(r);
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
	struct td_watched *w = poll->data;
	struct td_resolver *r = w->resolver;
	bool readable = status < 0 || (events & UV_READABLE),
	     writable = status < 0 || (events & UV_WRITABLE);

	// w may be gone when this returns.
	ares_process_fd(
		r->channel, readable ? w->fd : ARES_SOCKET_BAD, writable ? w->fd : ARES_SOCKET_BAD);
	timer_arm(r);
}

static void on_watched_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static struct td_watched *watched_new(struct td_resolver *r, ares_socket_t fd)
{
	struct td_watched *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->resolver = r;
	w->fd = fd;
	w->poll.data = w;
	if (uv_poll_init(r->loop, &w->poll, fd) != 0) {
		free(w);
		return NULL;
	}
	w->next = r->sockets;
	r->sockets = w;
	return w;
}

// Without memory nobody watches the socket: the question then ends by its time-out.
static void on_socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
	struct td_resolver *r = data;
	struct td_watched **at = &r->sockets;

	while (*at && (*at)->fd != fd)
		at = &(*at)->next;
	struct td_watched *w = *at;
	if (readable || writable) {
		w = w ? w : watched_new(r, fd);
		if (w)
			uv_poll_start(&w->poll,
				(readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0),
				on_socket);
	} else if (w) {
		*at = w->next;
		uv_poll_stop(&w->poll);
		uv_close((uv_handle_t *)&w->poll, on_watched_closed);
	}
}

// --- questions ---

static int code_of(int status)
{
	switch (status) {
	case ARES_ENODATA:
	case ARES_ENOTFOUND:
		return -ENOENT;
	case ARES_ETIMEOUT:
		return -ETIMEDOUT;
	case ARES_ECONNREFUSED:
		return -ECONNREFUSED;
	case ARES_EBADRESP:
	case ARES_EBADNAME:
		return -EBADMSG;
	case ARES_EDESTRUCTION:
	case ARES_ECANCELLED:
		return -ECANCELED;
	case ARES_ENOMEM:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

const char *td_dns_error(int code)
{
	switch (code) {
	case 0:
		return "";
	case -ENOENT:
		return "there is no such name, or nothing to send SIP over UDP to";
	case -ETIMEDOUT:
		return "no name server answered in time";
	case -ECONNREFUSED:
		return "no name server can be reached";
	case -EBADMSG:
		return "the answer does not hold";
	case -ENOMEM:
		return "no memory";
	default:
		return "the name server failed";
	}
}

static void on_reply(void *arg, int status, int timeouts, unsigned char *bytes, int len)
{
	struct question q = *(struct question *)arg;
	struct td_dns_reply reply = { .ttl_s = UINT32_MAX };
	int code = status == ARES_SUCCESS ? td_dns_reply_read(q.type, bytes, (size_t)len, &reply)
					  : code_of(status);

	if (status != ARES_SUCCESS && code == -ENOENT && bytes)
		reply.ttl_s = td_dns_none_ttl_s(bytes, (size_t)len);
	free(arg);
	q.resolver->waiting--;
	q.resolver->failures += code != 0 && code != -ENOENT && code != -ECANCELED;
	q.heard(q.user, code, code == 0 || code == -ENOENT ? &reply : NULL);
}

void td_resolver_ask(
	void *ctx, const char *name, enum td_dns_type type, td_dns_heard heard, void *user)
{
	static const int types[] = { [TD_DNS_A] = ns_t_a,
		[TD_DNS_AAAA] = ns_t_aaaa,
		[TD_DNS_SRV] = ns_t_srv,
		[TD_DNS_NAPTR] = ns_t_naptr };
	struct td_resolver *r = ctx;
	struct question *q = r->channel ? malloc(sizeof(*q)) : NULL;

	if (!q) {
		heard(user, r->channel ? -ENOMEM : -ECANCELED, NULL);
		return;
	}
	*q = (struct question){ r, type, heard, user };
	r->queries++;
	r->waiting++;
	ares_query(r->channel, name, ns_c_in, types[type], on_reply, q);
	if (r->channel)
		timer_arm(r);
}

// --- life ---

static int servers_set(struct ares_channeldata *channel, const struct td_dns_conf *conf)
{
	char list[TD_DNS_SERVERS_MAX * (TD_ADDR_STRLEN + 1)];
	size_t at = 0;

	for (uint8_t i = 0; i < conf->n_servers; i++) {
		if (i > 0)
			list[at++] = ',';
		at += td_sockaddr_format(&conf->servers[i], list + at, sizeof(list) - at);
	}
	return conf->n_servers == 0 ? ARES_SUCCESS : ares_set_servers_ports_csv(channel, list);
}

// Status of c-ares; *out is written on success only.
static int channel_new(
	struct td_resolver *r, const struct td_dns_conf *conf, struct ares_channeldata **out)
{
	struct ares_options options = { .flags = ARES_FLAG_EDNS,
		.ednspsz = EDNS_BYTES,
		.timeout = (int)conf->timeout_ms,
		.tries = (int)conf->tries,
		.sock_state_cb = on_socket_state,
		.sock_state_cb_data = r };
	int mask = ARES_OPT_FLAGS | ARES_OPT_EDNSPSZ | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
		   ARES_OPT_SOCK_STATE_CB;
	struct ares_channeldata *channel = NULL;
	int rc = ares_init_options(&channel, &options, mask);

	if (rc != ARES_SUCCESS)
		return rc;
	rc = servers_set(channel, conf);
	if (rc == ARES_SUCCESS)
		*out = channel;
	else
		ares_destroy(channel);
	return rc;
}

static int errno_of(int status)
{
	return status == ARES_SUCCESS ? 0 : status == ARES_ENOMEM ? -ENOMEM : -EINVAL;
}

int td_resolver_start(
	struct td_resolver *r, uv_loop_t *loop, const struct td_dns_conf *conf, const char **error)
{
	*r = (struct td_resolver){ .loop = loop };
	int rc = ares_library_init(ARES_LIB_INIT_ALL);
	if (rc == ARES_SUCCESS)
		rc = channel_new(r, conf, &r->channel);
	*error = ares_strerror(rc);
	if (rc != ARES_SUCCESS)
		return errno_of(rc);
	uv_timer_init(loop, &r->timer);
	r->timer.data = r;
	return 0;
}

int td_resolver_change(struct td_resolver *r, const struct td_dns_conf *conf, const char **error)
{
	struct ares_channeldata *before = r->channel;
	int rc = channel_new(r, conf, &r->channel);

	*error = ares_strerror(rc);
	if (rc != ARES_SUCCESS)
		return errno_of(rc);
	ares_destroy(before);
	timer_arm(r);
	return 0;
}

void td_resolver_stop(struct td_resolver *r)
{
	struct ares_channeldata *channel = r->channel;

	if (!channel)
		return;
	r->channel = NULL; // what is asked for the sake of an answer now is refused
	ares_destroy(channel);
	uv_close((uv_handle_t *)&r->timer, NULL);
	ares_library_cleanup();
}
