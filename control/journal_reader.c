// SPDX-License-Identifier: BSD-3-Clause
#include "control/journal_reader.h"

#include "control/log.h"
#include "include/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORD_MAX 4096 // the largest payload that any version has written
#define CHUNK (256u << 10)

struct td_journal_reader {
	char dir[PATH_MAX - 64];
	struct td_store *store;
	struct td_store_position position;
	struct td_journal_reader_stats stats;
	uint8_t chunk[CHUNK];
};

struct td_journal_reader *td_journal_reader_new(const char *dir, struct td_store *store)
{
	struct td_journal_reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return NULL;
	snprintf(reader->dir, sizeof(reader->dir), "%s", dir);
	reader->store = store;
	return reader;
}

void td_journal_reader_free(struct td_journal_reader *reader)
{
	free(reader);
}

void td_journal_reader_stats(
	const struct td_journal_reader *reader, struct td_journal_reader_stats *out)
{
	*out = reader->stats;
}

// --- segments ---

// "0123456789abcdef.tdj"
static bool segment_number(const char *name, uint64_t *out)
{
	char *end;

	if (strlen(name) != 20 || strspn(name, "0123456789abcdefABCDEF") != 16)
		return false;
	*out = strtoull(name, &end, 16);
	return strcmp(end, ".tdj") == 0;
}

// Lowest number at or above from. false: none.
static bool segment_next(const struct td_journal_reader *reader, uint64_t from, uint64_t *out)
{
	DIR *dir = opendir(reader->dir);
	bool found = false;
	uint64_t n;

	if (!dir)
		return false;
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (segment_number(entry->d_name, &n) && n >= from && (!found || n < *out)) {
			*out = n;
			found = true;
		}
	}
	closedir(dir);
	return found;
}

static void segment_path(const struct td_journal_reader *reader, uint64_t n, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%016" PRIx64 ".tdj", reader->dir, n);
}

// Everything before the position is committed.
static void segments_remove(const struct td_journal_reader *reader)
{
	uint64_t n;

	while (segment_next(reader, 0, &n) && n < reader->position.sequence) {
		char path[PATH_MAX];
		segment_path(reader, n, path);
		if (unlink(path) != 0) {
			td_log(TD_LOG_WARNING, "journal.remove", "path=%s error=\"%s\"", path,
				strerror(errno));
			return;
		}
	}
}

// --- records ---

static int record_apply(struct td_journal_reader *reader, const struct td_journal_record *record,
	const uint8_t *payload)
{
	union {
		struct td_cdr cdr;
		struct td_cdr_attempt attempt;
		struct td_journal_boot boot;
	} u; // the payload lies unaligned
	uint32_t closed = 0;
	int rc;

	if (record->type == TD_JOURNAL_BOOT && record->length == sizeof(u.boot)) {
		memcpy(&u, payload, sizeof(u.boot));
		rc = td_store_boot(reader->store, u.boot.epoch, &closed);
		reader->stats.incomplete += closed;
		return rc;
	}
	if (record->type == TD_JOURNAL_ATTEMPT && record->length == sizeof(u.attempt)) {
		memcpy(&u, payload, sizeof(u.attempt));
		return td_store_cdr_attempt(reader->store, &u.attempt);
	}
	if (record->length == sizeof(u.cdr) &&
		(record->type == TD_JOURNAL_START || record->type == TD_JOURNAL_END)) {
		memcpy(&u, payload, sizeof(u.cdr));
		return record->type == TD_JOURNAL_END
			       ? td_store_cdr_end(reader->store, &u.cdr)
			       : td_store_cdr_start(reader->store, record->epoch, &u.cdr);
	}
	reader->stats.unknown++;
	return 0;
}

enum outcome {
	MORE,    // the chunk ends inside a record, or max is reached
	STOPPED, // what follows is no record (yet)
	FAILED,
};

struct pass {
	uint32_t left, applied;
	int rc;
};

// Applies the records of one chunk of have bytes that begins at reader->position.
static enum outcome chunk_apply(struct td_journal_reader *reader, size_t have, struct pass *pass)
{
	size_t at = 0;
	enum outcome outcome = MORE;

