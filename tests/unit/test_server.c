// SPDX-License-Identifier: BSD-3-Clause
// tandem-control's two sockets, driven by hand: an operator on one side, a data plane on the other,
// and what neither should ever send.
#include "control/control.h"
#include "control/policy_pb.h"
#include "control/reload.h"
#include "include/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#define CONFIG                                                                                     \
	"run_dir = \"%s\"; state_dir = \"%s\";\n"                                                  \
	"lcores = { workers = [ 0 ]; };\n"                                                         \
	"ports = ( { name = \"p\"; device = \"net_null0\"; } );\n"                                 \
	"realms = ( { name = \"west\"; port = \"p\"; addresses = [ \"10.0.1.254/24\" ]; sip = ( "  \
	"{ } ); } );\n"                                                                            \
	"trunks = ( { name = \"a\"; realm = \"west\"; max_calls = %d; peers = ( { address = "      \
	"\"10.0.1.1\"; } ); } );\n"

static struct td_control control;
static char dir[64], file[96];
static int listener = -1, plane = -1;

static void config_write(int max_calls, const char *more)
{
	FILE *f = fopen(file, "w");

	fprintf(f, CONFIG "%s", dir, dir, max_calls, more);
	fclose(f);
}

static void config_change(const char *from, const char *to)
{
	char text[4096] = "";
	FILE *f = fopen(file, "r+");

	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	const char *at = strstr(text, from);
	assert_non_null(at);
	rewind(f);
	fprintf(f, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	fclose(f);
}

// Lets the loop work until it has nothing more to do at once.
static void turn(void)
{
	for (int i = 0; i < 20; i++) {
		uv_run(&control.loop, UV_RUN_NOWAIT);
		usleep(500);
	}
}

static int connect_to(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", dir, name);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	turn();
	return fd;
}

static bool pushed_stopped;

static int setup(void **state)
{
	struct td_faults faults = { 0 };
	char path[128];

	memset(&control, 0, sizeof(control));
	snprintf(dir, sizeof(dir), "/tmp/td_server_%d", (int)getpid());
	snprintf(file, sizeof(file), "%s/x.conf", dir);
	mkdir(dir, 0700);
	config_write(5, "");
	control.path = file;
	assert_int_equal(td_config_load(file, NULL, 0, &control.conf, &faults), 0);
	control.conf->policy.generation = td_policy_generation_of(&control.conf->policy);
	uv_loop_init(&control.loop);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/dataplane.sock", dir);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 4), 0);
	snprintf(path, sizeof(path), "%s/control.sock", dir);
	assert_int_equal(td_server_start(&control.server, &control.loop, path, &control), 0);
	assert_int_equal(td_events_start(&control.events, &control.loop, &control.server), 0);
	control.link.events = &control.events;
	const char *error;
	assert_int_equal(td_pushed_begin(&control.pushed, &control, &error), 0);
	assert_int_equal(td_link_start(&control.link, &control.loop, address.sun_path,
				 &control.pushed.policy),
		0);
	turn();
	plane = -1;
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	td_server_stop(&control.server);
	td_events_stop(&control.events);
	td_link_stop(&control.link);
	if (!pushed_stopped)
		td_pushed_stop(&control.pushed);
	pushed_stopped = false;
	uv_run(&control.loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&control.loop), 0); // every handle was closed
	td_config_free(control.conf);
	close(listener);
	if (plane >= 0)
		close(plane);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

// --- frames by hand ---

static void put(int fd, Tandem__Frame *frame)
{
	uint8_t bytes[8192];
	size_t len = tandem__frame__get_packed_size(frame);

	assert_true(len + TD_FRAME_HEADER <= sizeof(bytes));
	td_frame_header(bytes, (uint32_t)len);
	tandem__frame__pack(frame, bytes + TD_FRAME_HEADER);
	assert_int_equal(write(fd, bytes, TD_FRAME_HEADER + len), TD_FRAME_HEADER + len);
	turn();
}

// The loop goes on meanwhile: what threads have done comes by it.
static bool wait_readable(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	for (int ms = 0; ms < 2000; ms++) {
		uv_run(&control.loop, UV_RUN_NOWAIT);
		if (poll(&pfd, 1, 1) > 0)
			return true;
	}
	return false;
}

static bool read_exactly(int fd, uint8_t *dst, size_t n)
{
	for (size_t at = 0; at < n;) {
		if (!wait_readable(fd))
			return false;
		ssize_t got = read(fd, dst + at, n - at);
		if (got <= 0)
			return false;
		at += (size_t)got;
	}
	return true;
}

// NULL: the connection is closed, or nothing came.
static Tandem__Frame *get_at_once(int fd)
{
	uint8_t bytes[8192];

	if (!read_exactly(fd, bytes, TD_FRAME_HEADER))
		return NULL;
	size_t len = (size_t)bytes[2] << 8 | bytes[3];
	assert_true(len <= sizeof(bytes) && read_exactly(fd, bytes, len));
	Tandem__Frame *frame = tandem__frame__unpack(NULL, len, bytes);
	assert_non_null(frame);
	return frame;
}

static Tandem__Frame *get(int fd)
{
	turn();
	return get_at_once(fd);
}

static uint64_t expect(int fd, Tandem__Frame__BodyCase body)
{
	Tandem__Frame *frame = get(fd);

	assert_non_null(frame);
	assert_int_equal(frame->body_case, body);
	uint64_t id = frame->id;
	tandem__frame__free_unpacked(frame, NULL);
	return id;
}

static void expect_error(int fd, int code, const char *words)
{
	Tandem__Frame *frame = get(fd);

	assert_non_null(frame);
	assert_int_equal(frame->body_case, TANDEM__FRAME__BODY_ERROR);
	assert_int_equal(frame->error->code, code);
	assert_non_null(strstr(frame->error->text, words));
	tandem__frame__free_unpacked(frame, NULL);
}

static void answer_done(int fd, uint64_t id)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__Done done = TANDEM__DONE__INIT;

	frame.version = 1;
	frame.id = id;
	frame.body_case = TANDEM__FRAME__BODY_DONE;
	frame.done = &done;
	put(fd, &frame);
}

