// SPDX-License-Identifier: BSD-3-Clause
// cmocka's memory as a struct td_alloc: what does not come back fails the test.
#pragma once

#include "sip/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void *plain_alloc(void *ctx, size_t bytes)
{
	return ctx ? NULL : test_malloc(bytes);
}

static void plain_free(void *ctx, void *ptr)
{
	test_free(ptr);
}

static const struct td_alloc alloc = { .alloc = plain_alloc, .free = plain_free };
static const struct td_alloc none = { // has none
	.alloc = plain_alloc,
	.free = plain_free,
	.ctx = (void *)(uintptr_t)&none
};
