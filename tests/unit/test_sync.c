// SPDX-License-Identifier: BSD-3-Clause
// control/sync.h where the data plane leaves while its tables are read. A page that nobody was sent
// is answered by nobody: the next data plane gets the table all the same.
#include "control/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static struct td_control control;
static struct td_config conf;
static struct td_conn leaving = { .closing = true };
static char dir[64], url[128];

static int setup(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/td_sync_%d", (int)getpid());
	snprintf(url, sizeof(url), "sqlite:%s/x.db", dir);
	control.conf = &conf;
	control.link.connected = true;
	control.link.conn = &leaving;
	uv_loop_init(&control.loop);
	if (mkdir(dir, 0700) != 0 ||
		td_store_worker_start(&control.store, &control.loop, url, "n") != 0 ||
		td_store_worker_start(&control.restore, &control.loop, url, "n") != 0)
		return -1;
	td_sync_start(&control.sync, &control);
	return 0;
}

static int teardown(void **state)
{
	char command[100];

	td_sync_stop(&control.sync);
	td_store_worker_stop(&control.store);
	td_store_worker_stop(&control.restore);
	uv_run(&control.loop, UV_RUN_DEFAULT);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return uv_loop_close(&control.loop) ? -1 : system(command);
}

static bool until_pushing(bool on)
{
	for (int i = 0; i < 20000; i++) {
		uv_run(&control.loop, UV_RUN_NOWAIT);
		if (control.sync.pushing[1] == on)
			return true;
		usleep(1000);
	}
	return false;
}

static void a_data_plane_that_leaves_while_a_page_is_read_ends_the_push(void **state)
{
	Tandem__Hello hello = TANDEM__HELLO__INIT;

	hello.registrar = true;
	for (int round = 0; round < 3; round++) {
		td_sync_hello(&control.sync, &hello);
		control.sync.passes_due = 0; // nothing is left of a predecessor
		assert_true(until_pushing(true));
		td_sync_lost(&control.sync);
		control.sync.bindings_due = false;
		assert_true(until_pushing(false));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_data_plane_that_leaves_while_a_page_is_read_ends_the_push, setup,
			teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
