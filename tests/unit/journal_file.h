// SPDX-License-Identifier: BSD-3-Clause
// A data plane's journal written by hand: segments in a folder, records appended to them.
#pragma once

#include "include/cdr.h"
#include "include/journal.h"

#include <stdio.h>

void journal_path(const char *dir, uint64_t n, char path[128]);
// Opens segment n for appending; its header is there. The caller closes it.
FILE *journal_segment(const char *dir, uint64_t n);
void journal_put(FILE *f, uint16_t type, uint32_t epoch, const void *payload, uint32_t length);
// START, INTERIM or END of the call "x-EPOCH-0-N", which was answered.
void journal_put_cdr(FILE *f, uint16_t type, uint32_t epoch, int n);
void journal_put_boot(FILE *f, uint32_t epoch);
