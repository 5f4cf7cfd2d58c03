// SPDX-License-Identifier: BSD-3-Clause
#include "sip/headers.h"

#include "sip/hiding.h"

enum action {
	DROP, // never crosses, or the transaction or call writes its own
	PASS, // as it stands, unless the value holds an address
	HOST, // name-addr list: display and user pass, the host becomes ours. An identity crosses
	      // only between sides that are both trusted, so that Privacy: id (RFC 3325 §7) needs
	      // no look here
	URN,      // as PASS where it names nothing but urn: URIs (RFC 7462)
	PERSONAL, // as PASS, unless Privacy: user (RFC 3323 §4.1)
};

// One line a header. What is not named is DROP. The columns: nobody is trusted; we believe the
// sender ("in"); the receiver may know identities ("out"); both.
struct rule {
	uint8_t by_trust[4]; // enum action, indexed by trust_index()
};

#define EVERY(a)                                                                                   \
	{                                                                                          \
		{                                                                                  \
			(a), (a), (a), (a)                                                         \
		}                                                                                  \
	}
#define BOTH(a)                                                                                    \
	{                                                                                          \
		{                                                                                  \
			DROP, DROP, DROP, (a)                                                      \
		}                                                                                  \
	}

// clang-format off
static const struct rule rules[TD_H__COUNT] = {
	//                           none      in        out       both
	[TD_H_OTHER]               = BOTH(PASS),
	[TD_H_ACCEPT_LANGUAGE]     = EVERY(PASS),
	[TD_H_EXPIRES]             = EVERY(PASS),
	[TD_H_RETRY_AFTER]         = EVERY(PASS),
	[TD_H_REASON]              = EVERY(PASS),
	[TD_H_DATE]                = EVERY(PASS),
	[TD_H_SUBJECT]             = EVERY(PERSONAL),
	[TD_H_PRIORITY]            = EVERY(PASS),
	[TD_H_ALERT_INFO]          = EVERY(URN),
	[TD_H_REPLY_TO]            = BOTH(HOST),
	[TD_H_P_ASSERTED_IDENTITY] = BOTH(HOST),
	[TD_H_PRIVACY]             = EVERY(PASS),
	[TD_H_REMOTE_PARTY_ID]     = BOTH(HOST),
	[TD_H_DIVERSION]           = BOTH(HOST),
	[TD_H_HISTORY_INFO]        = BOTH(HOST),
	[TD_H_IDENTITY]            = BOTH(PASS),
	[TD_H_P_EARLY_MEDIA]       = BOTH(PASS),
	[TD_H_P_ASSERTED_SERVICE]  = BOTH(PASS),
	[TD_H_ANSWER_MODE]         = BOTH(PASS),
	[TD_H_USER_TO_USER]        = EVERY(PASS),
};
// clang-format on

static bool receiver_trusted(const struct td_headers_way *way)
{
	return (way->trust_out & TD_TRUST_OUT) != 0;
}

static uint32_t trust_index(const struct td_headers_way *way)
{
	return ((way->trust_in & TD_TRUST_IN) != 0 ? 1u : 0u) | (receiver_trusted(way) ? 2u : 0u);
}

// priv-values of one Privacy header are separated by ';' (RFC 3323 §4.2); some senders write ','.
static bool privacy_asks(struct td_span privacy, struct td_span value)
{
	uint32_t i = 0;

	while (i < privacy.len) {
		while (i < privacy.len && strchr("; ,\t\r\n", privacy.ptr[i]))
			i++;
		uint32_t start = i;
		while (i < privacy.len && !strchr("; ,\t\r\n", privacy.ptr[i]))
			i++;
		if (td_span_ieq(td_span(privacy.ptr + start, i - start), value))
			return true;
	}
	return false;
}

// Does the message, or the request it answers, ask for it?
static bool privacy_of(
	const struct td_msg *msg, const struct td_headers_way *way, struct td_span value)
{
	if (privacy_asks(way->privacy, value))
		return true;
	for (uint8_t i = msg->first[TD_H_PRIVACY]; i != 0xff; i = msg->headers[i].next)
		if (privacy_asks(td_msg_value(msg, &msg->headers[i]), value))
			return true;
	return false;
}

static struct td_span header_name(const struct td_msg *msg, const struct td_header *h)
{
	return h->id == TD_H_OTHER ? td_span(msg->buf + h->name_off, h->name_len)
				   : td_header_name(h->id);
}

static void line_pass(const struct td_msg *msg, const struct td_header *h, struct td_writer *out)
{
	struct td_span value = td_msg_value(msg, h);

	if (td_hiding_unfit(value))
		return;
	td_put_span(out, header_name(msg, h));
	td_put_lit(out, ": ");
	td_put_unfolded(out, value);
	td_put_lit(out, "\r\n");
}

// "<urn:alert:…>" and nothing with a host beside it.
static bool only_urns(struct td_span list)
{
	struct td_span entry;

	while (td_list_next(&list, &entry)) {
		struct td_name_addr a;
		if (td_name_addr_decode(entry, &a) < 0 || a.uri.scheme != TD_SCHEME_URN)
			return false;
	}
	return true;
}

static void user_put(struct td_span user, struct td_span name, const struct td_sockaddr *host,
	struct td_writer *out)
{
	td_put_lit(out, "<sip:");
	if (user.len > 0) {
		td_put_span(out, user);
		td_put_char(out, '@');
	}
	if (name.len > 0)
		td_put_span(out, name);
	else
		td_put_hostport(out, host);
	td_put_char(out, '>');
}

