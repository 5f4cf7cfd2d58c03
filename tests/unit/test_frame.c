// SPDX-License-Identifier: BSD-3-Clause
// include/frame.h, include/journal.h's CRC and control/text.h: small things that everything else
// stands on.
#include "control/text.h"
#include "include/frame.h"
#include "include/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void arrive(struct td_frames *in, const uint8_t *bytes, size_t n)
{
	assert_true(td_frames_room(in, n));
	memcpy(in->bytes + in->end, bytes, n);
	in->end += n;
}

// Three frames, one of them empty, in pieces of every size.
static void frames_come_in_pieces(void **state)
{
	uint8_t stream[3 * TD_FRAME_HEADER + 300 + 5];
	static const size_t lengths[] = { 300, 0, 5 };
	size_t at = 0;

	for (int i = 0; i < 3; i++) {
		td_frame_header(stream + at, (uint32_t)lengths[i]);
		memset(stream + at + TD_FRAME_HEADER, 'a' + i, lengths[i]);
		at += TD_FRAME_HEADER + lengths[i];
	}
	for (size_t piece = 1; piece <= sizeof(stream); piece++) {
		struct td_frames in = { .max = 300 };
		const uint8_t *payload;
		size_t len, n = 0;
		for (size_t sent = 0; sent < sizeof(stream); sent += piece) {
			size_t left = sizeof(stream) - sent;
			arrive(&in, stream + sent, piece < left ? piece : left);
			int got;
			while ((got = td_frames_next(&in, &payload, &len)) > 0) {
				assert_int_equal(len, lengths[n]);
				for (size_t i = 0; i < len; i++)
					assert_int_equal(payload[i], 'a' + n);
				n++;
			}
			assert_int_equal(got, 0);
		}
		assert_int_equal(n, 3);
		assert_int_equal(in.begin, in.end);
		td_frames_free(&in);
		assert_null(in.bytes);
	}
}

static void a_frame_too_long(void **state)
{
	static const struct {
		uint32_t len;
		size_t max;
		int got;
	} cases[] = { { 100, 100, 0 }, { 101, 100, -EMSGSIZE }, { TD_FRAME_MAX, TD_FRAME_MAX, 0 },
		{ TD_FRAME_MAX + 1, TD_FRAME_MAX, -EMSGSIZE },
		{ TD_FRAME_MAX + 1, SIZE_MAX, -EMSGSIZE }, { UINT32_MAX, SIZE_MAX, -EMSGSIZE } };
	const uint8_t *payload;
	size_t len;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct td_frames in = { .max = cases[i].max };
		uint8_t header[TD_FRAME_HEADER];
		td_frame_header(header, cases[i].len);
		arrive(&in, header, TD_FRAME_HEADER);
		assert_int_equal(td_frames_next(&in, &payload, &len), cases[i].got);
		assert_true(in.cap < 100); // nothing was believed
		td_frames_free(&in);
	}
}

// A stream of frames takes no more room than one of them and what is read at once.
static void room_is_used_again(void **state)
{
	struct td_frames in = { .max = 100 };
	uint8_t frame[TD_FRAME_HEADER + 60] = { 0 };
	const uint8_t *payload;
	size_t len;

	td_frame_header(frame, 60);
	for (int i = 0; i < 1000; i++) {
		arrive(&in, frame, sizeof(frame));
		assert_false(td_frames_full(&in));
		assert_int_equal(td_frames_next(&in, &payload, &len), 1);
	}
	assert_true(in.cap <= 2 * sizeof(frame));
	arrive(&in, frame, sizeof(frame));
	arrive(&in, frame, sizeof(frame));
	assert_true(td_frames_full(&in));
	td_frames_free(&in);
}

static void the_crc_is_castagnolis(void **state)
{
	struct td_journal_record a = { .length = 9, .type = 1, .epoch = 1 }, b = a;

	assert_int_equal(~td_journal_crc_bytes(~0u, "123456789", 9), 0xe3069283);
	b.type = 2;
	assert_int_not_equal(td_journal_crc(&a, "123456789"), td_journal_crc(&b, "123456789"));
	b = a;
	b.epoch = 2;
	assert_int_not_equal(td_journal_crc(&a, "123456789"), td_journal_crc(&b, "123456789"));
}

static void text_becomes_utf8(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "plain", "plain" }, { "a\tb\n\x7f", "a?b??" },
		{ "\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80" },
		{ "\xc3", "?" }, { "\xc0\x80", "??" }, // overlong NUL
		{ "\xed\xa0\x80", "???" },             // surrogate
		{ "\xf5\x80\x80\x80", "????" },        // above U+10FFFF
		{ "\xe2\x82", "??" },
		{ "a\xc2\x9b"
		  "31m\xc2\xa0",
			"a?31m\xc2\xa0" }, // C1: a terminal obeys it
		{ "x\xe2\x80\xae"
		  "y\xe2\x80\xa8\xe2\x81\xa6",
			"x?y??" }, // right to left, end of line
	};
	char out[32];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = td_text_clean(cases[i].in, strlen(cases[i].in), false, out, sizeof(out));
		assert_string_equal(out, cases[i].out);
		assert_int_equal(n, strlen(cases[i].out));
	}
	td_text_clean("a\nb", 3, true, out, sizeof(out));
	assert_string_equal(out, "a\nb");
}

static void text_is_cut_between_characters(void **state)
{
	char out[4];

	assert_int_equal(td_text_clean("ab\xe2\x82\xac", 5, false, out, sizeof(out)), 2);
	assert_string_equal(out, "ab");
	assert_int_equal(td_text_clean("abcdef", 6, false, out, sizeof(out)), 3);
	assert_int_equal(td_text_clean("abcdef", 2, false, out, sizeof(out)), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_come_in_pieces),
		cmocka_unit_test(a_frame_too_long),
		cmocka_unit_test(room_is_used_again),
		cmocka_unit_test(the_crc_is_castagnolis),
		cmocka_unit_test(text_becomes_utf8),
		cmocka_unit_test(text_is_cut_between_characters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
