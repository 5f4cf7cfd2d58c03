// SPDX-License-Identifier: BSD-3-Clause
#include "control/plan_job.h"

#include "control/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX ".img"
#define FILE_BYTES_MAX (64ul << 30)

struct plan_job *plan_job_new(
	struct td_plan_store *store, enum plan_job_kind kind, const char *plan)
{
	struct plan_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->store = store;
	job->kind = kind;
	job->event = kind == PLAN_REMOVE ? "plan.removed" : "plan.pushed";
	job->fd = -1;
	job->phase = "waiting";
	snprintf(job->info.name, sizeof(job->info.name), "%s", plan);
	return job;
}

void plan_job_free(struct plan_job *job)
{
	if (job->fd >= 0)
		close(job->fd);
	td_route_names_free(job->names);
	free(job);
}

// --- files ---

bool plan_name_fits(const char *name)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";

	return name[0] != '\0' && name[0] != '.' && strlen(name) < TD_NAME_LEN &&
	       name[strspn(name, allowed)] == '\0';
}

void plan_path(const char *folder, const char *name, const char *suffix, char *dst, size_t cap)
{
	snprintf(dst, cap, "%s/%s" SUFFIX "%s", folder, name, suffix);
}

int plan_info_read(const char *folder, const char *file, struct td_plan_info *out)
{
	struct td_route_header h;
	size_t len = strlen(file);
	char path[512];

	if (len <= sizeof(SUFFIX) - 1 || strcmp(file + len - (sizeof(SUFFIX) - 1), SUFFIX) != 0)
		return -EINVAL;
	snprintf(path, sizeof(path), "%s/%s", folder, file);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, &h, sizeof(h));
	if (fd >= 0)
		close(fd);
	if (n != sizeof(h) || h.magic != TD_ROUTE_MAGIC || !memchr(h.plan, '\0', TD_NAME_LEN) ||
		!plan_name_fits(h.plan))
		return -EINVAL;
	*out = (struct td_plan_info){
		.generation = h.generation, .rows = h.rows, .bytes = h.bytes
	};
	memcpy(out->name, h.plan, sizeof(out->name));
	return 0;
}

static int folder_sync(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 || fsync(fd) < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return rc;
}

int plan_file_commit(const char *folder, const char *name)
{
	char aside[256], path[256];

	plan_path(folder, name, ".new", aside, sizeof(aside));
	plan_path(folder, name, "", path, sizeof(path));
	return rename(aside, path) < 0 ? -errno : folder_sync(folder);
}

void plan_file_discard(const char *folder, const char *name)
{
	char aside[256];

	plan_path(folder, name, ".new", aside, sizeof(aside));
	unlink(aside);
}

void plan_file_remove(const char *folder, const char *name)
{
	char path[256];

	plan_path(folder, name, "", path, sizeof(path));
	unlink(path);
}

// --- on a thread of the pool ---

static void phase(struct plan_job *job, const char *words)
{
	atomic_store_explicit(&job->phase, words, memory_order_relaxed);
}

static int job_fail(struct plan_job *job, int rc, const char *what)
{
	bool unseen = job->kind == PLAN_LOAD && (rc == -ENOENT || rc == -EACCES);

	snprintf(job->error, sizeof(job->error), "%.300s: %s%s", what,
		rc == -ESPIPE ? "is no file; write what comes out of it into one" : strerror(-rc),
		unseen ? " (for tandem-control, which opens it itself and may not see /tmp and "
			 "/home: put it into its state_dir)"
		       : "");
	return rc;
}

// What may be read; 0 or -errno. A FIFO would be waited for without O_NONBLOCK.
static int file_open(const char *path, int *fd, size_t *len)
{
	struct stat st;

	*fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	int rc = *fd < 0 || fstat(*fd, &st) < 0 ? -errno : 0;
	if (rc == 0 && S_ISDIR(st.st_mode))
		rc = -EISDIR;
	else if (rc == 0 && !S_ISREG(st.st_mode))
		rc = -ESPIPE;
	else if (rc == 0 && (uint64_t)st.st_size > FILE_BYTES_MAX)
		rc = -EFBIG;
	*len = rc == 0 ? (size_t)st.st_size : 0;
	return rc;
}

