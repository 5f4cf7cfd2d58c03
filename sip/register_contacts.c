// SPDX-License-Identifier: BSD-3-Clause
// What a REGISTER asks for: its contacts, each with its lifetime and the binding that it is about
// (RFC 3261 §10.3 steps 6 and 7, RFC 3327 §5.3, RFC 5626 §6).
#include "sip/hdr_contact.h"
#include "sip/register_priv.h"

#include <errno.h>

static bool refuse_bad(struct register_ask *ask, struct td_span reason)
{
	register_refuse(ask, 400, reason, (struct td_span){ 0 });
	return false;
}

// Step 7: what is asked for is cut at the longest; less than the shortest is refused.
static bool expires_take(
	struct register_ask *ask, const struct td_contact_params *params, uint32_t *out)
{
	const struct td_msg *msg = &ask->e->msg;
	uint32_t expires = ask->conf->default_expires_s;
	char text[48];
	struct td_writer w = { text, text, text + sizeof(text), false };

	if (params->has_expires)
		expires = params->expires;
	else if (td_msg_has(msg, TD_H_EXPIRES) &&
		 td_number_decode(td_msg_get(msg, TD_H_EXPIRES), UINT32_MAX, &expires) == -ERANGE)
		expires = UINT32_MAX;
	if (expires > ask->conf->max_expires_s)
		expires = ask->conf->max_expires_s;
	*out = expires;
	if (expires == 0 || expires >= ask->conf->min_expires_s)
		return true;
	td_put_lit(&w, "Min-Expires: ");
	td_put_uint(&w, ask->conf->min_expires_s);
	td_put_lit(&w, "\r\n");
	register_refuse(ask, 423, (struct td_span){ 0 }, td_span(text, td_writer_len(&w)));
	return false;
}

// The same binding: by instance and reg-id, else by the URI (§19.1.4).
static bool is_about(const struct register_change *c, struct td_span instance, uint32_t reg_id,
	struct td_span contact)
{
	struct td_uri uri;

	if (c->keyed || reg_id > 0)
		return c->keyed && reg_id == c->b.reg_id && td_span_eq(instance, c->b.instance);
	if (td_span_eq(contact, c->uri.whole))
		return true;
	return td_uri_parse(contact, &uri) == 0 && td_uri_equal(&uri, &c->uri);
}

static void old_find(struct register_ask *ask, struct register_change *c)
{
	struct td_location_binding *old = ask->bound;

	while (old &&
		!is_about(c, td_location_instance(old), old->reg_id, td_location_contact(old)))
		old = td_location_next(old);
	c->old = old;
}

// Two URIs that differ may both equal the one that is bound: equality is not transitive (§19.1.4).
static bool is_asked_twice(const struct register_ask *ask, const struct register_change *c)
{
	for (uint16_t i = 0; i < ask->n; i++)
		if ((c->old && ask->changes[i].old == c->old) ||
			is_about(c, ask->changes[i].b.instance, ask->changes[i].b.reg_id,
				ask->changes[i].uri.whole))
			return true;
	return false;
}

static uint32_t params_count(const struct td_uri *uri)
{
	uint32_t n = uri->params.len > 0;

	for (uint32_t i = 0; i < uri->params.len; i++)
		n += uri->params.ptr[i] == ';';
	return n;
}

// A URI that can be bound. Each is compared with all others, which must not take a worker's time.
static bool uri_fits(const struct td_uri *uri)
{
	return (uri->scheme == TD_SCHEME_SIP || uri->scheme == TD_SCHEME_SIPS) &&
	       uri->whole.len <= TD_BINDING_CONTACT_MAX && !uri->headers.ptr &&
	       params_count(uri) <= TD_BINDING_PARAMS_MAX;
}

// The first of all contacts has been decoded with the message. NULL: it is none.
static const struct td_name_addr *address_of(
	const struct register_ask *ask, struct td_span entry, struct td_name_addr *decoded)
{
	const struct td_name_addr *first = &ask->e->core.contact;

	if (first->whole.ptr == entry.ptr && first->whole.len == entry.len)
		return first;
	return td_name_addr_decode(entry, decoded) == 0 ? decoded : NULL;
}

