// SPDX-License-Identifier: BSD-3-Clause
// Who wants to be somebody else: floods, guesses, copies of what others have sent, and a subscriber
// with credentials of its own.
#include "tests/sim/registrar.h"

#include <stdlib.h>

#define OUTSIDE_IP 9    // 10.9.0.n is an attacker's own address
#define HOUSE_PORT 9000 // behind the address of a subscriber: another device of that house

enum attack {
	FLOOD,
	GUESS,
	COPY_FROM_OUTSIDE,
	COPY_FROM_HOUSE,
	COPY_FROM_SOURCE,
	OTHER_CONTACT,
	OTHERS_AOR,
	OTHERS_NAME,
	CALL_UNPROVEN,
	ATTACK__COUNT
};

// What a guesser needs a nonce for, or a subscriber that takes another's name.
static struct digest_client own[REG_ATTACKERS], guess[REG_ATTACKERS];
static char guessed[REG_ATTACKERS][16], mallory[16];

static struct td_sockaddr outside(uint32_t n)
{
	return (struct td_sockaddr){
		.ip = { 10, OUTSIDE_IP, 0, (uint8_t)n }, .port = 5060, .family = TD_IPV4
	};
}

static struct message *attack_make(struct world *w, uint32_t n, uint32_t aor)
{
	struct message *m = message_new(w, NULL, MSG_ATTACK);

	m->src = outside(n);
	m->aor = aor;
	w->n_attacks++;
	return m;
}

// A request in the name of that AoR, or to it, with the credentials of a client where it has a
// nonce.
static void attack_write(struct world *w, struct message *m, const char *method, uint32_t from,
	uint32_t to, struct digest_client *client)
{
	static uint32_t serial;
	char line[1024] = "", uri[64];

	serial++;
	snprintf(uri, sizeof(uri),
		strcmp(method, "INVITE") == 0 ? "sip:u%u@" REG_DOMAIN : "sip:" REG_DOMAIN, to);
	if (client && client->nonce[0] != '\0')
		digest_client_line(client, method, uri, line, sizeof(line));
	m->len = (uint32_t)snprintf(m->data, sizeof(m->data),
		"%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 10.9.0.1:5060;branch=z9hG4bKa%llu-%u;rport\r\n"
		"Max-Forwards: 70\r\nFrom: <sip:u%u@" REG_DOMAIN
		">;tag=a\r\nTo: <sip:u%u@" REG_DOMAIN ">\r\n"
		"Call-ID: attack-%llu-%u\r\nCSeq: 1 %s\r\nContact: "
		"<sip:evil@10.9.0.1>;expires=300\r\n%s"
		"Content-Length: 0\r\n\r\n",
		method, uri, (unsigned long long)w->sim.now, serial, from, to,
		(unsigned long long)w->sim.now, serial, method, line);
}

// --- copies ---

// Some message of a phone that the switch has seen, not too old. Whose credentials it has not
// looked at, since it makes that phone wait, they are good for once more.
static struct message *captured(struct world *w)
{
	struct message *m = w->messages;
	uint32_t skip = rng_below(&w->rng, 300);

	for (; m && skip > 0; m = m->next)
		skip--;
	while (m && (!m->phone || m->kind > MSG_INVITE || m->arrived == 0 || m->phone->clumsy))
		m = m->next;
	return m;
}

static void copy(struct world *w, enum attack how, uint32_t n)
{
	struct message *m = captured(w);

	if (!m)
		return;
	struct td_sockaddr src = how == COPY_FROM_OUTSIDE ? outside(n) : m->src;
	if (how == COPY_FROM_HOUSE)
		src.port = HOUSE_PORT;
	w->n_replays++;
	message_launch(w, m, &src, &w->rng);
}

