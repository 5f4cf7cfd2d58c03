// SPDX-License-Identifier: BSD-3-Clause
#include "sip/hdr_table.h"

static_assert(TD_H__COUNT * 2 <= 255, "slots are bytes");
static_assert(TD_H__COUNT * 2 < TD_HDR_SLOTS / 2, "probing stays short and ends");

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

static void add_name(struct td_span name, uint8_t index, unsigned id)
{
	char window[TD_HDR_WINDOW] = { 0 };

	assert(name.len <= TD_HDR_NAME_MAX);
	memcpy(window, name.ptr, name.len);
	td_hdr_table.name[index] = td_hdr_fold(window, name.len);
	td_hdr_table.name[index].id = id;
	unsigned at = td_hdr_hash(&td_hdr_table.name[index]);
	while (td_hdr_table.slot[at] != 0)
		at = (at + 1) % TD_HDR_SLOTS;
	td_hdr_table.slot[at] = index;
}

__attribute__((constructor)) static void build_table(void)
{
	for (unsigned len = 0; len <= TD_HDR_NAME_MAX; len++)
		memset(&td_hdr_table.fold[len], (uint8_t)~0x20, len);
	for (unsigned id = 1; id < TD_H__COUNT; id++) {
		add_name(headers[id].name, (uint8_t)id, id);
		if (headers[id].compact)
			add_name(td_span(&headers[id].compact, 1), (uint8_t)(TD_H__COUNT + id), id);
	}
}
