// SPDX-License-Identifier: BSD-3-Clause
#include "control/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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

int td_folder_sync(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 || fsync(fd) < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return rc;
}

int td_state_write(const char *folder, const char *name, const uint8_t *bytes, size_t len)
{
	char path[PATH_MAX], fresh[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	snprintf(fresh, sizeof(fresh), "%s/%s.new", folder, name);
	int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (fd < 0)
		return -errno;
	int rc = write_all(fd, bytes, len);
	close(fd);
	if (rc == 0 && rename(fresh, path) != 0)
		rc = -errno;
	if (rc != 0) { // on a full disk it holds room that others need
		unlink(fresh);
		return rc;
	}
	return td_folder_sync(folder);
}

int td_state_print(const char *folder, const char *name, void (*print)(FILE *out, const void *what),
	const void *what)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return -ENOMEM;
	print(out, what);
	int rc = fclose(out) == 0 ? td_state_write(folder, name, (const uint8_t *)text, size)
				  : -ENOMEM;
	free(text);
	return rc;
}
