// SPDX-License-Identifier: BSD-3-Clause
// The registrar's part of the simulation: phones that register, refresh, leave and fall silent,
// those who attack them, a journal and a store that fail, and a switch that is killed at any
// moment.
//
// Who may change a binding is known here beforehand: each message carries who made it, so every
// write and every answer of the switch is judged when it is made, not when something comes of it.
#pragma once

#include "include/binding.h"
#include "tests/sim/sim.h"
#include "tests/unit/digest_client.h"

#define REG_DOMAIN "tandem.example"
#define REG_PASSWORD "secret"
// Of whoever calls or answers: nobody listens.
#define REG_SDP                                                                                    \
	"v=0\r\no=- 1 1 IN IP4 10.1.0.1\r\ns=-\r\nc=IN IP4 10.1.0.1\r\nt=0 0\r\n"                  \
	"m=audio 4000 RTP/AVP 0\r\n"
#define REG_OWNERS_MAX 7
#define REG_FAMILY 3 // phones of one subscriber, behind one address
#define REG_ATTACKERS 4
#define REG_BUCKETS 4096

struct reg_options {
	uint64_t seed;
	uint32_t phones, owners, life_s, restarts;
	bool sync;        // a 200 waits until its record is on disk
	bool clock_steps; // the wall clock is set, also backwards
	uint32_t loss, duplicate, jitter_ms;
	uint32_t refuse; // per million writes: the journal is full; per million flushes: the disk
	uint32_t attackers;
};

// What the properties are called in the report.
enum reg_breach {
	REG_LOST,
	REG_WRONG,
	REG_ZOMBIE,
	REG_INTRUDER,
	REG_REPLAYED,
	REG_STATE,
	REG_LOCKED_OUT,
	REG_STUCK,
	REG_FORKS,
	REG_LEFT,
	REG__COUNT
};

enum message_kind {
	MSG_REGISTER,
	MSG_REMOVE,
	MSG_STAR,
	MSG_INVITE,
	MSG_ACK,
	MSG_ANSWER,
	MSG_ATTACK
};

struct phone;

// An INVITE of the switch to one contact.
struct reg_leg {
	struct reg_leg *next;
	char call_id[TD_CDR_CALL_ID_LEN], cdr_id[TD_CDR_ID_LEN];
	uint32_t boot;
	bool called, rang, acked, cancelled, byed, recorded;
	bool heard_late;      // its final answer came behind the end of its attempt
	uint16_t heard, code; // that the switch got first, and has recorded
	uint32_t heard_at;
	struct message *final; // of the phone
};

// One message as it left its maker; the network may bring it several times, from several addresses.
struct message {
	struct message *next; // of all, freed at the end
	struct phone *phone;  // who made it; NULL: an attacker
	uint8_t kind;
	struct td_sockaddr src;
	uint32_t aor, expires_s, cseq;
	char key[TD_BINDING_KEY_LEN]; // of the binding it is about
	uint32_t arrived;             // copies that the switch has seen
	uint32_t boot;                // of the switch that wrote for it; 0: none did
	uint64_t changed_us;          // of the record that was written for it
	bool refused;                 // its last copy, by the journal
	struct reg_leg *leg;          // whose answer it is
	uint16_t status;
	uint32_t routed;              // how often a route was asked for it
	uint32_t len;
	char data[2048];
};

struct phone {
	struct world *w;
	uint32_t index, aor;
	bool outbound, clumsy, silent;
	char user[16];
	struct td_sockaddr address;
	char call_id[64], branch[64];
	uint32_t cseq, boots, serial, calls, talks;
	struct digest_client digest;
	struct message *asked;                   // without its final answer; NULL: none
	uint32_t challenges;                     // to what it wants
	uint8_t wants;                           // enum message_kind
	uint32_t wants_s;                        // for so long; the AoR that it calls
	uint64_t interval, asked_at, generation; // of its timers
	bool registered;                         // as far as it knows
	uint64_t rng, rng_in;
};

// A binding as the records tell it.
struct entry {
	struct entry *next;
	char key[TD_BINDING_KEY_LEN];
	uint32_t aor;
	// In the tables of the switch, by what was written and taken back.
	bool linked;
	bool acked; // the 200 to what wrote it last was sent
	bool gone;  // the 200 to its removal was sent
	uint64_t expires_ms, expires_wall_s;
	struct td_sockaddr remote;
	struct message *writer;
	// In the store.
	bool stored;
	uint64_t sequence, changed_us, expires_s;
	uint8_t op;
	uint32_t bytes;
	uint8_t record[TD_BINDING_PACKED_MAX];
};

