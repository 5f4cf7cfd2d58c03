// SPDX-License-Identifier: BSD-3-Clause
#include "control/plan_file.h"

#include "control/log.h"
#include "control/state_file.h"
#include "sip/route_image.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SUFFIX ".img"
#define ASIDE ".new"
#define VERSION ".version"

bool plan_name_fits(const char *name)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";

	return name[0] != '\0' && name[0] != '.' && strlen(name) < TD_NAME_LEN &&
	       name[strspn(name, allowed)] == '\0';
}

void plan_path(const char *folder, const char *name, const char *suffix, char *dst, size_t cap)
{
	snprintf(dst, cap, "%s/%s" SUFFIX "%s", folder, name, suffix);
}

static void version_read(const char *folder, struct td_plan_info *info)
{
	char path[256];
	uint64_t version, checksum;

	plan_path(folder, info->name, VERSION, path, sizeof(path));
	FILE *file = fopen(path, "re");
	if (file &&
		fscanf(file, "version %" SCNu64 " checksum %" SCNu64, &version, &checksum) == 2) {
		info->version = version;
		info->checksum = checksum;
	}
	if (file)
		fclose(file);
}

int plan_info_read(const char *folder, const char *file, struct td_plan_info *out)
{
	struct td_route_header h;
	size_t len = strlen(file);
	char path[512];

	if (len <= sizeof(SUFFIX) - 1 || strcmp(file + len - (sizeof(SUFFIX) - 1), SUFFIX) != 0)
		return -EINVAL;
	snprintf(path, sizeof(path), "%s/%s", folder, file);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, &h, sizeof(h));
	if (fd >= 0)
		close(fd);
	if (n != sizeof(h) || h.magic != TD_ROUTE_MAGIC || !memchr(h.plan, '\0', TD_NAME_LEN) ||
		!plan_name_fits(h.plan))
		return -EINVAL;
	if (strlen(h.plan) != len - (sizeof(SUFFIX) - 1) ||
		memcmp(h.plan, file, strlen(h.plan)) != 0)
		return -EBADMSG;
	*out = (struct td_plan_info){
		.generation = h.generation, .rows = h.rows, .bytes = h.bytes
	};
	memcpy(out->name, h.plan, sizeof(out->name));
	version_read(folder, out);
	return 0;
}

void plan_version_write(const char *folder, const struct td_plan_info *info)
{
	char text[80], name[TD_NAME_LEN + 16];
	int len = snprintf(text, sizeof(text), "version %" PRIu64 " checksum %" PRIu64 "\n",
		info->version, info->checksum);

	snprintf(name, sizeof(name), "%s" SUFFIX VERSION, info->name);
	int rc = td_state_write(folder, name, (const uint8_t *)text, (size_t)len);
	if (rc != 0)
		td_log(TD_LOG_WARNING, "plan.not_noted", "plan=%s error=\"%s\"", info->name,
			strerror(-rc));
}

int plan_file_commit(const char *folder, const struct td_plan_info *info)
{
	char aside[256], path[256];

	plan_path(folder, info->name, ASIDE, aside, sizeof(aside));
	plan_path(folder, info->name, "", path, sizeof(path));
	int rc = rename(aside, path) < 0 ? -errno : td_folder_sync(folder);
	if (rc == 0)
		plan_version_write(folder, info);
	return rc;
}

bool plan_file_sweep(const char *folder, const char *file)
{
	static const char end[] = SUFFIX ASIDE;
	size_t len = strlen(file);
	char path[512];

	if (len < sizeof(end) || strcmp(file + len - (sizeof(end) - 1), end) != 0)
		return false;
	snprintf(path, sizeof(path), "%s/%s", folder, file);
	unlink(path);
	return true;
}

void plan_file_discard(const char *folder, const char *name)
{
	char aside[256];

	plan_path(folder, name, ASIDE, aside, sizeof(aside));
	unlink(aside);
}

void plan_file_remove(const char *folder, const char *name)
{
	char path[256];

	plan_path(folder, name, "", path, sizeof(path));
	unlink(path);
	plan_path(folder, name, VERSION, path, sizeof(path));
	unlink(path);
}
