// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/journal_files.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PREFIX "journal."
#define SUFFIX ".ring"

void td_journal_file_path(const char *run_dir, uint16_t worker, char *dst, size_t cap)
{
	snprintf(dst, cap, "%s/" PREFIX "%u" SUFFIX, run_dir, worker);
}

static bool is_ring(const char *name)
{
	size_t prefix = strlen(PREFIX), digits = 0;

	if (strncmp(name, PREFIX, prefix) == 0)
		digits = strspn(name + prefix, "0123456789");
	return digits > 0 && strcmp(name + prefix + digits, SUFFIX) == 0;
}

int td_journal_files_each(
	const char *run_dir, int (*take)(void *user, const char *path), void *user)
{
	DIR *dir = opendir(run_dir);
	struct dirent *entry;
	char path[PATH_MAX];
	int rc = 0;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	for (errno = 0; rc == 0 && (entry = readdir(dir)); errno = 0) {
		if (!is_ring(entry->d_name))
			continue;
		snprintf(path, sizeof(path), "%s/%s", run_dir, entry->d_name);
		rc = take(user, path);
	}
	if (rc == 0 && errno != 0)
		rc = -errno;
	closedir(dir);
	return rc;
}

static int bytes_add(void *user, const char *path)
{
	uint64_t *bytes = user;
	struct stat st;

	if (stat(path, &st) == 0)
		*bytes += (uint64_t)st.st_blocks * 512; // POSIX: whatever the file system's blocks
	return 0;
}

uint64_t td_journal_files_bytes(const char *run_dir)
{
	uint64_t bytes = 0;

	td_journal_files_each(run_dir, bytes_add, &bytes);
	return bytes;
}
