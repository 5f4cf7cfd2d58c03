// SPDX-License-Identifier: BSD-3-Clause
// The changes of a time zone, out of the system's zone files (RFC 8536), so that who decides by
// time needs neither the files nor libc. Pure but for the file; any thread.
#pragma once

#include "include/policy_conf.h"

#define TD_ZONE_FOLDER "/usr/share/zoneinfo"

// Fills steps and n_steps: the offset now and the changes of the years to come, as far as the file
// knows them and TD_ZONE_STEPS_MAX holds. 0; -ENOENT, -EINVAL: there is no such zone, or it does
// not hold.
int td_zone_read(const char *zone, struct td_window_conf *window);
// Of a file's bytes, with the offset at now_s first. 0 or -EINVAL.
int td_zone_decode(const uint8_t *bytes, size_t len, int64_t now_s, struct td_window_conf *window);
