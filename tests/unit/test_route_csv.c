// SPDX-License-Identifier: BSD-3-Clause
// Route files: what is taken, what is refused and with which line, and what differs between two
// plans.
#include "control/plan_diff.h"
#include "control/route_csv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define HEAD                                                                                       \
	"match,to,priority,weight,cost,domain,caller,window,max_duration,block,limit,failover,"    \
	"name\n"

static char error[512];

static struct td_route_names *names(void)
{
	struct td_trunk_conf trunks[2] = { { .name = "b" }, { .name = "a" } };
	struct td_group_conf group = { .name = "g" };
	struct td_window_conf window = { .name = "night" };
	struct td_policy_conf policy = { .n_trunks = 2,
		.n_groups = 1,
		.n_windows = 1,
		.trunks = trunks,
		.groups = &group,
		.windows = &window };

	return td_route_names_new(&policy);
}

static int read_text(const char *text, struct td_route_builder **builder)
{
	_Atomic uint64_t progress = 0;
	struct td_route_names *known = names();

	*builder = td_route_builder_new();
	error[0] = '\0';
	int rc = td_route_csv_read(
		*builder, text, strlen(text), known, &progress, error, sizeof(error));
	td_route_names_free(known);
	return rc;
}

static void refused(const char *text, const char *words)
{
	struct td_route_builder *builder;

	assert_int_equal(read_text(text, &builder), -EINVAL);
	td_route_builder_free(builder);
	if (!strstr(error, words))
		fail_msg("unclear: %s", error);
}

static struct td_route_image image_of(const char *text)
{
	struct td_route_builder *builder;
	struct td_route_image image;
	char match[TD_ROUTE_SYMBOLS_MAX + 2];
	const char *why = "";
	size_t bytes;

	if (read_text(text, &builder) < 0)
		fail_msg("%s", error);
	assert_int_equal(td_route_builder_close(builder, &bytes, match), 0);
	void *memory = aligned_alloc(64, bytes);
	memset(memory, 0, bytes);
	td_route_builder_write(builder, "p", memory);
	td_route_builder_free(builder);
	assert_int_equal(td_route_image_open(&image, memory, bytes, &why), 0);
	return image;
}

static void image_free(struct td_route_image *image)
{
	free((void *)(uintptr_t)image->header);
}

static void on_line(void *ctx, const char *text, size_t len)
{
	char *all = ctx;
	size_t at = strlen(all);

	memcpy(all + at, text, len);
	all[at + len] = '\0';
}

static const char *lines(const struct td_route_image *image, const char *match)
{
	static char all[4096];

	all[0] = '\0';
	uint32_t set = td_plan_find(image, match);
	if (set != 0)
		td_route_csv_write(image, match, set, on_line, all);
	return all;
}

static void test_taken(void **state)
{
	struct td_route_image image =
		image_of(HEAD "49,a,,,,,,,,,,,\r\n\n"
			      "+4930 , \"b\" ,2,5,0.0123,,+33,night,60,,,,cheap\n"
			      "+4930,g,1,,1,,,,,,,,\n"
			      "=+4911,registrar,,,,,,,,,,,\n"
			      "49900,,,,,,anonymous,,,603,,,\n"
			      "bob@Example.net,a,,,,,,,,,,,\n"
			      "@example.org,a,,,,,,,,,,,\n"
			      "urn:service:sos,b,,,,,,,,,,,");

	assert_string_equal(lines(&image, "49"), "49,a,1,100,,,,,,,,,\n");
	assert_string_equal(lines(&image, "4930"),
		"4930,b,2,5,0.012300,,33,night,60,,,,cheap\n4930,g,1,100,1.000000,,,,,,,,\n");
	assert_string_equal(lines(&image, "=4911"), "=4911,registrar,1,100,,,,,,,,,\n");
	assert_string_equal(lines(&image, "49900"), "49900,,1,,,,anonymous,,,603,,,\n");
	assert_string_equal(lines(&image, "bob@example.net"), "bob@example.net,a,1,100,,,,,,,,,\n");
	assert_string_equal(lines(&image, ""), ",a,1,100,,example.org,,,,,,,\n");
	assert_string_equal(lines(&image, "urn:service:sos"), "urn:service:sos,b,1,100,,,,,,,,,\n");
	assert_string_equal(lines(&image, "4"), "");
	image_free(&image);
}

