// SPDX-License-Identifier: BSD-3-Clause
// OPTIONS to the peers of trunks: who answers is there, who does not gets no calls until it does
// again; and calls that nobody answers say the same.
#include "tests/unit/call_rig.h"
#include "sip/probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct td_health_conf probed = { 30000, 4000, 60000, TD_PROBE_OPTIONS, 3, 2, 5 };
static const struct td_health_conf unprobed = { 30000, 4000, 60000, TD_PROBE_NONE, 3, 2, 2 };

// "far" alone, a trunk of one peer.
static struct rig *rig_probing(void)
{
	struct rig *rig = rig_new();

	rig_health(rig);
	rig->trunks[2].health = probed;
	rig_policy(rig);
	return rig;
}

static void rig_end(struct rig *rig)
{
	for (int i = 0; i < 3; i++)
		rig->trunks[i].health = (struct td_health_conf){ 0 };
	rig_policy(rig);
	rig->host.n_read = rig->host.n_sent;
	rig_free(rig);
}

// The next OPTIONS, that must come within so many milliseconds.
static const struct fake_sent *within(struct rig *rig, uint64_t ms)
{
	for (uint64_t i = 0; i < ms && fake_pending(&rig->host) == 0; i++)
		rig_advance(rig, 1);
	return rig_expect(rig, "OPTIONS ");
}

// Lets the peer leave the next one unanswered, with its repetitions.
static void ignore(struct rig *rig, uint64_t ms)
{
	within(rig, ms);
	rig_advance(rig, probed.timeout_ms - 1);
	rig->host.n_read = rig->host.n_sent;
	rig_advance(rig, 1);
}

// Of the memory that calls have, those that are watched take nothing.
static void probes_have_their_own_memory(void **state)
{
	struct rig *rig = rig_probing();
	struct td_pool_view pools[TD_ENGINE_POOLS];

	rig_advance(rig, 1);
	td_engine_pools(rig->engine, pools);
	assert_string_equal(pools[4].name, "text_bytes");
	assert_int_equal(pools[4].used, 0);
	assert_string_equal(pools[5].name, "probe_bytes");
	assert_int_equal(pools[5].used, 128);
	assert_true(pools[5].size >= 512 * 128 && td_probes_bytes(512) >= pools[5].size);
	assert_int_equal(rig->host.counters[TD_C_PEER_NOT_PROBED], 0);
	rig_end(rig);
}

static void who_answers_is_there(void **state)
{
	struct rig *rig = rig_probing();
	const struct fake_sent *first = within(rig, 30001);

	assert_true(td_sockaddr_eq(&first->flow.remote, &rig->east[2].remote));
	RIG_HAS(first, "OPTIONS sip:10.0.2.3:5060 SIP/2.0\r\n");
	RIG_HAS(first, "To: <sip:10.0.2.3:5060>\r\n");
	RIG_HAS(first, "From: <sip:10.0.2.254:5060>;tag=");
	rig_advance(rig, 7);
	rig_reply(rig, first, "405 Method Not Allowed", "t", "", "");
	assert_int_equal(rig_peer(rig, 2, 0).state, TD_PEER_UP);
	assert_int_equal(rig_peer(rig, 2, 0).sip_code, 405);
	assert_in_range(rig_peer(rig, 2, 0).rtt_us, 7000, 7100);
	rig_advance(rig, 26000); // 30 s less up to an eighth
	rig_silence(rig);
	rig_reply(rig, within(rig, 4001), "200 OK", "t", "", "");
	assert_int_equal(rig_peer(rig, 2, 0).sip_code, 200);
	rig_end(rig);
}

