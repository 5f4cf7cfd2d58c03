// SPDX-License-Identifier: BSD-3-Clause
// An engine between two carriers, for tests of calls: carrier "west" calls, carrier "east" is
// called, and the test speaks for both of them, message by message.
#pragma once

#include "tests/unit/fake_host.h"
#include "sip/health.h"

#define RIG_SDP_A                                                                                  \
	"v=0\r\no=alice 11 22 IN IP4 10.0.1.77\r\ns=secretwest\r\nc=IN IP4 10.0.1.77\r\nt=0 0\r\n" \
	"m=audio 40000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 "                     \
	"telephone-event/8000\r\na=sendrecv\r\n"
#define RIG_SDP_B                                                                                  \
	"v=0\r\no=bob 33 44 IN IP4 10.0.2.88\r\ns=secreteast\r\nc=IN IP4 10.0.2.88\r\nt=0 0\r\n"   \
	"m=audio 50000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=sendrecv\r\n"

// What one phone knows of its dialog.
struct rig_dialog {
	struct td_flow flow;
	char call_id[256], local[512], remote[512], target[256];
	char routes[1024]; // Route lines of its requests, or empty
	uint32_t cseq;
};

#define RIG_LIMITS 2

struct rig {
	struct fake_host host;
	struct td_engine_conf conf;
	struct td_engine *engine;
	struct td_policy *policy;
	struct td_trunk_conf trunks[3]; // west, east (peers .1 and .2), far (peer 10.0.2.3); policy
					// is compiled from it
	struct td_flow west, east[3];
	uint32_t branch;
	uint32_t source_cps;          // of the policy; 0: no limit
	uint32_t n_trunks;            // of the policy; 0 stands for all three
	uint64_t generation;          // of the policy; 0 stands for 1
	struct td_failover_conf rule; // of the policy where it has a name: index 1
	struct td_group_conf
		groups[RIG_LIMITS]; // of the policy, as far as they have names: index 1 and 2
	struct td_limit_conf limits[RIG_LIMITS];
	struct td_rule_conf rules[8]; // of numbers, to the first without a name
	struct td_plan_conf plans[2]; // of numbers, as far as they have names
	struct td_numbers_conf subscriber_numbers;
	struct td_realm_numbers_conf realms[2]; // to the first that has no name
	uint32_t subscriber_media_timeout_s;
	struct td_subscribers *subscribers; // NULL: nobody registers
	struct td_health *health;           // NULL: every peer is up
};

struct rig *rig_new(void);
// Makes "west" a realm with a registrar for tandem.example; the password of every subscriber is
// "secret".
void rig_registrar(struct rig *rig);
// "1001" with the numbers "491001" and "491002"; numbers: NULL or separated by commas.
void rig_subscriber(struct rig *rig, const char *user, const char *numbers, const char *display,
	uint32_t max_calls);
// The switch keeps an eye on peers, as the trunks' health says from the next rig_policy() on.
void rig_health(struct rig *rig);
struct td_peer_view rig_peer(struct rig *rig, uint32_t trunk, uint32_t peer);
void rig_policy(struct rig *rig); // compiles rig->trunks again and sets it
// Lets everything run out and checks that nothing is left: calls, transactions, legs, trunks, text,
// memory.
void rig_free(struct rig *rig);
void rig_advance(struct rig *rig, uint64_t ms);
// Targets in the order in which they are tried, "0" and "1" for east's peers, "2" for far.
void rig_route(struct rig *rig, const char *targets);

// The next message; fails the test unless it starts like that.
const struct fake_sent *rig_expect(struct rig *rig, const char *prefix);
void rig_silence(struct rig *rig); // nothing more was sent

void rig_rx(struct rig *rig, const struct td_flow *flow, const char *text);
// A's INVITE, CSeq 1, From-tag "atag"; headers: further lines.
void rig_invite(struct rig *rig, const char *headers, const char *body);
void rig_cancel(struct rig *rig, const char *headers); // of that INVITE
// Answers a request that the switch sent, from where it went. tag: empty leaves To as it is.
void rig_reply(struct rig *rig, const struct fake_sent *request, const char *status,
	const char *tag, const char *headers, const char *body);
// Dialog of A from the switch's response, of B from the switch's INVITE and B's own tag.
void rig_dialog_a(struct rig *rig, const struct fake_sent *response, struct rig_dialog *out);
void rig_dialog_b(
	struct rig *rig, const struct fake_sent *invite, const char *tag, struct rig_dialog *out);
// A request inside the dialog; ACK takes dialog->cseq, others count it up.
void rig_send(struct rig *rig, struct rig_dialog *dialog, const char *method, const char *headers,
	const char *body);

// A call that stands: answered, ACKed, nothing unread.
struct rig_call {
	struct rig_dialog a, b;
};
void rig_call(struct rig *rig, struct rig_call *out);
const struct td_cdr *rig_cdr(struct rig *rig); // the only one there is

#define RIG_HAS(sent, text) assert_true(fake_has((sent), (text)))
#define RIG_LACKS(sent, text) assert_false(fake_has((sent), (text)))
