// SPDX-License-Identifier: BSD-3-Clause
// Routing decisions in a dial plan of ROUTES prefixes (10 million): numbers that have one and
// numbers that have none, in turn, each decision waiting for the one before it. HUGE=0 keeps the
// image on 4 KiB pages.
#include "bench.h"

#include "sip/policy.h"
#include "sip/route_build.h"

#include <string.h>
#include <sys/mman.h>

enum { TRUNKS = 64, NUMBERS = 1 << 20, BATCH = 1 << 9, PREFIX_MIN = 4, PREFIX_MAX = 13 };

static void fail(const char *what)
{
	fprintf(stderr, "route_lookup: %s\n", what);
	exit(1);
}

// The reference: an open hash table of digit strings, asked for each length in turn.
struct reference {
	uint64_t *slots; // digits with their count in front, as a decimal number; 0: free
	uint8_t *trunk;
	uint64_t mask;
};

static uint64_t decimal(const char *digits, uint32_t n)
{
	uint64_t value = n + 1;

	for (uint32_t i = 0; i < n; i++)
		value = value * 10 + (uint64_t)(digits[i] - '0');
	return value;
}

static uint64_t *reference_slot(const struct reference *r, uint64_t key)
{
	uint64_t at = key * 0x9e3779b97f4a7c15u >> 20 & r->mask;

	while (r->slots[at] != 0 && r->slots[at] != key)
		at = (at + 1) & r->mask;
	return &r->slots[at];
}

static int reference_trunk(const struct reference *r, const char *digits, uint32_t n)
{
	for (int len = (int)n; len >= PREFIX_MIN; len--) {
		uint64_t *slot = reference_slot(r, decimal(digits, (uint32_t)len));
		if (*slot != 0)
			return r->trunk[slot - r->slots];
	}
	return -1;
}

// As rate decks are: most prefixes lie close together in the countries that have many.
static uint32_t prefix_random(uint64_t *seed, char *dst)
{
	static const char *const countries[] = { "49", "44", "1", "33", "39", "34", "7", "86", "91",
		"55" };
	const char *country = countries[bench_random(seed) % 10 % (1 + bench_random(seed) % 10)];
	uint32_t n = PREFIX_MIN + (uint32_t)(bench_random(seed) % (PREFIX_MAX - PREFIX_MIN + 1));
	uint32_t len = (uint32_t)strlen(country);

	if (n < 9) // there are not that many short ones
		n += 4;
	memcpy(dst, country, len);
	for (uint32_t i = len; i < n; i++)
		dst[i] = (char)('0' + bench_random(seed) % 10);
	return n;
}

