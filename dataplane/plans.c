// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/plans.h"

#include "dataplane/log.h"
#include "dataplane/state_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define HUGE_BYTES (2ul << 20)
#define IMAGE_BYTES_MAX (16ul << 30)
#define SUFFIX ".img"

void td_plans_init(struct td_plans *plans, const char *state_dir)
{
	*plans = (struct td_plans){ 0 };
	snprintf(plans->folder, sizeof(plans->folder), "%s/plans", state_dir);
	plans->load.fd = -1;
}

void td_plan_put(struct td_plan *plan)
{
	if (!plan || --plan->refs > 0)
		return;
	munmap(plan->memory, plan->mapped);
	free(plan);
}

// --- reading ---

// Small images stay small; large ones take huge pages, where the kernel has them.
static struct td_plan *plan_new(size_t bytes)
{
	struct td_plan *plan = calloc(1, sizeof(*plan));

	if (!plan)
		return NULL;
	plan->refs = 1;
	plan->mapped = bytes < HUGE_BYTES ? bytes : (bytes + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);
	plan->memory = mmap(
		NULL, plan->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (plan->memory == MAP_FAILED) {
		free(plan);
		return NULL;
	}
	if (bytes >= HUGE_BYTES)
		madvise(plan->memory, plan->mapped, MADV_HUGEPAGE);
	return plan;
}

static int copy_in(void *dst, int fd, size_t bytes)
{
	for (size_t at = 0; at < bytes;) {
		ssize_t n = pread(fd, (char *)dst + at, bytes - at, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += (size_t)n;
	}
	return 0;
}

static bool name_fits_file(const char *name)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";

	return name[0] != '\0' && name[0] != '.' && name[strspn(name, allowed)] == '\0';
}

static struct td_plan *plan_read(int fd, const char **error)
{
	struct stat st;

	*error = "the image cannot be read";
	if (fstat(fd, &st) < 0 || st.st_size <= 0 || (uint64_t)st.st_size > IMAGE_BYTES_MAX)
		return NULL;
	struct td_plan *plan = plan_new((size_t)st.st_size);
	if (!plan) {
		*error = "no memory for the image";
		return NULL;
	}
	if (copy_in(plan->memory, fd, (size_t)st.st_size) < 0 ||
		mprotect(plan->memory, plan->mapped, PROT_READ) < 0 ||
		td_route_image_open(&plan->image, plan->memory, (size_t)st.st_size, error) < 0) {
		td_plan_put(plan);
		return NULL;
	}
	if (!name_fits_file(plan->image.header->plan)) {
		*error = "a plan's name has letters, digits, '_', '-' and '.'";
		td_plan_put(plan);
		return NULL;
	}
	return plan;
}

static int plan_path(const char *folder, const char *name, char *dst, size_t cap)
{
	return (size_t)snprintf(dst, cap, "%s/%s" SUFFIX, folder, name) < cap ? 0 : -ENAMETOOLONG;
}

static int plan_keep(const struct td_plan *plan, const char *folder)
{
	const struct td_route_header *h = plan->image.header;
	char path[256];
	int rc = td_state_dir_make(folder);

	if (rc == 0)
		rc = plan_path(folder, h->plan, path, sizeof(path));
	return rc == 0 ? td_state_file_write(path, h, h->bytes) : rc;
}

static void *load_run(void *arg)
{
	struct td_plan_load *load = arg;

	if (!load->plan)
		load->plan = plan_read(load->fd, &load->error);
	if (load->plan && !load->stage)
		load->saved = plan_keep(load->plan, load->folder);
	atomic_store_explicit(&load->done, true, memory_order_release);
	return NULL;
}

// The staged plan, where that is the one to be taken; NULL: it is not.
static struct td_plan *staged_of(struct td_plans *plans, const struct td_plan_order *order)
{
	struct td_plan *plan = plans->staged;

