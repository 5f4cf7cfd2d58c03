// SPDX-License-Identifier: BSD-3-Clause
// tandem-dataplane: command line, configuration, EAL, signals. Everything else is main_loop.c and
// what it calls.
#include "control/config.h"
#include "control/policy_pb.h"
#include "dataplane/eal.h"
#include "dataplane/log.h"
#include "dataplane/main_loop.h"
#include "dataplane/state_file.h"

#include <rte_eal.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#define SETS_MAX 256
#define HUGEPAGES "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
#define DEFAULT_CONFIG "/etc/tandem/tandem.conf"

enum { EXIT_ENDED = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct options {
	const char *path;
	const char *sets[SETS_MAX];
	int n_sets;
	bool check;
};

static _Atomic unsigned int ends; // how often we were asked to end

static const char usage[] =
	"usage: tandem-dataplane [-c FILE] [--set PATH=VALUE]… [--check] [--version] [--help]\n"
	"  -c, --config FILE   configuration (default " DEFAULT_CONFIG ")\n"
	"  --set PATH=VALUE    override one setting, such as limits.calls=100; repeatable\n"
	"  --check             say what the configuration needs and whether it is there, and end\n"
	"  --version, --help\n"
	"Runs in the foreground. SIGTERM drains and ends, a second one ends at once. Exit status: "
	"0 ended as asked, 1 failed\n"
	"while running, 2 wrong usage or configuration.\n";

static int words_write(int fd, const char *words, int status)
{
	return dprintf(fd, "%s", words) < 0 ? EXIT_FAILED : status;
}

static int option_take(struct options *options, int c)
{
	switch (c) {
	case 'c':
		options->path = optarg;
		return -1;
	case 's':
		if (options->n_sets == SETS_MAX)
			return words_write(STDERR_FILENO, "tandem-dataplane: more than 256 --set\n",
				EXIT_USAGE);
		options->sets[options->n_sets++] = optarg;
		return -1;
	case 'k':
		options->check = true;
		return -1;
	case 'v':
		return words_write(
			STDOUT_FILENO, "tandem-dataplane " TANDEM_VERSION "\n", EXIT_ENDED);
	case 'h':
		return words_write(STDOUT_FILENO, usage, EXIT_ENDED);
	default:
		return words_write(STDERR_FILENO, usage, EXIT_USAGE);
	}
}

// Returns -1 to go on, or the exit status.
static int options_read(struct options *options, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "set", required_argument, NULL, 's' },
		{ "check", no_argument, NULL, 'k' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int status = -1;

	options->path = DEFAULT_CONFIG;
	for (int c; status < 0 && (c = getopt_long(argc, argv, "c:h", longs, NULL)) != -1;)
		status = option_take(options, c);
	if (status < 0 && optind < argc)
		status = words_write(STDERR_FILENO, usage, EXIT_USAGE);
	optind = 1; // EAL reads its line with the same function
	return status;
}

static int check(const struct options *options, const struct td_config *conf)
{
	struct td_pool_plan plan;

	td_pools_plan(conf, &plan);
	dprintf(STDOUT_FILENO, "%s: %u workers, %u ports, %u realms, %u calls, %u calls/s\n",
		options->path, conf->n_workers, conf->n_ports, conf->n_realms, conf->max_calls,
		conf->max_cps);
	return td_pools_check(&plan, conf, STDOUT_FILENO) < 0 ? EXIT_USAGE : EXIT_ENDED;
}

// --- running ---

static void on_end(int number)
{
	ends++;
}

static void signals_take(void)
{
	struct sigaction end = { .sa_handler = on_end }, ignore = { .sa_handler = SIG_IGN };

	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGINT, &end, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGHUP, &ignore, NULL); // reloads are control's
}

// One data plane for each run_dir: the lock goes with the process, however it ends. The descriptor
// is never closed.
static int run_dir_lock(const struct td_config *conf)
{
	char path[TD_PATH_LEN];
	int rc = td_state_dir_make(conf->run_dir);

	if (rc < 0)
		return rc;
	snprintf(path, sizeof(path), "%s/dataplane.lock", conf->run_dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
}

static int eal_begin(const struct td_config *conf)
{
	static struct td_eal_args args;
	struct td_pool_plan plan;

	td_pools_plan(conf, &plan);
	uint64_t huge_mb = td_eal_huge_free_mb();
	bool huge = conf->huge_mb > 0 && huge_mb >= conf->huge_mb;
	if (conf->huge_mb > 0 && !huge)
		td_log(TD_LOG_WARNING, "memory.no_hugepages",
			"wanted_mb=%u free_mb=%lu effect=\"running on ordinary pages, slower\" "
			"do=\"write %u to " HUGEPAGES
			" before the start, or set memory.huge_mb = 0\"",
			conf->huge_mb, huge_mb, (conf->huge_mb + 1) / 2);
	int rc = td_eal_args(
		conf, huge ? conf->huge_mb : td_pools_eal_mb(&plan, false), huge, &args);
	return rc < 0 ? rc : td_eal_start(&args);
}

static int fail(const char *event, const char *fault)
{
	td_log(TD_LOG_ERROR, event, "reason=\"%s\"", fault);
	return EXIT_FAILED;
}

static int run(const struct td_config *conf)
{
	static const struct td_policy_codec codec = {
		.from_pb = td_policy_from_pb,
		.unpack = td_policy_unpack,
		.pack = td_policy_pack,
		.free = td_policy_conf_free,
	};
	static struct td_switch s;
	char fault[TD_FAULT_LEN] = "";
	int rc = run_dir_lock(conf);

	if (rc == -EWOULDBLOCK)
		return fail("start.locked", "another tandem-dataplane runs in this run_dir");
	if (rc < 0)
		return fail("start.run_dir", strerror(-rc));
	signals_take();
	rc = eal_begin(conf);
	if (rc < 0)
		return fail("start.eal", strerror(-rc));
	if (td_switch_create(&s, conf, fault) < 0)
		return fail("start.failed", fault);
	rc = td_main_loop(&s, &codec, &ends, fault);
	td_switch_destroy(&s);
	rte_eal_cleanup();
	if (rc < 0)
		return fail("start.failed", fault);
	td_log(TD_LOG_INFO, "end.done", NULL);
	return EXIT_ENDED;
}

int main(int argc, char **argv)
{
	static struct options options;
	struct td_faults faults = { 0 };
	struct td_config *conf = NULL;
	int status = options_read(&options, argc, argv);

	if (status >= 0)
		return status;
	if (td_config_load(options.path, options.sets, options.n_sets, &conf, &faults) < 0) {
		td_faults_print(&faults, STDERR_FILENO);
		td_faults_free(&faults);
		return EXIT_USAGE;
	}
	struct td_pool_plan plan;
	td_pools_plan(conf, &plan);
	if (options.check)
		status = check(&options, conf);
	else if (td_pools_check(&plan, conf, -1) < 0)
		status = (check(&options, conf), EXIT_USAGE);
	else
		status = run(conf);
	td_config_free(conf);
	td_faults_free(&faults);
	return status;
}
