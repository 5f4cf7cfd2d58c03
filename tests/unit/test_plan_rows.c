// SPDX-License-Identifier: BSD-3-Clause
// Lines of a route file in packed parts: what went in comes out, parts end where lines do, damage
// is told.
#include "control/plan_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINES 200000

// Some 4 MB of lines of different lengths, the last without an end.
static char *many_lines(size_t *len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, len);

	assert_non_null(out);
	fputs("match,to\n", out);
	for (uint64_t i = 0, n = 1; i < LINES;
		i++, n = n * 6364136223846793005u + 1442695040888963407u)
		fprintf(out, "%llu,carrier-b%s", (unsigned long long)n >> (i % 40),
			i + 1 < LINES ? "\n" : "");
	fclose(out);
	return text;
}

static void comes_out(struct td_plan_rows *rows, const char *text, size_t len)
{
	size_t at = 0;

	for (uint32_t i = 0; i < td_plan_rows_parts(rows); i++) {
		const char *part;
		size_t part_len;
		assert_int_equal(td_plan_rows_text(rows, i, &part, &part_len), 0);
		assert_true(part_len > 0 && part_len <= TD_PLAN_PART_TEXT && at + part_len <= len);
		assert_memory_equal(part, text + at, part_len);
		at += part_len;
		assert_true(at == len || text[at - 1] == '\n');
	}
	assert_int_equal(at, len);
}

static void what_went_in_comes_out(void **state)
{
	size_t len;
	char *text = many_lines(&len);
	struct td_plan_rows *whole = td_plan_rows_new(), *lines = td_plan_rows_new();

	assert_int_equal(td_plan_rows_add(whole, text, len), 0);
	assert_int_equal(td_plan_rows_end(whole), 0);
	assert_true(td_plan_rows_parts(whole) >= 3);
	assert_true(td_plan_rows_bytes(whole) < len / 2 + len / 4);
	comes_out(whole, text, len);
	for (size_t at = 0, end; at < len; at = end) {
		for (end = at + 1; end < len && text[end - 1] != '\n';)
			end++;
		assert_int_equal(td_plan_rows_add(lines, text + at, end - at), 0);
	}
	assert_int_equal(td_plan_rows_end(lines), 0);
	comes_out(lines, text, len);
	assert_int_equal(td_plan_rows_checksum(lines), td_plan_rows_checksum(whole));
	td_plan_rows_free(lines);
	td_plan_rows_free(whole);
	free(text);
}

static void parts_travel_packed(void **state)
{
	size_t len;
	char *text = many_lines(&len);
	struct td_plan_rows *here = td_plan_rows_new(), *there = td_plan_rows_new();

	assert_int_equal(td_plan_rows_add(here, text, len), 0);
	assert_int_equal(td_plan_rows_end(here), 0);
	for (uint32_t i = 0; i < td_plan_rows_parts(here); i++) {
		const void *bytes;
		size_t packed;
		assert_int_equal(td_plan_rows_packed(here, i, &bytes, &packed), 0);
		assert_int_equal(td_plan_rows_add_packed(there, bytes, packed), 0);
	}
	assert_int_equal(td_plan_rows_bytes(there), td_plan_rows_bytes(here));
	assert_int_equal(td_plan_rows_checksum(there), td_plan_rows_checksum(here));
	comes_out(there, text, len);
	td_plan_rows_free(there);
	td_plan_rows_free(here);
	free(text);
}

static void nothing_has_no_parts(void **state)
{
	struct td_plan_rows *rows = td_plan_rows_new();
	const char *text;
	size_t len;

	assert_int_equal(td_plan_rows_end(rows), 0);
	assert_int_equal(td_plan_rows_parts(rows), 0);
	assert_int_equal(td_plan_rows_bytes(rows), 0);
	assert_int_equal(td_plan_rows_text(rows, 0, &text, &len), -ENOENT);
	td_plan_rows_free(rows);
}

static void a_line_longer_than_a_part_is_refused(void **state)
{
	size_t len = TD_PLAN_PART_TEXT + 2;
	char *text = malloc(len);
	struct td_plan_rows *rows = td_plan_rows_new();

	memset(text, 'x', len);
	text[0] = '\n';
	assert_int_equal(td_plan_rows_add(rows, text, len), -EINVAL);
	td_plan_rows_free(rows);
	rows = td_plan_rows_new();
	assert_int_equal(td_plan_rows_add(rows, text + 1, TD_PLAN_PART_TEXT), 0);
	assert_int_equal(td_plan_rows_end(rows), 0);
	comes_out(rows, text + 1, TD_PLAN_PART_TEXT);
	td_plan_rows_free(rows);
	free(text);
}

// Every octet counts, and nothing that a database holds makes a part larger than it may be.
static void damage_is_told(void **state)
{
	struct td_plan_rows *good = td_plan_rows_new();
	const void *bytes;
	const char *text;
	uint8_t copy[256];
	size_t len, packed;

	assert_int_equal(td_plan_rows_add(good, "match,to\n49,b\n48,b\n", 19), 0);
	assert_int_equal(td_plan_rows_end(good), 0);
	assert_int_equal(td_plan_rows_packed(good, 0, &bytes, &packed), 0);
	assert_true(packed < sizeof(copy));
	memcpy(copy, bytes, packed);
	for (size_t i = 0; i <= packed; i++) {
		struct td_plan_rows *rows = td_plan_rows_new();
		if (i < packed)
			copy[i] ^= 0x55;
		assert_int_equal(
			td_plan_rows_add_packed(rows, copy, i < packed ? packed : packed - 1), 0);
		assert_int_equal(td_plan_rows_text(rows, 0, &text, &len), -EBADMSG);
		if (i < packed)
			copy[i] ^= 0x55;
		td_plan_rows_free(rows);
	}
	td_plan_rows_free(good);
	struct td_plan_rows *rows = td_plan_rows_new();
	void *large = calloc(1, TD_PLAN_PART_TEXT + 65537);
	assert_int_equal(td_plan_rows_add_packed(rows, large, TD_PLAN_PART_TEXT + 65537), -EBADMSG);
	free(large);
	td_plan_rows_free(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_went_in_comes_out),
		cmocka_unit_test(parts_travel_packed),
		cmocka_unit_test(nothing_has_no_parts),
		cmocka_unit_test(a_line_longer_than_a_part_is_refused),
		cmocka_unit_test(damage_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
