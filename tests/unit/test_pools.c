// SPDX-License-Identifier: BSD-3-Clause
// The plan is arithmetic on the configuration; EAL is not started.
#include "dataplane/pools.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

static struct td_config *conf;

static void realm_fill(struct td_realm_conf *realm, const char *name, uint16_t min, uint16_t max)
{
	snprintf(realm->name, sizeof(realm->name), "%s", name);
	realm->n_addresses = 1;
	realm->addresses[0].media = true;
	realm->addresses[0].ip.family = TD_IPV4;
	realm->media_port_min = min;
	realm->media_port_max = max;
}

static int setup(void **state)
{
	conf = calloc(1, sizeof(*conf));
	conf->n_workers = 1;
	conf->worker_cpus[0] = 1;
	conf->max_calls = 1000;
	conf->max_cps = 100;
	conf->sip_message_bytes = 16384;
	conf->quarantine_ms = 1000;
	conf->n_ports = 2;
	snprintf(conf->ports[0].device, sizeof(conf->ports[0].device), "net_ring0");
	snprintf(conf->ports[1].device, sizeof(conf->ports[1].device), "net_ring1");
	conf->n_realms = 2;
	realm_fill(&conf->realms[0], "west", 16384, 65535);
	realm_fill(&conf->realms[1], "east", 16384, 65535);
	snprintf(conf->run_dir, sizeof(conf->run_dir), "/tmp/td-not-there/run");
	return 0;
}

static int teardown(void **state)
{
	free(conf);
	return 0;
}

static void test_one_worker_has_it_all(void **state)
{
	struct td_pool_plan plan;

	td_pools_plan(conf, &plan);
	assert_int_equal(plan.worker_calls, 1000);
	assert_true(plan.worker_legs >= 2000);
	assert_true(plan.big_mbuf_room >= conf->sip_message_bytes);
	assert_true(plan.mbufs >= 4096);
	assert_int_equal(td_pools_check(&plan, conf, -1), 0);
}

static void test_shares_overlap(void **state)
{
	struct td_pool_plan plan;

	conf->n_workers = 4;
	td_pools_plan(conf, &plan);
	assert_in_range(plan.worker_calls, 250 * 5 / 4, 400);
	conf->max_calls = 3;
	td_pools_plan(conf, &plan);
	assert_int_equal(plan.worker_calls, 3);
}

static void test_more_of_everything_takes_more(void **state)
{
	struct td_pool_plan small, calls, workers;

	td_pools_plan(conf, &small);
	conf->max_calls = 100000;
	td_pools_plan(conf, &calls);
	conf->max_calls = 1000;
	conf->n_workers = 3;
	td_pools_plan(conf, &workers);
	assert_true(td_pools_eal_mb(&calls, true) > td_pools_eal_mb(&small, true));
	assert_true(workers.mbufs > small.mbufs);
	assert_true(calls.journal_ring_bytes > small.journal_ring_bytes);
}

static void test_too_little_memory_is_refused(void **state)
{
	struct td_pool_plan plan;

	td_pools_plan(conf, &plan);
	conf->huge_mb = td_pools_eal_mb(&plan, true);
	assert_int_equal(td_pools_check(&plan, conf, -1), 0);
	conf->huge_mb--;
	assert_int_equal(td_pools_check(&plan, conf, -1), -ENOSPC);
	assert_true(td_pools_eal_mb(&plan, false) > td_pools_eal_mb(&plan, true));
	conf->huge_mb = 0;
	assert_int_equal(td_pools_check(&plan, conf, -1), 0);
}

static void test_too_few_ports_are_refused(void **state)
{
	struct td_pool_plan plan;

	conf->realms[0].media_port_max = conf->realms[0].media_port_min + 2 * 1000 - 1;
	conf->realms[1].media_port_max = conf->realms[0].media_port_max;
	td_pools_plan(conf, &plan);
	assert_int_equal(plan.media_pairs, 2000);
	assert_int_equal(
		td_pools_check(&plan, conf, -1), -ENOSPC); // nothing left to rest in quarantine
	conf->max_cps = 0;
	td_pools_plan(conf, &plan);
	assert_int_equal(td_pools_check(&plan, conf, -1), 0);
}

// Hugepages hold frames and legs alone: a machine whose memory cannot hold the calls beside them
// must hear it now, and not from the kernel when it ends the process.
static void test_more_than_this_machine_is_refused(void **state)
{
	struct td_pool_plan plan;
	char text[2048] = "";
	int fds[2];

	conf->max_calls = UINT32_MAX / 4;
	td_pools_plan(conf, &plan);
	conf->huge_mb = UINT32_MAX;
	plan.media_pairs = plan.media_pairs_needed;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(td_pools_check(&plan, conf, fds[1]), -ENOSPC);
	close(fds[1]);
	assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
	close(fds[0]);
	const char *line = strstr(text, "ordinary memory");
	assert_non_null(line);
	assert_non_null(strstr(line, "TOO SMALL"));
	assert_non_null(strstr(text, "hugepages are free"));
}

static void test_the_table_is_printed(void **state)
{
	struct td_pool_plan plan;
	char text[2048] = "";
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	td_pools_plan(conf, &plan);
	conf->huge_mb = 1;
	td_pools_check(&plan, conf, fds[1]);
	close(fds[1]);
	assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
	close(fds[0]);
	assert_non_null(strstr(text, "memory.huge_mb"));
	assert_non_null(strstr(text, "TOO SMALL"));
	assert_non_null(strstr(text, "media legs"));
}

// After a kill -9 the rings are still there. They are drained and removed before new ones are made,
// so their room counts as free: else a switch whose run_dir holds less than two sets of rings would
// not start again.
static void test_rings_that_a_kill_left_are_room(void **state)
{
	const uint64_t mib = 1u << 20, left = 16 * mib;
	char dir[] = "/dev/shm/td-pools-XXXXXX", other[64], ring[64];
	struct td_pool_plan plan;
	struct statvfs fs;

	assert_non_null(mkdtemp(dir));
	snprintf(conf->run_dir, sizeof(conf->run_dir), "%s", dir);
	snprintf(other, sizeof(other), "%s/journal.0.ring.old", dir);
	snprintf(ring, sizeof(ring), "%s/journal.0.ring", dir);
	int fd = open(other, O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_int_equal(posix_fallocate(fd, 0, (off_t)left), 0);
	close(fd);
	td_pools_plan(conf, &plan);
	assert_int_equal(statvfs(dir, &fs), 0);
	plan.journal_ring_bytes = fs.f_bavail * fs.f_frsize + left / 2;
	assert_int_equal(td_pools_check(&plan, conf, -1), -ENOSPC);
	assert_int_equal(rename(other, ring), 0);
	assert_int_equal(td_pools_check(&plan, conf, -1), 0);
	unlink(ring);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_worker_has_it_all, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shares_overlap, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_more_of_everything_takes_more, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_little_memory_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_few_ports_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_more_than_this_machine_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_table_is_printed, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_rings_that_a_kill_left_are_room, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
