// SPDX-License-Identifier: BSD-3-Clause
// Operators' changes of subscribers and numbers: checked, stored, pushed, answered.
//
// Owner: the loop. A password lives from its frame to its hashes and no longer; neither is ever
// logged or shown.
#pragma once

#include "control/server.h"
#include "include/subscriber.h"

// Answers frame where it is such a change. false: it is something else.
bool td_provision(struct td_client *client, const Tandem__Frame *frame);
