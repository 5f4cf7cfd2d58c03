// SPDX-License-Identifier: BSD-3-Clause
// What a reload would change, for people: each section with what was added, removed and changed in
// it, and the places that only a start reads.
#pragma once

#include "include/config.h"

#include <stdio.h>

// conf: as started, its policy the one in force; next: as it would be. Writes nothing where nothing
// differs.
void td_reload_report(FILE *out, const struct td_config *conf, const struct td_config *next);
