// SPDX-License-Identifier: BSD-3-Clause
// What a call leaves behind: its detail record, one row per attempt, one log line (contract: tables
// cdr, cdr_attempt).
#include "sip/call_priv.h"

#include "sip/chars.h"

void call_id_prepare(struct td_calls *calls, const struct td_engine_conf *conf)
{
	struct td_writer w = { calls->id_middle, calls->id_middle,
		calls->id_middle + sizeof(calls->id_middle), false };
	uint32_t epoch = conf->epoch;
	uint8_t bytes[4] = { (uint8_t)(epoch >> 24), (uint8_t)(epoch >> 16), (uint8_t)(epoch >> 8),
		(uint8_t)epoch };
	size_t node_len = strlen(conf->node_name);

	td_put_char(&w, '-');
	td_put_hex(&w, bytes, sizeof(bytes));
	td_put_char(&w, '-');
	td_put_uint(&w, conf->worker);
	td_put_char(&w, '-');
	calls->id_middle_len = (uint8_t)td_writer_len(&w);
	calls->node_len = (uint8_t)(node_len < TD_CDR_ID_LEN ? node_len : TD_CDR_ID_LEN);
}

// node-epoch-worker-sequence; a long node name is cut, what makes it unique is not.
uint32_t call_id_text(
	const struct td_engine *engine, uint64_t sequence, char dst[static TD_CDR_ID_LEN])
{
	const struct td_calls *calls = engine->calls;
	char digits[20];
	struct td_writer end = { digits, digits, digits + sizeof(digits), false };
	struct td_writer out = { dst, dst, dst + TD_CDR_ID_LEN - 1, false };

	td_put_uint(&end, sequence);
	uint32_t room = TD_CDR_ID_LEN - 1 - calls->id_middle_len - td_writer_len(&end);
	td_put(&out, engine->conf.node_name, calls->node_len < room ? calls->node_len : room);
	td_put(&out, calls->id_middle, calls->id_middle_len);
	td_put_span(&out, call_written(&end));
	*out.pos = '\0';
	return td_writer_len(&out);
}

// A number is shown to people and written to logs: what does not print is masked.
uint32_t call_number(const struct td_uri *uri, char dst[static CALL_NUMBER_MAX + 1])
{
	char number[512];
	int len = td_uri_number(uri, false, number, sizeof(number));
	uint32_t n = 0;

	for (; n < CALL_NUMBER_MAX && (int)n < len; n++)
		dst[n] = number[n] > ' ' && number[n] < 0x7f ? number[n] : '?';
	dst[n] = '\0';
	return n;
}

static void cdr_caller(const struct td_caller *caller, struct td_cdr *cdr)
{
	struct td_span asserted = caller->number.len > 0 ? caller->number : caller->aor;

	td_span_cstr(caller->plan, cdr->plan, sizeof(cdr->plan));
	if (cdr->asserted[0] == '\0')
		td_span_cstr(asserted, cdr->asserted, sizeof(cdr->asserted));
	td_span_cstr(caller->aor, cdr->auth_user, sizeof(cdr->auth_user));
}

#define COLUMN(field) { offsetof(struct td_cdr, field), sizeof(((struct td_cdr *)0)->field) }

// The notes' places in a record that is zero there.
static void cdr_notes(const struct td_call_notes *notes, struct td_cdr *cdr)
{
	static const struct {
		uint16_t offset, size;
	} columns[NOTE__COUNT] = {
		[NOTE_FROM] = COLUMN(from_number),
		[NOTE_TO] = COLUMN(to_number),
		[NOTE_AGENT] = COLUMN(user_agent),
		[NOTE_PLAN] = COLUMN(plan),
		[NOTE_ROUTE] = COLUMN(route),
		[NOTE_RULES] = COLUMN(rules),
		[NOTE_ASSERTED] = COLUMN(asserted),
	};
	const char *text = notes->text;

	for (unsigned i = 0; i < NOTE__COUNT; text += notes->len[i++])
		if (notes->len[i] > 0)
			td_span_cstr(td_span(text, notes->len[i]), (char *)cdr + columns[i].offset,
				columns[i].size);
}

static void cdr_common(struct td_call *call, struct td_cdr *cdr)
{
	const struct td_attempt *attempt = call->answered ? call->answered : call->attempts;

	*cdr = (struct td_cdr){ 0 };
	call_id_text(call->engine, call->sequence, cdr->id);
	td_span_cstr(
		dialog_get(&call->a.dialog, DLG_CALL_ID), cdr->call_id_a, sizeof(cdr->call_id_a));
	if (call->notes)
		cdr_notes(call->notes, cdr);
	if (call->caller)
		cdr_caller(call->caller, cdr);
	memcpy(cdr->trunk_in, call->a.trunk.name, sizeof(cdr->trunk_in));
	memcpy(cdr->codec, call->codec, sizeof(cdr->codec));
	if (attempt) {
		td_span_cstr(dialog_get(&attempt->b.dialog, DLG_CALL_ID), cdr->call_id_b,
			sizeof(cdr->call_id_b));
		memcpy(cdr->trunk_out, attempt->b.trunk.name, sizeof(cdr->trunk_out));
	}
	cdr->start_us = call->start_us;
	cdr->ring_us = call->ring_us;
	cdr->answer_us = call->answer_us;
}

void call_cdr_start(struct td_call *call)
{
	struct td_cdr cdr;

	cdr_common(call, &cdr);
	cdr.sip_code = 200;
	call->engine->conf.ops->cdr_start(call->engine->conf.host, &cdr);
}

