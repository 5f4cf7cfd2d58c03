// SPDX-License-Identifier: BSD-3-Clause
// A side's dialog: its state, its route set and the requests written inside it (RFC 3261 §12).
#include "sip/call_priv.h"

#include <errno.h>

struct td_span dialog_get(const struct td_dialog *dialog, enum dialog_text text)
{
	uint32_t off = 0;

	if (!dialog->text)
		return (struct td_span){ 0 };
	for (unsigned i = 0; i < text; i++)
		off += dialog->len[i];
	return td_span(dialog->text + off, dialog->len[text]);
}

// A header value may be folded; what we keep is one line.
static void text_unfold(char *text, uint32_t len)
{
	if (!memchr(text, '\n', len) && !memchr(text, '\r', len))
		return;
	for (uint32_t i = 0; i < len; i++)
		if (text[i] == '\r' || text[i] == '\n')
			text[i] = ' ';
}

int dialog_set(
	struct td_engine *engine, struct td_dialog *dialog, const struct td_span fields[DLG__COUNT])
{
	uint32_t total = 0;

	for (unsigned i = 0; i < DLG__COUNT; i++) {
		if (fields[i].len > UINT16_MAX)
			return -ENOBUFS;
		total += fields[i].len;
	}
	char *text = total <= TD_SIP_MESSAGE_MAX ? td_slab_get(engine->slab, total) : NULL;
	if (!text)
		return -ENOBUFS;
	struct td_writer w = { text, text, text + total, false };
	for (unsigned i = 0; i < DLG__COUNT; i++)
		td_put_span(&w, fields[i]);
	text_unfold(text, total);
	td_slab_put(engine->slab, dialog->text);
	dialog->text = text;
	for (unsigned i = 0; i < DLG__COUNT; i++)
		dialog->len[i] = (uint16_t)fields[i].len;
	return 0;
}

static void dialog_fields(const struct td_dialog *dialog, struct td_span fields[DLG__COUNT])
{
	for (unsigned i = 0; i < DLG__COUNT; i++)
		fields[i] = dialog_get(dialog, i);
}

int dialog_set_target(struct td_engine *engine, struct td_dialog *dialog, struct td_span target)
{
	struct td_span fields[DLG__COUNT];

	if (target.len == 0 || td_span_eq(target, dialog_get(dialog, DLG_TARGET)))
		return 0;
	dialog_fields(dialog, fields);
	fields[DLG_TARGET] = target;
	return dialog_set(engine, dialog, fields);
}

void dialog_free(struct td_engine *engine, struct td_dialog *dialog)
{
	td_slab_put(engine->slab, dialog->text);
	dialog->text = NULL;
	memset(dialog->len, 0, sizeof(dialog->len));
}

void dialog_tag(
	const struct td_engine *engine, const struct td_dialog *dialog, char tag[TD_TOKEN_LEN])
{
	struct td_token token = {
		.kind = TD_TOKEN_DIALOG,
		.worker = engine->conf.worker,
		.slot = dialog->slot,
		.generation = dialog->generation,
		.branch = dialog->branch,
	};

	td_token_write(&engine->keys, &token, tag);
}

// "Alice" <sip:a@b> of "Alice" <sip:a@b>;tag=1
struct td_span name_without_params(const struct td_name_addr *name)
{
	struct td_span value = name->whole;

	if (name->params.len > 0)
		value.len = (uint32_t)(name->params.ptr - value.ptr);
	while (value.len > 0 &&
		(value.ptr[value.len - 1] == ';' || value.ptr[value.len - 1] == ' ' ||
			value.ptr[value.len - 1] == '\t'))
		value.len--;
	return value;
}

static int routes_collect(const struct td_msg *msg, struct td_span entries[CALL_ROUTES_MAX])
{
	struct td_name_addr name;
	int n = 0;

	for (uint8_t i = msg->first[TD_H_RECORD_ROUTE]; i != 0xff; i = msg->headers[i].next) {
		struct td_span rest = td_msg_value(msg, &msg->headers[i]);
		while (n < CALL_ROUTES_MAX && td_list_next(&rest, &entries[n])) {
			if (td_name_addr_decode(entries[n], &name) != 0 || name.star)
				return -EBADMSG;
			n++;
		}
		if (n == CALL_ROUTES_MAX)
			return -EBADMSG;
	}
	return n;
}

int dialog_routes(const struct td_msg *msg, bool reversed, struct td_writer *out)
{
	struct td_span entries[CALL_ROUTES_MAX];
	int n = routes_collect(msg, entries);

	for (int i = 0; i < n; i++) {
		if (i > 0)
			td_put_lit(out, ", ");
		td_put_span(out, entries[reversed ? n - 1 - i : i]);
	}
	if (n < 0)
		return n;
	return out->overflow ? -ENOBUFS : 0;
}

