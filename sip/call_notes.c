// SPDX-License-Identifier: BSD-3-Clause
// What a call keeps to tell of itself: short texts for its record and for people, in one slab block
// that begins with their lengths. They are as long as the columns of a record, and no longer.
#include "sip/call_priv.h"

#include <errno.h>

struct td_span note_get(const struct td_call *call, enum call_note note)
{
	const struct td_call_notes *notes = call->notes;
	uint32_t off = 0;

	if (!notes)
		return (struct td_span){ 0 };
	for (unsigned i = 0; i < note; i++)
		off += notes->len[i];
	return td_span(notes->text + off, notes->len[note]);
}

int notes_set(struct td_call *call, const struct td_span texts[NOTE__COUNT])
{
	struct td_slab *slab = call->engine->slab;
	uint8_t len[NOTE__COUNT];
	uint32_t total = 0;

	for (unsigned i = 0; i < NOTE__COUNT; i++) {
		len[i] = (uint8_t)(texts[i].len < TD_CDR_TEXT_LEN ? texts[i].len
								  : TD_CDR_TEXT_LEN - 1);
		total += len[i];
	}
	char *block = td_slab_get(slab, (uint32_t)sizeof(struct td_call_notes) + total);
	if (!block)
		return -ENOBUFS;
	struct td_call_notes *notes = (struct td_call_notes *)(void *)block;
	struct td_writer out = { notes->text, notes->text, notes->text + total, false };
	memcpy(notes->len, len, sizeof(len));
	for (unsigned i = 0; i < NOTE__COUNT; i++)
		td_put(&out, texts[i].ptr, len[i]);
	td_slab_put(slab, (char *)call->notes);
	call->notes = notes;
	return 0;
}

int note_set(struct td_call *call, enum call_note note, struct td_span text)
{
	struct td_span texts[NOTE__COUNT];

	if (td_span_eq(note_get(call, note), text))
		return 0;
	for (unsigned i = 0; i < NOTE__COUNT; i++)
		texts[i] = i == note ? text : note_get(call, i);
	return notes_set(call, texts);
}
