// SPDX-License-Identifier: BSD-3-Clause
// The inside of calls, for call_*.c alone.
//
// Owner: the engine's thread. A struct td_call comes from a pool; attempts, dialog texts and
// everything that only lives until the answer come from the engine's slab and go back as early as
// they can: an established call is what is left.
//
// Rule of lifetimes: no function below destroys a call. Every entry point (message, transaction
// event, timer, operator) ends with call_settle(), which destroys what has ended and has nothing
// outstanding.
#pragma once

#include "sip/engine_priv.h"
#include "sip/headers.h"
#include "sip/numbers.h"
#include "sip/offer.h"

#define CALL_FORKS_MAX 8        // early dialogs of one attempt; further ones are not shown to A
#define CALL_RELAYS_MAX 8       // in-dialog requests of one call under way at once
#define CALL_ROUTES_MAX 32      // entries of a route set
#define CALL_QUESTION_WAIT_MS 5000 // a pending question to the host
#define CALL_TIMER_C_MS                                                                            \
	180000 // an INVITE that rings without end (§16.6), where nothing else is configured
#define CALL_NUMBER_MAX (TD_CDR_TEXT_LEN - 1)

#define CALL_SDP_TYPE TD_SPAN("application/sdp")

#define call_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

enum call_state {
	CALL_ROUTING,  // INVITE accepted, the route is asked for
	CALL_CALLING,  // attempts under way, nothing passed up yet
	CALL_RINGING,  // A heard a provisional above 100
	CALL_ANSWERED, // 2xx sent to A
	CALL_ENDING,   // CDR written; a BYE or an ACK is outstanding
};

enum call_side_id { SIDE_A, SIDE_B };

// What a pending locate() was asked by.
enum call_locating { LOCATE_NONE, LOCATE_AOR, LOCATE_NUMBER };

// Q.850 causes that the switch itself gives.
enum {
	CAUSE_NORMAL = 16,
	CAUSE_NO_ANSWER = 19,
	CAUSE_NO_CIRCUIT = 34,
	CAUSE_NETWORK_FAILURE = 38,
	CAUSE_CONGESTION = 42,
	CAUSE_TIMER = 102,
	CAUSE_PROTOCOL = 111,
};

// A trunk as a call remembers it: the policy may be replaced under it.
struct td_trunk_ref {
	char name[TD_NAME_LEN];
	uint32_t index; // a hint: valid while the policy in force has that name there
	uint32_t slot;
	uint16_t realm;
	uint8_t trust;
	uint8_t privacy : 2;  // enum td_privacy
	bool own : 1;         // it hears identities that the switch has written
	bool held : 1;        // counted against the trunk's limits
	bool fresh : 1;       // as of struct td_held_limit
	bool credentials : 1; // it had some
};

// A limit of a group or route as a target remembers it.
struct td_limit_ref {
	uint32_t slot;
	uint16_t index; // a hint, as of trunks; 0: there is none
};

// The one that the call is counted against.
struct td_held_limit {
	uint32_t slot : 30;
	bool held : 1;
	bool fresh : 1; // it took of a rate, and nothing has come of that so far
};

// Texts of a dialog, in one slab block one after the other.
enum dialog_text {
	DLG_CALL_ID,
	DLG_LOCAL,
	DLG_REMOTE,
	DLG_REMOTE_TAG,
	DLG_TARGET,
	DLG_ROUTES,
	DLG__COUNT
};

// One side's dialog (RFC 3261 §12). The local tag is not kept: it is the token of (slot,
// generation, branch).
struct td_dialog {
	struct td_flow flow;
	uint32_t slot,
		generation; // of the call, for our tag; outlives the call in a given-up attempt
	uint32_t local_cseq, remote_cseq;
	char *text;
	uint16_t len[DLG__COUNT];
	uint8_t branch;
	bool remote_cseq_known;
};

struct td_media_leg {
	td_leg_id id;           // 0: none
	struct td_sockaddr rtp; // ours as it stands in SDP; RTCP is the next port
};

