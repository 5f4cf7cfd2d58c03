// SPDX-License-Identifier: BSD-3-Clause
// The inside of transactions, for txn_*.c, stx.c, ctx.c, tombstone.c, request.c and response.c
// alone.
//
// A server transaction is found by the keyed hash of what RFC 3261 §17.2.3 compares, a client
// transaction by the token in its branch (pool slot and generation). Nothing is freed while the
// transaction's user is being called, except by ending the transaction as the very last step.
#pragma once

#include "sip/engine_priv.h"
#include "sip/txn.h"
#include "sip/writer.h"

#define txn_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

enum {
	TRYING_MS = 180
}; // 100 after this time: timers fire late, and 200 ms is the limit (§17.2.1)

// --- the table of server transactions and tombstones ---

// A link of the table; kinds of links share it: a reference is an index and a kind.
struct txn_node {
	uint64_t key;
	uint32_t next; // reference, 0: end of chain
};

enum txn_ref_kind { REF_STX = 1, REF_MERGE = 2, REF_TOMBSTONE = 3 };

// What is left of a server transaction: enough to answer a copy of its request from that very copy.
struct tombstone {
	struct txn_node node;
	uint64_t due_ms;
	uint16_t status; // of the answer
	bool silent;     // copies are absorbed, not answered
	uint8_t tag_len;
	char tag[TD_TAG_MAX];
};

static_assert(sizeof(struct tombstone) == 64, "one cache line: they are the most numerous objects");

struct td_txn {
	const struct td_alloc *alloc; // the engine's
	struct td_pool stx, ctx;
	uint32_t *heads; // references
	uint32_t mask;
	// A ring in the order of their end, which is the order in which they fall due.
	struct tombstone *tombstones;
	uint32_t n_tombstones, tombstone_capacity, oldest;
	struct td_timer tombstone_timer;
	uint32_t t1_ms, t2_ms, t4_ms;
	uint32_t timeout_ms; // 64·T1
	uint32_t ack_sequence;
	// Of the request that td_txn_rx_request() passed last; merge_key 0: not to be entered.
	uint64_t rx_key, rx_merge_key;
};

void txn_insert(struct td_txn *txn, uint64_t key, enum txn_ref_kind kind, uint32_t index);
void txn_remove(struct td_txn *txn, uint64_t key, enum txn_ref_kind kind, uint32_t index);

// Takes the place of an ended transaction for 64·T1. The oldest gives way when the ring is full.
void tombstone_put(
	struct td_engine *e, uint64_t key, uint16_t status, bool silent, struct td_span tag);
void tombstone_expired(void *engine, struct td_timer *timer);

// --- server transactions ---

enum stx_state { STX_PROCEEDING, STX_COMPLETED, STX_ACCEPTED, STX_ENDED };

// The headers that every response copies, written once: Via … To without its CRLF, then CRLF …
// CSeq, then Timestamp (for 100, RFC 3261 §8.2.6.1), then Record-Route.
struct response_head {
	char *text; // slab; NULL: given back
	uint32_t to_end, timestamp, routes, len;
};

struct td_stx {
	struct txn_node node;       // by the request's key
	struct txn_node merge;      // key 0: not entered
	struct td_timer retransmit; // 100 Trying, G
	struct td_timer end;        // H, J, L, or at once
	struct td_engine *engine;
	const struct td_stx_user *user; // NULL: nobody listens
	void *user_data;
	struct response_head head;
	char *copy; // slab: the last response where it cannot be written anew from head
	uint32_t copy_len;
	uint32_t interval_ms; // of G
	struct td_flow flow;
	uint16_t status; // of the last response, 0: none
	uint8_t state;   // enum stx_state
	uint8_t method;  // enum td_method
	bool invite, takes_tag, cancelled;
	uint8_t tag_len;
	char tag[TD_TAG_MAX];
};

static_assert(sizeof(struct td_stx) <= 256, "four cache lines");

void stx_end(struct td_engine *e, struct td_stx *stx);                             // frees it
void stx_end_with_tombstone(struct td_engine *e, struct td_stx *stx, bool silent); // frees it
int stx_repeat(struct td_engine *e, struct td_stx *stx); // 0, -ENOENT, -ENOBUFS
void stx_release_texts(struct td_engine *e, struct td_stx *stx);
static inline struct td_span stx_tag(const struct td_stx *stx)
{
	return td_span(stx->tag, stx->tag_len);
}

// One function per event of each machine.
void ist_start(struct td_engine *e, struct td_stx *stx);
void ist_responded(struct td_engine *e, struct td_stx *stx);
bool ist_request(struct td_engine *e, struct td_stx *stx,
	const struct td_msg *msg); // false: an ACK to a 2xx
void ist_cancel(struct td_engine *e, struct td_stx *stx, const struct td_msg *cancel);
void ist_retransmit_due(struct td_engine *e, struct td_stx *stx);
void ist_end_due(struct td_engine *e, struct td_stx *stx);
void nist_responded(struct td_engine *e, struct td_stx *stx);
void nist_request(struct td_engine *e, struct td_stx *stx);
void nist_end_due(struct td_engine *e, struct td_stx *stx);

// --- client transactions ---

enum ctx_state {
	CTX_CALLING, // Trying of a non-INVITE
	CTX_PROCEEDING,
	CTX_COMPLETED,
	CTX_ACCEPTED, // RFC 6026
	CTX_GIVEN_UP, // INVITE after Timer B or td_ctx_abandon(): late answers are dealt with
	CTX_ENDED,
};

