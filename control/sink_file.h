// SPDX-License-Identifier: BSD-3-Clause
// Call detail records as lines of files for other programs: CSV, or one JSON object a line.
//
// At least once: a crash between the file's sync and the position's may bring lines again, with the
// same id. What waits for the end of its call, and the position, are in a small database of the
// sink's own (a store without anything else), so that it depends on no other destination.
#pragma once

#include "control/sink.h"
#include "include/config.h"

enum td_file_format { TD_FILE_CSV, TD_FILE_JSONL };

// ledger: "sqlite:PATH" of that database. NULL and error text.
struct td_sink *td_sink_file_open(enum td_file_format format, const struct td_cdr_file_conf *conf,
	const char *ledger, char *error, size_t cap);