static bool entry_take(struct register_ask *ask, struct td_span entry)
{
	struct register_change *c = &ask->changes[ask->n];
	struct td_name_addr decoded;
	const struct td_name_addr *address = address_of(ask, entry, &decoded);
	struct td_contact_params params;

	if (ask->n == TD_CONTACTS_MAX) {
		register_refuse(ask, 403, TD_SPAN("Too Many Contacts"), (struct td_span){ 0 });
		return false;
	}
	if (!address || address->star || td_contact_params_decode(address->params, &params) != 0)
		return refuse_bad(ask, TD_SPAN("Bad Contact"));
	if (!uri_fits(&address->uri) || params.instance.len > TD_BINDING_INSTANCE_MAX)
		return refuse_bad(ask, TD_SPAN("Contact Not Taken"));
	*c = (struct register_change){ .uri = address->uri };
	c->keyed = ask->outbound && params.instance.len > 0 && params.reg_id > 0;
	c->b.q = params.q;
	c->b.contact = address->uri.whole;
	c->b.instance = params.instance;
	c->b.reg_id = c->keyed ? params.reg_id : 0;
	if (!expires_take(ask, &params, &c->expires_s))
		return false;
	old_find(ask, c);
	if (is_asked_twice(ask, c))
		return refuse_bad(ask, TD_SPAN("Contact Twice"));
	ask->n++;
	return true;
}

// "*": all of them, and only to remove them (§10.2.2).
static bool star_take(struct register_ask *ask)
{
	const struct td_msg *msg = &ask->e->msg;
	uint32_t expires = 1;

	if (td_msg_repeats(msg, TD_H_CONTACT) ||
		td_number_decode(td_msg_get(msg, TD_H_EXPIRES), UINT32_MAX, &expires) != 0 ||
		expires != 0)
		return refuse_bad(ask, TD_SPAN("Bad Contact"));
	struct td_location_binding *old = ask->bound;
	for (; old && ask->n < TD_CONTACTS_MAX; old = td_location_next(old))
		ask->changes[ask->n++] = (struct register_change){ .old = old };
	return true;
}

static bool contacts_take(struct register_ask *ask)
{
	const struct td_msg *msg = &ask->e->msg;
	struct td_span entry;

	if (ask->e->core.contact.star)
		return star_take(ask);
	for (uint8_t i = msg->first[TD_H_CONTACT]; i != 0xff; i = msg->headers[i].next) {
		struct td_span rest = td_msg_value(msg, &msg->headers[i]);
		while (td_list_next(&rest, &entry))
			if (!entry_take(ask, entry))
				return false;
	}
	return true;
}

// All values of Path in one, in their order.
static bool path_take(struct register_ask *ask)
{
	const struct td_msg *msg = &ask->e->msg;
	struct td_writer w = { ask->path, ask->path, ask->path + sizeof(ask->path), false };
	struct td_span entry;
	struct td_name_addr address;

	for (uint8_t i = msg->first[TD_H_PATH]; i != 0xff; i = msg->headers[i].next) {
		struct td_span rest = td_msg_value(msg, &msg->headers[i]);
		while (td_list_next(&rest, &entry)) {
			if (td_name_addr_decode(entry, &address) != 0 || !address.angle)
				return refuse_bad(ask, TD_SPAN("Bad Path"));
			if (td_writer_len(&w) > 0)
				td_put_lit(&w, ", ");
			td_put_span(&w, entry);
		}
	}
	ask->path_len = td_writer_len(&w);
	return w.overflow ? refuse_bad(ask, TD_SPAN("Path Too Long")) : true;
}

bool register_supports(const struct td_msg *msg, struct td_span option)
{
	struct td_span entry;

	for (uint8_t i = msg->first[TD_H_SUPPORTED]; i != 0xff; i = msg->headers[i].next) {
		struct td_span rest = td_msg_value(msg, &msg->headers[i]);
		while (td_list_next(&rest, &entry))
			if (td_span_ieq(entry, option))
				return true;
	}
	return false;
}

