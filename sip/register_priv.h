// SPDX-License-Identifier: BSD-3-Clause
// The inside of the registrar, for register*.c alone.
#pragma once

#include "sip/auth.h"
#include "sip/engine_priv.h"
#include "sip/location.h"
#include "sip/register.h"
#include "sip/writer.h"

enum { REGISTER_HEADERS_MAX = 16384 };

// What a REGISTER asks for one contact.
struct register_change {
	struct td_location_binding *old;  // NULL: it is new
	struct td_location_binding *made; // in its place; NULL: it changes in place, or goes
	struct td_binding b;             // texts in the message or in old
	struct td_uri uri;
	uint32_t expires_s; // 0: remove
	bool keyed;         // by instance and reg-id (RFC 5626 §6)
};

// A 200 that waits for its records to be safe.
struct register_pending {
	struct td_flow flow;
	struct td_buf buf;
};

// The REGISTER being handled.
struct register_ask {
	struct td_engine *e;
	const struct td_flow *came, *flow;
	const struct td_registrar_conf *conf;
	struct td_span aor; // in aor_text
	uint64_t hash;      // of it
	struct td_auth_hint hint;
	uint64_t born;      // of the subscriber
	struct td_location_binding *bound; // the first of the AoR, until something changes
	bool outbound;      // both sides support RFC 5626
	bool repeated;
	uint16_t n;
	struct register_change changes[TD_CONTACTS_MAX];
	uint32_t path_len;
	char aor_text[TD_AOR_LEN];
	char path[TD_BINDING_PATH_MAX];
};

struct td_registrar {
	struct td_location *location;
	struct td_pool pending; // of struct register_pending
	_Atomic uint64_t changed_us; // the newest change, by its own account; engine: wo
	struct register_ask ask;
	struct td_auth_answer auth;
	uint8_t records[TD_CONTACTS_MAX * TD_BINDING_PACKED_MAX];
	char headers[REGISTER_HEADERS_MAX];
};

// Refuses: counts, answers with headers (complete lines, or empty).
void register_refuse(struct register_ask *ask, uint16_t status, struct td_span reason,
	struct td_span headers);
// register_contacts.c: fills ask->changes from the message. false: refused and answered.
bool register_contacts_read(struct register_ask *ask);
// Is a contact bound by its flow (RFC 5626)?
bool register_asks_for_flow(const struct register_ask *ask);
// Is that option among Supported?
bool register_supports(const struct td_msg *msg, struct td_span option);
// register_answer.c: writes the 200 with what is bound now; 0 or -errno (503 was sent).
int register_answer_write(struct register_ask *ask, struct td_buf *out);