// A plan's own file as memory to read; *len 0 and NULL: it is empty.
static int file_map(const char *path, const void **bytes, size_t *len)
{
	int fd, rc = file_open(path, &fd, len);

	*bytes = NULL;
	if (rc == 0 && *len > 0) {
		void *at = mmap(NULL, *len, PROT_READ, MAP_PRIVATE, fd, 0);
		rc = at == MAP_FAILED ? -errno : 0;
		*bytes = rc == 0 ? at : NULL;
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

static int read_all(int fd, char *dst, size_t cap, size_t *len)
{
	*len = 0;
	while (*len < cap) {
		ssize_t n = read(fd, dst + *len, cap - *len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0; // it got shorter meanwhile
		*len += (size_t)n;
	}
	return 0;
}

// An operator's file, copied: a mapping of one that somebody rewrites meanwhile would end us with
// SIGBUS. *cap: of the memory, for munmap().
static int file_read(const char *path, char **bytes, size_t *len, size_t *cap)
{
	int fd, rc = file_open(path, &fd, cap);

	*bytes = NULL;
	*len = 0;
	if (rc == 0 && *cap > 0) {
		void *at = mmap(
			NULL, *cap, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		rc = at == MAP_FAILED ? -errno : read_all(fd, at, *cap, len);
		*bytes = at == MAP_FAILED ? NULL : at;
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

static int memfd_seal(int fd)
{
	return fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0
		       ? -errno
		       : 0;
}

// The image in a memfd of its own, sealed, and looked at as the data plane will.
static int image_write(struct plan_job *job, const struct td_route_builder *builder, size_t bytes)
{
	job->fd = memfd_create("tandem-plan", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (job->fd < 0 || ftruncate(job->fd, (off_t)bytes) < 0)
		return job_fail(job, -errno, "no memory for the plan");
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, job->fd, 0);
	if (at == MAP_FAILED)
		return job_fail(job, -errno, "no memory for the plan");
	td_route_builder_write(builder, job->info.name, at);
	const struct td_route_header *h = at;
	job->info.generation = h->generation;
	job->info.rows = h->rows;
	job->info.bytes = h->bytes;
	munmap(at, bytes);
	int rc = memfd_seal(job->fd);
	return rc < 0 ? job_fail(job, rc, "sealing the plan") : 0;
}

static int plan_compile(struct plan_job *job, const char *text, size_t len)
{
	struct td_route_builder *builder = td_route_builder_new();
	char match[TD_ROUTE_SYMBOLS_MAX + 2];
	size_t bytes = 0;
	int rc = builder ? 0 : job_fail(job, -ENOMEM, "compiling");

	phase(job, "reading");
	if (rc == 0)
		rc = td_route_csv_read(
			builder, text, len, job->names, &job->done, job->error, sizeof(job->error));
	phase(job, "compiling");
	if (rc == 0) {
		rc = td_route_builder_close(builder, &bytes, match);
		if (rc == -EINVAL)
			snprintf(job->error, sizeof(job->error),
				"match \"%s\": more than %d targets", match, TD_ROUTE_TARGETS_MAX);
		else if (rc < 0)
			job_fail(job, rc, "compiling");
	}
	if (rc == 0)
		rc = image_write(job, builder, bytes);
	td_route_builder_free(builder);
	return rc;
}

static int plan_compare(struct plan_job *job)
{
	struct td_route_image before, after;
	const void *old = NULL, *fresh;
	size_t old_len = 0, len = job->info.bytes;
	const char *error = "";
	char path[256];

	phase(job, "comparing");
	fresh = mmap(NULL, len, PROT_READ, MAP_SHARED, job->fd, 0);
	if (fresh == MAP_FAILED)
		return job_fail(job, -errno, "comparing");
	plan_path(job->store->folder, job->info.name, "", path, sizeof(path));
	file_map(path, &old, &old_len);
	bool known = old && td_route_image_open(&before, old, old_len, &error) == 0;
	int rc = td_route_image_open(&after, fresh, len, &error);
	if (rc == 0)
		td_plan_diff(known ? &before : NULL, &after, &job->diff);
	else
		snprintf(job->error, sizeof(job->error), "the compiled plan does not hold: %s",
			error);
	if (old)
		munmap((void *)(uintptr_t)old, old_len);
	munmap((void *)(uintptr_t)fresh, len);
	return rc;
}

static int work_load(struct plan_job *job)
{
	char *text;
	size_t len, cap;
	int rc = file_read(job->path, &text, &len, &cap);

	job->total = len;
	rc = rc < 0 ? job_fail(job, rc, job->path) : plan_compile(job, text ? text : "", len);
	if (text)
		munmap(text, cap);
	return rc == 0 ? plan_compare(job) : rc;
}

static int copy_all(int from, int to, size_t len)
{
	off_t at = 0;

	while ((size_t)at < len) {
		ssize_t n = sendfile(to, from, &at, len - (size_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
	}
	return 0;
}

static int work_commit(struct plan_job *job)
{
	char path[256];

	phase(job, "writing");
	plan_path(job->store->folder, job->info.name, ".new", path, sizeof(path));
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	int rc = fd < 0 ? -errno : copy_all(job->fd, fd, job->info.bytes);
	if (rc == 0 && fsync(fd) < 0)
		rc = -errno;
	if (fd >= 0)
		close(fd);
	if (rc < 0)
		unlink(path);
	phase(job, "sending");
	return rc < 0 ? job_fail(job, rc, path) : 0;
}

static int work_push(struct plan_job *job)
{
	char path[256];
	struct stat st;

	plan_path(job->store->folder, job->info.name, "", path, sizeof(path));
	int file = open(path, O_RDONLY | O_CLOEXEC);
	int rc = file < 0 || fstat(file, &st) < 0 ? -errno : 0;
	if (rc == 0)
		job->fd = memfd_create("tandem-plan", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (rc == 0)
		rc = job->fd < 0 ? -errno : copy_all(file, job->fd, (size_t)st.st_size);
	if (rc == 0)
		rc = memfd_seal(job->fd);
	if (file >= 0)
		close(file);
	return rc < 0 ? job_fail(job, rc, path) : 0;
}

static void work(uv_work_t *request)
{
	static int (*const kinds[])(struct plan_job * job) = {
		[PLAN_LOAD] = work_load, [PLAN_COMMIT] = work_commit, [PLAN_PUSH] = work_push
	};
	struct plan_job *job = request->data;

	job->rc = kinds[job->kind](job);
}

int plan_job_run(struct plan_job *job, uv_after_work_cb after)
{
	job->work.data = job;
	return uv_queue_work(&job->store->control->loop, &job->work, work, after);
}
