// SPDX-License-Identifier: BSD-3-Clause
// Media legs of a call: which stream of which side has one, where it sends, and whose partner it
// is.
#include "sip/call_priv.h"

static uint32_t media_head_bytes(unsigned n_streams)
{
	uint32_t bytes = (uint32_t)(offsetof(struct td_media, sdp.streams) +
				    n_streams * sizeof(struct td_sdp_stream));

	return (bytes + 7) & ~7u;
}

// A block for that many streams, with the legs where they belong.
static struct td_media *media_block(struct td_engine *engine, unsigned n_streams)
{
	uint32_t head = media_head_bytes(n_streams),
		 bytes = head + n_streams * (uint32_t)sizeof(struct td_media_leg);
	char *block = td_slab_get(engine->slab, bytes);

	if (!block)
		return NULL;
	memset(block, 0, bytes);
	struct td_media *media = (struct td_media *)(void *)block;
	media->legs = (struct td_media_leg *)(void *)(block + head);
	media->n_streams = (uint8_t)n_streams;
	return media;
}

// The same media in a block for more or fewer streams.
static bool media_resize(struct td_engine *engine, struct td_side *side, unsigned n_streams)
{
	struct td_media *old = side->media;

	if (old->n_streams == n_streams)
		return true;
	struct td_media *media = media_block(engine, n_streams);
	if (!media)
		return false;
	unsigned kept = n_streams < old->n_streams ? n_streams : old->n_streams;
	size_t from = offsetof(struct td_media, sdp);
	memcpy((char *)media + from, (const char *)old + from,
		offsetof(struct td_media, sdp.streams) - from +
			kept * sizeof(struct td_sdp_stream));
	memcpy(media->legs, old->legs, kept * sizeof(*media->legs));
	td_slab_put(engine->slab, (char *)old);
	side->media = media;
	return true;
}

struct td_media *media_new(struct td_engine *engine)
{
	struct td_media *media = media_block(engine, TD_STREAMS_MAX);
	uint64_t session_id;

	if (!media)
		return NULL;
	engine->conf.ops->random(engine->conf.host, &session_id, sizeof(session_id));
	td_sdp_side_init(
		&media->sdp, session_id >> 2); // stays below 2^62: some peers read a signed number
	return media;
}

static unsigned media_streams(const struct td_media *media)
{
	return media->sdp.n_media < TD_STREAMS_MAX ? media->sdp.n_media : TD_STREAMS_MAX;
}

static unsigned streams_used(const struct td_media *media)
{
	unsigned n = media_streams(media);

	for (unsigned i = n; i < media->n_streams; i++)
		if (media->legs[i].id != 0)
			n = i + 1;
	return n;
}

void media_fold(struct td_engine *engine, struct td_side *a, struct td_side *b)
{
	unsigned n = streams_used(a->media), n_b = streams_used(b->media);

	n = n_b > n ? n_b : n;
	media_resize(engine, a, n > 0 ? n : 1);
	media_resize(engine, b, n > 0 ? n : 1);
}

bool media_unfold(struct td_engine *engine, struct td_side *side)
{
	return media_resize(engine, side, TD_STREAMS_MAX);
}

static uint16_t status_of_fault(enum td_sdp_fault fault)
{
	switch (fault) {
	case TD_SDP_OK:
		return 0;
	case TD_SDP_MALFORMED:
		return 400;
	case TD_SDP_OVERFLOW:
		return 513;
	default:
		return 488;
	}
}

uint16_t media_receive(struct td_call *call, struct td_side *side, struct td_span body, bool offer)
{
	struct td_sdp *sdp = &call->engine->calls->sdp;

	if (!media_unfold(call->engine, side))
		return 503;
	if (td_sdp_parse(sdp, body.ptr, body.len) != 0)
		return 400;
	return status_of_fault(td_sdp_side_receive(&side->media->sdp, sdp, offer));
}

static int leg_open(struct td_call *call, struct td_side *side, unsigned i)
{
	struct td_engine *engine = call->engine;
	struct td_media *media = side->media;
	struct td_leg_local local;
	uint8_t family = media->sdp.streams[i].rtp.family;

	// A reload may have taken the trunk away: its index is another's then.
	bool known = trunk_ref_find(engine, &side->trunk) != NULL;
	struct td_leg_open open = {
		.realm = side->dialog.flow.realm,
		.family = family ? family : side->dialog.flow.local.family,
		.trunk = known ? side->trunk.index : UINT32_MAX,
		.call = call_cookie(call),
	};
	if (engine->conf.ops->leg_open(engine->conf.host, &open, &media->legs[i].id, &local) != 0) {
		media->legs[i].id = 0;
		td_engine_count(engine, TD_C_SIP_NO_MEDIA_PORT);
		return -1;
	}
	media->legs[i].rtp = local.rtp;
	engine->calls->legs++;
	return 0;
}

