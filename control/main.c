// SPDX-License-Identifier: BSD-3-Clause
// tandem-control: one loop that reads the configuration, keeps the data plane in sync with it,
// stores call detail records and answers operators.
#include "control/control.h"
#include "control/journal_loop.h"
#include "control/log.h"
#include "control/policy_pb.h"
#include "control/reload.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define SETS_MAX 256
#define DEFAULT_CONFIG "/etc/tandem/tandem.conf"

enum { EXIT_ENDED = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct options {
	const char *path;
	const char *sets[SETS_MAX];
	int n_sets;
	bool check;
};

// --- command line ---

static const char usage[] =
	"usage: tandem-control [-c FILE] [--set PATH=VALUE]… [--check] [--version] [--help]\n"
	"  -c, --config FILE   configuration (default " DEFAULT_CONFIG ")\n"
	"  --set PATH=VALUE    override one setting, such as limits.calls=100; repeatable\n"
	"  --check             say whether the configuration is right, and end\n"
	"  --version, --help\n"
	"Runs in the foreground. Exit status: 0 ended as asked, 1 failed while running,\n"
	"2 wrong usage or configuration.\n";

// Returns -1 to go on, or the exit status.
static int options_read(struct options *options, int argc, char **argv)
{
	enum { OPT_SET = 256, OPT_CHECK, OPT_VERSION };
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "set", required_argument, NULL, OPT_SET },
		{ "check", no_argument, NULL, OPT_CHECK },
		{ "version", no_argument, NULL, OPT_VERSION },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};

	options->path = DEFAULT_CONFIG;
	for (int c; (c = getopt_long(argc, argv, "c:h", longs, NULL)) != -1;) {
		switch (c) {
		case 'c':
			options->path = optarg;
			break;
		case OPT_SET:
			if (options->n_sets == SETS_MAX) {
				fprintf(stderr, "tandem-control: more than %d --set\n", SETS_MAX);
				return EXIT_USAGE;
			}
			options->sets[options->n_sets++] = optarg;
			break;
		case OPT_CHECK:
			options->check = true;
			break;
		case OPT_VERSION:
			puts("tandem-control " TANDEM_VERSION);
			return EXIT_ENDED;
		case 'h':
			fputs(usage, stdout);
			return EXIT_ENDED;
		default:
			fputs(usage, stderr);
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "tandem-control: found \"%s\", expected options only\n%s",
			argv[optind], usage);
		return EXIT_USAGE;
	}
	return -1;
}

// --- start ---

static int folder_make(const char *path)
{
	char part[PATH_MAX];

	for (const char *slash = path + 1;; slash++) {
		if (*slash != '/' && *slash != '\0')
			continue;
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		if (mkdir(part, 0755) != 0 && errno != EEXIST) {
			td_log(TD_LOG_ERROR, "start.folder", "path=%s error=\"%s\"", part,
				strerror(errno));
			return -errno;
		}
		if (*slash == '\0')
			return 0;
	}
}

// One tandem-control for each run_dir: the lock goes with the process, however it ends.
static bool run_dir_lock(struct td_control *control)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/control.lock", control->conf->run_dir);
	control->run_lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (control->run_lock >= 0 && flock(control->run_lock, LOCK_EX | LOCK_NB) == 0)
		return true;
	td_log(TD_LOG_ERROR, "start.locked", "path=%s error=\"%s\"", path,
		errno == EWOULDBLOCK ? "another tandem-control runs in this run_dir"
				     : strerror(errno));
	return false;
}

static bool folders_make(const struct td_config *conf)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/journal", conf->state_dir);
	return folder_make(conf->run_dir) == 0 && folder_make(path) == 0;
}

static bool policy_begin(struct td_control *control)
{
	struct td_config *conf = control->conf;
	const char *error = "";

	td_overlay_begin(&control->overlay, conf->state_dir, &conf->policy);
	conf->policy.generation = td_policy_generation_of(&conf->policy);
	if (td_pushed_begin(&control->pushed, control, &error) == 0)
		return true;
	td_log(TD_LOG_ERROR, "start.dns", "error=\"%s\"", error);
	return false;
}

