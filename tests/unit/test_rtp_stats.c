// SPDX-License-Identifier: BSD-3-Clause
// Loss and jitter against a plain model of RFC 3550 App. A in floating point and 64-bit sequence
// numbers.
#include "media/rtp_stats.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#define MS 1000000ull

struct stream {
	struct td_rtp_stats stats;
	struct td_rtp_past past;
};

static void feed(struct stream *s, uint16_t seq, uint32_t timestamp, uint64_t now_ns)
{
	struct td_rtp rtp = { .ssrc = 7, .seq = seq, .timestamp = timestamp, .payload_type = 8 };

	td_rtp_stats_update(&s->stats, &s->past, &rtp, 160, now_ns);
}

static uint64_t lost(const struct stream *s)
{
	return td_rtp_stats_lost(&s->stats, &s->past);
}

static void test_nothing(void **state)
{
	struct stream s = { 0 };

	assert_int_equal(lost(&s), 0);
	assert_true(td_rtp_stats_jitter_ms(&s.stats) == 0);
}

static void test_cycles(void **state)
{
	struct stream s = { 0 };
	uint64_t n = 200000;

	for (uint64_t i = 0; i < n; i++)
		if (i % 100 != 50)
			feed(&s, (uint16_t)(65000 + i), (uint32_t)(i * 160), i * 20 * MS);
	assert_int_equal(s.stats.packets, n - n / 100);
	assert_int_equal(s.stats.bytes, (n - n / 100) * 160);
	assert_int_equal(lost(&s), n / 100);
	assert_int_equal(s.stats.cycles, (65000 + n) >> 16);
}

static void test_duplicates_and_reordering(void **state)
{
	struct stream s = { 0 };
	const uint16_t order[] = { 65534, 0, 65535, 1, 3, 2, 4, 6, 5 };

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		feed(&s, order[i], order[i], i * 20 * MS);
	assert_int_equal(lost(&s), 0);
	assert_int_equal(s.stats.cycles, 1);
	feed(&s, 8, 8, 200 * MS);
	assert_int_equal(lost(&s), 1);
	feed(&s, 6, 6, 220 * MS); // a duplicate hides a loss (App. A.3) but never makes it negative
	feed(&s, 6, 6, 220 * MS);
	assert_int_equal(lost(&s), 0);
}

static void test_gap_limits(void **state)
{
	struct stream s = { 0 };

	feed(&s, 100, 0, 0);
	feed(&s, 100 + TD_RTP_MAX_DROPOUT - 1, 0, 0);
	assert_int_equal(lost(&s), TD_RTP_MAX_DROPOUT - 2);
	uint16_t max = s.stats.max_seq;
	feed(&s, (uint16_t)(max + TD_RTP_MAX_DROPOUT), 0, 0); // one jump alone is not believed
	assert_int_equal(s.stats.max_seq, max);
	feed(&s, (uint16_t)(max + 1), 0, 0);
	assert_int_equal(lost(&s), TD_RTP_MAX_DROPOUT - 2);
}

static void test_restart(void **state)
{
	struct stream s = { 0 };

	for (uint16_t i = 0; i < 100; i++)
		if (i != 10)
			feed(&s, (uint16_t)(1000 + i), i * 160u, i * 20 * MS);
	for (uint16_t i = 0; i < 100; i++)
		if (i != 20 && i != 21)
			feed(&s, (uint16_t)(30000 + i), i * 160u, (100ull + i) * 20 * MS);
	assert_int_equal(s.stats.packets, 99 + 98);
	assert_int_equal(lost(&s), 1 + 2);
	assert_int_equal(s.past.base_seq, 30000);
}

static void test_ssrc_change(void **state)
{
	struct stream s = { 0 };
	struct td_rtp other = { .ssrc = 8, .seq = 5000, .payload_type = 8 };

	feed(&s, 1, 0, 0);
	feed(&s, 3, 320, 40 * MS);
	td_rtp_stats_update(&s.stats, &s.past, &other, 160, 60 * MS);
	other.seq = 5002;
	td_rtp_stats_update(&s.stats, &s.past, &other, 160, 100 * MS);
	assert_int_equal(lost(&s), 2);
	assert_int_equal(s.stats.packets, 4);
}

static void test_jitter(void **state)
{
	struct stream s = { 0 };
	double model = 0, transit = 0;
	uint32_t random = 1;

	for (uint32_t i = 0; i < 5000; i++) {
		random = random * 1664525 + 1013904223;
		uint64_t late_us = random >> 20; // up to 4 ms
		uint64_t now_ns = (uint64_t)i * 20 * MS + late_us * 1000 + (1ull << 50);
		feed(&s, (uint16_t)i, 0xffffff00u + i * 160, now_ns); // the timestamp wraps early
		double t = (double)(i * 20 * MS + late_us * 1000) / 1e9 * 8000 - i * 160.0;
		if (i > 0)
			model += (fabs(t - transit) - model) / 16;
		transit = t;
	}
	double ms = model / 8;
	assert_true(ms > 0.5 && ms < 4);
	assert_true(fabs(td_rtp_stats_jitter_ms(&s.stats) - ms) <
		    0.15); // a tick is an eighth of a millisecond
}

static void test_steady_has_none(void **state)
{
	struct stream s = { 0 };

	for (uint32_t i = 0; i < 1000; i++)
		feed(&s, (uint16_t)i, i * 160, i * 20 * MS);
	assert_true(td_rtp_stats_jitter_ms(&s.stats) < 0.15);
}

static void test_clock(void **state)
{
	assert_int_equal(td_rtp_clock_hz(0), 8000);
	assert_int_equal(td_rtp_clock_hz(9), 8000);
	assert_int_equal(td_rtp_clock_hz(10), 44100);
	assert_int_equal(td_rtp_clock_hz(16), 11025);
	assert_int_equal(td_rtp_clock_hz(34), 90000);
	assert_int_equal(td_rtp_clock_hz(101), 8000);
	// A change of clock must not look like a jump in time.
	struct stream s = { 0 };
	struct td_rtp video = { .ssrc = 7, .seq = 2, .timestamp = 1, .payload_type = 34 };
	feed(&s, 1, 0, 1000000 * MS);
	td_rtp_stats_update(&s.stats, &s.past, &video, 160, 1000020 * MS);
	assert_true(td_rtp_stats_jitter_ms(&s.stats) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_cycles),
		cmocka_unit_test(test_duplicates_and_reordering),
		cmocka_unit_test(test_gap_limits),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_ssrc_change),
		cmocka_unit_test(test_jitter),
		cmocka_unit_test(test_steady_has_none),
		cmocka_unit_test(test_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