// As spreadsheets write it, and with names that would fall apart as bare fields.
static void test_written_as_it_was_read(void **state)
{
	static const char *const rows[] = {
		"49,a,1,100,,,,,,,,,\"Acme, Inc\"\n",
		"50,a,1,100,,,,,,,,,\" far away \"\n",
		"51,a,1,100,,,,,,,,,the \"old\" one\n",
	};
	struct td_route_image image = image_of("\xef\xbb\xbfmatch,to,name\r\n49,a,\"Acme, Inc\"\r\n"
					       "50,a,\" far away \"\r\n51,a,the \"old\" one\r\n");
	char again[2048] = HEAD;

	for (unsigned i = 0; i < 3; i++) {
		const char match[] = { rows[i][0], rows[i][1], '\0' };
		assert_string_equal(lines(&image, match), rows[i]);
		strcat(again, rows[i]);
	}
	struct td_route_image same = image_of(again);
	assert_int_equal(same.header->generation, image.header->generation);
	image_free(&same);
	image_free(&image);
}

static void test_refused(void **state)
{
	refused("", "line 0: the line with the names");
	refused("\n\n", "the line with the names");
	refused("match,to,nothing\n", "line 1: no column is named \"nothing\"");
	refused("match,to,to\n", "line 1: column \"to\" stands there twice");
	refused("to\na\n", "line 1: there is no column \"match\"");
	refused("match,to\n49,a\n49,a,b\n", "line 3: more fields");
	refused("match,to\n49,a\n\n49\n", "line 4: 1 fields, and 2 columns");
	refused("match,to\n49,z\n", "line 2: there is no trunk or group named \"z\"");
	refused("match,to\n49,\n", "line 2: neither");
	refused("match,to,block\n49,a,603\n", "line 2: both");
	refused("match,block\n49,200\n", "line 2: block is a status");
	refused("match,to,window\n49,a,day\n", "line 2: there is no window named \"day\"");
	refused("match,to,limit\n49,a,x\n", "line 2: there is no limit named \"x\"");
	refused("match,to\n4x,a\n", "line 2: \"4x\" is neither digits");
	refused("match,to\n49\",a\n", "line 2: \"49\"\" is neither");
	refused("match,to\n\"49,a\n", "line 2: a quote does not end");
	refused("match,to\n\"49\"5,a\n", "line 2: something stands behind");
	refused("match,to,priority\n49,a,65536\n", "line 2: priority");
	refused("match,to,cost\n49,a,1.1234567\n", "line 2: cost");
	refused("match,to,cost\n49,a,x\n", "line 2: cost");
	refused("match,to,cost\n49,a,4294\n", "line 2: cost");
	refused("match,to,caller\n49,a,bob\n", "line 2: \"49\" the caller");
	refused("match,to,domain\n@x.net,a,y.net\n", "line 2: \"@x.net\" names a domain");
}

static void test_difference(void **state)
{
	struct td_route_image before =
		image_of("match,to\n1,a\n2,a\n3,a\n12345678901234567,a\nbob@x,a\n");
	struct td_route_image after =
		image_of("match,to\n1,a\n2,b\n4,a\n12345678901234567,b\nbob@x,a\namy@x,b\n");
	struct td_plan_diff diff;

	td_plan_diff(&before, &after, &diff);
	assert_int_equal(diff.count[TD_PLAN_ADDED], 2);
	assert_int_equal(diff.count[TD_PLAN_CHANGED], 2);
	assert_int_equal(diff.count[TD_PLAN_REMOVED], 1);
	assert_string_equal(diff.samples[TD_PLAN_ADDED][0], "4");
	assert_string_equal(diff.samples[TD_PLAN_ADDED][1], "amy@x");
	assert_string_equal(diff.samples[TD_PLAN_CHANGED][0], "2");
	assert_string_equal(diff.samples[TD_PLAN_REMOVED][0], "3");
	td_plan_diff(&after, &after, &diff);
	assert_int_equal(diff.count[0] + diff.count[1] + diff.count[2], 0);
	td_plan_diff(NULL, &after, &diff);
	assert_int_equal(diff.count[TD_PLAN_ADDED], 6);
	image_free(&before);
	image_free(&after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_written_as_it_was_read),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_difference),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