// Records between the ring and the store.
struct written {
	struct written *next;
	struct reg_owner *owner;
	bool waits; // for its answer
	struct message *message;
	uint64_t sequence, cookie;
	uint32_t bytes, n;
	uint8_t records[];
};

struct reg_owner {
	struct world *w;
	uint32_t index;
	struct td_engine *engine;
	td_count counters[TD_C__COUNT];
	uint64_t tick_at;
	uint32_t bufs_out, reserved, held, legs;
};

struct world {
	struct sim sim; // the clock and its events; first, so that events find the world
	struct reg_options opt;
	struct td_engine_realm realm;
	struct td_token_keys keys;
	struct td_policy *policy;
	struct td_subscribers *subscribers;
	struct reg_owner owners[REG_OWNERS_MAX];
	uint32_t n_owners, boot;
	bool down, ready;   // ready: all bindings are back
	uint64_t wall_ns;   // wall = now + it
	uint64_t newest_us; // change in the store
	uint64_t rng, sequence;
	struct phone *phones;
	struct message *messages;
	struct reg_leg *legs;
	uint32_t n_heard, n_answered;
	struct entry *entries[REG_BUCKETS];
	struct written *flushing, **flushing_end;
	// What the switch has in hand, and where it came from.
	struct message *hand;
	struct td_sockaddr hand_src;
	bool ended; // nobody begins anything more
	uint32_t n_registered, n_removed, n_calls, n_forks, n_attacks, n_replays, n_refused,
		n_restored;
	uint32_t breaches[REG__COUNT];
	char stories[REG__COUNT][512];
};

static inline struct world *world_of(struct sim *sim)
{
	return (struct world *)sim;
}

static inline uint64_t wall_s(const struct world *w)
{
	return (w->sim.now + w->wall_ns) / SECOND;
}

// registrar_switch.c
int reg_switch_up(struct world *w, uint32_t owners);
void reg_switch_down(struct world *w);
void reg_switch_kill(struct world *w); // and another begins
void reg_switch_rx(struct world *w, struct message *m, const struct td_sockaddr *src);
void reg_owner_turn(struct reg_owner *o); // timers that are due, and when to come again
void reg_wall_step(struct world *w, int64_t ns);
const struct td_location *reg_location_of(const struct world *w, uint32_t aor, uint64_t *hash);

// registrar_store.c: the records' way, and what must come of them.
enum td_answer reg_bindings_write(
	void *host, const uint8_t *records, uint32_t bytes, uint32_t n, uint64_t cookie);
void reg_store_crash(struct world *w);   // what had not reached the disk
void reg_store_restore(struct world *w); // begins to give the bindings back, a few at a time
void reg_store_free(struct world *w);
struct entry *reg_entry(struct world *w, const char *key, bool make);
void reg_check_answer(struct world *w, const struct message *m, int status);
void reg_check_tables(struct world *w, uint32_t aor);
void reg_check_acked(struct world *w); // all that was acknowledged
void reg_breach(struct world *w, enum reg_breach what, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

// registrar_phone.c
void phone_start(struct phone *p, struct world *w, uint32_t index);
void phone_rx(struct phone *p, const char *data, uint32_t len, const struct td_sockaddr *from);
struct phone *phone_at(struct world *w, const struct td_sockaddr *address);
void phone_aor(uint32_t aor, char dst[TD_AOR_LEN]);
struct message *message_new(struct world *w, struct phone *p, uint8_t kind);
// Sends it from there; the network does with the copies what it likes.
void message_launch(
	struct world *w, struct message *m, const struct td_sockaddr *src, uint64_t *rng);

// An answer with a Contact, and a body where it has one.
struct message *phone_answer(struct phone *p, const struct sip *m, int status, const char *body);

// registrar_call.c
void reg_leg_sent(struct world *w, const struct sip *m);
void reg_leg_heard(struct world *w, const struct message *m);
void reg_attempt_record(struct world *w, const struct td_cdr_attempt *a);
void reg_cdr_check(struct world *w, const struct td_cdr *cdr);
void reg_legs_check(struct world *w);
void reg_legs_free(struct world *w);
void reg_called(struct phone *p, const struct sip *m);
void reg_cancelled(struct phone *p, const struct sip *m);
void reg_acked(struct phone *p, const struct sip *m);
void reg_hang_up_later(struct phone *p, struct message *bye, uint64_t ms);

// registrar_attack.c
void attackers_start(struct world *w);
void attacker_rx(
	struct world *w, const struct td_sockaddr *at_address, const char *data, uint32_t len);

// registrar.c: runs one life of it and reports.
void registrar_run(const char *part, const struct reg_options *opt);
