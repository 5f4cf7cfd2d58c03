// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

// A rename is durable once its directory is.
static int sync_parent(const char *path)
{
	char copy[PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", path);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int rc = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

int td_state_file_write(const char *path, const void *data, size_t len)
{
	char aside[PATH_MAX];

	if (snprintf(aside, sizeof(aside), "%s.new", path) >= (int)sizeof(aside))
		return -ENAMETOOLONG;
	int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int rc = write_all(fd, data, len);
	close(fd);
	if (rc == 0 && rename(aside, path) < 0)
		rc = -errno;
	if (rc < 0) {
		unlink(aside);
		return rc;
	}
	return sync_parent(path);
}

static int read_all(int fd, size_t max, void **data, size_t *len)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size > max)
		return -EFBIG;
	char *bytes = malloc((size_t)st.st_size + 1);
	if (!bytes)
		return -ENOMEM;
	size_t n = 0;
	while (n < (size_t)st.st_size) {
		ssize_t got = read(fd, bytes + n, (size_t)st.st_size - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	bytes[n] = '\0';
	*data = bytes;
	*len = n;
	return 0;
}

int td_state_file_read(const char *path, size_t max, void **data, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	int rc = read_all(fd, max, data, len);
	close(fd);
	return rc;
}

int td_state_dir_make(const char *path)
{
	char part[PATH_MAX];

	if (snprintf(part, sizeof(part), "%s", path) >= (int)sizeof(part))
		return -ENAMETOOLONG;
	for (char *slash = part + 1; *slash; slash++) {
		if (*slash != '/')
			continue;
		*slash = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	if (mkdir(part, 0750) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

// Seconds since then are below 2^31 until 2094: journal segments carry an epoch in the upper half
// of a number that stores keep with a sign.
#define EPOCHS_BEGIN_S 1767225600u // 2026-01-01
#define EPOCH_MAX INT32_MAX

static uint32_t epoch_of_clock(uint64_t wall_s)
{
	uint64_t s = wall_s > EPOCHS_BEGIN_S ? wall_s - EPOCHS_BEGIN_S : 0;

	return s < EPOCH_MAX ? (uint32_t)s : 0; // no clock is set like that
}

// What no boot wrote counts for nothing.
static uint32_t epoch_of_text(const char *text)
{
	unsigned long n = strtoul(text, NULL, 10);

	return n < EPOCH_MAX ? (uint32_t)n : 0;
}

int td_state_epoch_next(const char *state_dir, uint64_t wall_s, uint32_t *epoch)
{
	char path[PATH_MAX], text[16];
	void *old = NULL;
	size_t len = 0;

	snprintf(path, sizeof(path), "%s/epoch", state_dir);
	int rc = td_state_file_read(path, 64, &old, &len);
	if (rc < 0 && rc != -ENOENT)
		return rc;
	uint32_t next = (old ? epoch_of_text(old) : 0) + 1;
	if (next < epoch_of_clock(wall_s))
		next = epoch_of_clock(wall_s);
	free(old);
	int n = snprintf(text, sizeof(text), "%u\n", next);
	rc = td_state_file_write(path, text, (size_t)n);
	if (rc == 0)
		*epoch = next;
	return rc;
}