// The data plane comes up with that generation in force.
static void plane_up(uint64_t generation)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__Hello hello = TANDEM__HELLO__INIT;

	for (int i = 0; i < 40 && (fcntl(listener, F_SETFL, O_NONBLOCK),
					  plane = accept(listener, NULL, NULL)) < 0;
		i++)
		turn();
	assert_true(plane >= 0);
	expect(plane, TANDEM__FRAME__BODY_HELLO);
	frame.version = 1;
	frame.body_case = TANDEM__FRAME__BODY_HELLO;
	frame.hello = &hello;
	hello.epoch = 1;
	hello.policy_generation = generation;
	put(plane, &frame);
}

static void ask_show(int fd, uint64_t id, Tandem__Table table)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__Show show = TANDEM__SHOW__INIT;

	frame.version = 1;
	frame.id = id;
	frame.body_case = TANDEM__FRAME__BODY_SHOW;
	frame.show = &show;
	show.table = table;
	put(fd, &frame);
}

static void ask_status(int fd)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__StatusRequest request = TANDEM__STATUS_REQUEST__INIT;

	frame.version = 1;
	frame.id = 9;
	frame.body_case = TANDEM__FRAME__BODY_STATUS_REQUEST;
	frame.status_request = &request;
	put(fd, &frame);
}

static void ask_reload(int fd, bool dry_run)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__Reload reload = TANDEM__RELOAD__INIT;

	frame.version = 1;
	frame.id = 5;
	frame.body_case = TANDEM__FRAME__BODY_RELOAD;
	frame.reload = &reload;
	reload.dry_run = dry_run;
	put(fd, &frame);
}

static void expect_done(int fd, const char *words)
{
	Tandem__Frame *frame = get(fd);

	assert_non_null(frame);
	assert_int_equal(frame->body_case, TANDEM__FRAME__BODY_DONE);
	assert_non_null(strstr(frame->done->text, words));
	tandem__frame__free_unpacked(frame, NULL);
}

// --- tests ---

static void resync_pushes_what_differs(void **state)
{
	plane_up(12345);
	Tandem__Frame *frame = get(plane);
	assert_int_equal(frame->body_case, TANDEM__FRAME__BODY_POLICY);
	assert_int_equal(frame->policy->n_trunks, 1);
	assert_int_equal(frame->policy->generation, control.conf->policy.generation);
	assert_false(control.link.in_sync);
	answer_done(plane, frame->id);
	tandem__frame__free_unpacked(frame, NULL);
	assert_true(control.link.in_sync);
	// It goes and comes back with the same policy: nothing is pushed.
	close(plane);
	turn();
	assert_false(control.link.connected);
	plane_up(control.conf->policy.generation);
	assert_true(control.link.in_sync);
	struct pollfd pfd = { .fd = plane, .events = POLLIN };
	assert_int_equal(poll(&pfd, 1, 0), 0);
}

static void a_refused_policy_is_told(void **state)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__Error error = TANDEM__ERROR__INIT;
	char words[] = "trunk a is ambiguous";

	plane_up(1);
	frame.version = 1;
	frame.id = expect(plane, TANDEM__FRAME__BODY_POLICY);
	frame.body_case = TANDEM__FRAME__BODY_ERROR;
	frame.error = &error;
	error.text = words;
	put(plane, &frame);
	int fd = connect_to("control.sock");
	ask_status(fd);
	uint64_t id = expect(plane, TANDEM__FRAME__BODY_STATUS_REQUEST);
	Tandem__Status status = TANDEM__STATUS__INIT;
	frame.id = id;
	frame.body_case = TANDEM__FRAME__BODY_STATUS;
	frame.status = &status;
	status.ports_ready = true;
	put(plane, &frame);
	Tandem__Frame *answer = get(fd);
	assert_int_equal(answer->body_case, TANDEM__FRAME__BODY_STATUS);
	assert_true(answer->status->dataplane_connected && answer->status->ports_ready);
	assert_false(answer->status->in_sync);
	assert_string_equal(answer->status->text, words);
	assert_int_equal(answer->id, 9);
	tandem__frame__free_unpacked(answer, NULL);
	close(fd);
}

// It was not sent at all: what else goes on the connection is not touched.
static void what_does_not_fit_a_frame_is_not_sent(void **state)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__Error error = TANDEM__ERROR__INIT;
	char *words = malloc(TD_FRAME_MAX + 1);

	memset(words, 'x', TD_FRAME_MAX);
	words[TD_FRAME_MAX] = '\0';
	plane_up(control.conf->policy.generation);
	frame.version = 1;
	frame.body_case = TANDEM__FRAME__BODY_ERROR;
	frame.error = &error;
	error.text = words;
	assert_int_equal(td_conn_send(control.link.conn, &frame), -EMSGSIZE);
	words[TD_FRAME_MAX / 2] = '\0';
	assert_int_equal(td_conn_send(control.link.conn, &frame), 0);
	free(words);
}

