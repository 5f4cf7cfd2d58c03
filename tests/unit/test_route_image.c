// SPDX-License-Identifier: BSD-3-Clause
#include "sip/route_build.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define TEXT_MAX 40

static struct td_route_builder *builder;

static void add(const char *match, const char *to)
{
	const char *error = NULL;
	struct td_route_row row = {
		.match = td_span_str(match), .to = td_span_str(to), .weight = 1
	};

	if (td_route_builder_add(builder, &row, &error) < 0)
		fail_msg("%s %s", match, error);
}

static void refused(const char *match, const char *to, const char *words)
{
	const char *error = "";
	struct td_route_row row = { .match = td_span_str(match), .to = td_span_str(to) };

	assert_int_equal(td_route_builder_add(builder, &row, &error), -EINVAL);
	if (!strstr(error, words))
		fail_msg("unclear: %s", error);
}

// The image of what was added, its memory in *bytes.
static struct td_route_image written(void **bytes)
{
	struct td_route_image image;
	char match[TD_ROUTE_SYMBOLS_MAX + 2];
	const char *error = NULL;
	size_t len = 0;

	assert_int_equal(td_route_builder_close(builder, &len, match), 0);
	*bytes = aligned_alloc(64, len);
	memset(*bytes, 0, len);
	td_route_builder_write(builder, "test", *bytes);
	td_route_builder_free(builder);
	builder = NULL;
	if (td_route_image_open(&image, *bytes, len, &error) < 0)
		fail_msg("%s", error);
	return image;
}

// First target's name of a set.
static const char *target(const struct td_route_image *image, uint32_t set)
{
	const struct td_route_to *to =
		(const void *)(image->sets + set + 1 + sizeof(struct td_route_entry) / 4);

	return set == 0 ? "" : image->names[to->name];
}

// The prefixes of a number, longest first, one word each.
static const char *found(const struct td_route_image *image, const char *number)
{
	static char text[1024];
	struct td_route_key key;
	struct td_route_cursor cursor;
	struct td_route_match match;
	size_t n = 0;

	td_route_key_of(td_span_str(number), &key);
	td_route_find(image, &key, &cursor);
	text[0] = '\0';
	while (td_route_next(image, &cursor, &match)) {
		char digits[TD_ROUTE_SYMBOLS_MAX + 2];
		size_t len = td_route_key_format(&match.key, digits);
		assert_int_equal(len, strlen(digits));
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", n > 0 ? " " : "", digits);
		assert_int_equal(match.length, len);
	}
	return text;
}

static void test_prefixes(void **state)
{
	void *bytes;

	builder = td_route_builder_new();
	add("", "any");
	add("49", "a");
	add("4930", "b");
	add("=4930", "c");
	add("49305551", "d");
	add("*31#", "e");
	add("1234567890123456", "f");
	add("12345678901234567", "g");
	add("1234567890123456789012345678901", "h");
	add("=12345678901234567", "i");
	add("urn:service:sos", "j");
	struct td_route_image image = written(&bytes);

	assert_string_equal(found(&image, "49305551"), "49305551 4930 49 ");
	assert_string_equal(found(&image, "4930"), "=4930 4930 49 ");
	assert_string_equal(found(&image, "49301"), "4930 49 ");
	assert_string_equal(found(&image, "5"), "");
	assert_string_equal(found(&image, "*31#49"), "*31# ");
	assert_string_equal(found(&image, "alice"), "");
	assert_string_equal(
		found(&image, "123456789012345678"), "12345678901234567 1234567890123456 ");
	assert_string_equal(found(&image, "12345678901234567"),
		"=12345678901234567 12345678901234567 1234567890123456 ");
	assert_string_equal(found(&image, "12345678901234567890123456789012345"),
		"1234567890123456789012345678901 12345678901234567 1234567890123456 ");
	assert_string_equal(target(&image, td_route_exact(&image, TD_ROUTE_SOS).set), "j");
	assert_int_equal(image.header->rows, 11);
	free(bytes);
}

static void test_aors(void **state)
{
	void *bytes;

	builder = td_route_builder_new();
	for (int i = 0; i < 1000; i++) {
		char match[TEXT_MAX], to[TEXT_MAX];
		snprintf(match, sizeof(match), "u%d@Example.net", i);
		snprintf(to, sizeof(to), "t%d", i % 7);
		add(match, to);
	}
	add("@example.net", "domain");
	struct td_route_image image = written(&bytes);

	for (int i = 0; i < 1000; i++) {
		char user[TEXT_MAX], to[TEXT_MAX];
		snprintf(user, sizeof(user), "u%d", i);
		snprintf(to, sizeof(to), "t%d", i % 7);
		uint32_t set = td_route_aor(&image, td_span_str(user), TD_SPAN("eXample.net"));
		assert_string_equal(target(&image, set), to);
	}
	assert_int_equal(td_route_aor(&image, TD_SPAN("U1"), TD_SPAN("example.net")), 0);
	assert_int_equal(td_route_aor(&image, TD_SPAN("u1"), TD_SPAN("example.com")), 0);
	assert_string_equal(found(&image, "1"), "");
	assert_int_equal(image.header->n_keys, 1);
	free(bytes);
}

