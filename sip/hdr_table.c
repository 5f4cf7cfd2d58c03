// SPDX-License-Identifier: BSD-3-Clause
#include "sip/hdr_table.h"

static_assert(TD_H__COUNT * 2 <= 255, "slots are bytes");

static const struct {
	struct td_span name;
	char compact;
} headers[TD_H__COUNT] = {
#define X(id, name, compact) [TD_H_##id] = { { name, sizeof(name) - 1 }, compact },
	TD_HEADERS(X)
#undef X
};

struct td_hdr_table td_hdr_table;

struct td_span td_header_name(enum td_header_id id)
{
	return headers[id].name;
}

static void add_name(struct td_span name, unsigned index, unsigned id)
{
	char window[TD_HDR_WINDOW] = { 0 };

	assert(name.len <= TD_HDR_NAME_MAX);
	memcpy(window, name.ptr, name.len);
	td_hdr_table.name[index] = td_hdr_fold(window, name.len);
	td_hdr_table.id[index] = (uint8_t)id;
}

// false: two names share a slot.
static bool fill_slots(void)
{
	memset(td_hdr_table.slot, 0, sizeof(td_hdr_table.slot));
	for (unsigned i = 1; i < TD_H__COUNT * 2; i++) {
		const struct td_hdr_words *name = &td_hdr_table.name[i];
		uint8_t *slot = &td_hdr_table.slot[td_hdr_hash(name->w[0], name->w[1])];
		if (td_hdr_table.id[i] == TD_H_OTHER)
			continue;
		if (*slot != 0)
			return false;
		*slot = (uint8_t)i;
	}
	return true;
}

// One multiplier in some hundred separates all names: the first of a fixed sequence is taken.
__attribute__((constructor)) static void build_table(void)
{
	memset(&td_hdr_table.fold, 0x20, sizeof(td_hdr_table.fold));
	memset(&td_hdr_table.colon, ':', sizeof(td_hdr_table.colon));
	for (unsigned len = 0; len <= TD_HDR_NAME_MAX; len++)
		memset(&td_hdr_table.keep[len], 0xff, len);
	memset(&td_hdr_table.name[0], 0xff, sizeof(td_hdr_table.name[0]));
	for (unsigned id = 1; id < TD_H__COUNT; id++) {
		add_name(headers[id].name, id, id);
		if (headers[id].compact)
			add_name(td_span(&headers[id].compact, 1), TD_H__COUNT + id, id);
	}
	td_hdr_table.multiplier = 0x9e3779b97f4a7c15u;
	for (unsigned tries = 0; !fill_slots(); tries++) {
		assert(tries < 100000);
		td_hdr_table.multiplier =
			(td_hdr_table.multiplier * 6364136223846793005u + 1442695040888963407u) | 1;
	}
}
