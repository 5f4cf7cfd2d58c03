// SPDX-License-Identifier: BSD-3-Clause
// What a phone costs its worker: reg_digest is a registration from nothing (REGISTER, 401, REGISTER
// with the answer, 200), reg_refresh the next one with the nonce it has. 10,000 phones stand in the
// table; each message goes through the engine as it came, and each change is written to a journal
// ring as the data plane does. Both far ends are played here, off the clock.
//
// Every 401 is answered from its own text, every 200 must list that phone's contact and no other's.
#include "bench.h"

#include "dataplane/engine_memory.h"
#include "dataplane/journal_ring.h"
#include "include/binding.h"
#include "sip/engine.h"
#include "sip/subscribers.h"
#include "tests/unit/digest_client.h"

#include <string.h>
#include <unistd.h>

#define PHONES 10000u
#define SAMPLES 400u
#define BATCH 16u
#define MESSAGE 2048

static struct td_journal_ring ring;
static struct td_engine *engine;
static char sent[MESSAGE];
static uint32_t sent_len;
static uint64_t now_ns = 1000000000, checked;

struct phone {
	char user[16];
	char nonce[64];
	unsigned nc, cseq;
};
static struct phone phones[PHONES];

static void fail(const char *what)
{
	fprintf(stderr, "register: %s\n%.*s\n", what, (int)sent_len, sent);
	exit(1);
}

// --- the host ---

static int buf_get(void *host, uint32_t bytes, struct td_buf *out)
{
	static char buffer[65536];

	*out = (struct td_buf){ buffer, 0, sizeof(buffer), NULL };
	return 0;
}

static void buf_put(void *host, struct td_buf *buf)
{
}

static int message_out(void *host, const struct td_flow *flow, struct td_buf *buf)
{
	sent_len = buf->len < MESSAGE ? buf->len : 0;
	memcpy(sent, buf->data, sent_len);
	return 0;
}

static enum td_answer bindings_write(
	void *host, const uint8_t *records, uint32_t bytes, uint32_t n, uint64_t cookie)
{
	if (n != 1 || td_journal_append(&ring, TD_JOURNAL_BINDING, records, bytes) != 0)
		return TD_REFUSED;
	return TD_DONE;
}

static void random_bytes(void *host, void *dst, uint32_t len)
{
	memset(dst, 7, len);
}

static const struct td_host_ops ops = { .buf_get = buf_get,
	.buf_put = buf_put,
	.send = message_out,
	.bindings_write = bindings_write,
	.random = random_bytes };

// --- the phones ---

static void address(const char *ip, uint16_t port, struct td_sockaddr *out)
{
	*out = (struct td_sockaddr){ .port = port };
	if (td_ip_parse(td_span_str(ip), out) != 0)
		fail("a bad address");
}

static uint32_t message_write(struct phone *p, bool credentials, char *dst)
{
	struct digest_client client = { .algorithm = TD_DIGEST_SHA256,
		.user = p->user,
		.password = "secret",
		.realm = "tandem.example",
		.nc = p->nc };
	char line[512] = "";

	snprintf(client.nonce, sizeof(client.nonce), "%s", p->nonce);
	if (credentials)
		digest_client_line(&client, "REGISTER", "sip:tandem.example", line, sizeof(line));
	p->nc = client.nc;
	p->cseq++;
	return (uint32_t)snprintf(dst, MESSAGE,
		"REGISTER sip:tandem.example SIP/2.0\r\nVia: SIP/2.0/UDP "
		"10.0.1.1:5060;branch=z9hG4bK%s%u;rport\r\n"
		"Max-Forwards: 70\r\nFrom: <sip:%s@tandem.example>;tag=f%s\r\nTo: "
		"<sip:%s@tandem.example>\r\n"
		"Call-ID: r%s-a84b4c76e66710@10.0.1.1\r\nCSeq: %u REGISTER\r\nContact: "
		"<sip:%s@10.0.1.1:5060>;expires=600\r\n"
		"%sUser-Agent: Desk phone 3.1.4\r\nAllow: INVITE, ACK, CANCEL, BYE, "
		"OPTIONS\r\nContent-Length: 0\r\n\r\n",
		p->user, p->cseq, p->user, p->user, p->user, p->user, p->cseq, p->user, line);
}

