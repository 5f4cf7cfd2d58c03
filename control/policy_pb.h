// SPDX-License-Identifier: BSD-3-Clause
// Policy between its two forms: struct td_policy_conf, and the Protobuf message that crosses the
// process boundary and lies in state_dir. Pure; any thread. Its own library (policy_pb_dep), so
// that the data plane's main.c may link it.
#pragma once

#include "include/policy_conf.h"

#include <tandem.pb-c.h>

// A message of its own memory; freed by tandem__policy__free_unpacked(policy, NULL). NULL: no
// memory.
Tandem__Policy *td_policy_to_pb(const struct td_policy_conf *conf);

// Checks what came from outside against every ceiling. NULL and *error, static text.
// td_policy_conf_free().
struct td_policy_conf *td_policy_from_pb(const Tandem__Policy *policy, const char **error);
void td_policy_conf_free(struct td_policy_conf *conf); // NULL is fine

// What a configuration may take of the one frame in which a policy is pushed; the rest is for the
// addresses that its host names lead to.
#define TD_POLICY_BYTES_MAX (15u << 20)

// The same as bytes: malloc()ed, the caller's to free; NULL: no memory.
uint8_t *td_policy_pack(const struct td_policy_conf *conf, size_t *len);
struct td_policy_conf *td_policy_unpack(const uint8_t *bytes, size_t len, const char **error);

// Generation of a policy: a hash of its content, never 0. Equal policies have equal generations,
// over restarts and on every machine, so that a resync after which nothing changed pushes nothing.
uint64_t td_policy_generation_of(const struct td_policy_conf *conf);