// --- running ---

static void on_reloaded(void *user, int code, const char *text)
{
	static const struct td_actor hangup_signal = { .user = "SIGHUP" };

	td_audit_write(user, &hangup_signal, "reload", "", -code, text);
	sd_notify(0, "READY=1");
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct td_control *control = handle->data;

	if (number == SIGHUP) {
		sd_notify(0, "RELOADING=1");
		td_reload(control, false, on_reloaded, control);
		return;
	}
	td_log(TD_LOG_INFO, "end.asked", "signal=%d", number);
	sd_notify(0, "STOPPING=1");
	td_server_stop(&control->server);
	td_events_stop(&control->events);
	td_collector_stop(&control->collector);
	control->stuck = !td_plan_store_stop(&control->plans);
	td_link_stop(&control->link);
	td_pushed_stop(&control->pushed);
	td_sync_stop(&control->sync);
	td_trunks_stop(&control->trunks);
	control->stuck |= !td_store_worker_stop(&control->store);
	control->stuck |= !td_store_worker_stop(&control->restore);
	td_journal_loop_stop(control);
	uv_close((uv_handle_t *)&control->watchdog, NULL);
	uv_close((uv_handle_t *)&control->on_term, NULL);
	uv_close((uv_handle_t *)&control->on_int, NULL);
	uv_close((uv_handle_t *)&control->on_hup, NULL);
}

static void on_watchdog(uv_timer_t *timer)
{
	sd_notify(0, "WATCHDOG=1");
}

// The loop comes round: that is what systemd is told, twice in the time it grants (WatchdogSec=).
static void watchdog_start(struct td_control *control)
{
	uint64_t us = 0;

	uv_timer_init(&control->loop, &control->watchdog);
	if (sd_watchdog_enabled(0, &us) > 0)
		uv_timer_start(&control->watchdog, on_watchdog, us / 2000, us / 2000);
}

static void signals_take(struct td_control *control)
{
	signal(SIGPIPE, SIG_IGN);
	uv_signal_init(&control->loop, &control->on_term);
	uv_signal_init(&control->loop, &control->on_int);
	uv_signal_init(&control->loop, &control->on_hup);
	control->on_term.data = control;
	control->on_int.data = control;
	control->on_hup.data = control;
	uv_signal_start(&control->on_term, on_signal, SIGTERM);
	uv_signal_start(&control->on_int, on_signal, SIGINT);
	uv_signal_start(&control->on_hup, on_signal, SIGHUP);
}

// From whatever thread of control raised or cleared it.
static void on_alarm(
	void *user, const char *name, const char *subject, bool raised, const char *text)
{
	struct td_control *control = user;
	struct td_event event = { .kind = TD_EVENT_ALARM };

	snprintf(event.subject, sizeof(event.subject), "%s", name);
	snprintf(event.state, sizeof(event.state), "%s", raised ? "raised" : "cleared");
	snprintf(event.text, sizeof(event.text), "%s", text);
	td_event_detail(&event, "subject", "%s", subject);
	td_events_post(&control->events, &event);
}

static int events_start(struct td_control *control)
{
	control->alarms.changed = on_alarm;
	control->alarms.user = control;
	control->link.events = &control->events;
	control->names.events = &control->events;
	return td_events_start(&control->events, &control->loop, &control->server);
}

static void on_hello(void *user, const Tandem__Hello *hello)
{
	td_sync_hello(&((struct td_control *)user)->sync, hello);
}

static void on_lost(void *user)
{
	td_sync_lost(&((struct td_control *)user)->sync);
}

static bool stores_start(struct td_control *control)
{
	const struct td_config *conf = control->conf;

	return td_store_worker_start(&control->store, &control->loop, conf->store, conf->node) ==
		       0 &&
	       td_store_worker_start(
		       &control->restore, &control->loop, conf->store, conf->node) == 0;
}