static void answers_reach_their_askers(void **state)
{
	plane_up(control.conf->policy.generation);
	int one = connect_to("control.sock"), two = connect_to("control.sock");
	ask_show(one, 7, TANDEM__TABLE__CORES);
	ask_show(two, 7, TANDEM__TABLE__CALLS); // the same id, another asker
	uint64_t first = expect(plane, TANDEM__FRAME__BODY_SHOW),
		 second = expect(plane, TANDEM__FRAME__BODY_SHOW);
	assert_int_not_equal(first, second);
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__Item item = TANDEM__ITEM__INIT;
	Tandem__Core core = TANDEM__CORE__INIT;
	frame.version = 1;
	frame.id = first;
	frame.body_case = TANDEM__FRAME__BODY_ITEM;
	frame.item = &item;
	item.row_case = TANDEM__ITEM__ROW_CORE;
	item.core = &core;
	put(plane, &frame);
	answer_done(plane, second);
	answer_done(plane, first);
	assert_int_equal(expect(one, TANDEM__FRAME__BODY_ITEM), 7);
	assert_int_equal(expect(one, TANDEM__FRAME__BODY_DONE), 7);
	assert_int_equal(expect(two, TANDEM__FRAME__BODY_DONE), 7);
	close(one);
	close(two);
}

static void an_asker_may_leave_before_the_answer(void **state)
{
	plane_up(control.conf->policy.generation);
	int one = connect_to("control.sock");
	ask_show(one, 7, TANDEM__TABLE__CORES);
	uint64_t id = expect(plane, TANDEM__FRAME__BODY_SHOW);
	close(one);
	turn();
	answer_done(plane, id);
	answer_done(plane, id); // nobody asked twice
	int two = connect_to("control.sock");
	ask_show(two, 8, TANDEM__TABLE__CORES);
	id = expect(plane, TANDEM__FRAME__BODY_SHOW);
	close(plane); // breaks in the middle
	plane = -1;
	expect_error(two, ENOTCONN, "not connected");
	ask_show(two, 9, TANDEM__TABLE__VERSION); // control's own, without a data plane
	assert_int_equal(expect(two, TANDEM__FRAME__BODY_ITEM), 9);
	assert_int_equal(expect(two, TANDEM__FRAME__BODY_DONE), 9);
	close(two);
}

static void what_is_no_frame_ends_the_connection(void **state)
{
	static const uint8_t garbage[] = { 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff };
	static const uint8_t oversize[] = { 0, 1, 0, 1 }; // one byte more than a request may have
	int fd = connect_to("control.sock");

	assert_int_equal(write(fd, garbage, sizeof(garbage)), sizeof(garbage));
	expect_error(fd, EBADMSG, "not a frame");
	assert_null(get(fd));
	close(fd);
	fd = connect_to("control.sock");
	assert_int_equal(write(fd, oversize, sizeof(oversize)), sizeof(oversize));
	expect_error(fd, EMSGSIZE, "too long");
	assert_null(get(fd));
	close(fd);
	fd = connect_to("control.sock");
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	frame.version = 2;
	put(fd, &frame);
	expect_error(fd, EPROTONOSUPPORT, "version 1");
	close(fd);
	fd = connect_to("control.sock");
	frame.version = 1;
	put(fd, &frame); // no body at all
	expect_error(fd, EOPNOTSUPP, "unknown");
	ask_show(fd, 3, TANDEM__TABLE__CORES); // which is no reason to close
	expect_error(fd, ENOTCONN, "not connected");
	close(fd);
}

static void a_frame_may_come_byte_by_byte(void **state)
{
	uint8_t bytes[64];
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	int fd = connect_to("control.sock");

	frame.version = 1;
	frame.id = 300;
	size_t len = tandem__frame__pack(&frame, bytes + TD_FRAME_HEADER);
	td_frame_header(bytes, (uint32_t)len);
	for (size_t i = 0; i < len + TD_FRAME_HEADER; i++) {
		assert_int_equal(write(fd, bytes + i, 1), 1);
		turn();
	}
	expect_error(fd, EOPNOTSUPP, "unknown");
	close(fd);
}

static bool lacking; // there is no memory for a connection

struct td_conn *__real_td_conn_new(uv_loop_t *loop, const struct td_conn_user *user, void *data,
	size_t in_max, size_t out_max);
struct td_conn *__wrap_td_conn_new(uv_loop_t *loop, const struct td_conn_user *user, void *data,
	size_t in_max, size_t out_max);
struct td_conn *__wrap_td_conn_new(
	uv_loop_t *loop, const struct td_conn_user *user, void *data, size_t in_max, size_t out_max)
{
	return lacking ? NULL : __real_td_conn_new(loop, user, data, in_max, out_max);
}

// Who comes while there is no memory is closed, and whoever comes after that is served.
static void without_memory_others_are_still_served(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char byte;
	int fds[3];

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/control.sock", dir);
	lacking = true;
	for (int i = 0; i < 3; i++) { // all are there before the loop looks
		fds[i] = socket(AF_UNIX, SOCK_STREAM, 0);
		assert_int_equal(connect(fds[i], (struct sockaddr *)&address, sizeof(address)), 0);
	}
	turn();
	for (int i = 0; i < 3; i++) {
		assert_true(wait_readable(fds[i]));
		assert_int_equal(read(fds[i], &byte, 1), 0);
		close(fds[i]);
	}
	lacking = false;
	assert_int_equal(control.server.n_shed, 3);
	fds[0] = connect_to("control.sock");
	ask_show(fds[0], 1, TANDEM__TABLE__CORES);
	expect_error(fds[0], ENOTCONN, "not connected");
	close(fds[0]);
	turn();
}

