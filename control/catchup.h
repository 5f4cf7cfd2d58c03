// SPDX-License-Identifier: BSD-3-Clause
// Other nodes' changes of subscribers, out of the store's log and to the data plane one by one, so
// that a change of one costs one and not the whole table.
//
// Owner: the loop; the log is read on the store's thread.
#pragma once

#include "control/sync.h"

// Begins to bring the data plane from sync->sent to what the store has now. What comes of it is
// told to td_sync_reached() and td_sync_caught_up(). 0 or negative errno, and nothing is told.
int td_catchup_begin(struct td_sync *sync);