static bool services_start(struct td_control *control)
{
	char path[TD_PATH_LEN];

	snprintf(path, sizeof(path), "%s/control.sock", control->conf->run_dir);
	int rc = td_server_start(&control->server, &control->loop, path, control);
	if (rc != 0) {
		td_log(TD_LOG_ERROR, "start.socket", "path=%s error=\"%s\"", path, uv_strerror(rc));
		return false;
	}
	if (td_plan_store_start(&control->plans, control) != 0)
		return false;
	control->link.plans = &control->plans;
	snprintf(path, sizeof(path), "%s/dataplane.sock", control->conf->run_dir);
	control->link.watcher = (struct td_link_watcher){ on_hello, on_lost, control };
	if (events_start(control) != 0 || td_journal_loop_start(control) != 0 ||
		!stores_start(control)) {
		td_log(TD_LOG_ERROR, "start.threads",
			"error=\"no memory or no thread for the store and the records\"");
		return false;
	}
	td_sync_start(&control->sync, control);
	td_trunks_start(&control->trunks, control);
	return td_link_start(&control->link, &control->loop, path, &control->pushed.policy) == 0;
}

static int control_run(struct td_control *control)
{
	if (!folders_make(control->conf) || !run_dir_lock(control))
		return EXIT_FAILED;
	uv_loop_init(&control->loop);
	signals_take(control);
	watchdog_start(control);
	if (!policy_begin(control) || !services_start(control))
		return EXIT_FAILED;
	td_log(TD_LOG_INFO, "start.ready", "version=" TANDEM_VERSION " node=%s run_dir=%s",
		control->conf->node, control->conf->run_dir);
	td_collector_start(&control->collector, control);
	sd_notify(0, "READY=1");
	uv_run(&control->loop, UV_RUN_DEFAULT);
	uv_loop_close(&control->loop);
	td_log(TD_LOG_INFO, "end.done", NULL);
	return EXIT_ENDED;
}

// The file alone says where state_dir is; what of the store lies there is read with it then.
static int config_read(struct td_control *control, struct td_faults *faults)
{
	struct td_config *file = NULL;
	int rc = td_config_load(control->path, control->sets, control->n_sets, &file, faults);

	if (rc == 0)
		rc = td_trunks_read(&control->trunks, file->state_dir);
	if (file && rc != 0)
		td_faults_add(faults, "%s/trunks.stored: %s; the store has what stands in it",
			file->state_dir, strerror(-rc));
	if (rc != 0 || control->trunks.list.n == 0) {
		control->conf = file;
		return rc;
	}
	td_config_free(file);
	return td_config_load_stored(control->path, control->sets, control->n_sets,
		control->trunks.list.trunks, control->trunks.list.n, &control->conf, faults);
}

int main(int argc, char **argv)
{
	static struct td_control control;
	static struct options options;
	struct td_faults faults = { 0 };
	int status = options_read(&options, argc, argv);

	if (status >= 0)
		return status;
	// Databases are made by their library: what is in them (HA1, who called whom) is nobody's
	// business, also where no service manager says so.
	umask(0027);
	control.path = options.path;
	control.sets = options.sets;
	control.n_sets = options.n_sets;
	control.run_lock = -1;
	if (config_read(&control, &faults) != 0) {
		td_faults_print(&faults, STDERR_FILENO);
		td_faults_free(&faults);
		return EXIT_USAGE;
	}
	if (options.check) {
		printf("%s is right: %u ports, %u realms, %u trunks, %u routes\n", options.path,
			control.conf->n_ports, control.conf->n_realms,
			control.conf->policy.n_trunks, control.conf->policy.n_routes);
		status = EXIT_ENDED;
	} else {
		status = control_run(&control);
	}
	if (!control.stuck)
		td_config_free(control.conf);
	if (!control.stuck)
		td_trunks_free(&control.trunks);
	if (control.run_lock >= 0)
		close(control.run_lock);
	return status;
}
