// SPDX-License-Identifier: BSD-3-Clause
// A dial plan's image that somebody wrote over, its sum made good again: it does not hold, or every
// look-up in it stays inside and comes to an end.
//
// Input: a byte that counts changes, for each a part (8: the header), a place in it and the word
// that goes there (1 + 2 + 4 bytes), then "number\ncaller\nuser\ndomain".
#include "sip/policy.h"
#include "sip/route_build.h"
#include "tests/fuzz/must.h"

#include <stdlib.h>
#include <string.h>

#define CHANGE_BYTES 7

static void *pristine;
static size_t image_bytes;

static void row_add(struct td_route_builder *builder, const char *match, const char *to,
	const char *caller, const char *window)
{
	const char *error;
	struct td_route_row row = { .match = td_span_str(match),
		.to = td_span_str(to),
		.caller = td_span_str(caller),
		.window = td_span_str(window),
		.domain = td_span_str(caller[0] ? "" : window),
		.label = td_span_str(match),
		.priority = (uint16_t)(caller[0] & 1),
		.weight = 10,
		.status = 403 };

	td_route_builder_add(builder, &row, &error); // what does not go together is left out
}

// Something of everything: keys short and long, AoRs, domains, blocks, groups.
static void image_make(void)
{
	static const char *const matches[] = { "", "49", "4930", "=4930555100", "urn:service:sos",
		"12345678901234567", "1234567890123456789", "=12345678901234567890", "*31#",
		"1001@example.net", "1002@example.net", "@example.net" };
	static const char *const targets[] = { "a", "b", "g", "registrar", "", "gone" };
	struct td_route_builder *builder = td_route_builder_new();
	char match[TD_ROUTE_SYMBOLS_MAX + 2];

	must(builder != NULL);
	for (uint32_t i = 0; i < 48; i++)
		row_add(builder, matches[i % 12], targets[i / 12 + i % 3],
			i % 5 == 1   ? "30"
			: i % 5 == 2 ? "anonymous"
				     : "",
			i % 7 == 3 ? "night" : "");
	must(td_route_builder_rows(builder) > 40);
	must(td_route_builder_close(builder, &image_bytes, match) == 0);
	pristine = aligned_alloc(64, image_bytes);
	must(pristine != NULL);
	memset(pristine, 0, image_bytes);
	td_route_builder_write(builder, "default", pristine);
	td_route_builder_free(builder);
}

static size_t part_bytes(const struct td_route_header *h, unsigned part)
{
	uint64_t end = part + 1 < TD_ROUTE__PARTS ? h->parts[part + 1].offset : h->bytes;

	return end > h->parts[part].offset ? end - h->parts[part].offset : 0;
}

// Its name stays, so that the policy finds it.
static void word_put(void *memory, const uint8_t change[CHANGE_BYTES])
{
	const struct td_route_header *h = pristine;
	const size_t behind_name = offsetof(struct td_route_header, rows);
	size_t from = behind_name, bytes = sizeof(*h) - behind_name;
	uint16_t place;

	if (change[0] % (TD_ROUTE__PARTS + 1) < TD_ROUTE__PARTS) {
		from = h->parts[change[0] % (TD_ROUTE__PARTS + 1)].offset;
		bytes = part_bytes(h, change[0] % (TD_ROUTE__PARTS + 1));
	}
	memcpy(&place, change + 1, sizeof(place));
	if (bytes >= 4)
		memcpy((char *)memory + from + place % (bytes / 4) * 4, change + 3, 4);
}

static uint32_t slot_of(void *ctx, enum td_limit_kind kind, const char *name)
{
	return (uint8_t)name[0];
}

static int realm_of(void *ctx, const char *name)
{
	return 0;
}

