// SPDX-License-Identifier: BSD-3-Clause
// Tables that control shows by itself: from the store page by page, and what it knows at once. Each
// table is one line of listings[] in listing.c.
//
// Owner: the loop. Pages are read and packed on the store's thread; a client that reads slowly gets
// the next page when it has taken the last ones.
#pragma once

#include "control/server.h"

// Answers frame (a SHOW). false: the table is not one of ours.
bool td_listing(struct td_client *client, const Tandem__Frame *frame);
