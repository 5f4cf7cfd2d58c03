// SPDX-License-Identifier: BSD-3-Clause
// What control pushes beside the policy: subscribers, one by one or all of them, and the bindings
// of earlier boots, which go to the workers that own them.
//
// Owner: main. Allocates. Nobody waits for a grace period.
#pragma once

#include "dataplane/worker.h"

#include <tandem.pb-c.h>

#define TD_SUBSCRIBERS_MAX (4u << 20)

struct td_provision {
	struct td_dataplane *dp;
	uint64_t generation; // of the subscribers; 0: none yet
	// Bindings that are being handed over; NULL: none.
	uint8_t *records;
	size_t len, at;
	bool last;
	uint64_t taken;
};

// Makes dp->subscribers where a realm has a registrar. 0 or -errno.
int td_subscribers_make(struct td_dataplane *dp);
void td_subscribers_unmake(struct td_dataplane *dp); // after the workers have returned

// 0, or -errno with error: -EOPNOTSUPP where nobody registers here, -EINVAL, -ENOENT, -ENOSPC …
int td_provision_put(struct td_provision *p, const Tandem__SubscriberPut *put, char *error,
	size_t cap);
int td_provision_delete(struct td_provision *p, const Tandem__SubscriberDelete *gone, char *error,
	size_t cap);
// *taken: entries.
int td_provision_bulk(struct td_provision *p, const Tandem__SubscriberBulk *bulk, uint64_t *taken,
	char *error, size_t cap);
// Begins to hand bindings over; -EBUSY while others are on their way.
int td_provision_bindings(struct td_provision *p, const Tandem__BindingBulk *bulk, char *error,
	size_t cap);
// Goes on with it; true: done, p->taken records were handed over. Once a turn.
bool td_provision_more(struct td_provision *p);
void td_provision_drop(struct td_provision *p); // whoever began it is gone
// Frees what no worker reads any more. Once a turn.
void td_provision_collect(struct td_provision *p);