static struct td_policy *policy_make(const struct td_route_image *image)
{
	static struct td_trunk_conf trunks[3] = {
		{ .name = "in", .realm = "west", .enabled = true, .plan = "default" },
		{ .name = "a", .realm = "west", .enabled = true },
		{ .name = "b", .realm = "west", .enabled = true } };
	static struct td_group_conf group = { .name = "g",
		.members = { { .trunk = "a", .weight = 1 }, { .trunk = "b", .weight = 2 } },
		.n_members = 2 };
	static struct td_window_conf window = { .name = "night" };
	const struct td_route_image *images[] = { image };
	struct td_policy_conf conf = { .trunks = trunks,
		.n_trunks = 3,
		.groups = &group,
		.n_groups = 1,
		.windows = &window,
		.n_windows = 1 };
	struct td_policy_env env = {
		.slot_of = slot_of, .realm_of = realm_of, .plans = images, .n_plans = 1
	};
	char error[256] = "";

	for (uint32_t i = 0; i < 3; i++) {
		trunks[i].n_peers = 1;
		must(td_ip_parse(TD_SPAN("10.0.0.1"), &trunks[i].peers[0].address) == 0);
		trunks[i].peers[0].address.ip[3] = (uint8_t)i;
		trunks[i].peers[0].address.port = 5060;
	}
	struct td_policy *policy = td_policy_new(&conf, &env, error, sizeof(error));
	must(policy != NULL);
	return policy;
}

// What is told is text that lies inside.
static void on_step(void *ctx, const struct td_route_step *step)
{
	size_t *seen = ctx;
	const struct td_span texts[] = { step->plan, step->match, step->name };

	for (unsigned i = 0; i < 3; i++)
		for (uint32_t at = 0; at < texts[i].len; at++)
			*seen += texts[i].ptr[at] != '\0';
}

static struct td_span line_take(const uint8_t **data, size_t *size)
{
	const uint8_t *begin = *data, *end = *size > 0 ? memchr(begin, '\n', *size) : NULL;
	size_t len = end ? (size_t)(end - begin) : *size;

	*data += len + (end ? 1 : 0);
	*size -= len + (end ? 1 : 0);
	return td_span((const char *)begin, len);
}

// changed: the trace reads a set where the call reads what its key says of it, which may differ.
static void calls_route(
	const struct td_policy *policy, const uint8_t *data, size_t size, bool changed)
{
	size_t seen = 0;
	const struct td_route_trace trace = { on_step, &seen };
	struct td_route_query query = { .random = size, .number = line_take(&data, &size) };
	struct td_route_answer out, told;

	query.caller = line_take(&data, &size);
	query.user = line_take(&data, &size);
	query.domain = line_take(&data, &size);
	for (unsigned i = 0; i < 4; i++) {
		query.emergency = i & 1;
		query.anonymous = i & 2;
		out = told = (struct td_route_answer){ 0 };
		enum td_answer answer = td_policy_route(policy, &query, &out);
		enum td_answer again = td_policy_route_traced(policy, &query, &told, &trace);
		must(changed || (answer == again && out.n == told.n));
		must(out.n <= TD_ATTEMPTS_MAX && told.n <= TD_ATTEMPTS_MAX);
		must(answer == (out.n > 0 ? TD_DONE : TD_REFUSED));
		must(out.n > 0 || (out.sip_code >= 400 && out.sip_code < 700));
		for (uint32_t k = 0; k < out.n; k++)
			must(out.targets[k].kind == TD_TARGET_AOR ||
				(out.targets[k].trunk < 3 && out.targets[k].peer == 0));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *error = NULL;
	struct td_route_image image;

	if (!pristine)
		image_make();
	if (size == 0)
		return 0;
	char *memory = aligned_alloc(64, image_bytes);
	must(memory != NULL);
	memcpy(memory, pristine, image_bytes);
	uint8_t n = data[0];
	bool changed = n > 0;
	data++;
	size--;
	for (; n > 0 && size >= CHANGE_BYTES; n--, data += CHANGE_BYTES, size -= CHANGE_BYTES)
		word_put(memory, data);
	struct td_route_header *header = (void *)memory;
	header->generation = td_route_image_hash(header);
	if (td_route_image_open(&image, memory, image_bytes, &error) == 0) {
		struct td_policy *policy = policy_make(&image);
		calls_route(policy, data, size, changed);
		td_policy_free(policy);
	} else {
		must(error != NULL);
	}
	free(memory);
	return 0;
}