// An established call keeps the streams it uses and no more: sdp is cut after streams[n_streams],
// the legs follow.
struct td_media {
	struct td_media_leg *legs; // n_streams, in the same block
	uint8_t n_streams;
	struct td_sdp_side sdp;
};

struct td_side {
	struct td_dialog dialog;
	struct td_trunk_ref trunk;
	uint32_t media_timeout_s;
	struct td_media *media; // slab; NULL once closed
};

// The ACK to a 2xx of an INVITE that we sent, kept to be repeated (§13.2.2.4).
struct td_far_ack {
	struct td_span body; // slab: the answer to a delayed offer
	uint32_t cseq;
	bool sent;
};

// An early dialog of an attempt (B side), by its remote tag.
struct td_fork {
	struct td_fork *next;
	struct td_span tag;            // slab
	struct td_span target, routes; // behind the tag; empty: none was said
	struct td_span sdp;            // slab: the SDP as it went to A, to be repeated
	uint32_t a_cseq, b_cseq;       // of the last request inside, by its sender
	bool b_cseq_known;
	bool over;      // one side ended it by BYE
	uint8_t branch; // of the A-side tag it is shown under; 0: not shown
};

enum attempt_state {
	ATTEMPT_CALLING,  // INVITE sent
	ATTEMPT_RINGING,  // a provisional above 100 came
	ATTEMPT_ANSWERED, // its 2xx was passed to A
	ATTEMPT_OVER,     // refused, timed out or cancelled: what comes late is put down
};

struct td_attempt {
	struct td_attempt *next;
	struct td_engine *engine;
	struct td_call *call;
	struct td_ctx *ctx; // NULL: gone, or left to itself
	struct td_fork *forks;
	struct td_side b;
	struct td_timer timer; // first response, then ringing
	struct td_far_ack ack;
	uint64_t start_us, ring_us;
	uint64_t put_down; // of forks that answered too: see late_put_down()
	uint32_t ring_timeout_ms, max_duration_s;
	uint8_t target; // index in the call's targets, until answered
	uint8_t number; // from 1: the branch of our tag
	uint8_t state;  // enum attempt_state
	bool heard;     // some response came: CANCEL is legal (§9.1)
	bool tried;     // a 100 came
	bool hurried;   // a failover rule waits for less than the trunk: silence says nothing
	bool closed;    // its row is written, trunk and legs are given back
	bool contact;   // of the called AoR; else a trunk's peer
};

static_assert(
	sizeof(struct td_attempt) <= 320, "a block of the slab; every established call has one");

// What a call keeps of the subscriber who makes it, in one slab block with its texts.
struct td_caller {
	struct td_span aor, plan, number; // number: digits, the asserted one; empty: none
	struct td_identity identity;
	uint32_t slot; // of its limits
	bool held;     // counted against them
	bool fresh;    // as of struct td_held_limit
};

// A contact of the called AoR, in one slab block with its texts.
struct td_call_contact {
	struct td_call_contact *next; // another flow of the same phone, for when this one fails
	struct td_flow flow;
	struct td_span uri, path, domain; // path: values for Route; domain: of the AoR
};

enum call_target_kind {
	TARGET_PEER,    // of a trunk
	TARGET_AOR,     // the registrar: gives way to the contacts when its turn comes
	TARGET_CONTACT, // one of them
};

struct td_call_target {
	struct td_trunk_ref trunk;
	struct td_sockaddr peer;
	struct td_call_contact *contact; // slab
	uint32_t max_duration_s;         // 0: the trunk's
	char route[TD_NAME_LEN]; // what led to it: the route's name, else what matched
	struct td_limit_ref group, limit;
	uint16_t failover;               // rule of the policy that the call was routed by; 0: none
	uint8_t kind;                    // enum call_target_kind
	bool together;                   // rings with the contact before it
	bool last;                       // as in td_route_target
};