	while (pass->left > 0) {
		struct td_journal_record record;
		if (have - at < sizeof(record))
			break;
		memcpy(&record, reader->chunk + at, sizeof(record));
		if (record.length == 0 || record.length > RECORD_MAX) {
			outcome = STOPPED;
			break;
		}
		size_t whole = sizeof(record) + td_journal_padded(record.length);
		if (have - at < whole)
			break;
		const uint8_t *payload = reader->chunk + at + sizeof(record);
		if (td_journal_crc(&record, payload) != record.crc) {
			outcome = STOPPED;
			break;
		}
		pass->rc = record_apply(reader, &record, payload);
		if (pass->rc != 0) {
			outcome = FAILED;
			break;
		}
		at += whole;
		pass->left--;
		pass->applied++;
	}
	reader->position.offset += at;
	// A chunk that moved nothing holds less than a record: more of it must come first.
	return outcome == MORE && at == 0 && pass->left > 0 ? STOPPED : outcome;
}

static bool header_holds(struct td_journal_reader *reader, int fd)
{
	struct td_journal_segment header;

	return pread(fd, &header, sizeof(header), 0) == (ssize_t)sizeof(header) &&
	       header.magic == TD_JOURNAL_MAGIC && header.version == TD_JOURNAL_VERSION &&
	       header.sequence == reader->position.sequence;
}

// Reads the segment at position as far as it holds.
static enum outcome segment_read(struct td_journal_reader *reader, struct pass *pass)
{
	char path[PATH_MAX];
	enum outcome outcome = STOPPED;

	segment_path(reader, reader->position.sequence, path);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || !header_holds(reader, fd)) {
		if (fd >= 0)
			close(fd);
		return STOPPED;
	}
	if (reader->position.offset < sizeof(struct td_journal_segment))
		reader->position.offset = sizeof(struct td_journal_segment);
	do {
		ssize_t n = pread(fd, reader->chunk, CHUNK, (off_t)reader->position.offset);
		outcome = n > 0 ? chunk_apply(reader, (size_t)n, pass) : STOPPED;
	} while (outcome == MORE && pass->left > 0);
	close(fd);
	return outcome;
}

// What a dead segment holds behind the last good record is told once and left.
static void segment_leave(struct td_journal_reader *reader, uint64_t next)
{
	char path[PATH_MAX];
	struct stat st;

	segment_path(reader, reader->position.sequence, path);
	uint64_t size = stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
	if (size > reader->position.offset) {
		reader->stats.skipped_bytes += size - reader->position.offset;
		td_log(TD_LOG_WARNING, "journal.skipped",
			"path=%s offset=%" PRIu64 " bytes=%" PRIu64, path, reader->position.offset,
			size - reader->position.offset);
	}
	reader->position = (struct td_store_position){ .sequence = next };
}

// Reads on from position until max records are applied or nothing more is there.
static void records_read(struct td_journal_reader *reader, struct pass *pass)
{
	uint64_t next;

	if (reader->position.sequence == 0 && reader->position.offset == 0 &&
		!segment_next(reader, 0, &next))
		return;
	for (;;) {
		// The successor is looked for first: if it is there now, nobody appends to this one
		// any more, so a bad record in what is read after this is bad for good.
		bool has_next = segment_next(reader, reader->position.sequence + 1, &next);
		if (segment_read(reader, pass) != STOPPED || !has_next)
			return;
		segment_leave(reader, next);
	}
}

int td_journal_reader_run(struct td_journal_reader *reader, uint32_t max)
{
	struct pass pass = { .left = max };
	struct td_journal_reader_stats before = reader->stats;
	int rc = td_store_position_get(reader->store, &reader->position);

	if (rc == -ENOENT)
		reader->position = (struct td_store_position){ 0 };
	else if (rc != 0)
		return rc;
	struct td_store_position from = reader->position;
	rc = td_store_begin(reader->store);
	if (rc != 0)
		return rc;
	records_read(reader, &pass);
	rc = pass.rc;
	bool moved = from.sequence != reader->position.sequence ||
		     from.offset != reader->position.offset;
	if (rc == 0 && moved)
		rc = td_store_position_set(reader->store, &reader->position);
	if (rc == 0 && moved)
		rc = td_store_commit(reader->store);
	if (rc != 0 || !moved) {
		td_store_rollback(reader->store);
		reader->stats = before;
		return rc;
	}
	reader->stats.records += pass.applied;
	segments_remove(reader);
	return (int)pass.applied;
}