static void too_many_clients_are_sent_away(void **state)
{
	int fds[TD_CLIENTS_MAX + 1];

	for (int i = 0; i < TD_CLIENTS_MAX; i++)
		fds[i] = connect_to("control.sock");
	fds[TD_CLIENTS_MAX] = connect_to("control.sock");
	expect_error(fds[TD_CLIENTS_MAX], EUSERS, "too many clients");
	close(fds[0]);
	turn();
	close(fds[TD_CLIENTS_MAX]);
	fds[0] = connect_to("control.sock");
	ask_show(fds[0], 1, TANDEM__TABLE__CORES);
	expect_error(fds[0], ENOTCONN, "not connected");
	for (int i = 0; i < TD_CLIENTS_MAX; i++)
		close(fds[i]);
	turn();
}

static void who_is_idle_makes_room_for_an_operator(void **state)
{
	int fds[TD_CLIENTS_MAX + 1];
	char byte;

	for (int i = 0; i < TD_CLIENTS_MAX - 1; i++)
		fds[i] = connect_to("control.sock");
	control.server.clients[7].used_ms = 0; // long ago
	fds[TD_CLIENTS_MAX - 1] = connect_to("control.sock");
	assert_int_equal(recv(fds[7], &byte, 1, MSG_DONTWAIT), 0);
	fds[TD_CLIENTS_MAX] = connect_to("control.sock");
	ask_show(fds[TD_CLIENTS_MAX], 1, TANDEM__TABLE__CORES);
	expect_error(fds[TD_CLIENTS_MAX], ENOTCONN, "not connected");
	for (int i = 0; i <= TD_CLIENTS_MAX; i++)
		close(fds[i]);
	turn();
}

static void who_does_not_read_is_closed(void **state)
{
	static char words[60000];
	int fd = connect_to("control.sock"), other = connect_to("control.sock");
	struct td_conn *conn = control.server.clients[0].conn;
	int sent = 0;

	memset(words, 'x', sizeof(words) - 1);
	while (td_conn_send(conn, &(Tandem__Frame)TANDEM__FRAME__INIT) == 0 &&
		td_conn_done(conn, 1, 0, words) == 0)
		assert_true(++sent < 10000);
	assert_true((size_t)sent * sizeof(words) >= TD_CLIENT_OUT_MAX / 2);
	turn();
	assert_null(control.server.clients[0].conn);
	ask_show(other, 1, TANDEM__TABLE__CORES); // nobody else feels it
	expect_error(other, ENOTCONN, "not connected");
	close(fd);
	close(other);
}

static void reload_is_all_or_nothing(void **state)
{
	uint64_t before = control.conf->policy.generation;
	int fd = connect_to("control.sock");

	plane_up(before);
	ask_reload(fd, false);
	expect_done(fd, "nothing changed");
	config_write(6, "limits = { calls = 0; };");
	ask_reload(fd, false);
	expect_error(fd, EINVAL, "limits.calls: found 0");
	config_write(6, "routes = ( { from = [ \"a\" ]; to = ( { trunk = \"a\"; } ); } ); limits = "
			"{ quarantine_ms = 5; };");
	ask_reload(fd, true);
	expect_done(fd, "trunks: 0 added, 0 removed, 1 changed");
	assert_int_equal(control.conf->policy.generation, before);
	ask_reload(fd, false);
	uint64_t id = expect(plane, TANDEM__FRAME__BODY_POLICY);
	assert_int_equal(
		control.conf->policy.generation, before); // not before the data plane has it
	int other = connect_to("control.sock");
	ask_reload(other, false);
	expect_error(other, EBUSY, "another reload");
	answer_done(plane, id);
	expect_done(fd, "needs a restart: limits.quarantine_ms");
	assert_int_not_equal(control.conf->policy.generation, before);
	assert_int_equal(control.conf->policy.trunks[0].max_calls, 6);
	assert_true(control.link.in_sync);
	close(fd);
	close(other);
}

static void reload_refused_by_the_data_plane_changes_nothing(void **state)
{
	uint64_t before = control.conf->policy.generation;
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__Error error = TANDEM__ERROR__INIT;
	char words[] = "no memory";
	int fd = connect_to("control.sock");

	plane_up(before);
	config_write(7, "");
	ask_reload(fd, false);
	frame.version = 1;
	frame.id = expect(plane, TANDEM__FRAME__BODY_POLICY);
	frame.body_case = TANDEM__FRAME__BODY_ERROR;
	frame.error = &error;
	error.text = words;
	put(plane, &frame);
	expect_error(fd, EINVAL, "no memory");
	assert_int_equal(control.conf->policy.generation, before);
	assert_true(control.link.in_sync);
	close(fd);
}

static void reload_without_a_data_plane_waits_for_it(void **state)
{
	uint64_t before = control.conf->policy.generation;
	int fd = connect_to("control.sock");

	config_write(8, "");
	ask_reload(fd, false);
	expect_done(fd, "1 changed");
	plane_up(before);
	expect(plane, TANDEM__FRAME__BODY_POLICY);
	close(fd);
}

// --- events ---

static void subscribe(int fd, uint64_t id, const char *kind)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__Subscribe request = TANDEM__SUBSCRIBE__INIT;
	char text[32];
	char *kinds[] = { text };

	snprintf(text, sizeof(text), "%s", kind);
	frame.version = 1;
	frame.id = id;
	frame.body_case = TANDEM__FRAME__BODY_SUBSCRIBE;
	frame.subscribe = &request;
	request.n_kinds = kind[0] ? 1 : 0;
	request.kinds = kinds;
	put(fd, &frame);
}