static void silence_is_found_out_and_forgotten(void **state)
{
	struct rig *rig = rig_probing();

	ignore(rig, 30001);
	assert_int_equal(rig_peer(rig, 2, 0).state, TD_PEER_UP);
	ignore(rig, probed.timeout_ms + 1); // the next one comes soon
	ignore(rig, probed.timeout_ms + 1);
	assert_int_equal(rig_peer(rig, 2, 0).state, TD_PEER_DOWN);
	assert_int_equal(rig->host.counters[TD_C_PEER_SILENT], 3);
	assert_int_equal(rig->host.counters[TD_C_PEER_WENT_DOWN], 1);
	// Nothing is left of what nobody answered: no transaction, no repetition.
	rig_advance(rig, 20000);
	rig_silence(rig);
	assert_int_equal(td_engine_busy(rig->engine), 1); // the timer of the next one
	rig_reply(rig, within(rig, 11000), "200 OK", "t", "", "");
	assert_int_equal(rig_peer(rig, 2, 0).state, TD_PEER_DOWN);
	rig_reply(rig, within(rig, probed.timeout_ms + 1), "200 OK", "t", "", "");
	assert_int_equal(rig_peer(rig, 2, 0).state, TD_PEER_RETURNING);
	rig_reply(rig, within(rig, 30001), "503 Service Unavailable", "t", "", "");
	assert_int_equal(rig_peer(rig, 2, 0).state, TD_PEER_DOWN);
	rig_end(rig);
}

static void a_late_answer_is_stray(void **state)
{
	struct rig *rig = rig_probing();
	const struct fake_sent *sent = within(rig, 30001);
	struct fake_sent kept = *sent;

	kept.data = strdup(sent->data);
	rig_advance(rig, probed.timeout_ms);
	rig->host.n_read = rig->host.n_sent;
	rig_reply(rig, &kept, "200 OK", "t", "", "");
	assert_int_equal(rig->host.counters[TD_C_SIP_STRAY_RESPONSE], 1);
	free(kept.data);
	rig_end(rig);
}

// Many peers do not begin in one moment, and one worker's are not another's.
static void peers_are_spread(void **state)
{
	struct rig *rig = rig_new();
	uint32_t least = UINT32_MAX, most = 0;

	rig_health(rig);
	rig->trunks[2].health = probed;
	rig->trunks[2].n_peers = TD_PEERS_MAX;
	for (unsigned i = 0; i < TD_PEERS_MAX; i++) {
		rig->trunks[2].peers[i] = rig->trunks[2].peers[0];
		rig->trunks[2].peers[i].address.port = (uint16_t)(6000 + i);
	}
	rig_policy(rig);
	for (unsigned i = 0; i < TD_PEERS_MAX; i++) {
		const struct fake_sent *sent = within(rig, 30001);
		least = sent->at_ms < least ? (uint32_t)sent->at_ms : least;
		most = sent->at_ms > most ? (uint32_t)sent->at_ms : most;
		rig_reply(rig, sent, "200 OK", "t", "", "");
	}
	assert_in_range(most - least, 15000, 30000);
	assert_in_range(most, 1, 30001);
	rig_end(rig);

	rig = rig_new();
	rig->conf.n_workers = 2; // slot 1 is of worker 1, and this is worker 0
	rig_health(rig);
	rig->trunks[1].health = probed;
	rig_policy(rig);
	rig_advance(rig, 40000);
	rig_silence(rig);
	rig->trunks[1].enabled = rig->trunks[2].enabled =
		false; // nobody asks those who are out of service
	rig->trunks[2].health = probed;
	rig_policy(rig);
	rig_advance(rig, 40000);
	rig_silence(rig);
	rig_end(rig);
}

static void calls_that_nobody_answers_tell_too(void **state)
{
	struct rig *rig = rig_new();

	rig_health(rig);
	rig->trunks[1].health = unprobed;
	rig_policy(rig);
	for (int i = 0; i < 2; i++) {
		rig_invite(rig, "", RIG_SDP_A);
		rig_expect(rig, "INVITE ");
		rig_advance(rig, 4999);
		rig->host.n_read = rig->host.n_sent;
		rig_advance(rig, 1);
		const struct fake_sent *second = rig_expect(rig, "INVITE ");
		assert_true(td_sockaddr_eq(&second->flow.remote, &rig->east[1].remote));
		rig_reply(rig, second, "486 Busy Here", "t", "", "");
		rig_expect(rig, "ACK ");
		rig_expect(rig, "SIP/2.0 486 ");
		rig_advance(rig, 40000);
		rig->host.n_read = rig->host.n_sent;
		assert_int_equal(rig_peer(rig, 1, 1).state, TD_PEER_UP);
	}
	assert_int_equal(rig->host.counters[TD_C_PEER_WENT_DOWN], 1);
	assert_int_equal(
		rig_peer(rig, 1, 0).state, TD_PEER_RETURNING); // its interval has passed meanwhile
	// A call that was routed before it went down passes it over.
	rig_invite(rig, "", RIG_SDP_A);
	assert_true(td_sockaddr_eq(&rig_expect(rig, "INVITE ")->flow.remote, &rig->east[0].remote));
	rig_advance(rig, 5000);
	assert_int_equal(rig_peer(rig, 1, 0).state, TD_PEER_DOWN); // on trial, once is enough
	rig->host.n_read = rig->host.n_sent;
	rig_cancel(rig, "");
	rig->trunks[1].health.interval_ms = 100000;
	rig_policy(rig);
	rig_advance(rig, 40000);
	rig->host.n_read = rig->host.n_sent;
	rig_invite(rig, "", RIG_SDP_A);
	assert_true(td_sockaddr_eq(&rig_expect(rig, "INVITE ")->flow.remote, &rig->east[1].remote));
	assert_int_equal(rig->host.counters[TD_C_CALL_PEER_DOWN], 1);
	rig_cancel(rig, "");
	rig_advance(rig, 40000);
	rig_end(rig);
}

