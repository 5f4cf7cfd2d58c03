// SPDX-License-Identifier: BSD-3-Clause
// The page for Prometheus: grouping, escapes, histograms, numbers; and the ratio over five minutes.
#include "control/collector.h"

#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static struct td_metrics_page page;

static char *render(void)
{
	size_t len = 0;
	char *text = td_metrics_render(&page, &len);

	assert_non_null(text);
	assert_int_equal(len, strlen(text));
	return text;
}

static int teardown(void **state)
{
	td_metrics_page_fini(&page);
	return 0;
}

static void samples_of_one_metric_stand_together(void **state)
{
	const struct td_metrics_label xa[] = { { "port", "xa" }, { 0 } },
				      xb[] = { { "port", "xb" }, { 0 } };

	td_metrics_sample(&page, TD_METRIC_PORT_UP, xa, 1);
	td_metrics_count(&page, TD_METRIC_PORT_RX, xa, UINT64_MAX);
	td_metrics_sample(&page, TD_METRIC_PORT_UP, xb, 0);
	td_metrics_sample(&page, TD_METRIC_CALLS, NULL, 0.25);
	td_metrics_sample(&page, TD_METRIC_ASR, NULL, NAN);
	char *text = render();
	assert_non_null(strstr(text, "# TYPE tandem_port_up gauge\ntandem_port_up{port=\"xa\"} 1\n"
				     "tandem_port_up{port=\"xb\"} 0\n"));
	assert_non_null(strstr(text,
		"# TYPE tandem_port_received_packets_total counter\n"
		"tandem_port_received_packets_total{port=\"xa\"} 18446744073709551615\n"));
	assert_non_null(strstr(text, "\ntandem_calls 0.25\n"));
	assert_non_null(strstr(text, "\ntandem_answer_seizure_ratio NaN\n"));
	assert_null(strstr(text, "tandem_ready")); // what has no sample is not there
	free(text);
	td_metrics_page_reset(&page);
	text = render();
	assert_string_equal(text, "");
	free(text);
}

static void labels_are_escaped(void **state)
{
	const struct td_metrics_label labels[] = { { "trunk", "a\"b\\c\nd\xff" }, { 0 } };

	td_metrics_sample(&page, TD_METRIC_TRUNK_CALLS, labels, 1e9);
	char *text = render();
	assert_non_null(strstr(text, "tandem_trunk_calls{trunk=\"a\\\"b\\\\c?d?\"} 1000000000\n"));
	free(text);
}

static void histograms_count_up(void **state)
{
	const double bounds[] = { 0.001, 1, 14400 };
	const uint64_t counts[] = { 2, 0, 3, 1 };

	td_metrics_histogram(&page, TD_METRIC_CALL_DURATION, NULL, bounds, 3, counts, 12.5);
	char *text = render();
	assert_non_null(strstr(text, "# TYPE tandem_call_duration_seconds histogram\n"
				     "tandem_call_duration_seconds_bucket{le=\"0.001\"} 2\n"
				     "tandem_call_duration_seconds_bucket{le=\"1\"} 2\n"
				     "tandem_call_duration_seconds_bucket{le=\"14400\"} 5\n"
				     "tandem_call_duration_seconds_bucket{le=\"+Inf\"} 6\n"
				     "tandem_call_duration_seconds_sum 12.5\n"
				     "tandem_call_duration_seconds_count 6\n"));
	free(text);
}

static void a_page_may_be_long(void **state)
{
	char name[32];
	size_t lines = 0;

	for (int i = 0; i < 50000; i++) {
		const struct td_metrics_label labels[] = { { "trunk", name }, { 0 } };
		snprintf(name, sizeof(name), "trunk-%d", i);
		td_metrics_count(&page, TD_METRIC_TRUNK_CALLS, labels, 7);
	}
	char *text = render();
	for (const char *c = text; (c = strchr(c, '\n')); c++)
		lines++;
	assert_int_equal(lines, 50002);
	free(text);
}

static void the_ratio_looks_back_five_minutes(void **state)
{
	struct td_asr asr = { 0 };
	uint64_t ms = 0;

	assert_true(
		isnan(td_asr_add(&asr, 100, 90, ms))); // what ended before we looked does not count
	assert_true(fabs(td_asr_add(&asr, 110, 95, ms += 1000) - 0.5) < 1e-9);
	for (int i = 0; i < 600; i++)
		td_asr_add(&asr, 110, 95, ms += 1000);
	assert_true(isnan(td_asr_add(&asr, 110, 95, ms)));
	assert_true(fabs(td_asr_add(&asr, 114, 96, ms += 1000) - 0.25) < 1e-9);
	assert_true(isnan(td_asr_add(&asr, 3, 1, ms += 1000))); // the data plane began again
	assert_true(fabs(td_asr_add(&asr, 5, 2, ms += 1000) - 0.5) < 1e-9);
}

// A second switch must not take half of the scrapes of the first.
static void an_address_is_served_by_one(void **state)
{
	struct sockaddr_in free_one = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct td_sockaddr address = { .family = TD_IPV4, .ip = { 127, 0, 0, 1 } };
	socklen_t len = sizeof(free_one);
	const char *error = NULL;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&free_one, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&free_one, &len), 0);
	close(fd);
	address.port = ntohs(free_one.sin_port);
	struct td_exporter *first = td_exporter_start(&address, &error);
	assert_non_null(first);
	assert_null(td_exporter_start(&address, &error));
	assert_string_equal(error, strerror(EADDRINUSE));
	td_exporter_stop(first);
	first = td_exporter_start(&address, &error); // at once: a restart waits for nothing
	assert_non_null(first);
	td_exporter_stop(first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_is_served_by_one),
		cmocka_unit_test_teardown(samples_of_one_metric_stand_together, teardown),
		cmocka_unit_test_teardown(labels_are_escaped, teardown),
		cmocka_unit_test_teardown(histograms_count_up, teardown),
		cmocka_unit_test_teardown(a_page_may_be_long, teardown),
		cmocka_unit_test(the_ratio_looks_back_five_minutes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