	if (!plan || order->stage || plan->image.header->generation != order->generation ||
		strcmp(plan->image.header->plan, order->plan) != 0)
		return NULL;
	plan->refs++;
	return plan;
}

int td_plans_take(struct td_plans *plans, int fd, const struct td_plan_order *order)
{
	struct td_plan_load *load = &plans->load;

	if (load->busy) {
		close(fd);
		return -EBUSY;
	}
	*load = (struct td_plan_load){ .busy = true,
		.fd = fd,
		.stage = order->stage,
		.plan = staged_of(plans, order),
		.tag = order->tag,
		.id = order->id };
	memcpy(load->folder, plans->folder, sizeof(load->folder));
	td_plans_unstage(plans); // before another takes memory
	int rc = pthread_create(&load->thread, NULL, load_run, load);
	if (rc != 0) {
		close(fd);
		td_plan_put(load->plan);
		load->busy = false;
		load->fd = -1;
	}
	return -rc;
}

bool td_plans_done(struct td_plans *plans)
{
	struct td_plan_load *load = &plans->load;

	if (!load->busy || !atomic_load_explicit(&load->done, memory_order_acquire))
		return false;
	pthread_join(load->thread, NULL);
	close(load->fd);
	load->fd = -1;
	load->busy = false;
	return true;
}

// A copy under another name would be in force or not by the order of the folder, and come again
// when its plan was removed.
static bool is_file_of(const struct td_plan *plan, const char *file)
{
	char name[TD_NAME_LEN + sizeof(SUFFIX)];

	snprintf(name, sizeof(name), "%s" SUFFIX, plan->image.header->plan);
	return strcmp(name, file) == 0;
}

void td_plans_load_saved(struct td_plans *plans)
{
	DIR *dir = opendir(plans->folder);
	const struct dirent *e;

	while (dir && (e = readdir(dir))) {
		size_t len = strlen(e->d_name);
		const char *error = "";
		char path[512];
		if (len <= sizeof(SUFFIX) - 1 ||
			strcmp(e->d_name + len - (sizeof(SUFFIX) - 1), SUFFIX) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", plans->folder, e->d_name);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		struct td_plan *plan = fd < 0 ? NULL : plan_read(fd, &error);
		if (fd >= 0)
			close(fd);
		if (plan && !is_file_of(plan, e->d_name)) {
			error = "the plan in it has another name than the file";
			td_plan_put(plan);
			plan = NULL;
		}
		if (!plan) {
			td_log(TD_LOG_WARNING, "plan.not_taken", "path=%s reason=\"%s\"", path,
				error);
			continue;
		}
		td_log(TD_LOG_INFO, "plan.kept", "plan=%s generation=%016" PRIx64 " rows=%" PRIu64,
			plan->image.header->plan, plan->image.header->generation,
			plan->image.header->rows);
		td_plan_put(td_plans_install(plans, plan));
	}
	if (dir)
		closedir(dir);
}

// --- the table ---

struct td_plan *td_plans_install(struct td_plans *plans, struct td_plan *plan)
{
	for (uint32_t i = 0; i < plans->n; i++) {
		struct td_plan *before = plans->table[i];
		if (strcmp(before->image.header->plan, plan->image.header->plan) == 0) {
			plans->table[i] = plan;
			return before;
		}
	}
	if (plans->n == TD_PLANS_MAX)
		return plan;
	plans->table[plans->n++] = plan;
	return NULL;
}

void td_plans_withdraw(struct td_plans *plans, const struct td_plan *plan, struct td_plan *before)
{
	for (uint32_t i = 0; i < plans->n; i++) {
		if (plans->table[i] != plan)
			continue;
		plans->table[i] = before ? before : plans->table[--plans->n];
		return;
	}
}

void td_plans_stage(struct td_plans *plans, struct td_plan *plan, uint64_t tag)
{
	td_plans_unstage(plans);
	plan->refs++;
	plans->staged = plan;
	plans->staged_tag = tag;
}

void td_plans_unstage(struct td_plans *plans)
{
	td_plan_put(plans->staged);
	plans->staged = NULL;
}

struct td_plan *td_plans_remove(struct td_plans *plans, const char *name)
{
	char path[256];

	for (uint32_t i = 0; i < plans->n; i++) {
		struct td_plan *plan = plans->table[i];
		if (strcmp(plan->image.header->plan, name) != 0)
			continue;
		plans->table[i] = plans->table[--plans->n];
		if (plan_path(plans->folder, name, path, sizeof(path)) == 0)
			unlink(path);
		return plan;
	}
	return NULL;
}

void td_plans_fini(struct td_plans *plans)
{
	if (plans->load.busy) {
		pthread_join(plans->load.thread, NULL);
		close(plans->load.fd);
		td_plan_put(plans->load.plan);
	}
	td_plans_unstage(plans);
	while (plans->n > 0)
		td_plan_put(plans->table[--plans->n]);
}