// An in-dialog request on its way through: server transaction on one side, client transaction on
// the other.
struct td_relay {
	struct td_relay *next;
	struct td_call *call;
	struct td_attempt *attempt; // whose B side it is
	struct td_stx *stx;    // NULL: answered and forgotten
	struct td_ctx *ctx;    // NULL: gone
	struct td_timer timer; // re-INVITE: its end
	struct td_far_ack ack;
	struct td_span
		contact; // slab: the requester's new remote target, valid with the 2xx (§12.2)
	struct td_sdp_side *saved; // slab: both sides' SDP before a re-INVITE
	uint8_t from;              // enum call_side_id
	uint32_t cseq;             // the requester's
	bool invite, offer, done;  // offer: the request carried it; done: finally answered
};

// A 2xx to an INVITE, repeated until its ACK (§13.3.1.4).
struct td_ack_wait {
	struct td_timer timer;
	struct td_stx *stx;
	struct td_far_ack *far; // the INVITE on the other side whose ACK needs the answer in this
				// one; NULL: none
	struct td_relay *relay; // NULL: the call's own INVITE
	uint64_t deadline_ms;
	uint32_t cseq;
	uint32_t interval_ms : 28; // at most T2
	uint32_t side : 1;         // who owes the ACK
	bool waiting : 1;
	bool bye : 1; // the call has ended: BYE when the ACK is here (§15)
};

// Texts of a call for its record and for people.
enum call_note {
	NOTE_FROM, // numbers as they came
	NOTE_TO,
	NOTE_AGENT,
	NOTE_PLAN,  // dial plan; of a subscriber's call it stands in td_caller
	NOTE_ROUTE, // what led to the target that was tried last
	NOTE_RULES, // of numbers: those that applied
	NOTE_ASSERTED, // the caller whom somebody vouches for, where numbers are looked at
	NOTE__COUNT
};

struct td_call_notes {
	uint8_t len[NOTE__COUNT];
	char text[];
};

// The numbers of a call behind its trunk's rules; len 0: there is none.
struct td_call_numbers {
	struct td_number caller, callee;
	struct td_number asserted; // the caller's, of whom somebody vouches for it
	struct td_number rules;    // names of those that applied
	bool hidden;               // shown as anonymous, though it did not ask for it
	bool nameless;             // another stands for the caller: its name stays behind
};

#define NUMBER_ESCAPED_MAX (3 * TD_NUMBER_TEXT)

struct call_identity {
	struct td_identity identity;
	char text[NUMBER_ESCAPED_MAX];
};

// What one target is told of the numbers: scratch, valid inside one event.
struct call_shown {
	const struct td_uri *called;          // A's Request-URI, or uri
	const struct td_identity *from, *pai; // NULL: as A says it; nobody's
	bool own; // identities of A's headers stay behind
	bool hidden;
	bool unnamed; // a subscriber does not name itself in From
	struct td_uri uri;
	struct call_identity caller, asserted;
	char callee[NUMBER_ESCAPED_MAX];
};

struct td_call {
	struct td_engine *engine;
	struct td_stx *stx;          // A's INVITE; NULL once gone or forgotten
	struct td_attempt *attempts; // newest first
	struct td_attempt *answered;
	struct td_relay *relays;
	struct td_relay *reinvite;      // the one INVITE that is under way inside the call
	struct td_call_target *targets; // slab, until answered
	struct td_span invite;          // slab: A's INVITE for later attempts, until answered
	struct td_span privacy;         // slab
	struct td_call_notes *notes;    // slab
	struct td_call_numbers *numbers; // slab, until answered; NULL: as they came
	struct td_caller *caller;       // slab; NULL: A is no subscriber
	struct td_side a;
	struct td_timer timer; // the host's answer, set-up time, duration and interim records
	struct td_ack_wait ack;
	uint64_t sequence;
	uint64_t policy; // generation of the one that routed it
	uint64_t start_us, ring_us, answer_us, answer_ns;
	uint32_t invite_cseq; // A's
	uint32_t start_ms;    // monotonic: for the post-dial delay
	uint32_t duration_s;  // at most, from the answer; 0: no limit
	uint32_t callee_slot;
	struct td_held_limit group, route; // of the target that is tried, or has answered
	uint16_t limit_cause; // of the last limit that refused it; 0: none did
	uint16_t best_status, best_cause;
	uint16_t end_cause;  // Reason of a BYE that is held back
	uint8_t state : 4;    // enum call_state
	uint8_t locating : 4; // enum call_locating
	uint8_t n_a_dialogs; // A-side tags given out
	uint8_t n_targets, next_target, n_attempts, n_relays;
	uint8_t byes;   // BYEs without an answer
	bool counted : 1; // against the limits of the whole switch
	bool emergency : 1, offered : 1, early_single : 1;
	bool nobody : 1;      // the registrar knows nobody of that name
	// Counted against the limits of the called subscriber; fresh: none of its contacts was
	// tried.
	bool callee_held : 1, callee_fresh : 1;
	char codec[24];       // of the last answer
};