// The next frame is an event of request id. Returns how many were lost before it.
static uint64_t expect_event(
	int fd, uint64_t id, const char *kind, const char *subject, const char *state)
{
	Tandem__Frame *frame = get(fd);

	assert_non_null(frame);
	assert_int_equal(frame->body_case, TANDEM__FRAME__BODY_EVENT);
	assert_int_equal(frame->id, id);
	assert_string_equal(frame->event->kind, kind);
	assert_string_equal(frame->event->subject, subject);
	assert_string_equal(frame->event->state, state);
	uint64_t lost = frame->event->lost;
	tandem__frame__free_unpacked(frame, NULL);
	return lost;
}

static void events_reach_who_asked_for_them(void **state)
{
	int all = connect_to("control.sock"), trunks = connect_to("control.sock"),
	    none = connect_to("control.sock");

	subscribe(all, 70, "");
	expect_done(all, "subscribed");
	subscribe(trunks, 71, "trunk");
	expect_done(trunks, "subscribed");
	subscribe(none, 72, "weather");
	expect_error(none, EINVAL, "kinds are");
	td_events_tell(&control.events, TD_EVENT_ALARM, "disk", "raised", "full");
	td_events_tell(&control.events, TD_EVENT_TRUNK, "a", "down", "it was up");
	td_events_tell(&control.events, TD_EVENT_CALL, "id", "answered", "nobody asked for it");
	turn();
	assert_int_equal(expect_event(all, 70, "alarm", "disk", "raised"), 0);
	assert_int_equal(expect_event(all, 70, "trunk", "a", "down"), 0);
	assert_int_equal(expect_event(trunks, 71, "trunk", "a", "down"), 0);
	plane_up(control.conf->policy.generation);
	expect_event(all, 70, "dataplane", "dataplane", "connected");
	close(plane);
	plane = -1;
	turn();
	expect_event(all, 70, "dataplane", "dataplane", "lost");
	ask_show(none, 3,
		TANDEM__TABLE__CORES); // an ordinary client gets its answers and nothing else
	expect_error(none, ENOTCONN, "not connected");
	close(all);
	turn();
	assert_false(td_events_wanted(&control.events, TD_EVENT_ALARM));
	assert_true(td_events_wanted(&control.events, TD_EVENT_TRUNK));
	close(trunks);
	close(none);
	turn();
	assert_int_equal(control.events.wanted, 0);
}

static void calls_are_told_of_one_trunk(void **state)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__Subscribe request = TANDEM__SUBSCRIBE__INIT;
	char kind[] = "call", trunk[] = "b", *kinds[] = { kind };
	int fd = connect_to("control.sock");

	frame.version = 1;
	frame.id = 5;
	frame.body_case = TANDEM__FRAME__BODY_SUBSCRIBE;
	frame.subscribe = &request;
	request.n_kinds = 1;
	request.kinds = kinds;
	request.trunk = trunk;
	put(fd, &frame);
	expect_done(fd, "subscribed");
	for (int i = 0; i < 3; i++) {
		struct td_event event = { .kind = TD_EVENT_CALL, .state = "answered" };
		snprintf(event.subject, sizeof(event.subject), "call-%d", i);
		td_event_detail(&event, "trunk_in", "%s", "a");
		td_event_detail(&event, "trunk_out", "%c", "abc"[i]);
		td_events_post(&control.events, &event);
	}
	turn();
	expect_event(fd, 5, "call", "call-1", "answered");
	close(fd);
	turn();
}

static void who_does_not_read_loses_events_and_is_told(void **state)
{
	int slow = connect_to("control.sock");
	uint64_t lost = 0, got = 0;
	bool end = false;

	subscribe(slow, 1, "trunk");
	expect_done(slow, "subscribed");
	for (int i = 0; i < 20000; i++) {
		td_events_tell(&control.events, TD_EVENT_TRUNK, "a", "up", "%0200d", i);
		if (i % 500 == 499)
			uv_run(&control.loop, UV_RUN_NOWAIT);
	}
	turn();
	struct td_conn *conn = control.server.clients[0].conn;
	assert_non_null(conn); // it is not closed for it
	assert_true(conn->pipe.write_queue_size <= TD_EVENT_WAITING_MAX + 1024);
	while (!end) {
		if (conn->pipe.write_queue_size == 0 && got > 0)
			td_events_tell(&control.events, TD_EVENT_TRUNK, "a", "end", "%s", "");
		Tandem__Frame *frame = get_at_once(slow);
		assert_non_null(frame);
		end = strcmp(frame->event->state, "end") == 0;
		got++;
		lost += frame->event->lost;
		tandem__frame__free_unpacked(frame, NULL);
	}
	assert_true(lost > 10000);
	assert_int_equal(got + lost, 20001);
	close(slow);
	turn();
}

static void more_events_than_the_queue_holds_are_counted(void **state)
{
	int fd = connect_to("control.sock");
	uint64_t lost = 0;

	subscribe(fd, 1, "alarm");
	expect_done(fd, "subscribed");
	for (int i = 0; i < TD_EVENTS_QUEUED + 7; i++)
		td_events_tell(&control.events, TD_EVENT_ALARM, "x", "raised", "%d", i);
	turn();
	for (int i = 0; i < TD_EVENTS_QUEUED; i++) {
		Tandem__Frame *frame = get_at_once(fd);
		lost += frame->event->lost;
		tandem__frame__free_unpacked(frame, NULL);
	}
	assert_int_equal(lost, 7);
	close(fd);
	turn();
}

// --- audit ---

