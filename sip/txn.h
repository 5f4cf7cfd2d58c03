// SPDX-License-Identifier: BSD-3-Clause
// The four transactions of RFC 3261 §17 with RFC 6026, and what is left of them as tombstones.
//
// Owner: the engine's thread. Pools sized by the engine's limits; nothing is allocated later. A
// transaction user (the call layer, or the stateless-ish answers of the engine) hears of events
// through struct td_txn_user.
//
// sip/engine.c drives this file: td_txn_rx_request() / td_txn_rx_response() absorb what belongs to
// a transaction and tell the caller what does not.
#pragma once

#include "sip/core.h"
#include "sip/engine.h"

struct td_stx; // server transaction: INVITE (ist) and other (nist)
struct td_trunk;
struct td_ctx; // client transaction: INVITE (ict) and other (nict)

// What a transaction tells its user. Calls come after the transaction's own state is consistent;
// the user may respond, send, or end the transaction from inside. user_data is what was given at
// creation or set later.
struct td_ctx_user {
	// Each provisional (but no repeated final) response; for INVITE each 2xx, also repeated and
	// of further forks (RFC 6026 Accepted). The ACK to a non-2xx is the transaction's business,
	// to a 2xx the user's.
	void (*response)(struct td_engine *engine, struct td_ctx *ctx, const struct td_msg *msg,
		const struct td_core *core, const struct td_flow *flow);
	// Timer B/F, or the transport refused: treat as 408, or 503 where transport_error
	// (§8.1.3.1).
	void (*timeout)(struct td_engine *engine, struct td_ctx *ctx, bool transport_error);
	// The transaction is gone (its handle is dead after this); always the last call.
	void (*ended)(struct td_engine *engine, struct td_ctx *ctx);
	// The trunk whose credentials answer a 401 or 407 to this request (§22.2, §22.3). NULL here
	// or returned: none, and it is a final answer like any other.
	const struct td_trunk *(*trunk)(struct td_engine *engine, struct td_ctx *ctx);
	// The CSeq with which it goes again: higher than all that went out in its dialog meanwhile
	// (§12.2.1.1). NULL: one higher than its own.
	uint32_t (*next_cseq)(struct td_engine *engine, struct td_ctx *ctx);
	// Such an answer came and was answered: the request goes on as `fresh`, with that CSeq and
	// this user. ctx only lingers; neither may be touched but for reading.
	void (*moved)(struct td_engine *engine, struct td_ctx *ctx, struct td_ctx *fresh);
};

struct td_stx_user {
	// CANCEL matched this INVITE transaction, still in Proceeding; the CANCEL itself is already
	// answered 200.
	void (*cancelled)(
		struct td_engine *engine, struct td_stx *stx, const struct td_msg *cancel);
	// The transaction is gone (its handle is dead after this), always the last call: the ACK to
	// a non-2xx final came or never did (Timer H), Timer L ran out, a request other than INVITE
	// was answered. Never from inside td_stx_respond().
	void (*ended)(struct td_engine *engine, struct td_stx *stx);
};

// --- server side ---

// A transaction for a request that td_txn_rx_request() passed. Sends 100 to an INVITE after 200 ms
// unless something was sent. NULL: pool empty (the caller answers 503 statelessly with
// td_respond_stateless()). What the response must copy (all Via, From, To, Call-ID, CSeq,
// Record-Route) is copied into the transaction.
struct td_stx *td_stx_new(struct td_engine *engine, const struct td_flow *flow,
	const struct td_msg *msg, const struct td_core *core, const struct td_stx_user *user,
	void *user_data);
void *td_stx_data(const struct td_stx *stx);
// user NULL: nobody listens. An INVITE that was answered 2xx then ends at the next tick: what had
// to be repeated until the ACK is given back, later copies of the request are absorbed by a
// tombstone. One that had no final answer yet is answered 500 after T1.
void td_stx_set_user(struct td_stx *stx, const struct td_stx_user *user, void *user_data);
const struct td_flow *td_stx_flow(const struct td_stx *stx);

#define TD_TAG_MAX 36

// What goes into a response beside the headers that the transaction copies itself.
struct td_response {
	uint16_t status;       // 100–699
	struct td_span reason; // empty: the RFC's phrase
	struct td_span to_tag; // added to To unless it has a tag; empty: the last one, else a
			       // derived one; at most TD_TAG_MAX bytes
	struct td_span contact; // whole "<sip:…>" value, or empty
	bool record_route;      // copy Record-Route (dialog-creating 101–2xx, §12.1.1)
	struct td_span headers; // further complete header lines, each with its CRLF
	struct td_span content_type, body;
};

// Sends a response; a final one moves the state machine. 2xx to INVITE: RFC 6026 Accepted,
// retransmitting the 2xx is the user's (td_stx_resend()). 0; -EALREADY: a final one was sent;
// -ENOBUFS; -EMSGSIZE; -EINVAL: the tag is too long.
int td_stx_respond(
	struct td_engine *engine, struct td_stx *stx, const struct td_response *response);
