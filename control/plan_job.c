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

#define FILE_BYTES_MAX (64ul << 30)

static const enum plan_step steps[PLAN__KINDS][6] = {
	[PLAN_LOAD] = { PLAN_STEP_WORK },
	[PLAN_COMMIT] = { PLAN_STEP_WORK, PLAN_STEP_STAGE, PLAN_STEP_STORE, PLAN_STEP_PUSH },
	[PLAN_CHANGE] = { PLAN_STEP_STORE, PLAN_STEP_WORK, PLAN_STEP_STAGE, PLAN_STEP_STORE,
		PLAN_STEP_PUSH },
	[PLAN_FETCH] = { PLAN_STEP_STORE, PLAN_STEP_WORK, PLAN_STEP_PUSH },
	[PLAN_IMPORT] = { PLAN_STEP_WORK, PLAN_STEP_STORE },
	[PLAN_PUSH] = { PLAN_STEP_WORK, PLAN_STEP_PUSH },
	[PLAN_REMOVE] = { PLAN_STEP_STORE, PLAN_STEP_PUSH },
	[PLAN_FORGET] = { PLAN_STEP_PUSH },
};

static const char *const events[PLAN__KINDS] = {
	[PLAN_LOAD] = "plan.staged",
	[PLAN_COMMIT] = "plan.committed",
	[PLAN_CHANGE] = "plan.changed",
	[PLAN_FETCH] = "plan.fetched",
	[PLAN_IMPORT] = "plan.stored",
	[PLAN_PUSH] = "plan.pushed",
	[PLAN_REMOVE] = "plan.removed",
	[PLAN_FORGET] = "plan.removed",
};

struct plan_job *plan_job_new(
	struct td_plan_store *store, enum plan_job_kind kind, const char *plan)
{
	struct plan_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->store = store;
	job->kind = kind;
	job->event = events[kind];
	job->fd = -1;
	job->phase = "waiting";
	snprintf(job->info.name, sizeof(job->info.name), "%s", plan);
	memcpy(job->stored.name, job->info.name, sizeof(job->stored.name));
	return job;
}

void plan_job_free(struct plan_job *job)
{
	if (job->fd >= 0)
		close(job->fd);
	td_plan_rows_free(job->rows);
	td_route_edit_free(job->edit);
	td_route_names_free(job->names);
	free(job);
}

enum plan_step plan_job_step(const struct plan_job *job)
{
	return steps[job->kind][job->at];
}

// --- on a thread of the pool ---

