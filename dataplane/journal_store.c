// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/journal_store.h"

#include "dataplane/state_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int td_journal_store_open(struct td_journal_store *store, const char *state_dir, uint32_t epoch)
{
	*store = (struct td_journal_store){
		.fd = -1,
		.sequence = (uint64_t)epoch << 32,
		.quota = TD_JOURNAL_QUOTA_BYTES,
	};
	snprintf(store->dir, sizeof(store->dir), "%s/journal", state_dir);
	return td_state_dir_make(store->dir);
}

static int dir_sync(const struct td_journal_store *store)
{
	int fd = open(store->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	int rc = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

// All segments, read or not: control removes those behind its readers.
static uint64_t dir_bytes(const struct td_journal_store *store)
{
	DIR *dir = opendir(store->dir);
	struct dirent *entry;
	struct stat st;
	uint64_t bytes = 0;

	if (!dir)
		return 0;
	while ((entry = readdir(dir)))
		if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			S_ISREG(st.st_mode))
			bytes += (uint64_t)st.st_size;
	closedir(dir);
	return bytes;
}

// Writes at the file's end, and takes back what a full disk cut.
static int segment_write(struct td_journal_store *store, const char *data, size_t len)
{
	uint64_t start = store->segment_bytes;

	while (len > 0) {
		ssize_t n = pwrite(store->fd, data, len, (off_t)store->segment_bytes);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int rc = -errno;
			store->segment_bytes = start;
			return ftruncate(store->fd, (off_t)start) < 0 ? -errno : rc;
		}
		data += n;
		len -= (size_t)n;
		store->segment_bytes += (uint64_t)n;
	}
	store->unsynced = true;
	return 0;
}

static int segment_open(struct td_journal_store *store)
{
	struct td_journal_segment head = { TD_JOURNAL_MAGIC, TD_JOURNAL_VERSION, store->sequence };
	char path[320];

	if (dir_bytes(store) + TD_JOURNAL_SEGMENT_BYTES > store->quota)
		return -EDQUOT;
	snprintf(path, sizeof(path), "%s/%016" PRIx64 ".tdj", store->dir, store->sequence);
	store->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (store->fd < 0)
		return -errno;
	store->segment_bytes = 0;
	int rc = segment_write(store, (const char *)&head, sizeof(head));
	if (rc == 0)
		rc = dir_sync(store);
	if (rc < 0) {
		close(store->fd);
		store->fd = -1;
		store->unsynced = false;
		unlink(path);
	}
	return rc;
}

static void segment_close(struct td_journal_store *store)
{
	close(store->fd);
	store->fd = -1;
	store->sequence++;
	store->unsynced = false;
}

// The kernel tells of a page that it could not write once, and then takes it for written.
static int segment_sync(struct td_journal_store *store)
{
	if (!store->unsynced)
		return 0;
	if (fdatasync(store->fd) < 0) {
		int rc = -errno;
		store->torn = true;
		segment_close(store);
		return rc;
	}
	store->unsynced = false;
	return 0;
}

int td_journal_store_sync(struct td_journal_store *store)
{
	int rc = segment_sync(store);

	if (rc == 0 && store->torn)
		rc = -EIO;
	store->torn = false;
	return rc;
}

static int segment_end(struct td_journal_store *store)
{
	int rc = segment_sync(store);

	if (rc == 0)
		segment_close(store);
	return rc;
}

int td_journal_store_append(struct td_journal_store *store, const void *records, size_t bytes)
{
	int rc = 0;

	if (store->fd >= 0 && store->segment_bytes + bytes > TD_JOURNAL_SEGMENT_BYTES)
		rc = segment_end(store);
	if (rc == 0 && store->fd < 0)
		rc = segment_open(store);
	return rc < 0 ? rc : segment_write(store, records, bytes);
}

int td_journal_store_boot(struct td_journal_store *store, const struct td_journal_boot *boot)
{
	struct {
		struct td_journal_record record;
		struct td_journal_boot boot;
	} whole = { { .length = sizeof(*boot), .type = TD_JOURNAL_BOOT, .epoch = boot->epoch },
		*boot };

	whole.record.crc = td_journal_crc(&whole.record, boot);
	int rc = td_journal_store_append(store, &whole, sizeof(whole));
	return rc < 0 ? rc : td_journal_store_sync(store);
}

void td_journal_store_close(struct td_journal_store *store)
{
	if (store->fd < 0)
		return;
	if (td_journal_store_sync(store) == 0)
		close(store->fd);
	store->fd = -1;
}