// Repeats the last response as it was (a 2xx until its ACK). 0 or -ENOENT.
int td_stx_resend(struct td_engine *engine, struct td_stx *stx);
// Answers without keeping state (§8.2.7): bad messages, overload, OPTIONS of strangers. The To-tag
// is derived, so that repetitions get the same. core may be partly decoded: what the request lacks
// is lacking in the answer. Nothing is sent
// (-EBADMSG) where there is no readable Via.
int td_respond_stateless(struct td_engine *engine, const struct td_flow *flow,
	const struct td_msg *msg, const struct td_core *core, const struct td_response *response);
// Is it the ACK of an INVITE that was refused like that? It has our tag.
bool td_acks_stateless(struct td_engine *engine, const struct td_msg *ack,
	const struct td_core *core);

// --- client side ---

// Everything a request is written from. Via (with our token as branch), CSeq, Max-Forwards,
// Content-Length are written by the transaction; spans are borrowed for the call.
struct td_request {
	uint8_t method;             // enum td_method
	struct td_span method_name; // where method is TD_M_OTHER
	struct td_span uri;         // Request-URI
	struct td_span routes;      // complete Route header lines, or empty
	struct td_span from, to;    // whole header values with tags
	struct td_span call_id;
	uint32_t cseq;
	uint8_t max_forwards;
	struct td_span contact; // whole value, or empty
	struct td_span headers; // further complete header lines, each with its CRLF
	struct td_span content_type, body;
	struct td_flow flow; // where it goes; the Via's sent-by is flow.local (or what the realm
			     // advertises)
	const struct td_trunk
		*trunk; // its credentials go along once its nonce is known; NULL: none
};

struct td_writer;
// A trunk's peer as it is known: by the host that it was resolved from (RFC 3261 §8.1.1.1), else by
// its address. trunk NULL: it is gone.
void td_put_peer(struct td_writer *out, const struct td_trunk *trunk,
	const struct td_sockaddr *peer);

// Sends a request in a new client transaction. NULL and errno: ENOBUFS (pool or buffer), EMSGSIZE.
// An immediate transport error is reported by the user's timeout() from the next tick, never from
// inside this call.
struct td_ctx *td_ctx_new(struct td_engine *engine, const struct td_request *request,
	const struct td_ctx_user *user, void *user_data);
void *td_ctx_data(const struct td_ctx *ctx);
// user NULL: nobody listens; an INVITE without a final answer is given up (td_ctx_abandon()).
void td_ctx_set_user(struct td_ctx *ctx, const struct td_ctx_user *user, void *user_data);
// Ends a request other than INVITE at once: nothing more is sent, and what comes late is stray. Its
// user hears nothing. Never from inside its user's functions.
void td_ctx_forget(struct td_engine *engine, struct td_ctx *ctx);
uint32_t td_ctx_cseq(const struct td_ctx *ctx);
const struct td_flow *td_ctx_flow(const struct td_ctx *ctx);
// CANCELs an INVITE: at once when a provisional came, else as soon as one does (§9.1); its own
// non-INVITE transaction needs no user. After 64·T1 without a final the INVITE transaction ends
// with timeout(). Idempotent. reason_header: a complete line or empty.
void td_ctx_cancel(struct td_engine *engine, struct td_ctx *ctx, struct td_span reason_header);
// Gives up an INVITE that has seen no provisional: Timer A stops, and 64·T1 of lingering begin, as
// after Timer B. A late provisional is answered with CANCEL, a late final with ACK, and a late 2xx
// still reaches the user: keep one until ended(), who ACKs and sends BYE. With a provisional seen
// it is td_ctx_cancel().
void td_ctx_abandon(struct td_engine *engine, struct td_ctx *ctx);

// A request outside transactions, sent once: the ACK to a 2xx (§13.2.2.4), a ping. 0, -ENOBUFS,
// -EMSGSIZE.
int td_send_once(struct td_engine *engine, const struct td_request *request);

// --- what engine.c calls ---

struct td_txn; // all tables and pools of one engine
struct td_txn *td_txn_create(
	struct td_engine *engine, const struct td_engine_conf *conf); // NULL + errno
void td_txn_destroy(struct td_txn *txn);
// true: it was a retransmission, an ACK to a non-2xx or the CANCEL of a known INVITE, and is dealt
// with. false: new. A CANCEL without its INVITE is new: whoever judges the source answers it (481).
bool td_txn_rx_request(struct td_engine *engine, const struct td_flow *flow,
	const struct td_msg *msg, const struct td_core *core);
// false: no transaction is or was ours (counted by the caller as sip.stray_response).
bool td_txn_rx_response(struct td_engine *engine, const struct td_flow *flow, struct td_msg *msg,
	const struct td_core *core);
// Is a request without a To-tag, which td_txn_rx_request() just passed, a second copy of one in
// progress that came another way (§8.2.2.2: 482)?
bool td_txn_merged(
	struct td_engine *engine, const struct td_flow *flow, const struct td_core *core);
// May a new call begin? An eighth of the transactions is kept for what goes on inside the calls
// that stand.
bool td_txn_has_room(const struct td_engine *engine);
// Fills out[0, 3): server and client transactions, tombstones.
void td_txn_pools(const struct td_engine *engine, struct td_pool_view *out);
uint32_t td_txn_busy(const struct td_engine *engine); // transactions and tombstones alive