static uint64_t message_in(const char *text, uint32_t len)
{
	static struct td_flow flow;

	if (flow.local.family == 0) {
		address("10.0.1.254", 5060, &flow.local);
		address("10.0.1.1", 5060, &flow.remote);
	}
	sent_len = 0;
	uint64_t begin = bench_cycles();
	td_engine_rx(engine, now_ns, &flow, text, len);
	uint64_t cycles = bench_cycles() - begin;
	sent[sent_len] = '\0';
	return cycles;
}

static void challenge_take(struct phone *p)
{
	const char *nonce = strstr(sent, "nonce=\"");

	if (strncmp(sent, "SIP/2.0 401", 11) != 0 || !nonce)
		fail("no challenge");
	nonce += 7;
	snprintf(p->nonce, sizeof(p->nonce), "%.*s", (int)strcspn(nonce, "\""), nonce);
	p->nc = 0;
	checked++;
}

static void ok_check(const struct phone *p)
{
	char contact[64];

	snprintf(contact, sizeof(contact), "Contact: <sip:%s@10.0.1.1:5060>;expires=600\r\n",
		p->user);
	const char *at = strstr(sent, contact);
	if (strncmp(sent, "SIP/2.0 200", 11) != 0 || !at || strstr(at + 1, "Contact:"))
		fail("not registered");
	checked++;
}

static uint64_t register_anew(struct phone *p)
{
	char text[MESSAGE];
	uint64_t cycles = message_in(text, message_write(p, false, text));

	challenge_take(p);
	cycles += message_in(text, message_write(p, true, text));
	ok_check(p);
	return cycles;
}

static uint64_t register_again(struct phone *p)
{
	char text[MESSAGE];
	uint64_t cycles = message_in(text, message_write(p, true, text));

	ok_check(p);
	return cycles;
}

static void journal_rest(void)
{
	const void *records;
	size_t n;

	while ((n = td_journal_peek(&ring, &records, 1 << 20)) > 0)
		td_journal_consume(&ring, n);
	td_journal_tell(&ring, true, 0);
}

// --- the bed ---

static void *heap(void *ctx, size_t bytes)
{
	return calloc(1, bytes);
}

static void heap_free(void *ctx, void *ptr)
{
	free(ptr);
}

static struct td_subscribers *subscribers_make(void)
{
	static const struct td_alloc alloc = { heap, heap_free, NULL };
	static const struct td_subscribers_grace grace = { 0 };
	struct td_subscribers *table = td_subscribers_new(&alloc, &grace, PHONES);
	struct td_subscriber s = { .has_sha256 = true, .enabled = true };

	td_subscribers_mark(table);
	for (uint32_t i = 0; i < PHONES; i++) {
		snprintf(phones[i].user, sizeof(phones[i].user), "%u", 100000 + i);
		snprintf(s.aor, sizeof(s.aor), "%u@tandem.example", 100000 + i);
		td_digest_ha1(TD_DIGEST_SHA256, td_span_str(phones[i].user),
			TD_SPAN("tandem.example"), TD_SPAN("secret"), s.ha1_sha256);
		if (td_subscribers_put(table, &s) != 0)
			fail("no room for subscribers");
	}
	while (td_subscribers_sweep(table, UINT32_MAX))
		;
	return table;
}

