// SPDX-License-Identifier: BSD-3-Clause
// The ring files in run_dir: how they are called, and which of them are there.
//
// Main only, before the workers run and after they have ended.
#pragma once

#include <stddef.h>
#include <stdint.h>

void td_journal_file_path(const char *run_dir, uint16_t worker, char *dst, size_t cap);
// Hands the path of each ring file to take(), which may remove it, until that returns other than 0.
// Returns this, 0, or -errno where the folder does not read; one that is not there has none.
int td_journal_files_each(
	const char *run_dir, int (*take)(void *user, const char *path), void *user);
// Bytes that they occupy: room that a start gets back before it makes its own.
uint64_t td_journal_files_bytes(const char *run_dir);
