// SPDX-License-Identifier: BSD-3-Clause
#include "control/policy_file.h"

#include "control/policy_pb.h"
#include "control/state_file.h"
#include "include/frame.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

uint64_t td_policy_file_generation(const char *state_dir)
{
	char path[PATH_MAX];
	const char *error;
	uint64_t generation = 0;

	snprintf(path, sizeof(path), "%s/" TD_POLICY_FILE, state_dir);
	FILE *file = fopen(path, "rbe");
	uint8_t *bytes = file ? malloc(TD_FRAME_MAX) : NULL;
	if (bytes) {
		size_t len = fread(bytes, 1, TD_FRAME_MAX, file);
		struct td_policy_conf *conf = td_policy_unpack(bytes, len, &error);
		generation = conf ? conf->generation : 0;
		td_policy_conf_free(conf);
	}
	free(bytes);
	if (file)
		fclose(file);
	return generation;
}