static_assert(sizeof(struct td_call) <= 480, "what a standing call takes is a figure we promise");

struct td_calls {
	struct td_engine *engine;
	struct td_pool pool;
	uint32_t max_calls, active, legs;
	uint64_t sequence;
	char id_middle[16]; // of every call's id: "-epoch-worker-"
	uint8_t id_middle_len, node_len;
	struct td_cdr_side b_stats; // of the attempt closed last, whose call ends in the same event
	uint64_t b_stats_of;        // sequence of that call
	uint32_t hangup_cursor;
	uint32_t text_cap;
	char *headers, *body, *lines; // scratch texts of text_cap each, valid inside one event
	struct td_msg invite_msg;     // A's INVITE read again
	struct td_core invite_core;
	struct td_sdp sdp; // the SDP being looked at
	struct td_route_ahead ahead;
	struct call_shown shown;
};

static inline struct td_writer call_writer(const struct td_calls *calls, char *scratch)
{
	return (struct td_writer){ scratch, scratch, scratch + calls->text_cap, false };
}

static inline struct td_span call_written(const struct td_writer *w)
{
	return td_span(w->start, td_writer_len(w));
}

static inline uint64_t call_now_ms(const struct td_call *call)
{
	return td_engine_now_ms(call->engine);
}

// The side of an answered call.
static inline struct td_side *call_side(struct td_call *call, enum call_side_id id)
{
	return id == SIDE_A ? &call->a : &call->answered->b;
}

// The side of a call at that attempt.
static inline struct td_side *attempt_side(struct td_attempt *attempt, enum call_side_id id)
{
	return id == SIDE_A ? &attempt->call->a : &attempt->b;
}

static inline enum call_side_id side_other(enum call_side_id id)
{
	return id == SIDE_A ? SIDE_B : SIDE_A;
}

// --- call.c
struct td_call *call_new(
	struct td_engine *engine); // the caller has seen that the pool is not empty
void call_settle(
	struct td_call *call); // destroys it if it has ended; the last thing an entry point does
struct td_call *call_find(struct td_engine *engine, uint32_t slot, uint32_t generation);
uint64_t call_cookie(const struct td_call *call);
struct td_call *call_of_cookie(struct td_engine *engine, uint64_t cookie);
void call_text_free(struct td_engine *engine, struct td_span *text);
void call_attempts_end(struct td_call *call, struct td_span reason); // those that still run
void call_setup_free(struct td_call *call); // what is only needed until the answer
// Ends the call for the books: legs, trunks, timers, CDR, log. Says nothing to either side.
// Idempotent.
void call_end(struct td_call *call, enum td_released_by by, uint16_t status, uint16_t cause);

// --- call_notes.c
struct td_span note_get(const struct td_call *call, enum call_note note);
// Replaces all texts, or one of them; they may point into the old ones and are cut at the size of a
// record's column. 0 or -ENOBUFS, nothing changed.
int notes_set(struct td_call *call, const struct td_span texts[NOTE__COUNT]);
int note_set(struct td_call *call, enum call_note note, struct td_span text);

// --- call_numbers.c
// Numbers as the trunk's rules make them; 0, -ENOBUFS, or -EPERM: that caller may not call.
int numbers_begin(struct td_call *call, const struct td_trunk *trunk, const struct td_msg *msg,
	const struct td_core *core);