static void *image_memory(size_t bytes)
{
	const char *huge = getenv("HUGE");
	size_t whole = (bytes + (2u << 20)) & ~((2ul << 20) - 1);
	char *at = mmap(NULL, whole + (2u << 20), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		fail("no memory");
	at = (char *)(((uintptr_t)at + (2u << 20) - 1) & ~((2ul << 20) - 1));
	madvise(at, whole, huge && *huge == '0' ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
	return at;
}

static uint32_t slot_of(void *ctx, enum td_limit_kind kind, const char *name)
{
	return 0;
}

static int realm_of(void *ctx, const char *name)
{
	return 0;
}

static struct td_policy *policy_make(const struct td_route_image *image)
{
	struct td_trunk_conf *trunks = calloc(TRUNKS + 1, sizeof(*trunks));
	struct td_policy_conf conf = { .n_trunks = TRUNKS + 1, .trunks = trunks };
	const struct td_route_image *images[] = { image };
	struct td_policy_env env = {
		.slot_of = slot_of, .realm_of = realm_of, .plans = images, .n_plans = 1
	};
	char error[256];

	for (uint32_t i = 0; i <= TRUNKS; i++) {
		snprintf(trunks[i].name, TD_NAME_LEN, i < TRUNKS ? "t%u" : "in", i);
		snprintf(trunks[i].plan, TD_NAME_LEN, "bench");
		trunks[i].enabled = true;
		trunks[i].n_peers = 1;
		trunks[i].peers[0].address =
			(struct td_sockaddr){ { 10, 0, (uint8_t)(i >> 8), (uint8_t)i }, 5060,
				TD_IPV4, 0 };
	}
	struct td_policy *policy = td_policy_new(&conf, &env, error, sizeof(error));
	if (!policy)
		fail(error);
	free(trunks);
	return policy;
}

// The first prefixes are left in numbers.
static struct td_route_image image_make(
	uint64_t *seed, uint32_t routes, struct reference *reference, char (*numbers)[16])
{
	struct td_route_builder *builder = td_route_builder_new();
	struct td_route_image image;
	char digits[32], to[16], match[TD_ROUTE_SYMBOLS_MAX + 2];
	const char *error = "";
	size_t bytes;

	for (reference->mask = 1; reference->mask < 2ull * routes; reference->mask *= 2)
		;
	reference->slots = calloc(reference->mask, sizeof(uint64_t));
	reference->trunk = calloc(reference->mask, 1);
	reference->mask--;
	for (uint32_t i = 0; i < routes;) {
		uint32_t n = prefix_random(seed, digits),
			 trunk = (uint32_t)(bench_random(seed) % TRUNKS);
		uint64_t *slot = reference_slot(reference, decimal(digits, n));
		if (*slot != 0)
			continue;
		*slot = decimal(digits, n);
		reference->trunk[slot - reference->slots] = (uint8_t)trunk;
		struct td_route_row row = { .match = td_span(digits, n),
			.to = td_span(to, (size_t)snprintf(to, sizeof(to), "t%u", trunk)),
			.priority = 1,
			.weight = 100,
			.cost = (uint32_t)(bench_random(seed) % 1000) * 100 };
		if (td_route_builder_add(builder, &row, &error) < 0)
			fail(error);
		memcpy(numbers[i % NUMBERS], digits, n);
		memset(numbers[i % NUMBERS] + n, 0, 16 - n);
		i++;
	}
	if (td_route_builder_close(builder, &bytes, match) < 0)
		fail("the plan does not compile");
	void *memory = image_memory(bytes);
	td_route_builder_write(builder, "bench", memory);
	td_route_builder_free(builder);
	if (td_route_image_open(&image, memory, bytes, &error) < 0)
		fail(error);
	return image;
}

// Every other number goes on from a prefix that is there; the others are of countries that are not.
static void numbers_make(uint64_t *seed, char (*numbers)[16])
{
	for (uint32_t i = 0; i < NUMBERS; i++) {
		uint32_t n =
			i % 2 == 0 ? (uint32_t)strlen(numbers[i]) : prefix_random(seed, numbers[i]);
		if (i % 2 == 1)
			numbers[i][0] = "02689"[bench_random(seed) % 5];
		while (n < 14)
			numbers[i][n++] = (char)('0' + bench_random(seed) % 10);
		numbers[i][14] = '\0';
	}
}

static uint64_t verify(
	const struct td_policy *policy, const struct reference *reference, char (*numbers)[16])
{
	struct td_route_answer answer;
	uint64_t hits = 0;

	for (uint32_t i = 0; i < NUMBERS; i++) {
		struct td_route_query query = {
			.trunk_in = TRUNKS, .number = td_span(numbers[i], 14), .random = i
		};
		int expected = reference_trunk(reference, numbers[i], 14);
		int got = td_policy_route(policy, &query, &answer) == TD_DONE
				  ? (int)answer.targets[0].trunk
				  : -1;
		if (got != expected)
			fail(numbers[i]);
		hits += got >= 0;
	}
	if (hits < NUMBERS / 4 || hits > NUMBERS * 3 / 4)
		fail("the numbers are not of both kinds");
	return NUMBERS;
}

// Which number is asked depends on the answer before, so that no two overlap. The numbers are in
// the cache, as those of a message are that was just read.
static double batch_ns(const struct td_policy *policy, char (*numbers)[16], const uint32_t *order)
{
	static char hot[BATCH][16];
	struct td_route_answer answer = { 0 };

	for (uint32_t i = 0; i < BATCH; i++)
		memcpy(hot[i], numbers[order[i]], sizeof(hot[i]));
	uint64_t begin = bench_ns();
	for (uint32_t i = 0; i < BATCH; i++) {
		uint32_t at = i ^ (answer.n >> 15) ^ (answer.sip_code >> 15);
		struct td_route_query query = {
			.trunk_in = TRUNKS, .number = td_span(hot[at], 14), .random = at
		};
		td_policy_route(policy, &query, &answer);
	}
	return (double)(bench_ns() - begin) / BATCH;
}

int main(void)
{
	const char *text = getenv("ROUTES");
	uint32_t routes = text && *text ? (uint32_t)strtoul(text, NULL, 0) : 10000000;
	uint64_t seed = bench_seed(), state = seed;
	char(*numbers)[16] = calloc(NUMBERS, sizeof(*numbers));
	uint32_t *order = calloc(NUMBERS, sizeof(*order));
	struct reference reference;
	static struct bench speed = { .name = "route_lookup.10m",
		.unit = "ns",
		.yardstick = "200 ns a look-up at 10 M prefixes",
		.method = "whole decision, one after the other; half of the numbers have a route" };
	static struct bench memory = { .name = "route_lookup.memory",
		.unit = "bytes",
		.yardstick = "8 bytes: a packed key alone",
		.method = "bytes of the image per prefix" };

	struct td_route_image image = image_make(&state, routes, &reference, numbers);
	struct td_policy *policy = policy_make(&image);
	numbers_make(&state, numbers);
	speed.seed = memory.seed = seed;
	speed.checked = verify(policy, &reference, numbers);
	bench_shuffle(order, NUMBERS, &state);
	for (uint32_t i = 0; i < bench_rounds(1001); i++)
		bench_add(&speed, batch_ns(policy, numbers, order + (uint64_t)i * BATCH % NUMBERS));
	bench_report(&speed);
	memory.checked = routes;
	bench_add(&memory, (double)image.header->bytes / routes);
	bench_report(&memory);
	return 0;
}
