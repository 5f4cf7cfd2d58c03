// SPDX-License-Identifier: BSD-3-Clause
// What a Contact of REGISTER says beside its address (RFC 3261 §20.10, RFC 5626 §4.2). Pure; any
// thread.
#pragma once

#include "include/span.h"

struct td_contact_params {
	bool has_expires;
	uint16_t q;       // 0 – 1000; 1000 where absent
	uint32_t expires; // seconds
	uint32_t reg_id;  // 0: absent
	struct td_span instance; // without its quotes; empty where absent
};

// params: of a td_name_addr. 0 or -EBADMSG.
int td_contact_params_decode(struct td_span params, struct td_contact_params *out);
