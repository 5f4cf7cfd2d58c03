// SPDX-License-Identifier: BSD-3-Clause
#include "control/plan_table.h"

#include "control/control.h"
#include "control/log.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define ALARM "plan.refused"

struct td_plan_info *plan_info_find(struct td_plan_store *store, const char *name)
{
	for (uint32_t i = 0; i < store->n; i++)
		if (strcmp(store->table[i].name, name) == 0)
			return &store->table[i];
	return NULL;
}

bool plan_is_here(struct td_plan_store *store, const char *name)
{
	return plan_info_find(store, name) != NULL;
}

bool plan_has_room(struct td_plan_store *store, const char *name)
{
	return plan_is_here(store, name) || store->n < TD_PLANS_MAX;
}

void plan_stranger_drop(struct td_plan_store *store, uint32_t i)
{
	memmove(store->strangers[i], store->strangers[--store->n_strangers], TD_NAME_LEN);
}

void plan_info_set(struct td_plan_store *store, const struct td_plan_info *info)
{
	struct td_plan_info *at = plan_info_find(store, info->name);

	if (!at)
		at = &store->table[store->n++];
	*at = *info;
	// Nor is it taken away as one, should the store lose it.
	for (uint32_t i = 0; i < store->n_strangers; i++)
		if (strcmp(store->strangers[i], info->name) == 0)
			plan_stranger_drop(store, i--);
}

void plan_table_read(struct td_plan_store *store)
{
	DIR *dir = opendir(store->folder);
	const struct dirent *e;

	while (dir && (e = readdir(dir))) {
		struct td_plan_info info;
		int rc = plan_file_sweep(store->folder, e->d_name)
				 ? -EINVAL
				 : plan_info_read(store->folder, e->d_name, &info);
		if (rc == -EBADMSG)
			td_log(TD_LOG_WARNING, "plan.not_taken", "path=%s/%s reason=\"%s\"",
				store->folder, e->d_name,
				"the plan in it has another name than the file");
		if (rc != 0 || !plan_has_room(store, info.name))
			continue;
		plan_info_set(store, &info);
		td_log(TD_LOG_INFO, "plan.kept", "plan=%s generation=%016" PRIx64 " rows=%" PRIu64,
			info.name, info.generation, info.rows);
	}
	if (dir)
		closedir(dir);
}

// What the data plane was sent again on its own account: nobody waits for the answer.
void plan_refusal_note(struct td_plan_store *store, const char *name, const char *reason)
{
	struct td_plan_info *info = plan_info_find(store, name);

	if (!info)
		return;
	info->pushed = info->refused = true;
	td_alarm_raise(&store->control->alarms, TD_CRITICAL, ALARM, name,
		"calls that need this plan find no route in it: load its route file again "
		"(tandemctl route load)",
		"dial plan %s is committed, but the data plane does not have it: %s", name, reason);
}

void plan_refusal_forget(struct td_plan_store *store, const char *name)
{
	td_alarm_clear(&store->control->alarms, ALARM, name);
}

void plan_info_forget(struct td_plan_store *store, const char *name)
{
	struct td_plan_info *info = plan_info_find(store, name);

	plan_file_remove(store->folder, name);
	plan_refusal_forget(store, name);
	td_alarm_clear(&store->control->alarms, PLAN_BEHIND, name);
	td_alarm_clear(&store->control->alarms, PLAN_UNSTORED, name);
	if (info)
		*info = store->table[--store->n];
}
