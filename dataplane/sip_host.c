// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/sip_host.h"

#include "dataplane/journal_ring.h"
#include "dataplane/leg.h"
#include "dataplane/log_ring.h"
#include "dataplane/registrar_host.h"
#include "dataplane/limit_table.h"
#include "dataplane/trunk_state.h"
#include "sip/policy.h"

#include <errno.h>
#include <stdlib.h>

// --- buffers ---

static int host_buf_get(void *host, uint32_t bytes, struct td_buf *out)
{
	struct td_worker *w = host;
	struct rte_mbuf *m =
		rte_pktmbuf_alloc(bytes <= w->sip_host->small_bytes ? w->mbufs : w->big_mbufs);

	if (!m || rte_pktmbuf_tailroom(m) < bytes) {
		td_worker_count(w, TD_C_BUF_EMPTY, 1);
		rte_pktmbuf_free(m);
		return -ENOBUFS;
	}
	*out = (struct td_buf){ rte_pktmbuf_mtod(m, char *), 0, rte_pktmbuf_tailroom(m), m };
	return 0;
}

static void host_buf_put(void *host, struct td_buf *buf)
{
	rte_pktmbuf_free(buf->owner);
	buf->owner = NULL;
}

static bool flow_holds(const struct td_worker *w, const struct td_flow *flow)
{
	return flow->transport == TD_UDP && flow->realm < w->dp->n_realms &&
	       flow->local.family == flow->remote.family && flow->remote.port != 0;
}

static int host_send(void *host, const struct td_flow *flow, struct td_buf *buf)
{
	struct td_worker *w = host;
	struct rte_mbuf *m = buf->owner;

	buf->owner = NULL;
	if (!flow_holds(w, flow)) {
		rte_pktmbuf_free(m);
		return -ENOTCONN;
	}
	m->data_len = (uint16_t)buf->len;
	m->pkt_len = buf->len;
	uint8_t dscp = w->dp->realms[flow->realm].conf.dscp_sip;
	if (!td_udp_header(w, m, flow->realm, &flow->local, &flow->remote, dscp)) {
		rte_pktmbuf_free(m);
		return -ENOBUFS;
	}
	td_ip_output(w, td_adjacency_find(w, flow->realm, &flow->remote), m);
	return 0;
}

// --- policy and limits ---

static enum td_answer host_route(void *host, const struct td_route_query *query, uint64_t cookie,
	struct td_route_answer *out)
{
	const struct td_worker *w = host;
	const struct td_policy *policy = atomic_load_explicit(&w->policy, memory_order_relaxed);

	if (policy)
		return td_policy_route(policy, query, out);
	*out = (struct td_route_answer){ .sip_code = 503 };
	return TD_REFUSED;
}

static int host_limit_acquire(void *host, enum td_limit_kind kind, uint32_t slot,
	const struct td_limit *limit, uint64_t now_ns)
{
	const struct td_worker *w = host;

	return td_limit_acquire(w->dp->limits, kind, slot, limit, now_ns);
}

static void host_limit_expect(void *host, enum td_limit_kind kind, uint32_t slot)
{
	const struct td_worker *w = host;

	td_limit_expect(w->dp->limits, kind, slot);
}

static void host_limit_release(void *host, enum td_limit_kind kind, uint32_t slot)
{
	const struct td_worker *w = host;

	td_limit_release(w->dp->limits, kind, slot);
}

static void host_limit_cancel(void *host, enum td_limit_kind kind, uint32_t slot)
{
	const struct td_worker *w = host;

	td_limit_cancel(w->dp->limits, kind, slot);
}

static void host_trunk_seized(void *host, uint32_t trunk_slot, bool answered)
{
	const struct td_worker *w = host;

	td_limit_seized(w->dp->limits, trunk_slot, answered);
}

static void host_trunk_registered(
	void *host, uint32_t trunk_slot, uint8_t state, uint16_t sip_code, uint32_t expires_s)
{
	const struct td_worker *w = host;
	uint64_t now_s = (w->now_ns + w->wall_offset_ns) / 1000000000;

	td_trunk_registered(w->dp->trunks, trunk_slot,
		&(struct td_trunk_registration){
			state, sip_code, state == TD_REGISTERED ? now_s + expires_s : 0 });
}

// --- legs ---

