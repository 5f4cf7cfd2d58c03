// SPDX-License-Identifier: BSD-3-Clause
// A worker that waits for its queues: vhost-user is the device here that has receive interrupts.
// Its other end is a virtio-user device in a process of its own.
#include "dataplane/rx_wait.h"

#include <rte_eal.h>
#include <rte_ethdev.h>

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define QUIET_MS 300 // between two frames of the other end

static char folder[] = "/tmp/tandem-rx-wait-XXXXXX";
static struct rte_mempool *pool;
static struct td_dataplane dp;
static struct td_worker worker;

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "rx_wait: %s\n", what);
	exit(1);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

// One port, of that virtual device. Returns its number.
static uint16_t port_start(const char *name, const char *device, bool interrupts)
{
	char vdev[256], prefix[64];
	snprintf(vdev, sizeof(vdev), "%s%s", name, device);
	snprintf(prefix, sizeof(prefix), "rx-wait-%d", getpid());
	char *argv[] = { "test", "--no-huge", "-m", "64", "--no-pci", "--no-telemetry",
		"--no-shconf", "--lcores", "0@0", "--log-level", "*:error", "--file-prefix", prefix,
		"--vdev", vdev };
	struct rte_eth_conf conf = { .intr_conf.rxq = interrupts };
	uint16_t port;

	must(rte_eal_init(RTE_DIM(argv), argv) >= 0, "EAL does not start");
	must(rte_eth_dev_get_port_by_name(name, &port) == 0, "no such port");
	pool = rte_pktmbuf_pool_create("frames", 1023, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	must(pool && rte_eth_dev_configure(port, 1, 1, &conf) == 0 &&
			rte_eth_rx_queue_setup(port, 0, 256, 0, NULL, pool) == 0 &&
			rte_eth_tx_queue_setup(port, 0, 256, 0, NULL) == 0 &&
			rte_eth_dev_start(port) == 0,
		"the port does not start");
	return port;
}

// The other end: a frame now and then, until it is killed.
static void sender(void)
{
	char device[128];

	snprintf(device, sizeof(device), ",path=%s/vhost.sock,queues=1", folder);
	uint16_t port = port_start("net_virtio_user0", device, false);
	for (;;) {
		usleep(QUIET_MS * 1000);
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool), *frames[8];
		memset(rte_pktmbuf_append(m, 100), 0x5a, 100);
		if (rte_eth_tx_burst(port, 0, &m, 1) == 0)
			rte_pktmbuf_free(m);
		rte_pktmbuf_free_bulk(frames, rte_eth_rx_burst(port, 0, frames, 8));
	}
}

static uint32_t frames_take(void)
{
	struct rte_mbuf *frames[8];
	uint16_t n = rte_eth_rx_burst(worker.rx[0].ethdev, 0, frames, 8);

	rte_pktmbuf_free_bulk(frames, n);
	return n;
}

// As a worker at rest does: arm, look, wait. Returns how often it waited until a frame was there.
static int frame_await(void)
{
	int waits = 0;

	for (uint64_t end = now_ms() + 10000; now_ms() < end;) {
		td_rx_wait_arm(&worker);
		bool there = frames_take() > 0;
		if (!there) {
			assert_true(td_rx_wait(10000));
			waits++;
		}
		td_rx_wait_disarm(&worker);
		if (there)
			return waits;
	}
	fail_msg("no frame came");
	return -1;
}

static void a_frame_wakes_who_waits(void **state)
{
	assert_true(td_rx_wait_possible(worker.rx[0].ethdev, 1));
	dp.ports[0].rx_interrupts = true;
	assert_true(td_rx_wait_start(&worker));
	frame_await();
	for (int i = 0; i < 3; i++) {
		uint64_t began = now_ms();
		int waits = frame_await();
		assert_in_range(waits, 1,
			5); // it slept, and was not woken for nothing more than now and then
		assert_true(now_ms() - began >= QUIET_MS / 2 && now_ms() - began < 5000);
	}
}

static void a_wait_is_bounded(void **state)
{
	while (frames_take() > 0)
		;
	td_rx_wait_arm(&worker);
	uint64_t began = now_ms();
	td_rx_wait(20);
	td_rx_wait_disarm(&worker);
	assert_true(now_ms() - began < QUIET_MS);
}

static void who_cannot_be_woken_sleeps(void **state)
{
	dp.ports[0].rx_interrupts = false;
	assert_false(td_rx_wait_start(&worker));
	worker.n_rx = 0;
	assert_false(td_rx_wait_start(&worker));
	worker.n_rx = 1;
}

int main(void)
{
	static struct td_rx_queue queue;
	char device[128], path[128];

	must(mkdtemp(folder) != NULL, "no folder");
	// EAL cannot be forked: the other end begins before there is one, and waits for the socket.
	pid_t other = fork();
	must(other >= 0, "no process");
	if (other == 0) {
		snprintf(path, sizeof(path), "%s/vhost.sock", folder);
		for (int i = 0; i < 1000 && access(path, F_OK) != 0; i++)
			usleep(10000);
		sender();
	}
	snprintf(device, sizeof(device), ",iface=%s/vhost.sock,queues=1", folder);
	queue.ethdev = port_start("net_vhost0", device, true);
	worker.dp = &dp;
	worker.rx = &queue;
	worker.n_rx = 1;
	for (uint64_t end = now_ms() + 20000; frames_take() == 0;) {
		must(now_ms() < end, "the other end does not send");
		usleep(1000);
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_wakes_who_waits),
		cmocka_unit_test(a_wait_is_bounded),
		cmocka_unit_test(who_cannot_be_woken_sleeps),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	snprintf(path, sizeof(path), "%s/vhost.sock", folder);
	unlink(path);
	rmdir(folder);
	return failed;
}