// Streams that one side wants get a leg on both.
static int legs_fit(struct td_call *call, struct td_side *from, struct td_side *to)
{
	for (unsigned i = 0; i < media_streams(from->media); i++) {
		if (!from->media->sdp.streams[i].active)
			continue;
		if (from->media->legs[i].id == 0 && leg_open(call, from, i) != 0)
			return -1;
		if (to->media->legs[i].id == 0 && leg_open(call, to, i) != 0)
			return -1;
	}
	return 0;
}

uint16_t media_send(
	struct td_call *call, struct td_side *from, struct td_side *to, struct td_writer *out)
{
	struct td_leg_local local[TD_STREAMS_MAX] = { 0 };

	if (!media_unfold(call->engine, to) || legs_fit(call, from, to) != 0)
		return 503;
	for (unsigned i = 0; i < TD_STREAMS_MAX; i++) {
		if (to->media->legs[i].id == 0)
			continue;
		local[i].rtp = local[i].rtcp = to->media->legs[i].rtp;
		local[i].rtcp.port++;
	}
	return status_of_fault(
		td_sdp_rewrite(&call->engine->calls->sdp, &to->media->sdp, local, out));
}

// What one side may do to another, seen from the other.
static unsigned direction_swap(unsigned direction)
{
	return (direction & TD_SDP_SENDONLY ? TD_SDP_RECVONLY : 0u) |
	       (direction & TD_SDP_RECVONLY ? TD_SDP_SENDONLY : 0u);
}

static void leg_modify(struct td_engine *engine, const struct td_side *side,
	const struct td_side *other, unsigned i, bool answered)
{
	const struct td_sdp_stream *mine = &side->media->sdp.streams[i],
				   *far = &other->media->sdp.streams[i];
	unsigned allowed =
		i < other->media->sdp.n_media ? direction_swap(far->direction) : TD_SDP_SENDRECV;
	unsigned direction = mine->active ? mine->direction & allowed : TD_SDP_INACTIVE;
	struct td_leg_modify modify = {
		.rtp = mine->rtp,
		.rtcp = mine->rtcp,
		.peer = other->media->legs[i].id,
		// Whoever sends at the far end is received by the switch.
		.direction = (uint8_t)((direction & TD_SDP_SENDONLY ? TD_LEG_RECV : 0) |
				       (direction & TD_SDP_RECVONLY ? TD_LEG_SEND : 0)),
		.reopen = true,
		.rtcp_mux = mine->rtcp_mux,
		.timeout_s = answered && direction & TD_SDP_SENDONLY ? side->media_timeout_s : 0,
	};

	engine->conf.ops->leg_modify(engine->conf.host, side->media->legs[i].id, &modify);
}

void media_connect(struct td_call *call, struct td_attempt *attempt, bool answered)
{
	struct td_side *a = &call->a, *b = &attempt->b;

	if (!a->media || !b->media)
		return;
	unsigned n = a->media->n_streams < b->media->n_streams ? a->media->n_streams
							       : b->media->n_streams;
	for (unsigned i = 0; i < n; i++) {
		if (a->media->legs[i].id != 0)
			leg_modify(call->engine, a, b, i, answered);
		if (b->media->legs[i].id != 0)
			leg_modify(call->engine, b, a, i, answered);
	}
}

static void stats_add(struct td_cdr_side *sum, const struct td_leg_stats *stats)
{
	sum->rtp_rx += stats->rx_packets;
	sum->rtp_lost += stats->lost;
	sum->rtp_tx += stats->tx_packets;
	if (stats->jitter_ms > sum->jitter_ms)
		sum->jitter_ms = stats->jitter_ms;
}

// A leg that heard nothing says nothing about the way to it.
static void leg_measure(struct td_traffic *traffic, const struct td_leg_stats *stats)
{
	uint64_t expected = stats->rx_packets + stats->lost;

	if (stats->rx_packets == 0)
		return;
	td_traffic_observe(traffic, TD_HISTOGRAM_RTP_LOSS,
		(uint64_t)(1e6 * (double)stats->lost / (double)expected));
	td_traffic_observe(traffic, TD_HISTOGRAM_RTP_JITTER, (uint64_t)(1e3 * stats->jitter_ms));
}

void media_stats(struct td_engine *engine, const struct td_side *side, struct td_cdr_side *stats)
{
	for (unsigned i = 0; side->media && i < side->media->n_streams; i++) {
		struct td_leg_stats leg = { 0 };
		if (side->media->legs[i].id == 0)
			continue;
		engine->conf.ops->leg_stats(engine->conf.host, side->media->legs[i].id, &leg);
		stats_add(stats, &leg);
	}
}

void media_close(struct td_engine *engine, struct td_side *side, struct td_cdr_side *stats)
{
	if (!side->media)
		return;
	for (unsigned i = 0; i < side->media->n_streams; i++) {
		struct td_leg_stats leg = { 0 };
		if (side->media->legs[i].id == 0)
			continue;
		engine->conf.ops->leg_close(engine->conf.host, side->media->legs[i].id, &leg);
		engine->calls->legs--;
		leg_measure(&engine->traffic, &leg);
		if (stats)
			stats_add(stats, &leg);
	}
	td_slab_put(engine->slab, (char *)side->media);
	side->media = NULL;
}