bool register_asks_for_flow(const struct register_ask *ask)
{
	for (uint16_t i = 0; i < ask->n; i++)
		if (ask->changes[i].keyed && ask->changes[i].expires_s > 0)
			return true;
	return false;
}

static bool came_by_proxy(const struct td_msg *msg)
{
	struct td_span rest = td_msg_get(msg, TD_H_VIA), entry;

	return td_msg_repeats(msg, TD_H_VIA) ||
	       (td_list_next(&rest, &entry) && td_list_next(&rest, &entry));
}

// The flow of a contact ends at the first proxy, which says in Path that it keeps it (RFC 5626 §6).
static bool is_flow_kept(struct register_ask *ask)
{
	struct td_span rest = td_span(ask->path, ask->path_len), entry, value;
	struct td_name_addr first_hop;

	if (!register_asks_for_flow(ask) || !came_by_proxy(&ask->e->msg))
		return true;
	memset(&first_hop, 0, sizeof(first_hop));
	while (td_list_next(&rest, &entry))
		td_name_addr_decode(entry, &first_hop); // each puts itself before the others
	if (td_param_get(first_hop.uri.params, TD_SPAN("ob"), &value))
		return true;
	register_refuse(ask, 439, TD_SPAN("First Hop Lacks Outbound Support"),
		(struct td_span){ 0 });
	return false;
}

static bool is_of_this_request(
	const struct td_location_binding *b, const struct td_core *core)
{
	return td_span_eq(td_location_call_id(b), core->call_id) && b->cseq == core->cseq.number;
}

// A request that comes again finds what it is about as it left it: what somebody kept of it brings
// no binding back and removes none that was made since.
static bool change_is_in_order(const struct register_ask *ask, const struct register_change *c)
{
	const struct td_core *core = &ask->e->core;

	if (ask->repeated)
		return c->expires_s == 0 ? !c->old : c->old && is_of_this_request(c->old, core);
	return !c->old || core->cseq.number > c->old->cseq ||
	       !td_span_eq(td_location_call_id(c->old), core->call_id);
}

// Order within one Call-ID, for each binding that is touched (steps 6 and 7).
static bool is_in_order(struct register_ask *ask)
{
	for (uint16_t i = 0; i < ask->n; i++)
		if (!change_is_in_order(ask, &ask->changes[i])) {
			register_refuse(
				ask, 500, TD_SPAN("CSeq Out of Order"), (struct td_span){ 0 });
			return false;
		}
	return true;
}

// Would there be more than one AoR may have? What is bound already is never too many: the limit may
// have been lowered since.
static bool is_too_many(struct register_ask *ask)
{
	uint32_t n = 0, added = 0, removed = 0;

	for (uint16_t i = 0; i < ask->n; i++) {
		added += !ask->changes[i].old && ask->changes[i].expires_s > 0;
		removed += ask->changes[i].old && ask->changes[i].expires_s == 0;
	}
	if (added <= removed)
		return false;
	for (struct td_location_binding *b = ask->bound; b; b = td_location_next(b))
		n++;
	if (n + added - removed <= ask->conf->max_contacts)
		return false;
	register_refuse(ask, 403, TD_SPAN("Too Many Contacts"), (struct td_span){ 0 });
	return true;
}

bool register_contacts_read(struct register_ask *ask)
{
	const struct td_msg *msg = &ask->e->msg;

	ask->n = 0;
	ask->path_len = 0;
	if (ask->e->core.call_id.len > TD_BINDING_CALL_ID_MAX)
		return refuse_bad(ask, TD_SPAN("Call-ID Too Long"));
	if (!td_msg_has(msg, TD_H_CONTACT))
		return true;
	return path_take(ask) && contacts_take(ask) && is_flow_kept(ask) &&
	       is_in_order(ask) && !is_too_many(ask);
}
