// SPDX-License-Identifier: BSD-3-Clause
#include "control/rotated_file.h"

#include "control/log.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void td_rotated_init(struct td_rotated_file *file, const struct td_rotated_conf *conf)
{
	*file = (struct td_rotated_file){ .conf = *conf, .fd = -1 };
}

void td_rotated_close(struct td_rotated_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
}

static uint64_t period_of(const struct td_rotated_file *file, uint64_t s)
{
	return file->conf.rotate_s ? s / file->conf.rotate_s : 0;
}

static int write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

// Bytes up to the last end of a line; -errno where the file does not read: a disk that fails is no
// reason to cut it.
static int64_t whole_lines(int fd, uint64_t size)
{
	char chunk[4096];

	while (size > 0) {
		uint64_t from = size > sizeof(chunk) ? size - sizeof(chunk) : 0;
		ssize_t n = pread(fd, chunk, (size_t)(size - from), (off_t)from);
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		const char *end = memrchr(chunk, '\n', (size_t)n);
		if (end)
			return (int64_t)from + (end - chunk) + 1;
		size = from;
	}
	return 0;
}

// Takes over what is there, without a line that was cut.
static int content_take(struct td_rotated_file *file, uint64_t now_s)
{
	struct stat st;

	if (fstat(file->fd, &st) != 0)
		return -errno;
	int64_t whole = whole_lines(file->fd, (uint64_t)st.st_size);
	if (whole < 0)
		return (int)whole;
	file->bytes = (uint64_t)whole;
	file->period = period_of(file, st.st_size > 0 ? (uint64_t)st.st_mtime : now_s);
	if (whole < st.st_size && ftruncate(file->fd, (off_t)whole) < 0)
		return -errno;
	return 0;
}

// An older version's file has other columns: lines of ours would not stand below them.
static bool header_differs(const struct td_rotated_file *file)
{
	char there[4096];
	size_t len = file->conf.header ? strlen(file->conf.header) : 0;

	if (len == 0 || file->bytes == 0 || len > sizeof(there))
		return false;
	return pread(file->fd, there, len, 0) != (ssize_t)len ||
	       memcmp(there, file->conf.header, len) != 0;
}

static int file_open(struct td_rotated_file *file, uint64_t now_s)
{
	file->fd = open(file->conf.path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (file->fd < 0)
		return -errno;
	int rc = content_take(file, now_s);
	file->strange = rc == 0 && header_differs(file);
	if (rc == 0 && file->bytes == 0 && file->conf.header) {
		rc = write_all(file->fd, file->conf.header, strlen(file->conf.header));
		file->bytes = strlen(file->conf.header);
	}
	file->start = file->bytes;
	if (rc != 0)
		td_rotated_close(file);
	return rc;
}

// --- turning over ---

// Names sort by their time.
static void old_ones_remove(const struct td_rotated_file *file)
{
	char pattern[PATH_MAX];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s.[0-9]*Z*", file->conf.path);
	if (glob(pattern, 0, NULL, &found) != 0)
		return;
	for (size_t i = 0; i + file->conf.keep < found.gl_pathc; i++)
		if (unlink(found.gl_pathv[i]) != 0)
			td_log(TD_LOG_WARNING, "cdr.remove", "path=%s error=\"%s\"",
				found.gl_pathv[i], strerror(errno));
	globfree(&found);
}

static int turn_over(struct td_rotated_file *file, uint64_t now_s)
{
	char stamp[32], old[PATH_MAX];
	time_t now = (time_t)now_s;
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
	for (int n = 0; n < 1000; n++) {
		char more[8] = "";
		if (n > 0)
			snprintf(more, sizeof(more), ".%03d", n);
		snprintf(old, sizeof(old), "%s.%s%s", file->conf.path, stamp, more);
		if (access(old, F_OK) != 0)
			break;
	}
	if (rename(file->conf.path, old) != 0)
		return -errno;
	td_rotated_close(file);
	old_ones_remove(file);
	return file_open(file, now_s);
}

static bool moved_away(const struct td_rotated_file *file)
{
	struct stat mine, there;

	return stat(file->conf.path, &there) != 0 || fstat(file->fd, &mine) != 0 ||
	       mine.st_ino != there.st_ino || mine.st_dev != there.st_dev;
}

int td_rotated_ready(struct td_rotated_file *file, uint64_t now_s)
{
	size_t header = file->conf.header ? strlen(file->conf.header) : 0;

	if (file->fd >= 0 && moved_away(file))
		td_rotated_close(file);
	int rc = file->fd < 0 ? file_open(file, now_s) : 0;
	if (rc != 0 || (file->bytes <= header && !file->strange))
		return rc;
	if (file->strange || file->bytes >= file->conf.rotate_bytes ||
		file->period != period_of(file, now_s))
		return turn_over(file, now_s);
	return 0;
}

// --- lines ---

void td_rotated_undo(struct td_rotated_file *file)
{
	if (file->fd >= 0 && file->bytes > file->start &&
		ftruncate(file->fd, (off_t)file->start) == 0)
		file->bytes = file->start;
}

int td_rotated_append(struct td_rotated_file *file, const char *lines, size_t len, uint64_t now_s)
{
	file->start = file->bytes;
	file->bytes += len; // undone from here on, however much of it is there
	int rc = write_all(file->fd, lines, len);
	if (rc == 0 && fdatasync(file->fd) != 0)
		rc = -errno;
	if (rc != 0) {
		td_rotated_undo(file);
		return rc;
	}
	file->period = period_of(file, now_s);
	return 0;
}