int dialog_learn(struct td_engine *engine, struct td_dialog *dialog, const struct td_msg *msg,
	const struct td_core *core)
{
	struct td_writer routes = call_writer(engine->calls, engine->calls->lines);
	struct td_span fields[DLG__COUNT];
	int rc = dialog_routes(msg, true, &routes);

	if (rc != 0)
		return rc;
	dialog_fields(dialog, fields);
	fields[DLG_REMOTE_TAG] = core->to.tag;
	fields[DLG_ROUTES] = call_written(&routes);
	if (core->contact.whole.len > 0 && !core->contact.star)
		fields[DLG_TARGET] = core->contact.uri.whole;
	return dialog_set(engine, dialog, fields);
}

bool dialog_matches(
	const struct td_dialog *dialog, const struct td_flow *flow, const struct td_core *core)
{
	return dialog->flow.realm == flow->realm &&
	       td_span_eq(core->call_id, dialog_get(dialog, DLG_CALL_ID)) &&
	       td_span_eq(core->from.tag, dialog_get(dialog, DLG_REMOTE_TAG));
}

struct td_span call_contact(
	struct td_engine *engine, const struct td_flow *flow, char dst[static 80])
{
	struct td_writer out = { dst, dst, dst + 80, false };

	td_put_lit(&out, "<sip:");
	td_put_span(&out, td_engine_sent_by(engine, flow));
	td_put_lit(&out, ">");
	return call_written(&out);
}

// The next hop of a URI, where it is an address inside the side's trunk; else the flow the dialog
// came in on: no peer may point us at somebody else's host.
static struct td_flow dialog_flow(
	struct td_engine *engine, struct td_side *side, const struct td_uri *hop)
{
	struct td_flow flow = side->dialog.flow;
	struct td_sockaddr address = { 0 };

	if (td_ip_parse(hop->host, &address) != 0 || address.family != flow.local.family)
		return flow;
	address.port = hop->has_port ? hop->port : 5060;
	if (trunk_ref_has(engine, &side->trunk, &address))
		flow.remote = address;
	return flow;
}

static struct td_span put_name(struct td_writer *out, struct td_span name, struct td_span tag)
{
	char *start = out->pos;

	td_put_span(out, name);
	if (tag.len > 0) {
		td_put_lit(out, ";tag=");
		td_put_span(out, tag);
	}
	return td_span(start, (size_t)(out->pos - start));
}

// Request-URI and Route lines (§12.2.1.1): a strict router at the top takes the Request-URI and
// pushes the target to the end of the list.
static void put_routes(struct td_writer *out, const struct td_dialog *dialog,
	struct td_request *request, struct td_uri *hop)
{
	struct td_span rest = dialog_get(dialog, DLG_ROUTES), first, lr;
	struct td_span whole = rest, target = dialog_get(dialog, DLG_TARGET);
	struct td_name_addr name;
	char *start = out->pos;

	request->uri = target;
	if (!td_list_next(&rest, &first) || td_name_addr_decode(first, &name) != 0) {
		if (td_uri_parse(target, hop) != 0)
			*hop = (struct td_uri){ 0 };
		return;
	}
	*hop = name.uri;
	td_put_lit(out, "Route: ");
	if (td_param_get(name.uri.params, TD_SPAN("lr"), &lr)) {
		td_put_span(out, whole);
	} else {
		request->uri = name.uri.whole;
		while (td_list_next(&rest, &first)) {
			td_put_span(out, first);
			td_put_lit(out, ", ");
		}
		td_put_lit(out, "<");
		td_put_span(out, target);
		td_put_lit(out, ">");
	}
	td_put_lit(out, "\r\n");
	request->routes = td_span(start, (size_t)(out->pos - start));
}

void dialog_request(struct td_engine *engine, struct td_side *side, enum td_method method,
	struct td_request *out)
{
	struct td_dialog *dialog = &side->dialog;
	struct td_writer lines = call_writer(engine->calls, engine->calls->lines);
	struct td_uri hop = { 0 };
	char tag[TD_TOKEN_LEN];

	*out = (struct td_request){
		.method = method, .max_forwards = 70, .call_id = dialog_get(dialog, DLG_CALL_ID)
	};
	dialog_tag(engine, dialog, tag);
	out->from = put_name(&lines, dialog_get(dialog, DLG_LOCAL), td_span(tag, sizeof(tag)));
	out->to = put_name(
		&lines, dialog_get(dialog, DLG_REMOTE), dialog_get(dialog, DLG_REMOTE_TAG));
	put_routes(&lines, dialog, out, &hop);
	out->flow = dialog_flow(engine, side, &hop);
	if (method == TD_M_ACK) // nobody may challenge it (§22.1)
		return;
	out->cseq = ++dialog->local_cseq;
	out->trunk = trunk_ref_challenged(engine, &side->trunk);
}