static void bed_make(const char *path)
{
	static td_count counters[TD_C__COUNT];
	static struct td_engine_realm realm = { .name = "access",
		.n_addresses = 1,
		.n_listeners = 1,
		.listeners = { { TD_UDP, 5060 } },
		.registrar = { .n_domains = 1,
			.domains = { "tandem.example" },
			.n_algorithms = 2,
			.algorithms = { TD_DIGEST_SHA256, TD_DIGEST_MD5 },
			.max_contacts = 5,
			.min_expires_s = 60,
			.max_expires_s = 3600,
			.default_expires_s = 3600,
			.nonce_lifetime_s = 3600 } };
	static struct td_engine_memory memory;
	struct td_engine_conf conf = { .ops = &ops,
		.alloc = td_engine_memory_alloc,
		.free = td_engine_memory_free,
		.reserve = td_engine_memory_reserve,
		.alloc_ctx = &memory,
		.counters = counters,
		.node = 1,
		.epoch = 1,
		.token_key = "only for tests, of 32 bytes len.",
		.node_name = "bench",
		.max_calls = 64,
		.max_cps = 64,
		.sip_message_bytes = 16384,
		.t1_ms = 500,
		.t2_ms = 4000,
		.t4_ms = 5000,
		.wall_offset_ns = 1700000000ull * 1000000000ull,
		.n_realms = 1,
		.realms = &realm,
		.max_registrations = PHONES };

	address("10.0.1.254", 0, &realm.addresses[0].ip);
	conf.subscribers = subscribers_make();
	if (td_journal_ring_create(&ring, path, 1 << 22, 0, 1) != 0)
		fail("no journal ring");
	engine = td_engine_new(&conf);
	if (!engine)
		fail("no engine");
}

static double cycles_per_ns(void)
{
	uint64_t ns = bench_ns(), cycles = bench_cycles();

	while (bench_ns() - ns < 50000000)
		;
	return (double)(bench_cycles() - cycles) / (double)(bench_ns() - ns);
}

static void measure(
	struct bench *b, uint64_t (*once)(struct phone *p), const uint32_t *order, unsigned samples)
{
	double scale = cycles_per_ns();

	for (unsigned s = 0; s < samples; s++) {
		uint64_t cycles = 0;
		for (unsigned i = 0; i < BATCH; i++)
			cycles += once(&phones[order[(s * BATCH + i) % PHONES]]);
		bench_add(b, (double)cycles / scale / BATCH);
		journal_rest();
		now_ns += 1000000;
	}
}

// With a name as argument that line alone.
int main(int argc, char **argv)
{
	static uint32_t order[PHONES];
	char path[64];
	uint64_t seed = bench_seed(), state = seed;
	unsigned samples = bench_rounds(SAMPLES);
	struct bench digest = { .name = "reg_digest",
		.unit = "ns",
		.seed = seed,
		.yardstick = "Kamailio 5.6 over the wire: 19000-21000 ns CPU",
		.method = "REGISTER, 401, REGISTER with SHA-256, 200, journalled; of 16, 10000 "
			  "phones bound" };
	struct bench refresh = { .name = "reg_refresh",
		.unit = "ns",
		.seed = seed,
		.yardstick = "Kamailio 5.6 over the wire: 8000-11000 ns CPU",
		.method = "REGISTER with the cached nonce (SHA-256 checked), 200, journalled; of "
			  "16, 10000 phones bound" };

	snprintf(path, sizeof(path), "/dev/shm/register.%d.ring", (int)getpid());
	bed_make(path);
	bench_shuffle(order, PHONES, &state);
	for (uint32_t i = 0; i < PHONES; i++) {
		register_anew(&phones[order[i]]);
		journal_rest();
	}
	if (argc < 2 || strcmp(argv[1], digest.name) == 0) {
		measure(&digest, register_anew, order, samples);
		digest.checked = checked;
		bench_report(&digest);
	}
	checked = 0;
	if (argc < 2 || strcmp(argv[1], refresh.name) == 0) {
		measure(&refresh, register_again, order, samples);
		refresh.checked = checked;
		bench_report(&refresh);
	}
	td_engine_free(engine);
	unlink(path);
	return 0;
}
