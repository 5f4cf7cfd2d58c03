// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/txn_env.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void heard_cancelled(
	struct td_engine *engine, struct td_stx *stx, const struct td_msg *cancel)
{
	struct txn_env *env = td_stx_data(stx);

	env->cancelled++;
	assert_int_equal(cancel->method, TD_M_CANCEL);
	if (env->answer_cancel == 0)
		return;
	const struct td_response response = { .status = env->answer_cancel };
	assert_int_equal(td_stx_respond(engine, stx, &response), 0);
}

static void heard_stx_ended(struct td_engine *engine, struct td_stx *stx)
{
	struct txn_env *env = td_stx_data(stx);

	env->ended++;
	td_stx_set_user(stx, NULL, NULL);
}

const struct td_stx_user txn_env_stx_user = { heard_cancelled, heard_stx_ended };

static void heard_response(struct td_engine *engine, struct td_ctx *ctx, const struct td_msg *msg,
	const struct td_core *core, const struct td_flow *flow)
{
	struct txn_env *env = td_ctx_data(ctx);

	env->responses++;
	env->last_status = msg->status;
}

static void heard_timeout(struct td_engine *engine, struct td_ctx *ctx, bool transport_error)
{
	struct txn_env *env = td_ctx_data(ctx);

	env->timeouts++;
	env->transport_error = transport_error;
	td_ctx_cancel(engine, ctx, (struct td_span){ 0 });
}

static void heard_ctx_ended(struct td_engine *engine, struct td_ctx *ctx)
{
	struct txn_env *env = td_ctx_data(ctx);

	env->ended++;
	td_ctx_cancel(engine, ctx, (struct td_span){ 0 });
}

const struct td_ctx_user txn_env_ctx_user = { heard_response, heard_timeout, heard_ctx_ended };

struct txn_env *txn_env_new(uint32_t max_calls, uint32_t max_cps)
{
	struct txn_env *env = test_calloc(1, sizeof(*env));
	struct td_engine_conf conf;

	fake_host_init(&env->host, 1);
	fake_host_conf(&env->host, &conf);
	conf.max_calls = max_calls;
	conf.max_cps = max_cps;
	env->engine = td_engine_new(&conf);
	assert_non_null(env->engine);
	env->engine->now_ns = env->host.now_ns;
	env->policy = fake_policy(NULL);
	td_engine_set_policy(env->engine, env->policy);
	env->west = fake_flow(&env->host, FAKE_WEST, "10.0.1.1", 5060);
	env->east = fake_flow(&env->host, FAKE_EAST, "10.0.2.1", 5060);
	return env;
}

void txn_env_free(struct txn_env *env)
{
	txn_env_advance(env, 70000);
	assert_int_equal(td_txn_busy(env->engine), 0);
	assert_int_equal(env->engine->wheel.armed, 0);
	assert_int_equal(td_slab_used(env->engine->slab), 0);
	td_engine_free(env->engine);
	td_policy_free(env->policy);
	assert_int_equal(fake_host_fini(&env->host), 0);
	test_free(env);
}

bool txn_env_rx(struct txn_env *env, const struct td_flow *flow, const char *text)
{
	struct td_engine *e = env->engine;
	char *data = strdup(text);

	e->now_ns = env->host.now_ns;
	assert_int_equal(td_msg_parse(&e->msg, data, (uint32_t)strlen(data)), 0);
	assert_int_equal(td_core_decode(&e->msg, &e->core), 0);
	bool taken = e->msg.request ? td_txn_rx_request(e, flow, &e->msg, &e->core)
				    : td_txn_rx_response(e, flow, &e->msg, &e->core);
	free(data);
	return taken;
}

struct td_stx *txn_env_serve(struct txn_env *env, const struct td_flow *flow, const char *text)
{
	struct td_engine *e = env->engine;
	char *data = strdup(text);

	e->now_ns = env->host.now_ns;
	assert_int_equal(td_msg_parse(&e->msg, data, (uint32_t)strlen(data)), 0);
	assert_int_equal(td_core_decode(&e->msg, &e->core), 0);
	assert_false(td_txn_rx_request(e, flow, &e->msg, &e->core));
	struct td_stx *stx = td_stx_new(e, flow, &e->msg, &e->core, &txn_env_stx_user, env);
	free(data);
	return stx;
}

void txn_env_advance(struct txn_env *env, uint64_t ms)
{
	fake_advance(&env->host, env->engine, ms);
}

void txn_env_expect_times(struct txn_env *env, uint64_t ms, const uint64_t *times, uint32_t n)
{
	uint64_t start_ms = env->host.now_ns / 1000000;

	env->host.n_read = env->host.n_sent;
	txn_env_advance(env, ms);
	for (uint32_t i = 0; i < n; i++) {
		const struct fake_sent *sent = fake_next(&env->host);
		assert_non_null(sent);
		assert_int_equal(sent->at_ms - start_ms, times[i]);
	}
	assert_int_equal(fake_pending(&env->host), 0);
}

const char *txn_env_answer(const struct fake_sent *request, const char *status_line,
	const char *to_params, const char *more)
{
	static const char *const copied[] = { "Via", "From", "To", "Call-ID", "CSeq" };
	static char text[8192];
	size_t n = (size_t)snprintf(text, sizeof(text), "SIP/2.0 %s\r\n", status_line);

	for (size_t i = 0; i < 5; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s: %s%s\r\n", copied[i],
			fake_header(request, copied[i]), i == 2 ? to_params : "");
	snprintf(text + n, sizeof(text) - n, "%sContent-Length: 0\r\n\r\n", more);
	return text;
}
