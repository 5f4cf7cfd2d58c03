// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/eal.h"

#include "dataplane/log.h"
#include "dataplane/port.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

#include <errno.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WORDS_MAX 512 // of one line of DPDK's

static void arg_add(struct td_eal_args *args, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

// One argument too many, or too long, makes argc negative, and it stays so.
static void arg_add(struct td_eal_args *args, const char *format, ...)
{
	va_list ap;

	if (args->argc < 0 || args->argc == TD_EAL_ARGS_MAX) {
		args->argc = -1;
		return;
	}
	va_start(ap, format);
	int n = vsnprintf(args->text + args->used, sizeof(args->text) - args->used, format, ap);
	va_end(ap);
	if (n < 0 || args->used + (size_t)n >= sizeof(args->text)) {
		args->argc = -1;
		return;
	}
	args->argv[args->argc++] = args->text + args->used;
	args->used += (size_t)n + 1;
}

static void lcores_add(const struct td_config *conf, struct td_eal_args *args)
{
	char map[TD_WORKERS_MAX * 2 * 12 + 16];
	size_t at = (size_t)snprintf(map, sizeof(map), "0@%d", conf->main_cpu);
	unsigned int id = 1;

	for (uint16_t i = 0; i < conf->n_workers; i++)
		at += (size_t)snprintf(
			map + at, sizeof(map) - at, ",%u@%d", id++, conf->worker_cpus[i]);
	for (uint16_t i = 0; i < conf->n_dsp; i++)
		at += (size_t)snprintf(
			map + at, sizeof(map) - at, ",%u@%d", id++, conf->dsp_cpus[i]);
	arg_add(args, "--lcores");
	arg_add(args, "%s", map);
	arg_add(args, "--main-lcore");
	arg_add(args, "0");
}

static void devices_add(const struct td_config *conf, struct td_eal_args *args)
{
	bool pci = false;

	for (uint8_t i = 0; i < conf->n_ports; i++) {
		if (!td_port_is_pci(conf->ports[i].device))
			continue;
		pci = true;
		arg_add(args, "-a");
		arg_add(args, "%s", conf->ports[i].device);
	}
	if (!pci)
		arg_add(args, "--no-pci");
}

// Two switches of one machine differ in their run_dir, so their names in shared places do.
static uint64_t run_dir_hash(const struct td_config *conf)
{
	uint64_t h = 14695981039346656037ull;

	for (const char *p = conf->run_dir; *p; p++)
		h = (h ^ (uint8_t)*p) * 1099511628211ull;
	return h;
}

int td_eal_args(
	const struct td_config *conf, uint32_t memory_mb, bool huge, struct td_eal_args *out)
{
	*out = (struct td_eal_args){ 0 };
	arg_add(out, "tandem-dataplane");
	arg_add(out, "--iova-mode=va");
	arg_add(out, "--no-telemetry");
	arg_add(out, "--file-prefix=tandem-%016lx", run_dir_hash(conf));
	arg_add(out, "--log-level=*:error");
	// Nothing of ours is shared with other processes or left in hugetlbfs; EAL takes
	// --in-memory with hugepages only.
	arg_add(out, huge ? "--in-memory" : "--no-huge");
	if (!huge)
		arg_add(out, "--no-shconf");
	arg_add(out, "-m");
	arg_add(out, "%u", memory_mb);
	lcores_add(conf, out);
	devices_add(conf, out);
	return out->argc < 0 ? -E2BIG : 0;
}

static uint64_t number_in(const char *dir, const char *name)
{
	char path[320], text[32] = "";

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "re");
	if (!f)
		return 0;
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	fclose(f);
	return strtoull(text, NULL, 10);
}

uint64_t td_eal_huge_free_mb(void)
{
	glob_t found;
	uint64_t kib = 0;

	if (glob("/sys/kernel/mm/hugepages/hugepages-*kB", 0, NULL, &found) != 0)
		return 0;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *size = strrchr(found.gl_pathv[i], '-') + 1;
		kib += strtoull(size, NULL, 10) * number_in(found.gl_pathv[i], "free_hugepages");
	}
	globfree(&found);
	return kib / 1024;
}

// DPDK's own words become lines like ours: what it says at start-up is warnings at most, because
// whether a start fails is said by who asked for it.
static ssize_t words_take(void *cookie, const char *text, size_t len)
{
	size_t n = len < WORDS_MAX ? len : WORDS_MAX;

	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
		n--;
	if (n > 0)
		td_log(TD_LOG_WARNING, "dpdk.says", "text=\"%.*s\"", (int)n, text);
	return (ssize_t)len;
}

int td_eal_start(struct td_eal_args *args)
{
	FILE *words = fopencookie(NULL, "w", (cookie_io_functions_t){ .write = words_take });

	if (words && rte_openlog_stream(words) != 0)
		fclose(words);
	if (rte_eal_init(args->argc, args->argv) < 0)
		return -(rte_errno ? rte_errno : EINVAL);
	// With --in-memory nothing ever goes into this folder, and EAL leaves it behind.
	rmdir(rte_eal_get_runtime_dir());
	return 0;
}