static void phase(struct plan_job *job, const char *words, uint64_t total)
{
	atomic_store_explicit(&job->total, 0, memory_order_relaxed);
	atomic_store_explicit(&job->done, 0, memory_order_relaxed);
	atomic_store_explicit(&job->phase, words, memory_order_relaxed);
	atomic_store_explicit(&job->total, total, memory_order_relaxed);
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

// The lines were read into the builder.
static int plan_compile(struct plan_job *job, struct td_route_builder *builder)
{
	char match[TD_ROUTE_SYMBOLS_MAX + 2];
	size_t bytes = 0;

	phase(job, "compiling", 0);
	int rc = td_route_builder_close(builder, &bytes, match);
	if (rc == -EINVAL)
		snprintf(job->error, sizeof(job->error), "match \"%s\": more than %d targets",
			match, TD_ROUTE_TARGETS_MAX);
	else if (rc < 0)
		job_fail(job, rc, "compiling");
	return rc == 0 ? image_write(job, builder, bytes) : rc;
}

static int text_compile(struct plan_job *job, const char *text, size_t len)
{
	struct td_route_builder *builder = td_route_builder_new();
	int rc = builder ? 0 : job_fail(job, -ENOMEM, "compiling");

	phase(job, "reading", len);
	if (rc == 0)
		rc = td_route_csv_read(
			builder, text, len, job->names, &job->done, job->error, sizeof(job->error));
	if (rc == 0)
		rc = plan_compile(job, builder);
	td_route_builder_free(builder);
	return rc;
}

// As the store is to have it.
static void rows_tell(struct plan_job *job)
{
	job->stored.lines = job->info.rows;
	job->stored.parts = td_plan_rows_parts(job->rows);
	job->stored.bytes = td_plan_rows_bytes(job->rows);
	job->stored.checksum = td_plan_rows_checksum(job->rows);
}

// Packing takes half as long as compiling: a thread of its own does it meanwhile.
struct packing {
	const char *text;
	size_t len;
	struct td_plan_rows *rows;
	int rc;
};

static void text_pack(void *user)
{
	struct packing *p = user;

	p->rows = td_plan_rows_new();
	p->rc = p->rows ? td_plan_rows_add(p->rows, p->text, p->len) : -ENOMEM;
	if (p->rc == 0)
		p->rc = td_plan_rows_end(p->rows);
}

static int text_take(struct plan_job *job, const char *text, size_t len)
{
	struct packing packing = { text, len, NULL, 0 };
	uv_thread_t thread;
	bool apart = uv_thread_create(&thread, text_pack, &packing) == 0;
	int rc = text_compile(job, text, len);

	phase(job, "packing", 0);
	if (apart)
		uv_thread_join(&thread);
	else if (rc == 0)
		text_pack(&packing);
	job->rows = packing.rows;
	if (rc == 0 && packing.rc < 0)
		return job_fail(job, packing.rc, "packing the lines");
	if (rc == 0)
		rows_tell(job);
	return rc;
}

static int plan_compare(struct plan_job *job)
{
	struct td_route_image before, after;
	const void *old = NULL, *fresh;
	size_t old_len = 0, len = job->info.bytes;
	const char *error = "";
	char path[256];

	phase(job, "comparing", 0);
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

	rc = rc < 0 ? job_fail(job, rc, job->path) : text_take(job, text ? text : "", len);
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

// The compiled plan beside its file.
static int work_commit(struct plan_job *job)
{
	char path[256];

	phase(job, "writing", 0);
	plan_path(job->store->folder, job->info.name, ".new", path, sizeof(path));
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	int rc = fd < 0 ? -errno : copy_all(job->fd, fd, job->info.bytes);
	if (rc == 0 && fsync(fd) < 0)
		rc = -errno;
	if (fd >= 0)
		close(fd);
	if (rc < 0)
		unlink(path);
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

static int rows_read(struct plan_job *job, struct td_route_csv *csv)
{
	const char *text;
	size_t len;
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < td_plan_rows_parts(job->rows); i++) {
		rc = td_plan_rows_text(job->rows, i, &text, &len);
		rc = rc < 0 ? job_fail(job, rc, "unpacking") : td_route_csv_feed(csv, text, len);
	}
	return rc == 0 ? td_route_csv_end(csv) : rc;
}

static int rows_compile(struct plan_job *job)
{
	struct td_route_builder *builder = td_route_builder_new();
	struct td_route_csv *csv = builder ? td_route_csv_new(builder, job->names, &job->done,
						     job->error, sizeof(job->error))
					   : NULL;
	int rc = csv ? 0 : job_fail(job, -ENOMEM, "compiling");

	phase(job, "reading", 0);
	if (rc == 0)
		rc = rows_read(job, csv);
	if (rc == 0)
		rc = plan_compile(job, builder);
	td_route_csv_free(csv);
	td_route_builder_free(builder);
	return rc;
}

static int work_fetch(struct plan_job *job)
{
	int rc = rows_compile(job);

	if (rc == 0 && job->compare)
		rc = plan_compare(job);
	return rc == 0 ? work_commit(job) : rc;
}

static int rows_change(struct plan_job *job)
{
	struct td_plan_rows *rows = td_plan_rows_new();
	uint64_t gone = 0;

	phase(job, "changing", 0);
	int rc = rows ? td_route_edit_run(
				job->edit, job->rows, rows, &gone, job->error, sizeof(job->error))
		      : -ENOMEM;
	if (rc < 0 && !job->error[0])
		job_fail(job, rc, "changing the lines");
	if (rc == 0 && job->edit->remove && gone == 0) {
		snprintf(job->error, sizeof(job->error), "no route has exactly that match%s",
			job->edit->texts[COL_TO] ? " and goes there" : "");
		rc = -ENOENT;
	}
	td_plan_rows_free(rc == 0 ? job->rows : rows);
	if (rc == 0)
		job->rows = rows;
	return rc;
}

static int work_change(struct plan_job *job)
{
	int rc = rows_change(job);

	if (rc == 0)
		rc = rows_compile(job);
	if (rc == 0)
		rc = plan_compare(job);
	if (rc == 0)
		rows_tell(job);
	return rc == 0 ? work_commit(job) : rc;
}

struct importing {
	struct plan_job *job;
	const struct td_route_image *image;
	int rc;
};

static void line_pack(void *ctx, const char *text, size_t len)
{
	struct importing *i = ctx;

	if (i->rc == 0)
		i->rc = td_plan_rows_add(i->job->rows, text, len);
}

static void match_pack(void *ctx, const char *match, uint32_t set)
{
	struct importing *i = ctx;

	td_route_csv_write(i->image, match, set, line_pack, ctx);
}

static int image_pack(struct plan_job *job, const struct td_route_image *image)
{
	struct importing i = { job, image, 0 };

	phase(job, "packing", 0);
	job->rows = td_plan_rows_new();
	if (!job->rows)
		return -ENOMEM;
	line_pack(&i, TD_ROUTE_CSV_HEADER, sizeof(TD_ROUTE_CSV_HEADER) - 1);
	td_plan_each(image, match_pack, &i);
	if (i.rc == 0)
		i.rc = td_plan_rows_end(job->rows);
	if (i.rc == 0)
		rows_tell(job);
	return i.rc;
}

// What only state_dir has, as lines again.
static int work_import(struct plan_job *job)
{
	struct td_route_image image;
	const char *why = "";
	const void *bytes;
	char path[256];
	size_t len;

	plan_path(job->store->folder, job->info.name, "", path, sizeof(path));
	int rc = file_map(path, &bytes, &len);
	if (rc < 0)
		return job_fail(job, rc, path);
	rc = bytes ? td_route_image_open(&image, bytes, len, &why) : -EINVAL;
	if (rc < 0)
		snprintf(job->error, sizeof(job->error), "%.300s: %s", path, why);
	else if ((rc = image_pack(job, &image)) < 0)
		job_fail(job, rc, "packing the lines");
	if (bytes)
		munmap((void *)(uintptr_t)bytes, len);
	return rc;
}

static void work(uv_work_t *request)
{
	static int (*const kinds[])(struct plan_job * job) = {
		[PLAN_LOAD] = work_load,
		[PLAN_COMMIT] = work_commit,
		[PLAN_CHANGE] = work_change,
		[PLAN_FETCH] = work_fetch,
		[PLAN_IMPORT] = work_import,
		[PLAN_PUSH] = work_push,
	};
	struct plan_job *job = request->data;

	job->rc = kinds[job->kind](job);
}

int plan_job_run(struct plan_job *job, uv_after_work_cb after)
{
	job->work.data = job;
	return uv_queue_work(&job->store->control->loop, &job->work, work, after);
}

// --- on the store's thread ---

static int part_source(void *user, uint32_t n, const void **bytes, size_t *len)
{
	struct plan_job *job = user;
	int rc = td_plan_rows_packed(job->rows, n, bytes, len);

	atomic_fetch_add_explicit(&job->done, rc == 0 ? *len : 0, memory_order_relaxed);
	return rc;
}

static int part_take(void *user, const void *bytes, size_t len)
{
	struct plan_job *job = user;

	atomic_fetch_add_explicit(&job->done, len, memory_order_relaxed);
	if (td_plan_rows_bytes(job->rows) + len > job->stored.bytes)
		return -EBADMSG;
	return td_plan_rows_add_packed(job->rows, bytes, len);
}

static int store_put(struct plan_job *job, struct td_store *store)
{
	int rc = td_store_plan_put(store, &job->stored, job->before, part_source, job);

	if (rc == -EINVAL)
		snprintf(job->store_job.reason, sizeof(job->store_job.reason),
			"somebody else changed plan %s there meanwhile; load it again",
			job->info.name);
	return rc;
}

static int store_fetch(struct plan_job *job, struct td_store *store)
{
	int rc = 0;

	td_plan_rows_free(job->rows); // of the try before
	job->rows = td_plan_rows_new();
	if (!job->rows)
		return -ENOMEM;
	for (uint32_t i = 0; rc == 0 && i < job->stored.parts; i++)
		rc = td_store_plan_part(store, &job->stored, i, part_take, job);
	if (rc == 0 && (td_plan_rows_bytes(job->rows) != job->stored.bytes ||
			       td_plan_rows_checksum(job->rows) != job->stored.checksum))
		rc = -EBADMSG;
	if (rc == -E2BIG)
		rc = -EBADMSG;
	if (rc == -ENOENT || rc == -EBADMSG)
		snprintf(job->store_job.reason, sizeof(job->store_job.reason), "%s",
			rc == -ENOENT ? "there is another version of it by now"
				      : "what the store has of it is damaged");
	return rc == -EBADMSG ? -EINVAL : rc;
}

static int store_change(struct plan_job *job, struct td_store *store)
{
	return job->at == 0 ? store_fetch(job, store) : store_put(job, store);
}

static int store_remove(struct plan_job *job, struct td_store *store)
{
	int rc = td_store_plan_remove(store, &job->stored);

	return rc == -ENOENT ? 0 : rc; // it never came there, or somebody was faster
}

static int store_run(struct td_store_job *store_job, struct td_store *store)
{
	static int (*const kinds[])(struct plan_job * job, struct td_store * store) = {
		[PLAN_COMMIT] = store_put,
		[PLAN_CHANGE] = store_change,
		[PLAN_FETCH] = store_fetch,
		[PLAN_IMPORT] = store_put,
		[PLAN_REMOVE] = store_remove,
	};
	struct plan_job *job = plan_job_of(store_job);

	bool fetches = job->kind == PLAN_FETCH || (job->kind == PLAN_CHANGE && job->at == 0);

	phase(job, fetches ? "fetching" : "storing", job->stored.bytes);
	int rc = kinds[job->kind](job, store);
	phase(job, "sending", 0);
	return rc;
}

struct plan_job *plan_job_of(struct td_store_job *store_job)
{
	return (struct plan_job *)(void *)((char *)store_job -
					   offsetof(struct plan_job, store_job));
}

int plan_job_store(struct plan_job *job, void (*after_store)(struct td_store_job *job, int rc))
{
	job->store_job.run = store_run;
	job->store_job.done = after_store;
	return td_store_submit(&job->store->home.worker, &job->store_job);
}
