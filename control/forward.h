// SPDX-License-Identifier: BSD-3-Clause
// Requests that the data plane answers: asked on behalf of a client, the answer's frames passed on
// under the client's id.
#pragma once

#include "control/server.h"

// frame: SHOW, HANGUP, DRAIN or STATUS_REQUEST. Control adds what it knows itself (its version,
// whether it is in sync); without a data plane the client gets an Error, and a Status that says so.
void td_forward(struct td_client *client, const Tandem__Frame *frame);