// The rows of the table, the last of which is that one.
static size_t expect_audit(
	int fd, const char *what, const char *subject, int code, const char *words)
{
	char got[4][300] = { "" };
	size_t n = 0;

	ask_show(fd, 55, TANDEM__TABLE__AUDIT);
	Tandem__Frame *frame;
	for (; (frame = get_at_once(fd)) && frame->body_case == TANDEM__FRAME__BODY_ITEM; n++) {
		const Tandem__Audit *row = frame->item->audit;
		snprintf(got[0], sizeof(got[0]), "%s", row->what);
		snprintf(got[1], sizeof(got[1]), "%s", row->subject);
		snprintf(got[2], sizeof(got[2]), "%d", row->code);
		snprintf(got[3], sizeof(got[3]), "%s", row->text);
		assert_int_equal(row->uid, getuid());
		assert_int_equal(row->pid, getpid());
		assert_true(row->user[0] != '\0' && row->time_us > 1700000000000000u);
		tandem__frame__free_unpacked(frame, NULL);
	}
	if (frame)
		tandem__frame__free_unpacked(frame, NULL);
	assert_string_equal(got[0], what);
	assert_string_equal(got[1], subject);
	assert_int_equal(atoi(got[2]), code);
	assert_non_null(strstr(got[3], words));
	return n;
}

static void ask_hangup(int fd, uint64_t id, const char *call)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__Hangup hangup = TANDEM__HANGUP__INIT;

	frame.version = 1;
	frame.id = id;
	frame.body_case = TANDEM__FRAME__BODY_HANGUP;
	frame.hangup = &hangup;
	hangup.call_id = (char *)(uintptr_t)call;
	put(fd, &frame);
}

static void changes_leave_a_line_with_their_end(void **state)
{
	int fd = connect_to("control.sock"), watcher = connect_to("control.sock");

	subscribe(watcher, 9, "audit");
	expect_done(watcher, "subscribed");
	ask_hangup(fd, 1, "a\tb\nc");
	expect_error(fd, ENOTCONN, "not connected");
	assert_int_equal(expect_audit(fd, "hangup", "a?b;c", ENOTCONN, "not connected"), 1);
	expect_event(watcher, 9, "audit", "hangup a?b;c", "refused");
	plane_up(control.conf->policy.generation);
	ask_hangup(fd, 2, "call-7");
	assert_int_equal(
		expect_audit(fd, "hangup", "a?b;c", ENOTCONN, ""), 1); // not before it has ended
	answer_done(plane, expect(plane, TANDEM__FRAME__BODY_HANGUP));
	expect_done(fd, "");
	assert_int_equal(expect_audit(fd, "hangup", "call-7", 0, ""), 2);
	expect_event(watcher, 9, "audit", "hangup call-7", "done");
	config_write(6, "");
	ask_reload(fd, true); // changes nothing
	expect_done(fd, "1 changed");
	assert_int_equal(expect_audit(fd, "hangup", "call-7", 0, ""), 2);
	ask_hangup(fd, 3, "call-8");
	expect(plane, TANDEM__FRAME__BODY_HANGUP);
	close(fd);
	turn();
	fd = connect_to("control.sock");
	assert_int_equal(expect_audit(fd, "hangup", "call-8", EINPROGRESS, "left"), 3);
	close(fd);
	close(watcher);
	turn();
}

static void the_audit_file_is_turned_over(void **state)
{
	const struct td_actor who = { .uid = getuid(), .pid = (uint32_t)getpid(), .user = "me" };
	char path[128];
	struct stat st;
	int fd = connect_to("control.sock");

	td_audit_write(&control, &who, "test", "1", 0, "before");
	snprintf(path, sizeof(path), "%s/audit.log", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07, 0); // for the switch's own people alone
	assert_int_equal(truncate(path, 17 << 20), 0);
	td_audit_write(&control, &who, "test", "2", 0, "after");
	assert_int_equal(expect_audit(fd, "test", "2", 0, "after"), 1);
	snprintf(path, sizeof(path), "%s/audit.log.1", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 17 << 20);
	char now[128];
	snprintf(now, sizeof(now), "%s/audit.log", dir);
	assert_int_equal(rename(now, path), 0);
	td_audit_write(
		&control, &who, "test", "3", 0, "just now"); // what was before is still shown
	assert_int_equal(expect_audit(fd, "test", "3", 0, "just now"), 2);
	close(fd);
	turn();
}

static void a_full_disk_leaves_no_piece_of_a_line(void **state)
{
	const struct td_actor who = { .uid = getuid(), .pid = (uint32_t)getpid(), .user = "me" };
	struct rlimit before, small = { .rlim_cur = 40 };
	int fd = connect_to("control.sock");

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	td_audit_write(&control, &who, "test", "1", 0, "a line of more than forty bytes");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	td_audit_write(&control, &who, "test", "2", 0, "there is room again");
	assert_int_equal(expect_audit(fd, "test", "2", 0, "there is room again"), 1);
	close(fd);
	turn();
}

// --- trunks ---

static void ask_trunk(int fd, const char *name, bool enabled)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__TrunkSet set = TANDEM__TRUNK_SET__INIT;

	frame.version = 1;
	frame.id = 31;
	frame.body_case = TANDEM__FRAME__BODY_TRUNK_SET;
	frame.trunk_set = &set;
	set.name = (char *)(uintptr_t)name;
	set.enabled = enabled;
	put(fd, &frame);
}

static bool saved(const char *line)
{
	char path[128], text[128] = "";

	snprintf(path, sizeof(path), "%s/trunks.state", dir);
	FILE *f = fopen(path, "r");
	if (f && fread(text, 1, sizeof(text) - 1, f) == 0)
		text[0] = '\0';
	if (f)
		fclose(f);
	return strcmp(text, line) == 0;
}

