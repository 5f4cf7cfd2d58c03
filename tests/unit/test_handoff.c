// SPDX-License-Identifier: BSD-3-Clause
// The matrix between workers: what goes in comes out at the right one, full is a named drop, nobody
// starves.
#include "path_host.h"

#include "dataplane/handoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define WORKERS 3

static int setup(void **state)
{
	path_start(WORKERS, TD_CHECKSUM_AUTO);
	return 0;
}

static struct rte_mbuf *packet(void)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(path.frames);

	assert_non_null(m);
	memset(rte_pktmbuf_append(m, 60), 0, 60);
	*td_packet(m) = (struct td_packet){ 0 };
	return m;
}

// What a received packet would have been counted as.
static void received(uint16_t worker, uint64_t n)
{
	td_worker_count(path.dp->workers[worker], TD_C_RX_FRAMES, n);
}

static void rtp_arrives_at_its_owner(void **state)
{
	for (uint16_t from = 0; from < WORKERS; from++) {
		for (uint16_t to = 0; to < WORKERS; to++) {
			if (from == to)
				continue;
			received(from, 1);
			td_handoff_rtp(path.dp->workers[from], to, packet());
			assert_int_equal(td_worker_held(path.dp->workers[from]), 1);
			path_run(0);
			assert_int_equal(path.rtp[path.n_rtp - 1].worker, to);
		}
	}
	assert_int_equal(path.n_rtp, WORKERS * (WORKERS - 1));
	assert_int_equal(path_count(TD_C_HANDOFF_SENT), WORKERS * (WORKERS - 1));
	assert_int_equal(path_count(TD_C_RX_RINGS), WORKERS * (WORKERS - 1));
}

static void rtp_ring_full(void **state)
{
	struct td_worker *w = path.dp->workers[0];

	received(0, 1100);
	for (int i = 0; i < 1100; i++)
		td_handoff_rtp(w, 1, packet());
	td_handoff_flush(w);
	assert_int_equal(w->counters[TD_C_HANDOFF_SENT], 1023);
	assert_int_equal(w->counters[TD_C_HANDOFF_FULL], 77);
	assert_int_equal(td_counters_balance(w->counters), 0);
}

static void sip_is_taken_in_turn(void **state)
{
	struct td_worker *w = path.dp->workers[1];
	struct rte_mbuf *out[8];
	uint32_t from[WORKERS] = { 0 };

	for (int i = 0; i < 100; i++) {
		for (uint16_t k = 0; k < WORKERS; k++) {
			struct rte_mbuf *m = packet();
			td_packet(m)->owner = (uint8_t)k;
			received(k, 1);
			td_handoff_sip(path.dp->workers[k], 1, m);
		}
	}
	assert_int_equal(td_worker_held(w), 100); // its own wait in its own ring
	for (int round = 0; round < 9; round++) {
		uint32_t n = td_handoff_sip_in(w, out, 8);
		assert_int_equal(n, 8);
		for (uint32_t i = 0; i < n; i++)
			from[td_packet(out[i])->owner]++;
		td_worker_count(w, TD_C_SIP_CONSUMED, n);
		rte_pktmbuf_free_bulk(out, n);
	}
	for (uint16_t k = 0; k < WORKERS; k++)
		assert_int_equal(from[k], 24);
	assert_int_equal(td_counters_balance(w->counters), td_worker_held(w));
	assert_int_equal(path_count(TD_C_HANDOFF_SENT), 200); // the own ones were not handed over
}

static void sip_ring_full(void **state)
{
	struct td_worker *w = path.dp->workers[0];

	received(0, 1030);
	for (int i = 0; i < 1030; i++)
		td_handoff_sip(w, 2, packet());
	assert_int_equal(w->counters[TD_C_HANDOFF_FULL], 7);
	assert_int_equal(td_counters_balance(w->counters), 0);
}

static void main_ring_full(void **state)
{
	struct td_worker *w = path.dp->workers[0];

	received(0, 1030);
	for (int i = 0; i < 1030; i++)
		td_handoff_main(w, TD_ERRAND_ARP, packet());
	assert_int_equal(w->counters[TD_C_MAIN_FULL], 7);
	assert_int_equal(w->counters[TD_C_MAIN_HANDED], 1023);
	path_run(0);
}

static void single_queue_ports_spread_over_workers(void **state)
{
	assert_int_equal(path.dp->ports[PORT_A].rx_owner[0], 0);
	assert_int_equal(path.dp->ports[PORT_B].rx_owner[0], 1);
	assert_string_equal(path.dp->ports[PORT_A].steering, "single");
	assert_int_equal(path.dp->workers[0]->n_rx, 1);
	assert_int_equal(path.dp->workers[1]->n_rx, 1);
	assert_int_equal(path.dp->workers[2]->n_rx, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rtp_arrives_at_its_owner, setup, path_down),
		cmocka_unit_test_setup_teardown(rtp_ring_full, setup, path_down),
		cmocka_unit_test_setup_teardown(sip_is_taken_in_turn, setup, path_down),
		cmocka_unit_test_setup_teardown(sip_ring_full, setup, path_down),
		cmocka_unit_test_setup_teardown(main_ring_full, setup, path_down),
		cmocka_unit_test_setup_teardown(
			single_queue_ports_spread_over_workers, setup, path_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
