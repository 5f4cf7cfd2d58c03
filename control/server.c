// SPDX-License-Identifier: BSD-3-Clause
#include "control/server.h"

#include "control/control.h"
#include "control/forward.h"
#include "control/listing.h"
#include "control/log.h"
#include "control/provision.h"
#include "control/reload.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

// --- requests ---

// Who waits for the end of a change that the data plane has its part in.
struct asker {
	struct td_server *server;
	uint64_t serial, id;
};

static void on_changed(void *user, int code, const char *text)
{
	struct asker *asker = user;
	struct td_conn *conn = td_server_client(asker->server, asker->serial);

	if (conn && code == 0)
		td_conn_done(conn, asker->id, 0, text);
	else if (conn)
		td_conn_error(conn, asker->id, -code, text);
	free(asker);
}

// NULL: refused already.
static struct asker *asker_new(struct td_client *client, const Tandem__Frame *frame)
{
	struct asker *asker = malloc(sizeof(*asker));

	if (asker)
		*asker = (struct asker){ client->server, client->serial, frame->id };
	else
		td_conn_error(client->conn, frame->id, ENOMEM, "no memory");
	return asker;
}

static void reload_request(struct td_client *client, const Tandem__Frame *frame)
{
	struct asker *asker = asker_new(client, frame);

	if (asker)
		td_reload(client->server->control, frame->reload->dry_run, on_changed, asker);
}

static void trunk_request(struct td_client *client, const Tandem__Frame *frame)
{
	struct asker *asker = asker_new(client, frame);

	if (asker)
		td_trunk_set(client->server->control, frame->trunk_set->name,
			frame->trunk_set->enabled, on_changed, asker);
}

static void refresh_request(struct td_client *client, const Tandem__Frame *frame)
{
	struct td_control *control = client->server->control;
	uint32_t n = td_dns_names_refresh(&control->names, frame->dns_refresh->name);

	if (n > 0)
		td_conn_done(client->conn, frame->id, n, "it is asked for");
	else
		td_conn_error(client->conn, frame->id, ENOENT,
			"no trunk has a peer of that host name; show dns lists them");
}

// Tables that control has itself; all others are the data plane's.
static const struct {
	Tandem__Table table;
	void (*show)(struct td_client *client, const Tandem__Frame *frame);
} own_tables[] = {
	{ TANDEM__TABLE__AUDIT, td_audit_show },
	{ TANDEM__TABLE__PLANS, td_plan_store_show },
};

static void show_request(struct td_client *client, const Tandem__Frame *frame)
{
	for (size_t i = 0; i < sizeof(own_tables) / sizeof(own_tables[0]); i++) {
		if (own_tables[i].table == frame->show->table) {
			own_tables[i].show(client, frame);
			return;
		}
	}
	if (!td_listing(client, frame))
		td_forward(client, frame);
}

static void on_frame(struct td_conn *conn, const Tandem__Frame *frame)
{
	struct td_client *client = conn->data;

	client->used_ms = uv_now(conn->pipe.loop);
	td_audit_asked(client, frame);
	switch (frame->body_case) {
	case TANDEM__FRAME__BODY_RELOAD:
		reload_request(client, frame);
		break;
	case TANDEM__FRAME__BODY_TRUNK_SET:
		trunk_request(client, frame);
		break;
	case TANDEM__FRAME__BODY_TRUNK_PUT:
	case TANDEM__FRAME__BODY_TRUNK_REMOVE:
		td_trunks_request(client, frame);
		break;
	case TANDEM__FRAME__BODY_DNS_REFRESH:
		refresh_request(client, frame);
		break;
	case TANDEM__FRAME__BODY_ROUTE_LOAD:
	case TANDEM__FRAME__BODY_ROUTE_COMMIT:
	case TANDEM__FRAME__BODY_ROUTE_CHANGE:
	case TANDEM__FRAME__BODY_ROUTE_REMOVE:
		td_plan_store_request(client, frame);
		break;
	case TANDEM__FRAME__BODY_ROUTE_TEST:
	case TANDEM__FRAME__BODY_RULE_TEST:
		td_forward(client, frame);
		break;
	case TANDEM__FRAME__BODY_SHOW:
		show_request(client, frame);
		break;
	case TANDEM__FRAME__BODY_SUBSCRIBE:
		td_events_subscribe(client, frame);
		break;
	case TANDEM__FRAME__BODY_HANGUP:
	case TANDEM__FRAME__BODY_DRAIN:
	case TANDEM__FRAME__BODY_STATUS_REQUEST:
		td_forward(client, frame);
		break;
	default:
		if (td_provision(client, frame))
			break;
		td_conn_error(conn, frame->id, EOPNOTSUPP, "this request is unknown here");
	}
}

// --- connections ---

static void on_closed(struct td_conn *conn)
{
	struct td_client *client = conn->data;

	if (!client)
		return;
	client->conn = NULL;
	td_audit_left(client);
	td_events_unsubscribe(client);
}