static int host_leg_open(
	void *host, const struct td_leg_open *open, td_leg_id *out, struct td_leg_local *local)
{
	return td_leg_open(host, open, out, local);
}

static void host_leg_modify(void *host, td_leg_id leg, const struct td_leg_modify *modify)
{
	td_leg_modify(host, leg, modify);
}

static void host_leg_close(void *host, td_leg_id leg, struct td_leg_stats *stats)
{
	td_leg_close(host, leg, stats);
}

static void host_leg_stats(void *host, td_leg_id leg, struct td_leg_stats *stats)
{
	td_leg_stats(host, leg, stats);
}

// --- journal ---

static int host_cdr_reserve(void *host)
{
	const struct td_worker *w = host;

	return td_journal_reserve(w->journal);
}

static void journal_append(
	struct td_worker *w, enum td_journal_type type, const void *payload, uint32_t length)
{
	int rc = td_journal_append(w->journal, type, payload, length);

	td_worker_count(w, rc == 0 ? TD_C_JOURNAL_RECORDS : TD_C_JOURNAL_FULL, 1);
}

static void host_cdr_start(void *host, const struct td_cdr *cdr)
{
	journal_append(host, TD_JOURNAL_START, cdr, sizeof(*cdr));
}

static void host_cdr_attempt(void *host, const struct td_cdr_attempt *attempt)
{
	journal_append(host, TD_JOURNAL_ATTEMPT, attempt, sizeof(*attempt));
}

static void host_cdr_interim(void *host, const struct td_cdr *cdr)
{
	struct td_worker *w = host;
	int rc = td_journal_append_spare(w->journal, TD_JOURNAL_INTERIM, cdr, sizeof(*cdr));

	td_worker_count(w, rc == 0 ? TD_C_JOURNAL_RECORDS : TD_C_JOURNAL_INTERIM_SKIPPED, 1);
}

static void host_cdr_end(void *host, const struct td_cdr *cdr)
{
	struct td_worker *w = host;

	journal_append(w, TD_JOURNAL_END, cdr, sizeof(*cdr));
	td_journal_release(w->journal, cdr->answer_us != 0);
}

// --- log and random ---

static void host_log(void *host, const char *text, uint32_t len)
{
	struct td_worker *w = host;

	if (!td_log_ring_put(w->log, text, len))
		td_worker_count(w, TD_C_LOG_FULL, 1);
}

static void host_random(void *host, void *dst, uint32_t len)
{
	struct td_worker *w = host;

	td_random_bytes(&w->sip_host->random, dst, len);
}

const struct td_host_ops td_sip_host_ops = {
	.buf_get = host_buf_get,
	.buf_put = host_buf_put,
	.send = host_send,
	.route = host_route,
	.limit_acquire = host_limit_acquire,
	.limit_expect = host_limit_expect,
	.limit_release = host_limit_release,
	.limit_cancel = host_limit_cancel,
	.leg_open = host_leg_open,
	.leg_modify = host_leg_modify,
	.leg_close = host_leg_close,
	.leg_stats = host_leg_stats,
	.cdr_reserve = host_cdr_reserve,
	.cdr_start = host_cdr_start,
	.cdr_attempt = host_cdr_attempt,
	.cdr_interim = host_cdr_interim,
	.cdr_end = host_cdr_end,
	.log = host_log,
	.random = host_random,
	.locate = td_registrar_locate,
	.bindings_write = td_registrar_bindings_write,
	.bindings_restoring = td_registrar_bindings_restoring,
	.grace_begin = td_registrar_grace_begin,
	.grace_over = td_registrar_grace_over,
	.trunk_registered = host_trunk_registered,
	.trunk_seized = host_trunk_seized,
};

int td_sip_host_create(struct td_worker *w)
{
	struct td_sip_host *h = aligned_alloc(64, (sizeof(*h) + 63) & ~63ull);

	if (!h)
		return -ENOMEM;
	h->small_bytes = rte_pktmbuf_data_room_size(w->mbufs) - RTE_PKTMBUF_HEADROOM;
	int rc = td_random_init(&h->random);
	if (rc < 0) {
		free(h);
		return rc;
	}
	w->sip_host = h;
	return 0;
}

void td_sip_host_destroy(struct td_worker *w)
{
	free(w->sip_host);
	w->sip_host = NULL;
}