void call_cdr_interim(struct td_call *call)
{
	const struct td_engine_conf *conf = &call->engine->conf;
	struct td_cdr cdr;

	if (!conf->ops->cdr_interim)
		return;
	cdr_common(call, &cdr);
	cdr.sip_code = 200;
	cdr.duration_us = (call->engine->now_ns - call->answer_ns) / 1000;
	media_stats(call->engine, &call->a, &cdr.a);
	media_stats(call->engine, &call->answered->b, &cdr.b);
	conf->ops->cdr_interim(conf->host, &cdr);
}

void call_cdr_attempt(struct td_attempt *attempt, uint16_t status, uint16_t cause)
{
	struct td_engine *engine = attempt->engine;
	struct td_cdr_attempt row = {
		.start_us = attempt->start_us,
		.ring_us = attempt->ring_us,
		.end_us = td_engine_wall_us(engine),
		.n = attempt->number,
		.sip_code = status,
		.cause = cause,
	};

	struct td_writer peer = { row.peer, row.peer, row.peer + sizeof(row.peer) - 1, false };
	call_id_text(engine, attempt->call->sequence, row.cdr_id);
	memcpy(row.trunk, attempt->b.trunk.name, sizeof(row.trunk));
	td_put_hostport(&peer, &attempt->b.dialog.flow.remote); // the row is zero behind it
	td_span_cstr(dialog_get(&attempt->b.dialog, DLG_CALL_ID), row.call_id, sizeof(row.call_id));
	engine->conf.ops->cdr_attempt(engine->conf.host, &row);
}

// Has it a blank, a '=' or a quote? A token has none, and nearly all values are tokens.
static bool needs_quotes(struct td_span text)
{
	const char *end = text.ptr + text.len, *p = td_skip_token(text.ptr, end);

	while (p < end && *p != ' ' && *p != '\t' && *p != '=' && *p != '"')
		p++;
	return p < end;
}

// What came off the wire stays one value: with blanks or quotes in it, it is quoted.
static void put_value(struct td_writer *out, const char *value)
{
	struct td_span text = value[0] ? td_span_str(value) : TD_SPAN("-");

	if (!needs_quotes(text)) {
		td_put_span(out, text);
		return;
	}
	td_put_char(out, '"');
	for (uint32_t i = 0; i < text.len; i++)
		td_put_char(out, text.ptr[i] == '"' ? '\'' : text.ptr[i]);
	td_put_char(out, '"');
}

#define put_pair(out, key, value) (td_put_lit((out), " " key "="), put_value((out), (value)))
#define put_number(out, key, value) (td_put_lit((out), " " key "="), td_put_uint((out), (value)))

static void call_measure(struct td_traffic *traffic, const struct td_cdr *cdr)
{
	bool answered = cdr->answer_us != 0;

	td_count_add(&traffic->results[td_call_result_of(answered, cdr->sip_code)], 1);
	if (answered)
		td_traffic_observe(traffic, TD_HISTOGRAM_CALL_DURATION, cdr->duration_us);
}

static void cdr_emit(struct td_engine *engine, const struct td_cdr *cdr)
{
	static const char *const sides[] = {
		[TD_RELEASED_SWITCH] = "switch",
		[TD_RELEASED_A] = "a",
		[TD_RELEASED_B] = "b",
	};
	char text[512];
	struct td_writer out = { text, text, text + sizeof(text), false };

	call_measure(&engine->traffic, cdr);
	engine->conf.ops->cdr_end(engine->conf.host, cdr);
	td_put_lit(&out, "call.end");
	put_pair(&out, "id", cdr->id);
	put_pair(&out, "from", cdr->from_number);
	put_pair(&out, "to", cdr->to_number);
	put_pair(&out, "trunk_in", cdr->trunk_in);
	put_pair(&out, "trunk_out", cdr->trunk_out);
	put_number(&out, "code", cdr->sip_code);
	put_number(&out, "cause", cdr->cause);
	put_pair(&out, "by", sides[cdr->released_by]);
	put_number(&out, "duration_ms", cdr->duration_us / 1000);
	put_pair(&out, "codec", cdr->codec);
	put_number(&out, "rx_a", cdr->a.rtp_rx);
	put_number(&out, "rx_b", cdr->b.rtp_rx);
	engine->conf.ops->log(engine->conf.host, text, td_writer_len(&out));
}

void call_cdr_end(struct td_call *call, enum td_released_by by, uint16_t status, uint16_t cause,
	const struct td_cdr_side *a)
{
	struct td_cdr cdr;

	cdr_common(call, &cdr);
	cdr.end_us = td_engine_wall_us(call->engine);
	if (call->answered)
		cdr.duration_us = (call->engine->now_ns - call->answer_ns) / 1000;
	cdr.sip_code = status;
	cdr.cause = cause;
	cdr.released_by = (uint8_t)by;
	cdr.complete = 1;
	cdr.a = *a;
	if (call->engine->calls->b_stats_of == call->sequence)
		cdr.b = call->engine->calls->b_stats;
	cdr_emit(call->engine, &cdr);
}

void call_cdr_refused(
	struct td_engine *engine, const struct td_core *core, const char *trunk_in, uint16_t status)
{
	struct td_cdr cdr = {
		.start_us = td_engine_wall_us(engine),
		.end_us = td_engine_wall_us(engine),
		.sip_code = status,
		.cause = td_cause_of_status(status),
		.released_by = TD_RELEASED_SWITCH,
		.complete = 1,
	};

	td_count_add(&engine->traffic.offered, 1);
	call_id_text(engine, ++engine->calls->sequence, cdr.id);
	td_span_cstr(core->call_id, cdr.call_id_a, sizeof(cdr.call_id_a));
	call_number(&core->from.uri, cdr.from_number);
	call_number(&core->uri, cdr.to_number);
	td_span_cstr(td_span_str(trunk_in), cdr.trunk_in, sizeof(cdr.trunk_in));
	cdr_emit(engine, &cdr);
}
