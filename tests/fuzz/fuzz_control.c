// SPDX-License-Identifier: BSD-3-Clause
// tandem-control between an operator and a data plane that both say whatever the input says, with a
// store of its own behind it: every frame that comes out is whole, and nobody's garbage holds up
// the next one.
//
// Input: pieces of a byte (bit 7: from the data plane, else from the operator; bits 0 to 6: length)
// and so many bytes.
#include "control/control.h"
#include "control/log.h"
#include "control/policy_pb.h"
#include "include/frame.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct td_control control;
static char dir[64];
static int listener = -1, plane = -1;

// Lines of the log would drown a crash.
void td_log(enum td_log_level level, const char *event, const char *format, ...)
{
}

// libconfig 1.5 loses the buffer of a string that a syntax error cuts short.
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig.so\n";
}

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "fuzz_control: %s\n", what);
	abort();
}

static void clean_up(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (system(command) != 0)
		fprintf(stderr, "fuzz_control: %s is left\n", dir);
}

static const char config[] = "run_dir = \"%s\"; state_dir = \"%s\";\n"
			     "lcores = { workers = [ 0 ]; };\n"
			     "limits = { registrations = 100; };\n"
			     "ports = ( { name = \"p\"; device = \"net_null0\"; } );\n"
			     "realms = ( { name = \"west\"; port = \"p\"; addresses = [ "
			     "\"10.0.1.254/24\" ]; sip = ( { } ); registrar = { domains = [ "
			     "\"tandem.example\" ]; }; } );\n"
			     "trunks = ( { name = \"a\"; realm = \"west\"; peers = ( { address = "
			     "\"10.0.1.1\"; } ); } );\n";

static int listen_at(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", dir, name);
	must(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 4) == 0,
		"no socket");
	return fd;
}

static void on_hello(void *user, const Tandem__Hello *hello)
{
	td_sync_hello(&control.sync, hello);
}

static void on_lost(void *user)
{
	td_sync_lost(&control.sync);
}

// What waits for the store, and what it needs of control (control/main.c).
static void stores_start(void)
{
	td_plan_store_start(&control.plans, &control);
	control.link.plans = &control.plans;
	control.link.watcher = (struct td_link_watcher){ on_hello, on_lost, &control };
	must(td_store_worker_start(
		     &control.store, &control.loop, control.conf->store, control.conf->node) == 0 &&
			td_store_worker_start(&control.restore, &control.loop, control.conf->store,
				control.conf->node) == 0,
		"no store");
	td_sync_start(&control.sync, &control);
	td_trunks_start(&control.trunks, &control);
}

static void set_up(void)
{
	struct td_faults faults = { 0 };
	static char path[128], plane_path[128];

	snprintf(dir, sizeof(dir), "/dev/shm/td_fuzz_control_%d",
		(int)getpid()); // fsync costs nothing there
	must(mkdir(dir, 0700) == 0, "no folder");
	atexit(clean_up);
	snprintf(path, sizeof(path), "%s/x.conf", dir);
	FILE *f = fopen(path, "w");
	must(f && fprintf(f, config, dir, dir) > 0 && fclose(f) == 0, "no configuration");
	control.path = path;
	must(td_config_load(path, NULL, 0, &control.conf, &faults) == 0, "the configuration");
	control.conf->policy.generation = td_policy_generation_of(&control.conf->policy);
	uv_loop_init(&control.loop);
	listener = listen_at("dataplane.sock");
	snprintf(plane_path, sizeof(plane_path), "%s/control.sock", dir);
	must(td_server_start(&control.server, &control.loop, plane_path, &control) == 0,
		"no server");
	must(td_events_start(&control.events, &control.loop, &control.server) == 0, "no events");
	control.link.events = &control.events;
	snprintf(plane_path, sizeof(plane_path), "%s/dataplane.sock", dir);
	const char *error;
	must(td_pushed_begin(&control.pushed, &control, &error) == 0, "no policy");
	stores_start();
	must(td_link_start(&control.link, &control.loop, plane_path, &control.pushed.policy) ==
			0,
		"no link");
}

static void turns(int n)
{
	for (int i = 0; i < n; i++)
		uv_run(&control.loop, UV_RUN_NOWAIT);
}

static bool store_is_idle(struct td_store_worker *worker)
{
	pthread_mutex_lock(&worker->lock);
	bool idle = worker->n == 0;
	pthread_mutex_unlock(&worker->lock);
	return idle;
}

// Until the stores' threads have done what they were asked, and the loop knows.
static void stores_wait(void)
{
	for (int i = 0; i < 20000; i++) {
		turns(1);
		if (store_is_idle(&control.store) && store_is_idle(&control.restore) &&
			!control.plans.job)
			return;
		usleep(100);
	}
	must(false, "the store does not end what it was asked");
}

// Reads what came and checks that it is frames.
static void out_check(int fd)
{
	static uint8_t bytes[1 << 20];
	size_t len = 0, at = 0;

	for (ssize_t n; (n = recv(fd, bytes + len, sizeof(bytes) - len, MSG_DONTWAIT)) > 0;) {
		len += (size_t)n;
		turns(1);
	}
	while (at + TD_FRAME_HEADER <= len) {
		size_t n = td_frame_payload(bytes + at);
		must(n <= TD_FRAME_MAX, "what was sent is too long");
		if (at + TD_FRAME_HEADER + n > len)
			break; // the connection ended inside it, or the buffer did
		Tandem__Frame *frame = tandem__frame__unpack(NULL, n, bytes + at + TD_FRAME_HEADER);
		must(frame && frame->version == 1, "what was sent is no frame");
		tandem__frame__free_unpacked(frame, NULL);
		at += TD_FRAME_HEADER + n;
	}
}

// The link comes back by itself, at once where its patience is taken away.
static void plane_up(void)
{
	for (int i = 0; i < 200 && plane < 0; i++) {
		control.link.backoff_ms = 0;
		turns(2);
		plane = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
		if (plane < 0)
			usleep(500);
	}
	must(plane >= 0, "control does not come back to the data plane");
}

static int operator_new(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/control.sock", dir);
	must(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0,
		"control takes nobody");
	turns(2);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!control.conf)
		set_up();
	if (plane < 0)
		plane_up();
	control.link.next_id = 0; // so that inputs can guess it
	int operator= operator_new();
	while (size > 1) {
		size_t n = data[0] & 127;
		bool from_plane = data[0] & 128;
		n = n < size - 1 ? n : size - 1;
		if (send(from_plane ? plane : operator, data + 1, n, MSG_NOSIGNAL | MSG_DONTWAIT) <
			0)
			break; // closed on us, which is an answer
		turns(2);
		data += 1 + n;
		size -= 1 + n;
	}
	turns(4);
	stores_wait();
	out_check(operator);
	out_check(plane);
	close(operator);
	close(plane);
	plane = -1;
	stores_wait();
	for (int i = 0; i < 200 && (control.server.clients[0].conn || control.link.connected); i++)
		turns(1);
	// Threads pack, compile and write what is pushed.
	for (int i = 0; i < 10000 && control.pushed.flight; i++) {
		usleep(200);
		turns(1);
	}
	must(!control.pushed.flight, "a push never ended");
	must(!control.server.clients[0].conn, "a connection that ended is kept");
	must(!control.reloading, "a change never ended");
	must(control.events.wanted == 0, "somebody who left is subscribed");
	return 0;
}