static void test_refused(void **state)
{
	char match[TD_ROUTE_SYMBOLS_MAX + 2];
	size_t len;

	builder = td_route_builder_new();
	refused("+49", "a", "neither digits");
	refused("=", "a", "neither digits");
	refused("49x", "a", "neither digits");
	refused("12345678901234567890123456789012", "a", "31 digits");
	refused("49", "a-name-that-is-longer-than-a-name-may-be", "31 characters");
	refused("1@", "a", "no domain");
	for (int i = 0; i < TD_ROUTE_TARGETS_MAX + 1; i++)
		add("49", i % 2 ? "a" : "b");
	assert_int_equal(td_route_builder_close(builder, &len, match), -EINVAL);
	assert_string_equal(match, "49");
	td_route_builder_free(builder);
	builder = NULL;
}

static uint64_t next(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 33;
}

static void digits_random(uint64_t *seed, char *dst, uint32_t max)
{
	uint32_t n = (uint32_t)(next(seed) % (max + 1));

	for (uint32_t i = 0; i < n; i++)
		dst[i] = "0123456789*#"[next(seed) % (next(seed) % 4 == 0 ? 12 : 3)];
	dst[n] = '\0';
}

// Against a plain search, over few and many keys.
static void test_equals_search(void **state)
{
	static char prefixes[3000][TEXT_MAX];

	for (uint64_t seed = 1; seed <= 12; seed++) {
		uint64_t random = seed;
		uint32_t n = seed % 6 == 0 ? 1500 : (uint32_t)(next(&random) % 200);
		void *bytes;
		builder = td_route_builder_new();
		for (uint32_t i = 0; i < n; i++) {
			bool fresh;
			do {
				digits_random(&random, prefixes[i], i % 10 == 0 ? 31 : 9);
				fresh = true;
				for (uint32_t k = 0; k < i; k++)
					fresh &= strcmp(prefixes[k], prefixes[i]) != 0;
			} while (!fresh);
			add(prefixes[i], "a");
		}
		struct td_route_image image = written(&bytes);
		for (int i = 0; i < 500; i++) {
			char number[TEXT_MAX + 8], expected[1024] = "";
			size_t at = 0;
			digits_random(&random, number, 34);
			if (n > 0 && i % 3 == 0)
				snprintf(number, sizeof(number), "%s%u",
					prefixes[next(&random) % n], i % 100);
			for (int len = 31; len >= 0; len--)
				for (uint32_t k = 0; k < n; k++) {
					if ((int)strlen(prefixes[k]) != len ||
						strncmp(prefixes[k], number, (size_t)len) != 0)
						continue;
					at += (size_t)snprintf(expected + at, sizeof(expected) - at,
						"%s%s", at > 0 ? " " : "", prefixes[k]);
					break;
				}
			assert_string_equal(found(&image, number), expected);
		}
		free(bytes);
	}
}

// One byte changed anywhere: refused, or at least nothing is read outside (valgrind, sanitizers).
static void test_damaged(void **state)
{
	void *bytes;
	uint64_t random = 5;

	builder = td_route_builder_new();
	for (int i = 0; i < 100; i++) {
		char match[TEXT_MAX];
		snprintf(match, sizeof(match), "%d", i * 7919);
		add(match, "a");
	}
	add("12345678901234567", "g");
	add("bob@example.net", "g");
	struct td_route_image image = written(&bytes);
	size_t len = image.header->bytes;
	uint8_t *copy = aligned_alloc(64, len);

	for (int i = 0; i < 20000; i++) {
		const char *error = NULL;
		struct td_route_image seen = { 0 };
		size_t at = next(&random) % len;
		memcpy(copy, bytes, len);
		copy[at] ^= (uint8_t)(1 + next(&random) % 255);
		if (i % 2 == 0) { // whoever writes an image can write its hash
			struct td_route_header *h = (void *)copy;
			if (h->bytes == len)
				h->generation = td_route_image_hash(h);
		}
		if (td_route_image_open(&seen, copy, len, &error) < 0) {
			assert_non_null(error);
			continue;
		}
		found(&seen, "7919");
		found(&seen, "123456789012345678");
		td_route_aor(&seen, TD_SPAN("bob"), TD_SPAN("example.net"));
		assert_int_equal(i % 2, 0);
	}
	const char *error = NULL;
	assert_int_equal(td_route_image_open(&image, bytes, len - 64, &error), -EINVAL);
	assert_int_equal(td_route_image_open(&image, bytes, 8, &error), -EINVAL);
	free(copy);
	free(bytes);
}

// The status of a block goes out on the wire: an image that has another in its place is refused.
static void test_a_blocks_status_is_one(void **state)
{
	static const struct {
		uint16_t status;
		int rc;
	} cases[] = { { 0, 0 }, { 400, 0 }, { 699, 0 }, { 200, -EINVAL }, { 399, -EINVAL },
		{ 700, -EINVAL }, { 65535, -EINVAL } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *error = NULL;
		char match[TD_ROUTE_SYMBOLS_MAX + 2];
		struct td_route_row row = { .match = TD_SPAN("49"), .status = cases[i].status };
		struct td_route_image image;
		size_t len = 0;
		builder = td_route_builder_new();
		assert_int_equal(td_route_builder_add(builder, &row, &error), 0);
		assert_int_equal(td_route_builder_close(builder, &len, match), 0);
		void *bytes = aligned_alloc(64, len);
		memset(bytes, 0, len);
		td_route_builder_write(builder, "test", bytes);
		td_route_builder_free(builder);
		builder = NULL;
		assert_int_equal(td_route_image_open(&image, bytes, len, &error), cases[i].rc);
		free(bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_aors),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_equals_search),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_a_blocks_status_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
