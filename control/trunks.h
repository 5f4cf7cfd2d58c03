// SPDX-License-Identifier: BSD-3-Clause
// Trunks that operators keep in the store beside those of the configuration file (tandemctl trunk
// add, set, del). A change is checked as the file is, stored, and taken into force as by a reload;
// other nodes on the same store see its generation and do the same.
//
// Owner: the loop. What was seen last lies in state_dir/trunks.stored, so that a start needs no
// store.
#pragma once

#include "control/config.h"
#include "control/store_worker.h"

#include <tandem.pb-c.h>

struct td_control;
struct td_client;

// A list as it was read at once: names, settings and where faults lie.
struct td_trunk_list {
	struct td_stored_trunk *trunks; // owned, as each one's settings
	uint32_t n;
	uint64_t generation; // of the store's table; 0: nothing was ever seen
};

struct td_trunks {
	struct td_control *control;
	struct td_trunk_list list;
	uv_timer_t timer;
	bool asking, due; // due: the list is not in force yet
};

// From state_dir, before the configuration is read with it. 0; -EBADMSG: a file that is none.
int td_trunks_read(struct td_trunks *trunks, const char *state_dir);
void td_trunks_start(struct td_trunks *trunks, struct td_control *control);
void td_trunks_stop(struct td_trunks *trunks);
void td_trunks_free(struct td_trunks *trunks);
// A reload took the list into force, whoever asked for it.
void td_trunks_in_force(struct td_trunks *trunks);
// TrunkPut, TrunkRemove: answered now or later.
void td_trunks_request(struct td_client *client, const Tandem__Frame *frame);

// --- trunks_file.c ---

bool td_trunk_list_add(struct td_trunk_list *list, struct td_span name, struct td_span settings);
void td_trunk_list_free(struct td_trunk_list *list);
struct td_stored_trunk *td_trunk_list_find(const struct td_trunk_list *list, const char *name);
int td_trunk_list_save(const struct td_trunk_list *list, const char *state_dir);
int td_trunk_list_load(struct td_trunk_list *list, const char *state_dir); // -ENOENT, -EBADMSG
// Lines of before with those of the changes in their place; an empty value takes a line away.
// NULL: no memory.
char *td_trunk_settings_merge(const char *before, char *const *changes, size_t n);
