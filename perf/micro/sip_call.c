// SPDX-License-Identifier: BSD-3-Clause
// What one call costs a worker: INVITE, 180, 200, ACK, BYE, 200 from ring to ring through the data
// plane as the daemon builds it, with media legs, timers, topology hiding and the CDR's journal,
// while N_UP other calls stand. Only the worker's turns are on the clock; both far ends are played
// here.
//
// With CALL_MEMORY: what the engine and legs of 100,000 calls take, with all of them up. Their
// pools are touched at the start, so that what is reserved is resident and nothing grows later;
// those that serve the setting up of calls follow limits.cps and are counted too.
//
// With CALL_SCALE: the same call with a policy of 10,000 trunks and a table of 1,000,000
// subscribers over that with two trunks and one subscriber, one batch of each in turns. Each call
// is looked for among the subscribers first and goes out over a trunk then.
//
// Each message that leaves is matched to its call, and what must be there is looked for: the
// number, the right status, a body with our address, none of the other side's Call-ID.
#include "bench.h"
#include "call_bed.h"

#include <string.h>

#ifdef CALL_MEMORY
#define N_UP 100000u
#define SAMPLES 0u
#else
#define N_UP 10000u
#ifdef CALL_SCALE
#define SAMPLES 600u
#else
#define SAMPLES 200u
#endif
#endif
#define BATCH 32u // calls of a sample

static struct bed bed;
static uint64_t checked;
static const char sdp[] =
	"v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\n"
	"m=audio %u RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
	"a=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n";

static uint32_t body_write(char *dst, size_t cap, int side, uint32_t call)
{
	const char *ip = bed_peer_ip[side];
	int n = snprintf(dst, cap, sdp, ip, ip, 20000 + call % 20000 * 2);

	return (uint32_t)n;
}

static void check(bool holds, const char *what)
{
	if (!holds)
		bed_fail(what);
	checked++;
}

// Each call is of another prefix than those around it, so that with many trunks each goes out over
// one that no other call has touched for long.
static uint32_t number_of(uint32_t call)
{
	return call % BED_SPREAD * 10000 + call / BED_SPREAD;
}

// --- the caller ----------------------------------------------------------------------------------

static void invite_send(uint32_t call)
{
	char body[512];
	uint32_t n = body_write(body, sizeof(body), WEST, call);

	bed_send(&bed, WEST,
		"INVITE sip:49%08u@10.0.1.254 SIP/2.0\r\n"
		"Via: SIP/2.0/UDP 10.0.1.1:5060;branch=z9hG4bKi%08u;rport\r\n"
		"Max-Forwards: 70\r\nFrom: \"Alice\" <sip:+4930%u@10.0.1.1>;tag=f%08u\r\n"
		"To: <sip:49%08u@10.0.1.254>\r\nCall-ID: west%08u@caller.example\r\nCSeq: 1 "
		"INVITE\r\n"
		"Contact: <sip:alice@10.0.1.1:5060>\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\n"
		"Supported: timer\r\nUser-Agent: bench\r\nContent-Type: application/sdp\r\n"
		"Content-Length: %u\r\n\r\n%s",
		number_of(call), call, call % 100000, call, number_of(call), call, n, body);
}

static void request_send(uint32_t call, const char *method, uint32_t cseq)
{
	const struct bed_call *c = &bed.calls[call];

	bed_send(&bed, WEST,
		"%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.1.1:5060;branch=z9hG4bK%c%08u;rport\r\n"
		"Max-Forwards: 70\r\nFrom: \"Alice\" <sip:+4930%u@10.0.1.1>;tag=f%08u\r\nTo: %s\r\n"
		"Call-ID: west%08u@caller.example\r\nCSeq: %u %s\r\nContent-Length: 0\r\n\r\n",
		method, c->target, method[0], call, call % 100000, call, c->to, call, cseq, method);
}

// --- the callee ----------------------------------------------------------------------------------

