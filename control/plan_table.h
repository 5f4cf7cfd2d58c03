// SPDX-License-Identifier: BSD-3-Clause
// The committed dial plans of this node, td_plan_store.table: TD_PLANS_MAX of them at most. Nobody
// keeps a pointer to one over a call that sets or forgets any.
#pragma once

#include "control/plan_store.h"

// Alarms: the store's plan is not in force here; what is here could not be put into the store.
#define PLAN_BEHIND "plan.behind"
#define PLAN_UNSTORED "plan.unstored"

struct td_plan_info *plan_info_find(struct td_plan_store *store, const char *name); // or NULL
bool plan_is_here(struct td_plan_store *store, const char *name);
bool plan_has_room(struct td_plan_store *store, const char *name); // also: it is here
// In the place of the one before; there is room for it.
void plan_info_set(struct td_plan_store *store, const struct td_plan_info *info);
void plan_info_forget(struct td_plan_store *store, const char *name); // with its file and alarms
void plan_table_read(struct td_plan_store *store);                    // what the folder has
void plan_stranger_drop(struct td_plan_store *store, uint32_t i);
// The data plane does not take a plan that is committed: an alarm until it does.
void plan_refusal_note(struct td_plan_store *store, const char *name, const char *reason);
void plan_refusal_forget(struct td_plan_store *store, const char *name);