// One that was returning when the call was routed is not tried when it has gone down since; one
// that was put last because calls found it silent is, for want of another.
static void what_was_put_last_is_looked_at_once_more(void **state)
{
	for (int with_probes = 0; with_probes < 2; with_probes++) {
		struct rig *rig = rig_new();
		rig_health(rig);
		rig->trunks[1].health = with_probes ? probed : unprobed;
		rig->trunks[1].health.interval_ms = 100000;
		rig_policy(rig);
		rig_route(rig, "01");
		rig->host.route.targets[1].last = true;
		for (unsigned i = 0; i < 5; i++)
			td_health_called(rig->health, 1, &rig->trunks[1].peers[1].address,
				&rig->trunks[1].health, rig->host.now_ns / 1000000, false);
		assert_int_equal(rig_peer(rig, 1, 1).state, TD_PEER_DOWN);
		rig_invite(rig, "", RIG_SDP_A);
		rig_reply(
			rig, rig_expect(rig, "INVITE "), "500 Server Internal Error", "t", "", "");
		rig_expect(rig, "ACK ");
		if (with_probes) {
			rig_expect(rig, "SIP/2.0 500 ");
		} else {
			const struct fake_sent *second = rig_expect(rig, "INVITE ");
			assert_true(td_sockaddr_eq(&second->flow.remote, &rig->east[1].remote));
			rig_reply(rig, second, "486 Busy Here", "t", "", "");
			rig_expect(rig, "ACK ");
			rig_expect(rig, "SIP/2.0 486 ");
		}
		assert_int_equal(rig->host.seized, with_probes ? 1 : 2);
		assert_int_equal(rig->host.answered, 0);
		rig_advance(rig, 40000);
		rig_end(rig);
	}
}

static void an_answer_of_any_kind_clears_a_peer(void **state)
{
	struct rig *rig = rig_new();

	rig_health(rig);
	rig->trunks[1].health = unprobed;
	rig_policy(rig);
	for (int i = 0; i < 4; i++) {
		rig_route(rig, "0");
		rig_invite(rig, "", RIG_SDP_A);
		const struct fake_sent *invite = rig_expect(rig, "INVITE ");
		if (i % 2 == 1) {
			rig_reply(rig, invite, "100 Trying", "", "", "");
			rig_cancel(rig, "");
		}
		rig_advance(rig, 40000);
		rig->host.n_read = rig->host.n_sent;
	}
	assert_int_equal(rig->host.counters[TD_C_PEER_WENT_DOWN], 0);
	assert_int_equal(rig_peer(rig, 1, 0).state, TD_PEER_UP);
	rig_end(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(probes_have_their_own_memory),
		cmocka_unit_test(who_answers_is_there),
		cmocka_unit_test(silence_is_found_out_and_forgotten),
		cmocka_unit_test(a_late_answer_is_stray),
		cmocka_unit_test(peers_are_spread),
		cmocka_unit_test(calls_that_nobody_answers_tell_too),
		cmocka_unit_test(what_was_put_last_is_looked_at_once_more),
		cmocka_unit_test(an_answer_of_any_kind_clears_a_peer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
