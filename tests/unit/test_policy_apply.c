// SPDX-License-Identifier: BSD-3-Clause
// Policies in force and those before them: none goes while a worker has it, also one that sleeps.
#include "dataplane/limit_table.h"
#include "dataplane/policy_apply.h"
#include "sip/health.h"
#include "sip/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { WORKERS = 2 };

struct bench {
	struct td_dataplane *dp;
	struct td_plans plans;
	struct td_policy_apply apply;
	char dir[64];
};

// Each policy that is pushed is another.
static struct td_policy_conf *conf_from_pb(const Tandem__Policy *policy, const char **error)
{
	struct td_policy_conf *conf = calloc(1, sizeof(*conf));

	conf->generation = policy->generation;
	return conf;
}

static struct td_policy_conf *conf_unpack(const uint8_t *bytes, size_t len, const char **error)
{
	return calloc(1, sizeof(struct td_policy_conf));
}

static uint8_t *conf_pack(const struct td_policy_conf *conf, size_t *len)
{
	*len = 1;
	return calloc(1, 1);
}

static void conf_free(struct td_policy_conf *conf)
{
	free(conf);
}

static const struct td_policy_codec codec = { conf_from_pb, conf_unpack, conf_pack, conf_free };

static void *zeroed(size_t bytes)
{
	void *at = aligned_alloc(64, (bytes + 63) & ~(size_t)63);

	memset(at, 0, bytes);
	return at;
}

static struct bench *bench_new(void)
{
	struct bench *b = calloc(1, sizeof(*b));

	snprintf(b->dir, sizeof(b->dir), "/tmp/td-policy-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	b->dp = zeroed(sizeof(*b->dp));
	snprintf(b->dp->conf.state_dir, sizeof(b->dp->conf.state_dir), "%s", b->dir);
	b->dp->limits = td_limit_table_new();
	b->dp->health = td_health_new();
	b->dp->qsbr = zeroed(rte_rcu_qsbr_get_memsize(WORKERS));
	assert_int_equal(rte_rcu_qsbr_init(b->dp->qsbr, WORKERS), 0);
	for (b->dp->n_workers = 0; b->dp->n_workers < WORKERS; b->dp->n_workers++) {
		b->dp->workers[b->dp->n_workers] = zeroed(sizeof(struct td_worker));
		rte_rcu_qsbr_thread_register(b->dp->qsbr, b->dp->n_workers);
	}
	td_plans_init(&b->plans, b->dir);
	td_policy_apply_init(&b->apply, b->dp, &b->plans, &codec);
	return b;
}

static void bench_free(struct bench *b)
{
	char path[96];

	td_policy_apply_fini(&b->apply);
	snprintf(path, sizeof(path), "%s/policy.bin", b->dir);
	unlink(path);
	assert_int_equal(rmdir(b->dir), 0);
	for (uint16_t i = 0; i < WORKERS; i++)
		free(b->dp->workers[i]);
	td_limit_table_free(b->dp->limits);
	td_health_free(b->dp->health);
	free(b->dp->qsbr);
	free(b->dp);
	free(b);
}

static void push(struct bench *b, uint64_t generation)
{
	Tandem__Policy policy = TANDEM__POLICY__INIT;
	char error[128] = "";

	policy.generation = generation;
	assert_int_equal(td_policy_apply_push(&b->apply, &policy, error, sizeof(error)), 0);
}

// What a worker does first in its turn.
static void take(struct bench *b, uint16_t worker)
{
	b->dp->workers[worker]->policy = b->dp->policy;
}

static uint32_t retired(struct bench *b)
{
	td_policy_apply_collect(&b->apply);
	return b->apply.n_retired;
}

static void a_sleeper_keeps_what_it_has(void **state)
{
	struct bench *b = bench_new();

	push(b, 1);
	take(b, 0);
	take(b, 1);
	push(b, 2); // both are offline: no grace period waits for them
	assert_int_equal(retired(b), 1);
	take(b, 0);
	assert_int_equal(retired(b), 1);
	push(b, 3);
	assert_int_equal(td_policy_generation(b->dp->workers[1]->policy), 1);
	assert_int_equal(retired(b), 2);
	take(b, 1);
	assert_int_equal(retired(b), 1); // the first one of them has the second
	take(b, 0);
	assert_int_equal(retired(b), 0);
	bench_free(b);
}

static void who_is_awake_says_when(void **state)
{
	struct bench *b = bench_new();

	push(b, 1);
	take(b, 0);
	rte_rcu_qsbr_thread_online(b->dp->qsbr, 0);
	push(b, 2);
	take(b, 0);
	assert_int_equal(retired(b), 1); // it may be in the middle of a turn
	rte_rcu_qsbr_quiescent(b->dp->qsbr, 0);
	assert_int_equal(retired(b), 0);
	bench_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sleeper_keeps_what_it_has),
		cmocka_unit_test(who_is_awake_says_when),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
