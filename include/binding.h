// SPDX-License-Identifier: BSD-3-Clause
// A change of a binding (RFC 3261 §10) as it crosses the journal (TD_JOURNAL_BINDING), the store
// and the push back to a data plane that began anew. Any thread; never allocates.
//
// The worker that owns the AoR writes the packed form to its journal before it answers; control
// keeps it by its key, the newest `changed_us` winning, and pushes the live ones back as they are.
// Integers are little endian.
#pragma once

#include "include/addr.h"
#include "include/subscriber.h"

#include <errno.h>

enum td_binding_op { TD_BINDING_UPSERT = 1, TD_BINDING_REMOVE = 2 };

#define TD_BINDING_Q_MAX 1000 // q=1.0

// Ceilings of its texts: longer ones are refused with the REGISTER that brings them.
#define TD_BINDING_CONTACT_MAX 512
#define TD_BINDING_PARAMS_MAX 16 // of its URI: two are compared parameter by parameter
#define TD_BINDING_CALL_ID_MAX 256
#define TD_BINDING_PATH_MAX 1024
#define TD_BINDING_INSTANCE_MAX 192
#define TD_BINDING_USER_AGENT_MAX 128 // cut, not refused

// What is seen of it; texts point into the packed form.
struct td_binding {
	uint8_t op;        // enum td_binding_op
	uint8_t transport; // enum td_transport of the flow
	uint16_t q;        // 0 – TD_BINDING_Q_MAX
	uint32_t reg_id;   // RFC 5626; 0: none
	uint32_t cseq;     // of the REGISTER that changed it last
	uint64_t expires_s;  // wall clock, seconds since the epoch
	uint64_t changed_us; // wall clock; grows with every change of one key
	struct td_sockaddr local, remote; // of the flow it came on
	struct td_span aor;        // "user@domain" as in struct td_subscriber
	struct td_span realm;      // name of the realm of the flow
	struct td_span contact;    // URI
	struct td_span call_id;
	struct td_span path;       // values of Path, comma-separated in their order; or empty
	struct td_span instance;   // value of +sip.instance without quotes; or empty
	struct td_span user_agent; // or empty
};

// Texts stand behind it in the order of the lengths.
struct td_binding_packed {
	uint16_t bytes; // of the record, head and padding to 8 included
	uint8_t version; // TD_BINDING_VERSION
	uint8_t op;
	uint16_t q;
	uint8_t transport, zero;
	uint32_t reg_id, cseq;
	uint64_t expires_s, changed_us;
	struct td_sockaddr local, remote;
	uint16_t aor_len, realm_len, contact_len, call_id_len, path_len, instance_len,
		user_agent_len, zero2;
};

#define TD_BINDING_VERSION 1
#define TD_BINDING_PACKED_MAX                                                                      \
	(sizeof(struct td_binding_packed) + TD_AOR_LEN + TD_NAME_LEN + TD_BINDING_CONTACT_MAX +    \
		TD_BINDING_CALL_ID_MAX + TD_BINDING_PATH_MAX + TD_BINDING_INSTANCE_MAX +           \
		TD_BINDING_USER_AGENT_MAX + 8)

static_assert(sizeof(struct td_binding_packed) == 88, "no padding that is not named");
static_assert(TD_BINDING_PACKED_MAX <= 4096, "TD_JOURNAL_PAYLOAD_MAX");

static inline uint16_t td_binding_text(uint8_t **p, struct td_span text)
{
	if (text.len > 0)
		memcpy(*p, text.ptr, text.len);
	*p += text.len;
	return (uint16_t)text.len;
}

// Writes the record; dst has room for TD_BINDING_PACKED_MAX, texts keep their ceilings. Returns its
// bytes.
static inline size_t td_binding_pack(const struct td_binding *b, uint8_t *dst)
{
	struct td_binding_packed head = {
		.version = TD_BINDING_VERSION,
		.op = b->op,
		.q = b->q,
		.transport = b->transport,
		.reg_id = b->reg_id,
		.cseq = b->cseq,
		.expires_s = b->expires_s,
		.changed_us = b->changed_us,
		.local = b->local,
		.remote = b->remote,
	};
	uint8_t *p = dst + sizeof(head);

	head.aor_len = td_binding_text(&p, b->aor);
	head.realm_len = td_binding_text(&p, b->realm);
	head.contact_len = td_binding_text(&p, b->contact);
	head.call_id_len = td_binding_text(&p, b->call_id);
	head.path_len = td_binding_text(&p, b->path);
	head.instance_len = td_binding_text(&p, b->instance);
	head.user_agent_len = td_binding_text(&p, b->user_agent);
	while ((p - dst) % 8 != 0)
		*p++ = 0;
	head.bytes = (uint16_t)(p - dst);
	memcpy(dst, &head, sizeof(head));
	return head.bytes;
}