// The routing number; in dst, or the call's own.
struct td_span numbers_called(const struct td_call *call, const struct td_core *core,
	const struct td_trunk *trunk, char *dst, size_t cap);
// A's Request-URI with that number in its place. false: it is the one that stands there.
bool numbers_uri(const struct td_call *call, const struct td_core *core,
	const struct td_number *callee, struct td_uri *uri, char text[NUMBER_ESCAPED_MAX]);
// Fills calls->shown for a target of that trunk. false: it is not shown that caller.
bool numbers_show(struct td_call *call, const struct td_trunk *trunk, const struct td_msg *msg,
	const struct td_core *core);

// --- call_trunk.c
void trunk_ref_set(struct td_trunk_ref *ref, const struct td_trunk *trunk, uint32_t index);
const struct td_trunk *trunk_ref_find(
	const struct td_engine *engine, struct td_trunk_ref *ref); // NULL: gone
// NULL where it had no credentials to answer a challenge with, or is gone.
const struct td_trunk *trunk_ref_challenged(
	const struct td_engine *engine, struct td_trunk_ref *ref);
int trunk_ref_acquire(struct td_engine *engine, struct td_trunk_ref *ref,
	const struct td_trunk *trunk, bool limits,
	bool new_call); // 0, -EDQUOT, -EAGAIN
void trunk_ref_release(struct td_engine *engine, struct td_trunk_ref *ref);
// An attempt at it began, or was answered.
void trunk_ref_seized(
	struct td_engine *engine, const struct td_trunk_ref *ref, bool answered);
bool trunk_ref_has(const struct td_engine *engine, struct td_trunk_ref *ref,
	const struct td_sockaddr *address);
// A call to that peer was answered, or was not until its time was over (sip/health.h).
void trunk_ref_found(struct td_engine *engine, struct td_trunk_ref *ref,
	const struct td_sockaddr *peer, bool heard);
// Is that peer down, so that it is not to be tried? last: as in td_route_target.
bool trunk_ref_down(struct td_engine *engine, struct td_trunk_ref *ref,
	const struct td_sockaddr *peer, bool last);

// --- call_limit.c
// Counts against a limit, and what it refuses by name. limits: false, it is counted and passes;
// new_call: against max_cps too. 0, -EDQUOT, -EAGAIN.
int limit_acquire(struct td_engine *engine, enum td_limit_kind kind, uint32_t slot,
	const struct td_limit *limit, bool limits, bool new_call);
// Its memory may come meanwhile.
void limit_expect(const struct td_engine *engine, enum td_limit_kind kind, uint32_t slot);
// fresh: with what it took of the rate.
void limit_release(
	struct td_engine *engine, enum td_limit_kind kind, uint32_t slot, bool fresh);
uint16_t limit_cause(int rc); // Q.850
// Against those of the whole switch.
int call_limits_acquire(struct td_call *call);
// Against those that the target stands for, in the place of those of the target before it.
int call_limits_move(struct td_call *call, const struct td_call_target *target);
void call_limits_used(struct td_call *call); // an attempt has been made of what they gave
void call_limits_release(struct td_call *call); // all of these
struct td_limit_ref limit_ref(
	const struct td_policy *policy, enum td_limit_kind kind, uint16_t index);

// --- call_dialog.c
struct td_span dialog_get(const struct td_dialog *dialog, enum dialog_text text);
// Replaces all texts; fields may point into the old ones. 0 or -ENOBUFS.
int dialog_set(struct td_engine *engine, struct td_dialog *dialog,
	const struct td_span fields[DLG__COUNT]);
int dialog_set_target(struct td_engine *engine, struct td_dialog *dialog, struct td_span target);
void dialog_free(struct td_engine *engine, struct td_dialog *dialog);
void dialog_tag(
	const struct td_engine *engine, const struct td_dialog *dialog, char tag[TD_TOKEN_LEN]);
