// SPDX-License-Identifier: BSD-3-Clause
// What all host names lead to at one moment: a copy that a thread may read while the loop goes on.
#pragma once

#include "control/dns_names.h"

struct td_dns_answers;

// Owner: the loop. Of the names that are wanted and have an answer. NULL: no memory.
struct td_dns_answers *td_dns_answers_take(const struct td_dns_names *names);
void td_dns_answers_free(struct td_dns_answers *answers); // NULL is fine
// A td_resolve_find (control/policy_resolve.h); any thread.
const struct td_dns_answer *td_dns_answers_find(void *answers, const struct td_host_conf *host);
