// SPDX-License-Identifier: BSD-3-Clause
// What a dial plan has that another has not, by match. Pure; any thread; reads all of both.
#pragma once

#include "sip/route_image.h"

#define TD_PLAN_SAMPLES 10 // told of each kind

enum td_plan_change { TD_PLAN_ADDED, TD_PLAN_CHANGED, TD_PLAN_REMOVED, TD_PLAN__CHANGES };

struct td_plan_diff {
	uint64_t count[TD_PLAN__CHANGES];
	char samples[TD_PLAN__CHANGES][TD_PLAN_SAMPLES][64];
};

// before NULL: there was none.
void td_plan_diff(const struct td_route_image *before, const struct td_route_image *after,
	struct td_plan_diff *out);

// Calls match() with each match of a plan as people write it, in no order.
void td_plan_each(const struct td_route_image *image,
	void (*match)(void *ctx, const char *text, uint32_t set), void *ctx);
// The set of a match as people write it; 0: there is none.
uint32_t td_plan_find(const struct td_route_image *image, const char *match);