struct td_span name_without_params(const struct td_name_addr *name);
// The route set that Record-Route spells: as it stands for a UAS, reversed for a UAC (§12.1). 0,
// -EBADMSG, -ENOBUFS.
int dialog_routes(const struct td_msg *msg, bool reversed, struct td_writer *out);
// Remote tag, target and route set of a B-side dialog from a response (§12.1.2). 0, -EBADMSG,
// -ENOBUFS.
int dialog_learn(struct td_engine *engine, struct td_dialog *dialog, const struct td_msg *msg,
	const struct td_core *core);
bool dialog_matches(
	const struct td_dialog *dialog, const struct td_flow *flow, const struct td_core *core);
// A request inside the dialog, without headers and body; its spans live in calls->lines. CSeq is
// the next one, for ACK it is the caller's to set.
void dialog_request(struct td_engine *engine, struct td_side *side, enum td_method method,
	struct td_request *out);
// "<sip:10.0.0.1:5060>" of the flow's local address as peers see it.
struct td_span call_contact(
	struct td_engine *engine, const struct td_flow *flow, char dst[static 80]);

// --- call_media.c
struct td_media *media_new(struct td_engine *engine);
// Gives back the room of the streams that neither side uses.
void media_fold(struct td_engine *engine, struct td_side *a, struct td_side *b);
// Room for TD_STREAMS_MAX again, before the SDP may change. false: no memory, nothing changed.
bool media_unfold(struct td_engine *engine, struct td_side *side);
// Reads a body of SDP into the side. 0, or the status that refuses it. The parsed SDP stays in
// calls->sdp.
uint16_t media_receive(struct td_call *call, struct td_side *side, struct td_span body, bool offer);
// Writes calls->sdp, received from one side, for the other, opening the legs that it needs. 0 or a
// status.
uint16_t media_send(
	struct td_call *call, struct td_side *from, struct td_side *to, struct td_writer *out);
// Joins the legs of A and of that attempt as their SDPs now say. answered: time-outs run.
void media_connect(struct td_call *call, struct td_attempt *attempt, bool answered);
void media_close(struct td_engine *engine, struct td_side *side, struct td_cdr_side *stats);
// What its legs have seen so far, added to *stats.
void media_stats(struct td_engine *engine, const struct td_side *side, struct td_cdr_side *stats);

// --- call_answer.c, call_ack.c
void attempt_answered(
	struct td_attempt *attempt, const struct td_msg *msg, const struct td_core *core);
void ack_send(struct td_engine *engine, struct td_side *side, struct td_far_ack *ack);
void ack_wait_start(
	struct td_call *call, enum call_side_id side, struct td_stx *stx, uint32_t cseq);
void ack_wait_stop(struct td_call *call);
void call_ack(struct td_call *call, enum call_side_id from, const struct td_msg *msg,
	const struct td_core *core);

// --- call_late.c
// ACK and BYE to a 2xx that nobody wants. *ended: what late_watch() remembers; 0 at first.
void late_put_down(struct td_engine *engine, const struct td_flow *flow, const struct td_msg *msg,
	const struct td_core *core, uint64_t *ended);
// Leaves an INVITE to itself: whatever 2xx it still brings is put down.
void late_watch(struct td_ctx *ctx, uint64_t ended);
// The value that says that the dialog with that remote tag had its BYE.
uint64_t late_ended(const struct td_engine *engine, struct td_span tag);

// --- call_attempt.c
// Tries the targets left; none left: the call fails with the best answer so far. msg NULL: A's
// INVITE is read again.
void call_next_target(struct td_call *call, const struct td_msg *msg, const struct td_core *core);
// The host has found out where the callee is.
void call_located(struct td_call *call, const struct td_locate_answer *located,
	enum td_answer answer, const struct td_msg *msg, const struct td_core *core);
void attempt_give_up(
	struct td_attempt *attempt, uint16_t status, uint16_t cause, struct td_span reason);
void attempt_close(struct td_attempt *attempt, uint16_t status, uint16_t cause);
// It has failed: closed, and its transaction left to itself.
// Tells how its peer does, the first time that it or nobody answers.
void attempt_found(struct td_attempt *attempt, bool heard);
void attempt_over(struct td_attempt *attempt, uint16_t status, uint16_t cause);
void attempt_failed(
	struct td_attempt *attempt, uint16_t status, uint16_t cause, const struct td_msg *msg);
