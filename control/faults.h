// SPDX-License-Identifier: BSD-3-Clause
// What is wrong with a configuration: every fault, not the first. One owner; allocates; nothing
// here fails loudly – where memory is out the fault is counted and its text is lost.
#pragma once

#include <stdarg.h>
#include <stdint.h>

#define TD_FAULTS_MAX 200 // texts kept; further ones are counted

struct td_faults {
	uint32_t n;                 // all that were found
	uint32_t kept;              // texts[0, kept)
	char *texts[TD_FAULTS_MAX]; // "FILE:LINE: KEY: found X, expected Y"; owned
};

void td_faults_free(struct td_faults *faults); // leaves it empty and usable
void td_faults_add(struct td_faults *faults, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void td_faults_addv(struct td_faults *faults, const char *format, va_list ap);
// One line each, then how many there were beyond TD_FAULTS_MAX; freed by the caller. NULL: no
// memory.
char *td_faults_text(const struct td_faults *faults);
// One line each on fd, then how many there were beyond TD_FAULTS_MAX.
void td_faults_print(const struct td_faults *faults, int fd);
