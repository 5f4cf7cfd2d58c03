// SPDX-License-Identifier: BSD-3-Clause
// control/trunk_watch.h: one alarm for a trunk without a peer, for as long as it has none; an event
// for each change.
#include "control/trunk_watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

static struct td_events events;
static struct td_event queue[TD_EVENTS_QUEUED];
static struct td_alarm list[TD_ALARMS_MAX];

static uv_loop_t loop;

static struct td_trunk_watch watch_new(struct td_alarms *alarms)
{
	uv_loop_init(&loop);
	memset(&events, 0, sizeof(events));
	uv_mutex_init(&events.lock);
	uv_async_init(&loop, &events.wake, NULL);
	events.queue = queue;
	events.wanted = 1u << TD_EVENT_TRUNK;
	return (struct td_trunk_watch){ .events = &events, .alarms = alarms };
}

static void watch_end(struct td_trunk_watch *w)
{
	td_trunk_watch_fini(w);
	uv_close((uv_handle_t *)&events.wake, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	uv_mutex_destroy(&events.lock);
}

static void trunk(struct td_trunk_watch *w, const char *name, const char *state, unsigned peers,
	unsigned down)
{
	Tandem__TrunkState row = TANDEM__TRUNK_STATE__INIT;

	row.name = (char *)name;
	row.state = (char *)state;
	row.peers = peers;
	row.peers_down = down;
	td_trunk_watch_trunk(w, &row);
}

static void peer(struct td_trunk_watch *w, const char *name, const char *address, const char *state,
	unsigned code)
{
	Tandem__PeerState row = TANDEM__PEER_STATE__INIT;

	row.trunk = (char *)name;
	row.address = (char *)address;
	row.state = (char *)state;
	row.sip_code = code;
	row.probed = true;
	td_trunk_watch_peer(w, &row);
}

// A round with trunks "a" of two peers and "b" of one, whose state that is.
static void round_of(
	struct td_trunk_watch *w, const char *a, const char *a1, const char *a2, const char *b)
{
	unsigned down = (strcmp(a1, "down") == 0) + (strcmp(a2, "down") == 0);

	td_trunk_watch_begin(w);
	trunk(w, "a", a, 2, down);
	trunk(w, "b", b, 1, strcmp(b, "down") == 0);
	peer(w, "a", "10.0.0.1:5060", a1, 408);
	peer(w, "a", "10.0.0.2:5060", a2, 503);
	peer(w, "b", "10.0.0.3:5060", b, 503);
	td_trunk_watch_end(w);
}

static void an_alarm_lasts_as_long_as_its_cause(void **state)
{
	struct td_alarms alarms = TD_ALARMS_INIT;
	struct td_trunk_watch w = watch_new(&alarms);

	round_of(&w, "up", "up", "up", "up");
	assert_int_equal(td_alarms_copy(&alarms, list), 0);
	assert_int_equal(events.n, 0); // nobody is told what is new to us
	round_of(&w, "up", "down", "up", "down");
	assert_int_equal(td_alarms_copy(&alarms, list), 1);
	assert_string_equal(list[0].name, "trunk.down");
	assert_string_equal(list[0].subject, "b");
	assert_non_null(strstr(list[0].text, "10.0.0.3:5060 answers OPTIONS with 503"));
	assert_int_equal(events.n, 3);
	assert_string_equal(queue[0].subject, "b");
	assert_string_equal(queue[0].state, "down");
	assert_string_equal(queue[1].state, "peer_down");
	assert_string_equal(queue[1].text, "10.0.0.1:5060 was up (408)");
	round_of(&w, "down", "down", "down", "up");
	assert_int_equal(td_alarms_copy(&alarms, list), 1);
	assert_string_equal(list[0].subject, "a");
	assert_non_null(strstr(list[0].text, "no answer to OPTIONS from 10.0.0.1:5060"));
	// A round that broke off says nothing.
	td_trunk_watch_begin(&w);
	trunk(&w, "a", "up", 2, 0);
	assert_int_equal(td_alarms_copy(&alarms, list), 1);
	round_of(&w, "up", "returning", "down", "up");
	assert_int_equal(td_alarms_copy(&alarms, list), 0);
	watch_end(&w);
}

static void registered(struct td_trunk_watch *w, const char *state, unsigned code)
{
	Tandem__TrunkState row = TANDEM__TRUNK_STATE__INIT;

	row.name = (char *)"a";
	row.state = (char *)"up";
	row.registration = (char *)state;
	row.registration_code = code;
	td_trunk_watch_begin(w);
	td_trunk_watch_trunk(w, &row);
	td_trunk_watch_end(w);
}

static void a_provider_that_refuses_us_is_told(void **state)
{
	struct td_alarms alarms = TD_ALARMS_INIT;
	struct td_trunk_watch w = watch_new(&alarms);

	registered(&w, "", 0);
	registered(&w, "none", 0);
	assert_int_equal(td_alarms_copy(&alarms, list), 0);
	registered(&w, "failed", 403);
	assert_int_equal(td_alarms_copy(&alarms, list), 1);
	assert_string_equal(list[0].name, "trunk.registration");
	assert_string_equal(list[0].subject, "a");
	assert_non_null(strstr(list[0].text, "with 403"));
	assert_non_null(strstr(list[0].advice, "password"));
	registered(&w, "failed", 408);
	assert_int_equal(td_alarms_copy(&alarms, list), 1);
	assert_non_null(strstr(list[0].text, "does not answer"));
	registered(&w, "registered", 200);
	assert_int_equal(td_alarms_copy(&alarms, list), 0);
	watch_end(&w);
}

// A port without carrier takes its trunks down, and has an alarm of its own.
static void a_trunk_whose_peers_are_well_has_no_alarm(void **state)
{
	struct td_alarms alarms = TD_ALARMS_INIT;
	struct td_trunk_watch w = watch_new(&alarms);

	td_trunk_watch_begin(&w);
	trunk(&w, "a", "down", 1, 0);
	trunk(&w, "subscribers", "down", 0, 0);
	peer(&w, "a", "10.0.0.1:5060", "up", 200);
	td_trunk_watch_end(&w);
	assert_int_equal(td_alarms_copy(&alarms, list), 0);
	watch_end(&w);
}

// More trunks are down than anybody wants alarms of.
static void very_many_are_bounded(void **state)
{
	struct td_alarms alarms = TD_ALARMS_INIT;
	struct td_trunk_watch w = watch_new(&alarms);
	char name[16];

	for (unsigned round = 0; round < 2; round++) {
		td_trunk_watch_begin(&w);
		for (unsigned i = 0; i < 1000; i++) {
			snprintf(name, sizeof(name), "t%u", i);
			trunk(&w, name, "down", 1, 1);
		}
		for (unsigned i = 0; i < 1000; i++) {
			snprintf(name, sizeof(name), "t%u", i);
			peer(&w, name, "10.0.0.1:5060", "down", 408);
		}
		td_trunk_watch_end(&w);
		assert_int_equal(
			td_alarms_copy(&alarms, list), 16); // there is room for other alarms
	}
	td_trunk_watch_begin(&w);
	td_trunk_watch_end(&w);
	assert_int_equal(td_alarms_copy(&alarms, list), 0);
	watch_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_alarm_lasts_as_long_as_its_cause),
		cmocka_unit_test(a_trunk_whose_peers_are_well_has_no_alarm),
		cmocka_unit_test(a_provider_that_refuses_us_is_told),
		cmocka_unit_test(very_many_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