static void answer_send(uint32_t call, const char *status, const char *request, bool with_body)
{
	char body[512] = "", via[512], from[256], to[256], call_id[128], cseq[64];
	uint32_t n = with_body ? body_write(body, sizeof(body), EAST, call) : 0;

	bed_header(request, "Via", via, sizeof(via));
	bed_header(request, "From", from, sizeof(from));
	bed_header(request, "To", to, sizeof(to));
	bed_header(request, "Call-ID", call_id, sizeof(call_id));
	bed_header(request, "CSeq", cseq, sizeof(cseq));
	bed_send(&bed, EAST,
		"SIP/2.0 %s\r\nVia: %s\r\nFrom: %s\r\nTo: %s%s%s\r\nCall-ID: %s\r\nCSeq: %s\r\n"
		"Contact: <sip:bob@10.0.2.1:5060>\r\n%sContent-Length: %u\r\n\r\n%s",
		status, via, from, to, strstr(to, "tag=") ? "" : ";tag=b",
		strstr(to, "tag=") ? "" : "0", call_id, cseq,
		with_body ? "Content-Type: application/sdp\r\n" : "", n, body);
}

// --- steps: all messages of one kind in, the worker's turns, all that come out -------------------

static uint32_t call_of_number(const char *message)
{
	const char *at = strstr(message, "sip:49");

	if (!at)
		return UINT32_MAX;
	uint32_t number = (uint32_t)strtoul(at + 6, NULL, 10);
	return number % 10000 * BED_SPREAD + number / 10000;
}

static uint32_t call_of_id(const char *message)
{
	const char *at = strstr(message, "west");

	return at ? (uint32_t)strtoul(at + 4, NULL, 10) : UINT32_MAX;
}

static void invites_take(uint32_t first, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const char *m = bed_take(&bed, EAST);
		uint32_t call = call_of_number(m);
		check(strncmp(m, "INVITE ", 7) == 0 && call - first < n, "no INVITE at the callee");
		check(strstr(m, "c=IN IP4 10.0.2.2") && !strstr(m, "caller.example"),
			"a side shows");
		bed_keep(&bed.calls[call].invite, m);
	}
}

static void responses_take(uint32_t n, const char *status)
{
	for (uint32_t i = 0; i < n; i++) {
		const char *m = bed_take(&bed, WEST);
		uint32_t call = call_of_id(m);
		check(strncmp(m, status, strlen(status)) == 0 && call < bed.n_calls,
			"another answer");
		if (strstr(m, "CSeq: 1 INVITE") && strncmp(m, "SIP/2.0 200", 11) == 0) {
			check(strstr(m, "c=IN IP4 10.0.1.2") != NULL,
				"no address of ours in the answer");
			bed_header(m, "To", bed.calls[call].to, sizeof(bed.calls[call].to));
			bed_uri(m, "Contact", bed.calls[call].target,
				sizeof(bed.calls[call].target));
		}
	}
}

static uint64_t calls_begin(uint32_t first, uint32_t n)
{
	uint64_t cycles;

	for (uint32_t i = first; i < first + n; i++)
		invite_send(i);
	cycles = bed_turns(&bed);
	invites_take(first, n);
	for (uint32_t i = first; i < first + n; i++)
		answer_send(i, "180 Ringing", bed.calls[i].invite, false);
	cycles += bed_turns(&bed);
	responses_take(n, "SIP/2.0 180");
	for (uint32_t i = first; i < first + n; i++)
		answer_send(i, "200 OK", bed.calls[i].invite, true);
	cycles += bed_turns(&bed);
	responses_take(n, "SIP/2.0 200");
	for (uint32_t i = first; i < first + n; i++)
		request_send(i, "ACK", 1);
	cycles += bed_turns(&bed);
	for (uint32_t i = 0; i < n; i++)
		check(strncmp(bed_take(&bed, EAST), "ACK ", 4) == 0, "no ACK at the callee");
	bed_rest(&bed);
	return cycles;
}

#ifndef CALL_MEMORY
static uint64_t calls_end(uint32_t first, uint32_t n)
{
	static char byes[BATCH][BED_MESSAGE];
	uint64_t cycles;

	for (uint32_t i = first; i < first + n; i++)
		request_send(i, "BYE", 2);
	cycles = bed_turns(&bed);
	uint32_t answered = 0;
	for (uint32_t i = 0; i < n; i++) {
		snprintf(byes[i], sizeof(byes[i]), "%s", bed_take(&bed, EAST));
		check(strncmp(byes[i], "BYE ", 4) == 0, "no BYE at the callee");
		answer_send(i, "200 OK", byes[i], false);
		answered++;
	}
	cycles += bed_turns(&bed);
	responses_take(answered, "SIP/2.0 200");
	bed_rest(&bed);
	return cycles;
}
#endif

