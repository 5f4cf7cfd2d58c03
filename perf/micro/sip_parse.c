// SPDX-License-Identifier: BSD-3-Clause
// sip_parse.index, .core, .sdp: nanoseconds per message, each step including the ones before it.
#include "perf/micro/bench.h"
#include "perf/micro/sip_messages.h"
#include "perf/micro/slow_sip.h"
#include "sip/core.h"
#include "sip/sdp.h"

#include <string.h>

enum { PASSES = 301 };
enum step { INDEX, CORE, SDP };

static struct sip_messages set;
static struct td_msg msg;
static struct td_core core;
static struct td_sdp sdp;
static struct bench bench;

// 0 where the step went through.
static int parse(enum step step, struct td_span bytes)
{
	int rc = td_msg_parse(&msg, bytes.ptr, bytes.len);

	if (step >= CORE)
		rc |= td_core_decode(&msg, &core);
	if (step >= SDP && core.sdp)
		rc |= td_sdp_parse(&sdp, msg.body.ptr, msg.body.len);
	return rc;
}

// Drops what is not valid SIP from the set (DATA may hold anything) and holds the rest against the
// slow reader.
static int verify(void)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < set.n; i++) {
		if (parse(SDP, set.message[i]) != 0)
			continue;
		const char *wrong = slow_sip_differs(&msg, &core, core.sdp ? &sdp : NULL);
		if (wrong) {
			fprintf(stderr, "message %u: %s differs from the slow reader's\n", i,
				wrong);
			return -1;
		}
		set.message[kept++] = set.message[i];
	}
	if (kept < set.n)
		fprintf(stderr, "%u of %u messages are not valid and were left out\n", set.n - kept,
			set.n);
	set.n = kept;
	return kept > 0 ? 0 : -1;
}

static bool wanted(const char *name)
{
	const char *only = getenv("ONLY");

	return !only || !*only || strcmp(only, "sip_parse") == 0 || strcmp(only, name) == 0;
}

static int measure(enum step step, const char *name, const char *yardstick, uint64_t seed)
{
	static uint32_t order[SIP_MESSAGES_MAX];
	uint64_t random = seed;
	int bad = 0;

	if (!wanted(name))
		return 0;
	bench = (struct bench){
		.name = name, .unit = "ns", .yardstick = yardstick, .seed = seed, .checked = set.n
	};
	bench.method = "each sample parses every message once in random order; time of the pass "
		       "per message";
	for (unsigned pass = 0, passes = bench_rounds(PASSES); pass < passes; pass++) {
		bench_shuffle(order, set.n, &random);
		uint64_t start = bench_ns();
		for (uint32_t i = 0; i < set.n; i++)
			bad |= parse(step, set.message[order[i]]);
		bench_add(&bench, (double)(bench_ns() - start) / set.n);
	}
	bench_report(&bench);
	return bad;
}

int main(int argc, char **argv)
{
	uint64_t seed = bench_seed();

	if (argc != 2) {
		fprintf(stderr, "usage: %s INVITE\n", argv[0]);
		return 2;
	}
	if (sip_messages_load(&set, argv[1], seed) != 0 || verify() != 0)
		return 1;
	int bad = measure(INDEX, "sip_parse.index",
		"200; picohttpparser splits it in 195, Kamailio indexes in 1397", seed);
	bad |= measure(
		CORE, "sip_parse.core", "350; pjsip 1554, OpenSIPS 1523, Kamailio 2034", seed);
	bad |= measure(SDP, "sip_parse.sdp", "600; pjsip 2211, OpenSIPS 3199, Kamailio 3461", seed);
	return bad ? 1 : 0;
}
