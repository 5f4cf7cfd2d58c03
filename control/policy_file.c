// SPDX-License-Identifier: BSD-3-Clause
#include "control/policy_file.h"

#include "control/policy_pb.h"
#include "include/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int write_all(int fd, const uint8_t *bytes, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = write(fd, bytes + at, len - at);
		if (n < 0 && errno != EINTR)
			return -errno;
		at += n > 0 ? (size_t)n : 0;
	}
	return fsync(fd) == 0 ? 0 : -errno;
}

int td_state_write(
	const char *state_dir, const char *name, const uint8_t *bytes, size_t len)
{
	char path[PATH_MAX], fresh[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", state_dir, name);
	snprintf(fresh, sizeof(fresh), "%s/%s.new", state_dir, name);
	int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	int rc = fd < 0 ? -errno : write_all(fd, bytes, len);
	if (fd >= 0)
		close(fd);
	if (rc == 0 && rename(fresh, path) != 0)
		rc = -errno;
	return rc;
}

int td_policy_file_write(const char *state_dir, const struct td_policy_conf *conf)
{
	size_t len;
	uint8_t *bytes = td_policy_pack(conf, &len);
	int rc = bytes ? td_state_write(state_dir, TD_POLICY_FILE, bytes, len) : -ENOMEM;

	free(bytes);
	return rc;
}

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