static void a_trunk_is_disabled_over_the_file(void **state)
{
	uint64_t generation = control.conf->policy.generation;
	int fd = connect_to("control.sock");

	plane_up(generation);
	ask_trunk(fd, "nobody", false);
	expect_error(fd, ENOENT, "no trunk");
	ask_trunk(fd, "a", true);
	expect_done(fd, "enabled already");
	ask_trunk(fd, "a", false);
	uint64_t id = expect(plane, TANDEM__FRAME__BODY_POLICY);
	int other = connect_to("control.sock");
	ask_reload(other, false);
	expect_error(other, EBUSY, "another");
	answer_done(plane, id);
	expect_done(fd, "trunk a is disabled");
	assert_false(control.conf->policy.trunks[0].enabled);
	assert_int_not_equal(control.conf->policy.generation, generation);
	assert_true(control.link.in_sync && saved("a disabled\n"));
	config_write(9, ""); // a reload leaves it as the operator said
	ask_reload(fd, false);
	answer_done(plane, expect(plane, TANDEM__FRAME__BODY_POLICY));
	expect_done(fd, "trunk a stays disabled");
	assert_false(control.conf->policy.trunks[0].enabled);
	assert_int_equal(control.conf->policy.trunks[0].max_calls, 9);
	struct td_overlay again = { 0 }; // and so does a restart
	struct td_policy_conf policy = control.conf->policy;
	policy.trunks[0].enabled = true;
	td_overlay_begin(&again, dir, &policy);
	assert_int_equal(again.n, 1);
	assert_false(policy.trunks[0].enabled);
	ask_trunk(fd, "a", true);
	answer_done(plane, expect(plane, TANDEM__FRAME__BODY_POLICY));
	expect_done(fd, "trunk a is enabled");
	assert_int_equal(control.overlay.n, 0); // as the file says: nothing to remember
	assert_true(saved(""));
	close(fd);
	close(other);
}

static void a_trunk_that_the_data_plane_refuses_stays_as_it_was(void **state)
{
	uint64_t generation = control.conf->policy.generation;
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__Error error = TANDEM__ERROR__INIT;
	char words[] = "no memory";
	int fd = connect_to("control.sock");

	plane_up(generation);
	ask_trunk(fd, "a", false);
	frame.version = 1;
	frame.id = expect(plane, TANDEM__FRAME__BODY_POLICY);
	frame.body_case = TANDEM__FRAME__BODY_ERROR;
	frame.error = &error;
	error.text = words;
	put(plane, &frame);
	expect_error(fd, EINVAL, "no memory");
	assert_true(control.conf->policy.trunks[0].enabled);
	assert_int_equal(control.conf->policy.generation, generation);
	assert_false(control.reloading);
	close(fd);
}

static void a_trunk_is_disabled_while_the_data_plane_is_away(void **state)
{
	uint64_t generation = control.conf->policy.generation;
	int fd = connect_to("control.sock");

	ask_trunk(fd, "a", false);
	expect_done(fd, "trunk a is disabled");
	plane_up(generation);
	expect(plane, TANDEM__FRAME__BODY_POLICY);
	close(fd);
}

struct wish {
	int begun, done, code;
};

static void on_wish_begin(void *user)
{
	((struct wish *)user)->begun++;
}

static void on_wish_done(void *user, int code, const char *text)
{
	struct wish *wish = user;

	wish->done++;
	wish->code = code;
}

// One push is under way; one waits for it, and begins when its policy is free to change; a third is
// sent away.
static void pushes_go_one_after_the_other(void **state)
{
	const struct td_policy_conf *conf = &control.conf->policy;
	struct wish wishes[3] = { { 0 } };

	plane_up(conf->generation);
	for (int i = 0; i < 3; i++)
		td_pushed_push(&control.pushed,
			&(struct td_pushed_wish){ conf, on_wish_begin, on_wish_done, &wishes[i] });
	assert_int_equal(wishes[2].done, 1);
	assert_int_equal(wishes[2].code, -EBUSY);
	uint64_t first = expect(plane, TANDEM__FRAME__BODY_POLICY);
	turn();
	assert_true(wishes[0].begun == 1 && wishes[0].done == 0 && wishes[1].begun == 0);
	assert_int_equal(poll(&(struct pollfd){ .fd = plane, .events = POLLIN }, 1, 0), 0);
	answer_done(plane, first);
	uint64_t second = expect(plane, TANDEM__FRAME__BODY_POLICY);
	assert_true(wishes[0].done == 1 && wishes[0].code == 0 && wishes[1].begun == 1);
	answer_done(plane, second);
	assert_true(wishes[1].done == 1 && wishes[1].code == 0);
	// What waits when control ends is told so; what was sent is answered by the link's end.
	struct wish last[2] = { { 0 } };
	for (int i = 0; i < 2; i++)
		td_pushed_push(&control.pushed,
			&(struct td_pushed_wish){ conf, on_wish_begin, on_wish_done, &last[i] });
	td_pushed_stop(&control.pushed);
	assert_true(last[1].done == 1 && last[1].code == -ECANCELED && last[1].begun == 0);
	for (int ms = 0; ms < 2000 && last[0].done == 0; ms++)
		turn();
	assert_true(last[0].done == 1 && last[0].code == -ECANCELED);
	pushed_stopped = true;
}

#define ROUTE(prefix) "{ from = [ \"a\" ]; prefix = \"" prefix "\"; to = ( { trunk = \"a\"; } ); }"

