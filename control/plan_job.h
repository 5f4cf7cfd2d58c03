// SPDX-License-Identifier: BSD-3-Clause
// One job on a dial plan that takes too long for the loop (control/plan_store.h), and the plans'
// files.
#pragma once

#include "control/plan_diff.h"
#include "control/plan_store.h"
#include "control/route_csv.h"

#include <limits.h>

enum plan_job_kind {
	PLAN_LOAD,   // path → fd, info, diff
	PLAN_COMMIT, // fd → the plan's file, aside
	PLAN_PUSH,   // the plan's file → fd
	PLAN_REMOVE, // has nothing to wait for
};

struct plan_job {
	uv_work_t work;
	struct td_plan_store *store;
	enum plan_job_kind kind;
	const char *event;   // of its log line
	uint64_t serial, id; // who asked; serial 0: nobody
	bool commit;         // what was loaded at once
	bool push_waits;     // something else is on its way to the data plane
	char path[PATH_MAX];
	struct td_route_names *names;
	int fd; // sealed memfd of the image; -1: none
	struct td_plan_info info;
	struct td_plan_diff diff;
	int rc;
	char error[512];
	_Atomic(const char *) phase;
	_Atomic uint64_t done;
	uint64_t total; // bytes of the file
};

struct plan_job *plan_job_new(
	struct td_plan_store *store, enum plan_job_kind kind, const char *plan);
void plan_job_free(struct plan_job *job);
int plan_job_run(struct plan_job *job, uv_after_work_cb after); // 0 or a libuv error

bool plan_name_fits(const char *name);
// "folder/NAME.img" and suffix.
void plan_path(const char *folder, const char *name, const char *suffix, char *dst, size_t cap);
// Of a file of the folder. 0; -EINVAL: it is no plan.
int plan_info_read(const char *folder, const char *file, struct td_plan_info *out);
int plan_file_commit(const char *folder, const char *name); // what was written aside; 0 or -errno
void plan_file_discard(const char *folder, const char *name);
void plan_file_remove(const char *folder, const char *name);