void attempt_free(struct td_engine *engine, struct td_attempt *attempt);
bool attempt_running(const struct td_attempt *attempt);
extern const struct td_ctx_user attempt_user;
extern const struct td_stx_user call_invite_user;

// --- call_invite.c
int call_invite_reload(struct td_call
		*call); // 0 or -EBADMSG: invite_msg, invite_core and sdp are A's INVITE again
void call_routed(struct td_call *call, const struct td_route_answer *route, enum td_answer answer,
	const struct td_msg *msg, const struct td_core *core);

// --- call_early.c
struct td_fork *fork_find(const struct td_attempt *attempt, struct td_span tag);
// Finds it or makes it from a response; NULL: no room.
struct td_fork *attempt_fork(
	struct td_attempt *attempt, const struct td_msg *msg, const struct td_core *core);
void attempt_forks_free(struct td_engine *engine, struct td_attempt *attempt);
// That side of the early dialog, to write one request from; early_close() follows. 0, -ENOENT: A
// was not shown it; -ENOBUFS.
int early_open(struct td_attempt *attempt, const struct td_fork *fork, enum call_side_id id,
	struct td_side *out);
void early_close(struct td_attempt *attempt, enum call_side_id id, struct td_side *side);
// A request inside it, of a sender that was checked.
void early_rx(struct td_attempt *attempt, struct td_fork *fork, enum call_side_id from,
	const struct td_flow *flow, const struct td_msg *msg, const struct td_core *core);

// --- call_caller.c
int caller_keep(struct td_call *call, const struct td_subscriber_entry *subscriber,
	const struct td_msg *msg, const struct td_core *core); // 0 or -ENOBUFS
// Counts the call against the subscriber's limits: 0, -EDQUOT, -EAGAIN.
int caller_acquire(struct td_call *call, const struct td_subscriber_entry *subscriber);
void caller_release(struct td_call *call);
int subscriber_acquire(struct td_engine *engine, const struct td_subscriber_entry *subscriber,
	bool limits); // the same, of any subscriber; limits: false, it is counted and passes
void call_put_user(struct td_writer *out, struct td_span user); // escaped (§19.1.2)
struct td_span call_aor_user(struct td_span aor);
struct td_span call_aor_domain(struct td_span aor);

// --- call_contacts.c
// Puts the contacts of whom A called in front of the targets that are left. 0 (also where the
// registrar knows nobody of that name), the status that ends the call, or CONTACTS_PENDING: the
// host has to find out, and call_located() goes on.
uint16_t contacts_expand(struct td_call *call, const struct td_core *core);
// The same with a late answer.
uint16_t contacts_located(struct td_call *call, const struct td_core *core,
	const struct td_locate_answer *late, enum td_answer answer);
#define CONTACTS_PENDING 1
// The target becomes the next flow of its phone. false: there is none.
bool contact_next_flow(struct td_call *call, struct td_call_target *target);
void contact_free(struct td_engine *engine, struct td_call_contact *contact); // and its other flows
void callee_release(struct td_call *call);

// --- call_ring.c
uint8_t call_a_branch(struct td_call *call); // a fresh A-side tag
void call_dialled(struct td_call *call);     // A is about to hear its first ringing, or the answer
void attempt_provisional(
	struct td_attempt *attempt, const struct td_msg *msg, const struct td_core *core);

// --- call_respond.c
// What a response to A's INVITE is written from; body empty: none.
int call_respond_a(struct td_call *call, uint16_t status, uint8_t branch, struct td_span headers,
	struct td_span body);
// A final refusal of A's INVITE.
void call_refuse_a(struct td_call *call, uint16_t status, struct td_span headers);
// Refuses A's INVITE and ends the call.
void call_fail(struct td_call *call, enum td_released_by by, uint16_t status, uint16_t cause,
	struct td_span headers);