// Where things stand in a request that was written.
struct request_marks {
	uint16_t uri, uri_len;
	uint16_t via;                // start of the line
	uint16_t routes, routes_len; // whole lines
	uint16_t cseq;               // start of the line
	uint16_t core_len;           // up to the end of that line: all that CANCEL is made from
	uint16_t credentials_len;    // of the line behind it; 0: none
};

struct td_ctx {
	struct td_timer retransmit; // A, E
	struct td_timer end;        // B, D, F, K, M, the wait after CANCEL, or at once
	struct td_engine *engine;
	const struct td_ctx_user *user; // NULL: nobody listens
	void *user_data;
	struct td_ctx *other; // an INVITE's CANCEL, a CANCEL's INVITE; NULL: none
	char *text; // slab: the request, later its core, later URI and routes, at last NULL
	char *cancel_reason; // slab: for a CANCEL that has to wait
	uint32_t text_len, cancel_reason_len;
	uint32_t interval_ms; // of A, E
	uint32_t cseq;
	struct td_flow flow;
	struct request_marks marks;
	uint8_t state;  // enum ctx_state
	uint8_t method; // enum td_method
	uint8_t challenges; // answered on the way to this one
	bool whole;         // text is kept whole until an answer above 100: it may be challenged
	bool cancel_wanted, cancelled, transport_error;
};

static_assert(sizeof(struct td_ctx) <= 256, "an ended one stays as its own tombstone");

// The CANCEL of an INVITE as a transaction of its own, without a user. 0, -ENOBUFS, -EMSGSIZE.
int ctx_start_cancel(struct td_engine *e, struct td_ctx *invite, struct td_span reason_header);
void ctx_end(struct td_engine *e, struct td_ctx *ctx); // frees it
void ctx_repeat(struct td_engine *e, struct td_ctx *ctx);
void ctx_release_text(struct td_engine *e, struct td_ctx *ctx);
// What td_ctx_new() does, where `again` is not NULL with that transaction's text instead of a
// request.
struct td_ctx *ctx_new(struct td_engine *e, const struct td_request *request,
	const struct td_ctx *again, const struct td_ctx_user *user, void *user_data);
// ctx_challenge.c: was msg, a final answer, a challenge that is answered now? The user goes on with
// the new transaction then.
bool ctx_challenged(struct td_engine *e, struct td_ctx *ctx, const struct td_msg *msg);


void ict_start(struct td_engine *e, struct td_ctx *ctx);
void ict_response(struct td_engine *e, struct td_ctx *ctx, const struct td_msg *msg,
	const struct td_core *core, const struct td_flow *flow);
void ict_retransmit_due(struct td_engine *e, struct td_ctx *ctx);
void ict_end_due(struct td_engine *e, struct td_ctx *ctx);
void nict_start(struct td_engine *e, struct td_ctx *ctx);
void nict_response(struct td_engine *e, struct td_ctx *ctx, const struct td_msg *msg,
	const struct td_core *core, const struct td_flow *flow);
void nict_retransmit_due(struct td_engine *e, struct td_ctx *ctx);
void nict_end_due(struct td_engine *e, struct td_ctx *ctx);

// --- writing ---

// Lends a buffer for a message of at most that many bytes: 0, -ENOBUFS, -EMSGSIZE (above
// limits.sip_message_bytes).
int message_buf(struct td_engine *e, size_t bytes, struct td_buf *out);
// The length of what was written; on overflow the buffer goes back: 0 or -EMSGSIZE.
int message_finish(struct td_engine *e, const struct td_writer *w, struct td_buf *buf);
// Sends and counts; what td_host_ops.send() returned. status 0: a request.
int message_send(struct td_engine *e, const struct td_flow *flow, struct td_buf *buf,
	uint8_t method, uint16_t status);

int response_head_copy(struct td_engine *e, const struct td_flow *flow, const struct td_msg *msg,
	const struct td_core *core, struct response_head *out); // 0 or -ENOBUFS
// 0, -ENOBUFS, -EMSGSIZE. tag: empty where To has one or the response is a 100.
int response_write(struct td_engine *e, const struct response_head *head,
	const struct td_response *response, struct td_span tag, struct td_buf *out);
// Does the answer to that request get a To-tag from us? Not where To has one, or is missing.
bool response_takes_tag(const struct td_msg *msg, const struct td_core *core);
// The response of td_respond_stateless(), not sent yet. 0, -EBADMSG, -ENOBUFS, -EMSGSIZE.
int response_write_stateless(struct td_engine *e, const struct td_flow *flow,
	const struct td_msg *msg, const struct td_core *core, const struct td_response *response,
	struct td_buf *out);
#define DERIVED_TAG_LEN 16
void response_derive_tag(struct td_engine *e, struct td_span seed, char tag[DERIVED_TAG_LEN]);

// token: the branch. 0, -ENOBUFS, -EMSGSIZE.
int request_write(struct td_engine *e, const struct td_request *request,
	const struct td_token *token, struct td_buf *out, struct request_marks *marks);
// The same request as that transaction's once more, with another CSeq and the trunk's credentials.
int request_write_again(struct td_engine *e, const struct td_ctx *before, uint32_t cseq,
	const struct td_trunk *trunk, const struct td_token *token, struct td_buf *out,
	struct request_marks *marks);
int request_write_cancel(struct td_engine *e, const struct td_ctx *invite,
	struct td_span reason_header, struct td_buf *out, struct request_marks *marks);
// The ACK to a non-2xx (§17.1.1.3), made from the response and the transaction's URI and routes.
int request_write_ack(struct td_engine *e, const struct td_ctx *invite,
	const struct td_msg *response, struct td_buf *out);

static inline uint64_t txn_after(const struct td_engine *e, uint32_t ms)
{
	return td_engine_now_ms(e) + ms;
}
