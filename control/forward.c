// SPDX-License-Identifier: BSD-3-Clause
#include "control/forward.h"

#include "control/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct forward {
	struct td_control *control;
	uint64_t serial; // of the client
	uint64_t id;     // of its request
	bool status, version;
};

static char empty[] = "";

// --- status ---

// Fills in what control knows; the data plane says whether its ports are ready.
static void status_send(
	const struct forward *f, struct td_conn *conn, const Tandem__Status *dataplane)
{
	struct td_link *link = &f->control->link;
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__Status status = TANDEM__STATUS__INIT;

	frame.version = 1;
	frame.id = f->id;
	frame.body_case = TANDEM__FRAME__BODY_STATUS;
	frame.status = &status;
	if (dataplane)
		status = *dataplane;
	status.dataplane_connected = td_link_answers(link);
	const char *missing = td_link_lacking(link);
	if (!missing)
		missing = td_sync_missing(&f->control->sync);
	status.in_sync = !missing;
	status.policy_generation = link->policy->conf.generation;
	if (missing)
		status.text = (char *)(uintptr_t)missing; // only read by the packer
	else if (!dataplane)
		status.text = empty;
	td_conn_send(conn, &frame);
}

// --- answers ---

static void error_send(const struct forward *f, struct td_conn *conn, int error)
{
	const struct td_link *link = &f->control->link;

	if (f->status)
		status_send(f, conn, NULL);
	else if (error == -ENOBUFS)
		td_conn_error(
			conn, f->id, ENOBUFS, "too many requests are waiting for the data plane");
	else if (!td_link_answers(link))
		td_conn_error(conn, f->id, ENOTCONN, td_link_lacking(link));
	else
		td_conn_error(conn, f->id, ETIMEDOUT,
			"the data plane did not answer in time; it may still do what it was asked");
}

static void on_answer(void *user, const Tandem__Frame *frame, int error)
{
	struct forward *f = user;
	struct td_conn *conn = td_server_client(&f->control->server, f->serial);

	if (conn && !frame) {
		error_send(f, conn, error);
	} else if (conn && f->status && frame->body_case == TANDEM__FRAME__BODY_STATUS) {
		status_send(f, conn, frame->status);
	} else if (conn) {
		Tandem__Frame out = *frame;
		out.id = f->id;
		td_conn_send(conn, &out);
	}
	if (!frame || frame->body_case != TANDEM__FRAME__BODY_ITEM)
		free(f);
}

static void version_send(struct td_conn *conn, uint64_t id)
{
	Tandem__Item item = TANDEM__ITEM__INIT;
	Tandem__Version version = TANDEM__VERSION__INIT;
	char component[] = "tandem-control", number[] = TANDEM_VERSION;

	item.row_case = TANDEM__ITEM__ROW_VERSION;
	item.version = &version;
	version.component = component;
	version.version = number;
	td_conn_item(conn, id, &item);
}

void td_forward(struct td_client *client, const Tandem__Frame *frame)
{
	struct td_control *control = client->server->control;
	struct forward *f = calloc(1, sizeof(*f));
	Tandem__Frame out = *frame;

	if (!f) {
		td_conn_error(client->conn, frame->id, ENOMEM, "no memory");
		return;
	}
	f->control = control;
	f->serial = client->serial;
	f->id = frame->id;
	f->status = frame->body_case == TANDEM__FRAME__BODY_STATUS_REQUEST;
	f->version = frame->body_case == TANDEM__FRAME__BODY_SHOW &&
		     frame->show->table == TANDEM__TABLE__VERSION;
	if (f->version)
		version_send(client->conn, frame->id);
	// What hangs would do it whenever it goes on, when nobody expects it any more.
	int rc = control->link.silent ? -ENOTCONN : td_link_ask(&control->link, &out, on_answer, f);
	if (rc == 0)
		return;
	if (f->version && rc == -ENOTCONN)
		td_conn_done(client->conn, frame->id, 1, empty);
	else
		error_send(f, client->conn, rc);
	free(f);
}