// The next text of a record; false: longer than it may be, or than what is there.
static inline bool td_binding_text_take(
	const uint8_t **p, const uint8_t *end, uint16_t len, uint16_t max, struct td_span *out)
{
	if (len > max || end - *p < len || (len > 0 && memchr(*p, '\0', len)))
		return false;
	*out = td_span((const char *)*p, len);
	*p += len;
	return true;
}

static inline bool td_binding_flow_holds(const struct td_binding_packed *head)
{
	return head->local.family == head->remote.family && head->local.zero == 0 &&
	       head->remote.zero == 0 &&
	       (head->local.family == TD_IPV4 || head->local.family == TD_IPV6);
}

// Reads the record at src, of which have bytes are there; nothing in it is trusted. Returns its
// bytes, 0 where it does not hold. Texts of *out point into src.
static inline size_t td_binding_unpack(const uint8_t *src, size_t have, struct td_binding *out)
{
	struct td_binding_packed head;

	memset(out, 0, sizeof(*out));
	if (have < sizeof(head))
		return 0;
	memcpy(&head, src, sizeof(head));
	const uint8_t *p = src + sizeof(head), *end = src + head.bytes;
	if (head.bytes < sizeof(head) || head.bytes > have || head.bytes % 8 != 0 ||
		head.version != TD_BINDING_VERSION || head.q > TD_BINDING_Q_MAX ||
		(head.op != TD_BINDING_UPSERT && head.op != TD_BINDING_REMOVE) ||
		!td_binding_flow_holds(&head))
		return 0;
	*out = (struct td_binding){
		.op = head.op,
		.transport = head.transport,
		.q = head.q,
		.reg_id = head.reg_id,
		.cseq = head.cseq,
		.expires_s = head.expires_s,
		.changed_us = head.changed_us,
		.local = head.local,
		.remote = head.remote,
	};
	bool good = td_binding_text_take(&p, end, head.aor_len, TD_AOR_LEN - 1, &out->aor) &&
		    td_binding_text_take(&p, end, head.realm_len, TD_NAME_LEN - 1, &out->realm) &&
		    td_binding_text_take(
			    &p, end, head.contact_len, TD_BINDING_CONTACT_MAX, &out->contact) &&
		    td_binding_text_take(
			    &p, end, head.call_id_len, TD_BINDING_CALL_ID_MAX, &out->call_id) &&
		    td_binding_text_take(&p, end, head.path_len, TD_BINDING_PATH_MAX, &out->path) &&
		    td_binding_text_take(
			    &p, end, head.instance_len, TD_BINDING_INSTANCE_MAX, &out->instance) &&
		    td_binding_text_take(&p, end, head.user_agent_len, TD_BINDING_USER_AGENT_MAX,
			    &out->user_agent);
	return good && out->aor.len > 0 && out->contact.len > 0 ? head.bytes : 0;
}

#define TD_BINDING_KEY_LEN (TD_AOR_LEN + TD_BINDING_CONTACT_MAX + TD_BINDING_INSTANCE_MAX + 16)

// What a binding is kept under, unique by making and printable: the AoR, then the contact, or with
// reg-id the instance and it (RFC 5626 §6). A space parts them, which none of them holds. dst has
// TD_BINDING_KEY_LEN; ends with NUL. Returns the length.
static inline size_t td_binding_key(const struct td_binding *b, char *dst)
{
	char *p = dst;
	bool outbound = b->instance.len > 0 && b->reg_id > 0;
	struct td_span second = outbound ? b->instance : b->contact;

	memcpy(p, b->aor.ptr, b->aor.len);
	p += b->aor.len;
	*p++ = ' ';
	memcpy(p, second.ptr, second.len);
	p += second.len;
	*p = '\0';
	if (outbound)
		p += snprintf(p, 14, " %u", b->reg_id);
	return (size_t)(p - dst);
}