static void our_user_put(
	struct td_span user, const struct td_headers_way *way, struct td_writer *out)
{
	user_put(user, way->host, &way->our_address, out);
}

static void display_put(struct td_span display, struct td_writer *out)
{
	if (display.len == 0 || td_hiding_unfit(display))
		return;
	td_put_unfolded(out, display);
	td_put_char(out, ' ');
}

static bool telephone_scheme(const struct td_uri *uri)
{
	return uri->scheme == TD_SCHEME_SIP || uri->scheme == TD_SCHEME_SIPS ||
	       uri->scheme == TD_SCHEME_TEL;
}

// Header parameters pass (History-Info's index, Diversion's reason) unless one of them holds an
// address.
static void identity_put(
	const struct td_name_addr *a, const struct td_headers_way *way, struct td_writer *out)
{
	display_put(a->display, out);
	our_user_put(a->uri.user, way, out);
	if (a->params.len > 0 && !td_hiding_unfit(a->params)) {
		td_put_char(out, ';');
		td_put_unfolded(out, a->params);
	}
}

static void line_identity(const struct td_msg *msg, const struct td_header *h,
	const struct td_headers_way *way, struct td_writer *out)
{
	struct td_span rest = td_msg_value(msg, h), entry;
	bool first = true;

	while (td_list_next(&rest, &entry)) {
		struct td_name_addr a;
		if (td_name_addr_decode(entry, &a) < 0 || a.star || !telephone_scheme(&a.uri) ||
			td_hiding_unfit(a.uri.user))
			continue;
		if (first)
			td_put_span(out, header_name(msg, h));
		td_put(out, first ? ": " : ", ", 2);
		identity_put(&a, way, out);
		first = false;
	}
	if (!first)
		td_put_lit(out, "\r\n");
}

// A 503 speaks of one target: with its Retry-After the other side would leave the whole switch
// alone (RFC 3261 §21.5.4).
static bool says_too_much(const struct td_msg *msg, const struct td_header *h)
{
	return h->id == TD_H_RETRY_AFTER && !msg->request && msg->status == 503;
}

// What tells who the caller is, beside From.
static bool is_identity(enum td_header_id id)
{
	return id == TD_H_P_ASSERTED_IDENTITY || id == TD_H_REMOTE_PARTY_ID;
}

static void line_relay(const struct td_msg *msg, const struct td_header *h,
	const struct td_headers_way *way, struct td_writer *out)
{
	if (h->id == TD_H_PRIVACY && way->privacy_is == TD_PRIVACY_STRIP)
		return;
	switch ((enum action)rules[h->id].by_trust[trust_index(way)]) {
	case DROP:
		return;
	case PERSONAL:
		if (privacy_of(msg, way, TD_SPAN("user")))
			return;
		line_pass(msg, h, out);
		return;
	case URN:
		if (!only_urns(td_msg_value(msg, h)))
			return;
		line_pass(msg, h, out);
		return;
	case PASS:
		line_pass(msg, h, out);
		return;
	case HOST:
		if (way->own_identities && is_identity(h->id))
			return;
		line_identity(msg, h, way, out);
		return;
	}
}

void td_headers_relay(
	const struct td_msg *msg, const struct td_headers_way *way, struct td_writer *out)
{
	for (uint32_t i = 0; i < msg->n_headers; i++)
		if (!says_too_much(msg, &msg->headers[i]))
			line_relay(msg, &msg->headers[i], way, out);
}

bool td_headers_unnamed(const struct td_core *core)
{
	return td_span_ieq(core->from.uri.user, TD_SPAN("anonymous")) ||
	       td_span_ieq(core->from.uri.host, TD_SPAN("anonymous.invalid"));
}

static bool privacy_hides(struct td_span privacy)
{
	return privacy_asks(privacy, TD_SPAN("id")) || privacy_asks(privacy, TD_SPAN("user"));
}

bool td_headers_anonymous(const struct td_core *core, struct td_span privacy)
{
	return privacy_hides(privacy) || td_headers_unnamed(core);
}

void td_headers_from(
	const struct td_core *core, const struct td_headers_way *way, struct td_writer *out)
{
	const struct td_uri *uri = &core->from.uri;
	bool hide = privacy_hides(way->privacy);

	// RFC 3323 §4.1: the host names nobody either.
	if (way->hidden || (hide && !receiver_trusted(way) &&
				   way->privacy_is == TD_PRIVACY_HONOUR)) {
		td_put_lit(out, "\"Anonymous\" <sip:anonymous@anonymous.invalid>");
		return;
	}
	if (way->identity) {
		display_put(way->identity->display, out);
		our_user_put(way->identity->user, way, out);
		return;
	}
	display_put(core->from.display, out);
	bool named = telephone_scheme(uri) && uri->user.len > 0 && !td_hiding_unfit(uri->user);
	our_user_put(named ? uri->user : TD_SPAN("anonymous"), way, out);
}

void td_headers_identity(const struct td_headers_way *way, struct td_writer *out)
{
	if (!way->asserted || !receiver_trusted(way))
		return;
	td_put_lit(out, "P-Asserted-Identity: ");
	display_put(way->asserted->display, out);
	our_user_put(way->asserted->user, way, out);
	td_put_lit(out, "\r\n");
}

void td_headers_to(const struct td_core *core, struct td_span user, struct td_span target,
	struct td_writer *out)
{
	display_put(core->to.display, out);
	user_put(td_hiding_unfit(user) ? (struct td_span){ 0 } : user, target, NULL, out);
}
