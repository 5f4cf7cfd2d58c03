// SPDX-License-Identifier: BSD-3-Clause
// What stands around each turn of a watched worker.
#pragma once

// quiet.c, where it is linked: the turn begins, the turn has ended.
void quiet_arm(void) __attribute__((weak));
void quiet_disarm(void) __attribute__((weak));