// A final answer to a request that nobody else has to hear of, retransmissions absorbed.
void call_reply(struct td_engine *engine, const struct td_flow *flow, const struct td_msg *msg,
	const struct td_core *core, uint16_t status, struct td_span headers);
void call_reply_with(struct td_engine *engine, const struct td_flow *flow, const struct td_msg *msg,
	const struct td_core *core, struct td_response response); // to_tag is set here
// What one side's refusal is for the other: redirections and challenges are meant for the switch
// alone.
uint16_t status_for_other(uint16_t status);
// Headers that pass from one side to the other, into calls->headers.
struct td_writer call_relayed(struct td_call *call, const struct td_side *from,
	const struct td_side *to, const struct td_msg *msg);
void call_put_reason(struct td_writer *out, uint16_t cause); // "Reason: Q.850;cause=16\r\n"

// --- call_bye.c
// BYE to one side (held back while its ACK is due, §15). headers: complete lines.
void call_bye(struct td_call *call, enum call_side_id to, struct td_span headers);
void call_bye_held(struct td_call *call,
	enum call_side_id to); // the one that waited for its ACK, with the cause of the end
// BYE or CANCEL to both sides, by the switch.
void call_hangup(struct td_call *call, uint16_t status, uint16_t cause);
void call_rx_bye(struct td_call *call, enum call_side_id from, const struct td_flow *flow,
	const struct td_msg *msg, const struct td_core *core);

// --- call_cancel.c
void call_cancelled(
	struct td_call *call, const struct td_msg *cancel); // CANCEL or BYE of A before the answer

// --- call_relay.c, call_reinvite.c
struct td_relay *relay_new(struct td_call *call, enum call_side_id from, const struct td_flow *flow,
	const struct td_msg *msg, const struct td_core *core,
	const struct td_stx_user *user);   // NULL: refused already
void relay_drop(struct td_relay *relay);   // forgets it; its transactions go on alone
void relay_settle(struct td_relay *relay); // frees it when both transactions have gone
void relay_respond(struct td_relay *relay, const struct td_response *response);
// What the client transaction of a relay asks when it is challenged (struct td_ctx_user).
const struct td_trunk *relay_trunk(struct td_engine *engine, struct td_ctx *ctx);
uint32_t relay_next_cseq(struct td_engine *engine, struct td_ctx *ctx);
void relay_abort(struct td_call *call); // the call ends: what is open is answered
void info_relay(struct td_attempt *attempt, const struct td_fork *fork, enum call_side_id from,
	const struct td_flow *flow, const struct td_msg *msg,
	const struct td_core *core); // fork NULL: in the answered dialog
void call_rx_info(struct td_call *call, enum call_side_id from, const struct td_flow *flow,
	const struct td_msg *msg, const struct td_core *core);
void call_rx_reinvite(struct td_call *call, enum call_side_id from, const struct td_flow *flow,
	const struct td_msg *msg, const struct td_core *core);

// --- call_cdr.c
void call_id_prepare(struct td_calls *calls, const struct td_engine_conf *conf); // once
uint32_t call_id_text(
	const struct td_engine *engine, uint64_t sequence, char dst[static TD_CDR_ID_LEN]);
void call_cdr_start(struct td_call *call);
void call_cdr_attempt(struct td_attempt *attempt, uint16_t status, uint16_t cause);
void call_cdr_interim(struct td_call *call);
void call_cdr_end(struct td_call *call, enum td_released_by by, uint16_t status, uint16_t cause,
	const struct td_cdr_side *a);
// The row of an INVITE that was refused before there was a call.
void call_cdr_refused(struct td_engine *engine, const struct td_core *core, const char *trunk_in,
	uint16_t status);
uint32_t call_number(const struct td_uri *uri, char dst[static CALL_NUMBER_MAX + 1]);

// --- call_timer.c
void call_timer_question(struct td_call *call);
void call_timer_setup(struct td_call *call);
void call_timer_duration(struct td_call *call, uint32_t duration_s);
void attempt_timer_start(struct td_attempt *attempt, uint32_t ms);
