// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/eal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

static struct td_config *conf;

static int setup(void **state)
{
	conf = calloc(1, sizeof(*conf));
	snprintf(conf->run_dir, sizeof(conf->run_dir), "/run/tandem");
	conf->n_workers = 2;
	conf->worker_cpus[0] = conf->worker_cpus[1] = 1;
	conf->n_ports = 1;
	snprintf(conf->ports[0].device, sizeof(conf->ports[0].device), "net_tap0,iface=t0");
	return 0;
}

static int teardown(void **state)
{
	free(conf);
	return 0;
}

static bool has(const struct td_eal_args *args, const char *arg)
{
	for (int i = 0; i < args->argc; i++)
		if (strcmp(args->argv[i], arg) == 0)
			return true;
	return false;
}

static const char *after(const struct td_eal_args *args, const char *arg)
{
	for (int i = 0; i + 1 < args->argc; i++)
		if (strcmp(args->argv[i], arg) == 0)
			return args->argv[i + 1];
	return "";
}

static void test_a_cpu_may_repeat(void **state)
{
	struct td_eal_args args;

	assert_int_equal(td_eal_args(conf, 100, false, &args), 0);
	assert_string_equal(after(&args, "--lcores"), "0@0,1@1,2@1");
	assert_string_equal(after(&args, "--main-lcore"), "0");
	assert_null(args.argv[args.argc]);
}

static void test_memory_with_and_without_hugepages(void **state)
{
	struct td_eal_args args;

	td_eal_args(conf, 300, false, &args);
	assert_true(has(&args, "--no-huge") && has(&args, "--no-shconf"));
	assert_false(has(&args, "--in-memory"));
	assert_string_equal(after(&args, "-m"), "300");
	td_eal_args(conf, 512, true, &args);
	assert_false(has(&args, "--no-huge"));
	assert_string_equal(after(&args, "-m"), "512");
	assert_true(has(&args, "--in-memory") && has(&args, "--iova-mode=va") &&
		    has(&args, "--no-telemetry"));
}

static void test_the_bus_is_left_alone_without_a_card(void **state)
{
	struct td_eal_args args;

	td_eal_args(conf, 100, false, &args);
	assert_true(has(&args, "--no-pci"));
	conf->n_ports = 2;
	snprintf(conf->ports[1].device, sizeof(conf->ports[1].device), "0000:01:00.0");
	td_eal_args(conf, 100, false, &args);
	assert_false(has(&args, "--no-pci"));
	assert_string_equal(after(&args, "-a"), "0000:01:00.0");
}

static void test_two_switches_have_two_prefixes(void **state)
{
	struct td_eal_args a, b;
	const char *prefix = "";

	td_eal_args(conf, 100, false, &a);
	snprintf(conf->run_dir, sizeof(conf->run_dir), "/run/tandem-2");
	td_eal_args(conf, 100, false, &b);
	for (int i = 0; i < a.argc; i++)
		if (strncmp(a.argv[i], "--file-prefix=", 14) == 0)
			prefix = a.argv[i];
	assert_true(prefix[0] != '\0');
	assert_false(has(&b, prefix));
}

static void test_the_largest_configuration_fits(void **state)
{
	struct td_eal_args args;

	conf->n_workers = conf->n_dsp = TD_WORKERS_MAX;
	for (int i = 0; i < TD_WORKERS_MAX; i++)
		conf->worker_cpus[i] = conf->dsp_cpus[i] = 1000 + i;
	conf->n_ports = TD_PORTS_MAX;
	for (int i = 0; i < TD_PORTS_MAX; i++)
		snprintf(conf->ports[i].device, sizeof(conf->ports[i].device), "0000:%02x:00.0", i);
	assert_int_equal(td_eal_args(conf, 100, true, &args), 0);
	memset(conf->ports[0].device, 'f', sizeof(conf->ports[0].device) - 1);
	assert_int_equal(td_eal_args(conf, 100, true, &args), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_cpu_may_repeat, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_memory_with_and_without_hugepages, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_the_bus_is_left_alone_without_a_card, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_two_switches_have_two_prefixes, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_the_largest_configuration_fits, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