static void a_reload_says_what_it_changes(void **state)
{
	int fd = connect_to("control.sock");

	config_write(
		7, "routes = ( " ROUTE("49") ", " ROUTE("33") " ); limits = { calls = 900; };");
	ask_reload(fd, false);
	expect_done(fd, "trunks: 0 added, 0 removed, 1 changed\n  ~ a: max_calls 5 → 7\n"
			"routes: 2 added, 0 removed, 0 before, 2 now\n"
			"  + a: 33* → a (priority 1, weight 100)\n"
			"  + a: 49* → a (priority 1, weight 100)\n"
			"limits.calls: 1000 → 900\n");
	config_write(7, "routes = ( " ROUTE("33") ", " ROUTE(
				"44") " ); limits = { calls = 900; };\n"
				      "trunks = ( { name = \"b\"; realm = \"west\"; peers = ( { "
				      "address = \"10.0.1.2\"; } ); } );");
	ask_reload(fd, true);
	expect_error(fd, EINVAL, "duplicate");
	config_write(
		7, "routes = ( " ROUTE("33") ", " ROUTE("44") " ); limits = { calls = 900; };");
	ask_reload(fd, true);
	expect_done(fd, "routes: 1 added, 1 removed, 2 before, 2 now\n"
			"  + a: 44* → a (priority 1, weight 100)\n"
			"  - a: 49* → a (priority 1, weight 100)\n");
	ask_reload(fd, false);
	expect_done(fd, "routes: 1 added");
	ask_reload(fd, false);
	expect_done(fd, "nothing changed");
	config_write(7,
		"routes = ( " ROUTE(
			"33") ", { from = [ \"a\" ]; prefix = \"44\"; caller = \"49\"; block = "
			      "603; } );"
			      " limits = { calls = 900; }; location = { durability = \"sync\"; };");
	ask_reload(fd, true);
	expect_done(fd, "routes: 1 added, 1 removed, 2 before, 2 now\n"
			"  - a: 44* → a (priority 1, weight 100)\n"
			"  + a: 44* → block 603, caller 49\n"
			"needs a restart: location.durability\n");
	close(fd);
}

// Until then both ends believe what they like: only a new Hello says what is in force.
static void an_answer_that_never_came_is_asked_for_again(void **state)
{
	int fd = connect_to("control.sock");

	plane_up(control.conf->policy.generation);
	config_write(9, "");
	ask_reload(fd, false);
	expect(plane, TANDEM__FRAME__BODY_POLICY);
	for (int i = 0; i < TD_LINK_PENDING_MAX; i++)
		control.link.pending[i].deadline_ms = 0; // its patience is over
	for (int i = 0; i < 1000 && control.link.connected; i++)
		turn();
	expect_error(fd, ETIMEDOUT, "did not say");
	assert_false(control.link.connected);
	close(plane);
	plane_up(control.conf->policy.generation + 1); // it had taken it
	answer_done(plane, expect(plane, TANDEM__FRAME__BODY_POLICY));
	assert_true(control.link.in_sync);
	close(fd);
}

static void what_the_file_says_too_is_no_longer_an_operators_word(void **state)
{
	int fd = connect_to("control.sock");

	ask_trunk(fd, "a", false);
	expect_done(fd, "trunk a is disabled");
	config_change("realm = \"west\"; max", "realm = \"west\"; enabled = false; max");
	ask_reload(fd, false); // changes nothing but who says it
	expect_done(fd, "nothing changed");
	config_write(5, "");
	ask_reload(fd, false);
	expect_done(fd, "~ a: enabled");
	assert_true(control.conf->policy.trunks[0].enabled);
	close(fd);
}

static void what_cannot_be_saved_is_told(void **state)
{
	char path[128];
	int fd = connect_to("control.sock");

	snprintf(path, sizeof(path), "%s/trunks.state.new", dir);
	assert_int_equal(mkdir(path, 0700), 0); // as good as a full disk
	ask_trunk(fd, "a", false);
	expect_done(fd, "could not be saved");
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(resync_pushes_what_differs, setup, teardown),
		cmocka_unit_test_setup_teardown(a_refused_policy_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_does_not_fit_a_frame_is_not_sent, setup, teardown),
		cmocka_unit_test_setup_teardown(answers_reach_their_askers, setup, teardown),
		cmocka_unit_test_setup_teardown(
			an_asker_may_leave_before_the_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_is_no_frame_ends_the_connection, setup, teardown),
		cmocka_unit_test_setup_teardown(a_frame_may_come_byte_by_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(
			without_memory_others_are_still_served, setup, teardown),
		cmocka_unit_test_setup_teardown(too_many_clients_are_sent_away, setup, teardown),
		cmocka_unit_test_setup_teardown(
			who_is_idle_makes_room_for_an_operator, setup, teardown),
		cmocka_unit_test_setup_teardown(who_does_not_read_is_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(reload_is_all_or_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(
			reload_refused_by_the_data_plane_changes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(
			reload_without_a_data_plane_waits_for_it, setup, teardown),
		cmocka_unit_test_setup_teardown(events_reach_who_asked_for_them, setup, teardown),
		cmocka_unit_test_setup_teardown(calls_are_told_of_one_trunk, setup, teardown),
		cmocka_unit_test_setup_teardown(
			who_does_not_read_loses_events_and_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(
			more_events_than_the_queue_holds_are_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(
			changes_leave_a_line_with_their_end, setup, teardown),
		cmocka_unit_test_setup_teardown(the_audit_file_is_turned_over, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_full_disk_leaves_no_piece_of_a_line, setup, teardown),
		cmocka_unit_test_setup_teardown(a_trunk_is_disabled_over_the_file, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_trunk_that_the_data_plane_refuses_stays_as_it_was, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_trunk_is_disabled_while_the_data_plane_is_away, setup, teardown),
		cmocka_unit_test_setup_teardown(pushes_go_one_after_the_other, setup, teardown),
		cmocka_unit_test_setup_teardown(a_reload_says_what_it_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(
			an_answer_that_never_came_is_asked_for_again, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_the_file_says_too_is_no_longer_an_operators_word, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_saved_is_told, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
