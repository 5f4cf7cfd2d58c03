// SPDX-License-Identifier: BSD-3-Clause
// The data plane's side of the registrar: what the journal takes, and what is said of whom before
// all is known.
#include "dataplane/journal_ring.h"
#include "dataplane/registrar_host.h"
#include "include/binding.h"
#include "sip/engine_priv.h"
#include "sip/subscribers.h"
#include "tests/unit/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct bed {
	struct td_dataplane *dp;
	struct td_worker *w;
	struct td_journal_ring ring;
	char path[64];
};

static int up(void **state)
{
	static const struct td_subscribers_grace grace = { 0 };
	struct bed *b = calloc(1, sizeof(*b));

	b->dp = aligned_alloc(64, (sizeof(*b->dp) + 63) & ~63ull);
	b->w = aligned_alloc(64, (sizeof(*b->w) + 63) & ~63ull);
	memset(b->dp, 0, sizeof(*b->dp));
	memset(b->w, 0, sizeof(*b->w));
	snprintf(b->path, sizeof(b->path), "/tmp/td-registrar-%d", getpid());
	assert_int_equal(td_journal_ring_create(&b->ring, b->path, 65536, 0, 1), 0);
	b->dp->n_workers = 1;
	b->dp->workers[0] = b->w;
	b->dp->conf.n_realms = 1;
	b->dp->conf.realms[0].registrar.n_domains = 1;
	b->dp->subscribers = td_subscribers_new(&heap, &grace, 4);
	b->w->dp = b->dp;
	b->w->journal = &b->ring;
	b->w->engine = calloc(1, sizeof(struct td_engine)); // one without bindings
	*state = b;
	return td_registrar_host_create(b->w);
}

static int down(void **state)
{
	struct bed *b = *state;

	td_registrar_host_destroy(b->w);
	td_subscribers_free(b->dp->subscribers);
	td_journal_ring_close(&b->ring);
	unlink(b->path);
	free(b->w->engine);
	free(b->w);
	free(b->dp);
	free(b);
	return 0;
}

static enum td_answer written(struct bed *b)
{
	uint8_t record[TD_BINDING_PACKED_MAX];
	struct td_binding one = { .op = TD_BINDING_UPSERT,
		.aor = TD_SPAN("a@x"),
		.contact = TD_SPAN("sip:a@b"),
		.local.family = TD_IPV4,
		.remote.family = TD_IPV4 };
	uint32_t bytes = (uint32_t)td_binding_pack(&one, record);

	return td_registrar_bindings_write(b->w, record, bytes, 1, 7);
}

static void the_journal_decides(void **state)
{
	struct bed *b = *state;

	assert_int_equal(written(b), TD_DONE);
	b->dp->conf.location_sync = true;
	assert_int_equal(written(b), TD_PENDING);
	assert_int_equal(b->w->registrar->n, 1);
	// A disk that fails is told at once, and takes no more of the ring with every repetition.
	atomic_store(&b->ring.error, -5);
	uint64_t head = b->ring.head;
	assert_int_equal(written(b), TD_REFUSED);
	assert_true(b->ring.head == head);
	b->dp->conf.location_sync = false; // nobody waits for it
	assert_int_equal(written(b), TD_DONE);
	for (unsigned i = 0; i < 10000 && written(b) == TD_DONE; i++)
		;
	assert_int_equal(written(b), TD_REFUSED);
	assert_true(b->w->counters[TD_C_JOURNAL_FULL] > 0);
}

static uint16_t located(struct bed *b, const char *who)
{
	struct td_locate_answer out;

	assert_int_equal(td_registrar_locate(b->w, td_span_str(who), 1, &out), TD_REFUSED);
	return out.sip_code;
}

// Until the subscribers and the bindings have come, nobody is unknown or absent.
static void nobody_is_absent_before_all_are_there(void **state)
{
	struct td_subscriber alice = { .aor = "alice@x", .has_md5 = true, .enabled = true };
	struct bed *b = *state;

	assert_int_equal(located(b, "alice@x"), 503);
	assert_int_equal(td_subscribers_put(b->dp->subscribers, &alice), 0);
	while (td_subscribers_sweep(b->dp->subscribers, 1024))
		;
	assert_int_equal(located(b, "bob@x"), 404);
	assert_int_equal(located(b, "alice@x"), 503);
	atomic_store(&b->dp->restored, true);
	assert_int_equal(located(b, "alice@x"), 480);
	alice.enabled = false;
	assert_int_equal(td_subscribers_put(b->dp->subscribers, &alice), 0);
	assert_int_equal(located(b, "alice@x"), 480);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_journal_decides, up, down),
		cmocka_unit_test_setup_teardown(nobody_is_absent_before_all_are_there, up, down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