static void on_sent(struct td_conn *conn, const Tandem__Frame *frame)
{
	struct td_client *client = conn->data;

	if (!client)
		return;
	client->used_ms = uv_now(conn->pipe.loop);
	td_audit_answered(client, frame);
}

static const struct td_conn_user client_user = {
	.frame = on_frame, .closed = on_closed, .sent = on_sent
};

struct td_conn *td_server_client(struct td_server *server, uint64_t serial)
{
	for (int i = 0; i < TD_CLIENTS_MAX; i++) {
		struct td_client *client = &server->clients[i];
		if (client->conn && client->serial == serial)
			return client->conn->closing ? NULL : client->conn;
	}
	return NULL;
}

static void peer_of(struct td_client *client)
{
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);
	uv_os_fd_t fd;

	if (uv_fileno((uv_handle_t *)&client->conn->pipe, &fd) == 0 &&
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0) {
		client->actor.uid = peer.uid;
		client->actor.pid = (uint32_t)peer.pid;
	}
	td_actor_name(&client->actor);
}

// Connections that somebody forgot must not keep an operator out: when the last place is taken, the
// one that was unused for longest makes room. Subscribers are never idle.
static void idle_close(struct td_server *server)
{
	struct td_client *idlest = NULL;

	for (int i = 0; i < TD_CLIENTS_MAX; i++) {
		struct td_client *client = &server->clients[i];
		if (!client->conn || client->conn->closing)
			return; // there is room, or will be
		if (client->subscription.kinds == 0 &&
			(!idlest || client->used_ms < idlest->used_ms))
			idlest = client;
	}
	if (!idlest || uv_now(server->listener.loop) - idlest->used_ms < TD_CLIENT_IDLE_MS)
		return;
	td_log(TD_LOG_WARNING, "operator.idle",
		"user=%s pid=%u effect=\"closed: all places are taken\"", idlest->actor.user,
		idlest->actor.pid);
	td_conn_close(idlest->conn);
}

static void on_connection(uv_stream_t *listener, int status);

static void on_shed(uv_handle_t *handle)
{
	struct td_server *server = handle->data;

	server->shedding = false;
	if (server->owed && !uv_is_closing((uv_handle_t *)&server->listener))
		on_connection((uv_stream_t *)&server->listener, 0);
}

// Without memory for a connection it is taken and closed: libuv takes no other before it is gone.
static void connection_shed(struct td_server *server)
{
	server->owed = server->shedding;
	if (server->shedding)
		return;
	uv_pipe_init(server->listener.loop, &server->shed, 0);
	server->shed.data = server;
	uv_accept((uv_stream_t *)&server->listener, (uv_stream_t *)&server->shed);
	server->shedding = true;
	uv_close((uv_handle_t *)&server->shed, on_shed);
	td_log(TD_LOG_WARNING, "operator.shed", "reason=\"no memory\" so_far=%" PRIu64,
		++server->n_shed);
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct td_server *server = listener->data;
	struct td_client *client = NULL;

	for (int i = 0; status == 0 && i < TD_CLIENTS_MAX && !client; i++)
		if (!server->clients[i].conn)
			client = &server->clients[i];
	if (status != 0)
		return;
	struct td_conn *conn = td_conn_new(
		listener->loop, &client_user, client, TD_CLIENT_FRAME_MAX, TD_CLIENT_OUT_MAX);
	if (!conn) {
		connection_shed(server);
		return;
	}
	if (uv_accept(listener, (uv_stream_t *)&conn->pipe) != 0 || !client) {
		td_conn_error(conn, 0, EUSERS,
			"too many clients: 64 are connected, as many as there may be (lsof -U or "
			"ss -xp show them)");
		td_conn_close(conn);
		return;
	}
	*client = (struct td_client){ .server = server,
		.conn = conn,
		.serial = ++server->next_serial,
		.used_ms = uv_now(listener->loop) };
	peer_of(client);
	if (td_conn_start(conn) != 0)
		td_conn_close(conn);
	idle_close(server);
}

int td_server_start(
	struct td_server *server, uv_loop_t *loop, const char *path, struct td_control *control)
{
	server->control = control;
	uv_pipe_init(loop, &server->listener, 0);
	server->listener.data = server;
	unlink(path); // run_dir is locked by us: whoever listened there is dead
	mode_t before = umask(0117);
	int rc = uv_pipe_bind(&server->listener, path);
	umask(before);
	return rc != 0 ? rc : uv_listen((uv_stream_t *)&server->listener, 128, on_connection);
}

void td_server_stop(struct td_server *server)
{
	uv_close((uv_handle_t *)&server->listener, NULL); // removes the socket
	for (int i = 0; i < TD_CLIENTS_MAX; i++)
		if (server->clients[i].conn)
			td_conn_close(server->clients[i].conn);
}