// UP from the environment: fewer calls that stand, where instructions are counted instead of time.
static uint32_t calls_up(void)
{
	const char *text = getenv("UP");

	return text && *text ? (uint32_t)strtoul(text, NULL, 0) : N_UP;
}

#ifndef CALL_MEMORY
// ns of one call, of a batch of them.
static double calls_time(uint32_t first)
{
	uint64_t cycles = calls_begin(first, BATCH);

	cycles += calls_end(first, BATCH);
	return (double)cycles * 1e9 / (double)bed.s.dp->tsc_hz / BATCH;
}
#endif

#ifdef CALL_SCALE
#define N_SUBSCRIBERS 1000000u

static void scale_report(uint32_t up, uint32_t samples, uint64_t seed)
{
	static struct bench small;
	char yardstick[96], method[192];
	struct bench b = { .name = "sip_call_scale",
		.unit = "percent",
		.seed = seed,
		.yardstick = yardstick,
		.method = method };

	bed_grow(&bed, N_SUBSCRIBERS);
	for (uint32_t s = 0; s < samples / 2; s++, up += 2 * BATCH) {
		// The second of two batches is the slower one by a percent, whoever it is.
		bool large = s % 2;
		double ns[2];
		for (uint32_t i = 0; i < 2; i++, large = !large) {
			bed_policy(&bed, large ? bed.large : bed.policy);
			ns[large] = calls_time(up + i * BATCH);
		}
		bench_add(&b, ns[true] * 100 / ns[false]);
		bench_add(&small, ns[false]);
	}
	qsort(small.sample, small.n, sizeof(small.sample[0]), bench_compare);
	snprintf(yardstick, sizeof(yardstick), "100; %.0f ns with 2 trunks",
		small.sample[small.n / 2]);
	snprintf(method, sizeof(method),
		"sip_call with 10000 trunks, calls spread over them, and 1000000 subscribers / "
		"with 2 and 1, batches of 32 in turns; copies ignored: %u",
		bed.copies);
	b.checked = checked;
	bench_report(&b);
}
#endif

int main(void)
{
	uint64_t seed = bench_seed();
	uint32_t up = 0, n_up = calls_up(), samples = SAMPLES ? bench_rounds(SAMPLES) : 0;

#ifdef CALL_SCALE
	bed.registrar = true;
#endif
	bed_start(&bed, n_up + (samples / 4 + 2) * BATCH, n_up + (samples + 2) * BATCH);
	for (; up < n_up; up += BATCH)
		calls_begin(up, BATCH);
	check(td_engine_calls(bed.w->engine) == up, "not all calls are up");
#ifdef CALL_MEMORY
	char method[192];
	struct bench b = { .name = "call_memory",
		.unit = "bytes",
		.seed = seed,
		.yardstick = "none",
		.method = method };
	snprintf(method, sizeof(method),
		"resident pools of engine and legs for limits.calls 100000, limits.cps %u / "
		"100000, "
		"all calls up; tmpfs journal ring beside them: %lu bytes a call",
		bed.s.dp->conf.max_cps, bed.s.plan.journal_ring_bytes / up);
	uint64_t legs = td_leg_table_bytes(&bed.s.dp->conf, 1, bed.s.plan.worker_legs);
	bench_add(&b, (double)(bed.s.engine_memory.bytes + legs) / up);
	b.checked = checked;
	bench_report(&b);
#elif defined(CALL_SCALE)
	scale_report(up, samples, seed);
#else
	char method[128];
	struct bench b = { .name = "sip_call",
		.unit = "ns",
		.seed = seed,
		.yardstick = "Kamailio 5.6 tlsf proxy: 71000-79000 ns CPU per call",
		.method = method };
	for (uint32_t s = 0; s < samples; s++, up += BATCH)
		bench_add(&b, calls_time(up));
	check(td_engine_calls(bed.w->engine) <= n_up + 2 * BATCH, "calls did not end");
	snprintf(method, sizeof(method),
		"worker turns of 32 whole calls / 32, %u others up; copies ignored: %u", n_up,
		bed.copies);
	b.checked = checked;
	bench_report(&b);
#endif
	bed_stop(&bed);
	return 0;
}