// The credentials of another's request under a Contact of one's own.
static void other_contact(struct world *w, uint32_t n)
{
	struct message *m = captured(w);
	char *contact = m ? strstr(m->data, "Contact: <sip:") : NULL;

	if (!contact)
		return;
	struct message *evil = message_new(w, NULL, MSG_ATTACK);
	*evil = (struct message){
		.next = evil->next, .kind = MSG_ATTACK, .aor = m->aor, .src = m->src, .len = m->len
	};
	memcpy(evil->data, m->data, m->len);
	evil->data[contact - m->data + 14] = 'X';
	if (rng_chance(&w->rng, 300000))
		evil->src = outside(n);
	else if (rng_chance(&w->rng, 500000))
		evil->src.port = HOUSE_PORT;
	w->n_attacks++;
	message_launch(w, evil, &evil->src, &w->rng);
}

// --- each kind ---

static void flood(struct world *w, uint32_t n, uint32_t victim)
{
	for (uint32_t i = 0; i < 20; i++) {
		struct message *m = attack_make(w, n, victim);
		attack_write(w, m, i % 4 ? "REGISTER" : "OPTIONS", victim, victim, NULL);
		message_launch(w, m, &m->src, &w->rng);
	}
}

static void with_credentials(struct world *w, uint32_t n, enum attack how, uint32_t victim)
{
	struct message *m = attack_make(w, n, victim);
	uint32_t mine = w->opt.phones / REG_FAMILY;

	if (how == GUESS) {
		snprintf(guessed[n], sizeof(guessed[n]), "u%u", victim);
		attack_write(w, m, "REGISTER", victim, victim, &guess[n]);
	} else if (how == OTHERS_AOR) {
		attack_write(w, m, "REGISTER", victim, victim, &own[n]);
	} else if (how == OTHERS_NAME) { // a call of its own right, but From says another
		m->kind = own[n].nonce[0] != '\0' ? MSG_INVITE : MSG_ATTACK;
		m->aor = mine;
		attack_write(w, m, "INVITE", victim, rng_below(&w->rng, mine), &own[n]);
	} else {
		attack_write(w, m, "INVITE", victim, victim, NULL);
	}
	message_launch(w, m, &m->src, &w->rng);
}

static void attack(struct sim *sim, void *what, uint64_t n)
{
	struct world *w = world_of(sim);
	uint32_t victim = rng_below(&w->rng, w->opt.phones / REG_FAMILY);
	enum attack how = (enum attack)rng_below(&w->rng, ATTACK__COUNT);

	if (w->ended)
		return;
	switch (how) {
	case FLOOD:
		flood(w, (uint32_t)n, victim);
		break;
	case COPY_FROM_OUTSIDE:
	case COPY_FROM_HOUSE:
	case COPY_FROM_SOURCE:
		copy(w, how, (uint32_t)n);
		break;
	case OTHER_CONTACT:
		other_contact(w, (uint32_t)n);
		break;
	default:
		with_credentials(w, (uint32_t)n, how, victim);
		break;
	}
	at(sim, sim->now + rng_below(&w->rng, 200) * MS, attack, NULL, n);
}

void attacker_rx(
	struct world *w, const struct td_sockaddr *at_address, const char *data, uint32_t len)
{
	uint32_t n = at_address->ip[3];
	struct td_span value;
	struct sip m;

	if (at_address->ip[1] != OUTSIDE_IP || n >= REG_ATTACKERS || !sip_read(&m, data, len) ||
		m.request)
		return;
	for (uint32_t i = 0; (value = sip_header(&m, "WWW-Authenticate", i)).len > 0; i++) {
		digest_client_take(&own[n], value);
		digest_client_take(&guess[n], value);
	}
}

void attackers_start(struct world *w)
{
	snprintf(mallory, sizeof(mallory), "u%u", w->opt.phones / REG_FAMILY);
	for (uint32_t n = 0; n < REG_ATTACKERS; n++) {
		own[n] = (struct digest_client){ .algorithm = TD_DIGEST_SHA256,
			.user = mallory,
			.password = REG_PASSWORD,
			.realm = REG_DOMAIN };
		guess[n] = (struct digest_client){ .algorithm = TD_DIGEST_SHA256,
			.user = guessed[n],
			.password = "guessed",
			.realm = REG_DOMAIN };
	}
	for (uint32_t n = 0; n < w->opt.attackers && n < REG_ATTACKERS; n++)
		at(&w->sim, w->sim.now + SECOND, attack, NULL, n);
}
