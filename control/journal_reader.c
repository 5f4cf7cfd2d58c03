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

#define CHUNK (256u << 10)

struct td_journal_reader {
	char dir[PATH_MAX - 64];
	struct td_sink *sink; // of this run
	bool begun;           // its transaction
	struct td_store_position position;
	struct td_store_position last; // where the run before this one ended
	bool sure;                     // it succeeded, so that is what the sink says too
	bool shared;                   // another switch writes our position too
	struct td_journal_reader_stats stats;
	char error[96]; // what of the journal could not be read in this run; or empty
	uint8_t chunk[CHUNK];
};

struct td_journal_reader *td_journal_reader_new(const char *dir)
{
	struct td_journal_reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return NULL;
	snprintf(reader->dir, sizeof(reader->dir), "%s", dir);
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

// Lowest number at or above from. 1; 0: none; -errno.
static int segment_next(const char *path, uint64_t from, uint64_t *out)
{
	DIR *dir = opendir(path);
	int found = 0;
	uint64_t n;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (segment_number(entry->d_name, &n) && n >= from && (!found || n < *out)) {
			*out = n;
			found = 1;
		}
	}
	closedir(dir);
	return found;
}

static void segment_path(const char *dir, uint64_t n, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%016" PRIx64 ".tdj", dir, n);
}

void td_journal_remove(const char *dir, uint64_t before)
{
	uint64_t n;

	while (segment_next(dir, 0, &n) > 0 && n < before) {
		char path[PATH_MAX];
		segment_path(dir, n, path);
		if (unlink(path) != 0 && errno != ENOENT) {
			td_log(TD_LOG_WARNING, "journal.remove", "path=%s error=\"%s\"", path,
				strerror(errno));
			return;
		}
	}
}

uint64_t td_journal_bytes(const char *dir)
{
	return td_journal_unread(dir, &(struct td_store_position){ 0 });
}

uint64_t td_journal_unread(const char *dir, const struct td_store_position *position)
{
	uint64_t bytes = 0, n = position->sequence;
	char path[PATH_MAX];
	struct stat st;

	for (; segment_next(dir, n, &n) > 0; n++) {
		segment_path(dir, n, path);
		if (stat(path, &st) == 0)
			bytes += (uint64_t)st.st_size;
	}
	return bytes > position->offset ? bytes - position->offset : 0;
}

// --- records ---

static int boot_apply(struct td_journal_reader *reader, const uint8_t *payload)
{
	struct td_journal_boot boot;
	uint32_t closed = 0;

	memcpy(&boot, payload, sizeof(boot));
	int rc = reader->sink->ops->boot(reader->sink, boot.epoch, &closed);
	reader->stats.incomplete += closed;
	return rc;
}

static int unknown(struct td_journal_reader *reader)
{
	reader->stats.unknown++;
	return 0;
}

// What rows are kept under is read as a text that ends; all other texts are read up to their size.
static bool id_ends(const char id[TD_CDR_ID_LEN])
{
	return memchr(id, '\0', TD_CDR_ID_LEN) != NULL;
}

// An older version's record is shorter.
static int cdr_apply(struct td_journal_reader *reader, const struct td_journal_record *record,
	const uint8_t *payload)
{
	const struct td_sink_ops *ops = reader->sink->ops;
	struct td_cdr cdr = { 0 };

	memcpy(&cdr, payload, record->length);
	if (!id_ends(cdr.id))
		return unknown(reader);
	if (record->type == TD_JOURNAL_END)
		return ops->end(reader->sink, &cdr);
	if (record->type == TD_JOURNAL_INTERIM)
		return ops->interim(reader->sink, record->epoch, &cdr);
	return ops->start(reader->sink, record->epoch, &cdr);
}

static int attempt_apply(struct td_journal_reader *reader, const uint8_t *payload)
{
	struct td_cdr_attempt attempt;

	memcpy(&attempt, payload, sizeof(attempt)); // the payload lies unaligned
	if (!id_ends(attempt.cdr_id))
		return unknown(reader);
	return reader->sink->ops->attempt(reader->sink, &attempt);
}

static int record_apply(struct td_journal_reader *reader, const struct td_journal_record *record,
	const uint8_t *payload)
{
	bool cdr = record->length >= TD_CDR_BYTES_MIN && record->length <= sizeof(struct td_cdr);
	int rc;

	switch (record->type) {
	case TD_JOURNAL_BOOT:
		if (record->length == sizeof(struct td_journal_boot))
			return boot_apply(reader, payload);
		break;
	case TD_JOURNAL_BINDING:
		if (!reader->sink->ops->binding)
			return 0;
		rc = reader->sink->ops->binding(reader->sink, payload, record->length);
		if (rc != -EBADMSG)
			return rc;
		break;
	case TD_JOURNAL_ATTEMPT:
		if (record->length == sizeof(struct td_cdr_attempt))
			return attempt_apply(reader, payload);
		break;
	case TD_JOURNAL_START:
	case TD_JOURNAL_INTERIM:
	case TD_JOURNAL_END:
		if (cdr)
			return cdr_apply(reader, record, payload);
		break;
	}
	return unknown(reader);
}

// The sink's transaction begins with the first thing that it is told.
static int run_begin(struct td_journal_reader *reader)
{
	if (reader->begun)
		return 0;
	int rc = reader->sink->ops->begin(reader->sink);
	reader->begun = rc == 0;
	return rc;
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
		const uint8_t *bytes = reader->chunk + at;
		int64_t whole = td_journal_check(bytes, have - at);
		if (whole <= 0) {
			outcome = whole == 0 ? MORE : STOPPED;
			break;
		}
		struct td_journal_record record;
		memcpy(&record, bytes, sizeof(record));
		pass->rc = run_begin(reader);
		if (pass->rc == 0)
			pass->rc = record_apply(reader, &record, bytes + sizeof(record));
		if (pass->rc != 0) {
			outcome = FAILED;
			break;
		}
		at += (size_t)whole;
		pass->left--;
		pass->applied++;
	}
	reader->position.offset += at;
	// A chunk that moved nothing holds less than a record: more of it must come first.
	return outcome == MORE && at == 0 && pass->left > 0 ? STOPPED : outcome;
}

// What cannot be read now may be read later: it is no reason to leave a segment behind.
static enum outcome unreadable(struct td_journal_reader *reader, struct pass *pass)
{
	pass->rc = -errno;
	snprintf(reader->error, sizeof(reader->error), "journal segment %016" PRIx64 ": %s",
		reader->position.sequence, strerror(errno));
	return FAILED;
}

static bool header_holds(
	struct td_journal_reader *reader, const struct td_journal_segment *header, ssize_t n)
{
	return n == (ssize_t)sizeof(*header) && header->magic == TD_JOURNAL_MAGIC &&
	       header->version == TD_JOURNAL_VERSION &&
	       header->sequence == reader->position.sequence;
}

static enum outcome records_take(struct td_journal_reader *reader, int fd, struct pass *pass)
{
	struct td_journal_segment header;
	enum outcome outcome = STOPPED;
	ssize_t n = pread(fd, &header, sizeof(header), 0);

	if (n < 0)
		return unreadable(reader, pass);
	if (!header_holds(reader, &header, n))
		return STOPPED;
	if (reader->position.offset < sizeof(header))
		reader->position.offset = sizeof(header);
	do {
		n = pread(fd, reader->chunk, CHUNK, (off_t)reader->position.offset);
		outcome = n > 0    ? chunk_apply(reader, (size_t)n, pass)
			  : n == 0 ? STOPPED
				   : unreadable(reader, pass);
	} while (outcome == MORE && pass->left > 0);
	return outcome;
}

// Reads the segment at position as far as it holds.
static enum outcome segment_read(struct td_journal_reader *reader, struct pass *pass)
{
	char path[PATH_MAX];

	segment_path(reader->dir, reader->position.sequence, path);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? STOPPED : unreadable(reader, pass);
	enum outcome outcome = records_take(reader, fd, pass);
	close(fd);
	return outcome;
}

// What a dead segment holds behind the last good record is told once and left.
static void segment_leave(struct td_journal_reader *reader, uint64_t next)
{
	char path[PATH_MAX];
	struct stat st;

	segment_path(reader->dir, reader->position.sequence, path);
	uint64_t size = stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
	if (size > reader->position.offset) {
		reader->stats.skipped_bytes += size - reader->position.offset;
		td_log(TD_LOG_WARNING, "journal.skipped",
			"path=%s offset=%" PRIu64 " bytes=%" PRIu64, path, reader->position.offset,
			size - reader->position.offset);
	}
	reader->position = (struct td_store_position){ .sequence = next };
}

// The segment at the position is never removed before its successor was begun: if it is gone,
// others went on without us, or the journal was made anew.
static int gap_tell(struct td_journal_reader *reader)
{
	uint64_t from = reader->position.sequence, next;

	if (from == 0)
		return 0;
	int found = segment_next(reader->dir, from, &next);
	if (found > 0 && next == from)
		return 0;
	if (found == 0)
		found = segment_next(reader->dir, 0, &next);
	if (found <= 0)
		return found;
	td_log(TD_LOG_WARNING, "journal.gap", "dir=%s from=%016" PRIx64 " to=%016" PRIx64,
		reader->dir, from, next);
	reader->stats.gaps++;
	reader->position = (struct td_store_position){ .sequence = next };
	int rc = run_begin(reader);
	return rc ? rc : reader->sink->ops->gap(reader->sink);
}

// Reads on from position until max records are applied or nothing more is there.
static void records_read(struct td_journal_reader *reader, struct pass *pass)
{
	for (;;) {
		uint64_t next;
		// The successor is looked for first: if it is there now, nobody appends to this one
		// any more, so a bad record in what is read after this is bad for good.
		int found = segment_next(reader->dir, reader->position.sequence + 1, &next);
		if (found < 0)
			pass->rc = found;
		if (found < 0 || segment_read(reader, pass) != STOPPED || found == 0)
			return;
		segment_leave(reader, next);
	}
}

static int run_commit(struct td_journal_reader *reader)
{
	int rc = run_begin(reader);

	return rc ? rc : reader->sink->ops->commit(reader->sink, &reader->position);
}

void td_journal_reader_shared(struct td_journal_reader *reader, bool shared)
{
	reader->shared = shared;
}

static int position_compare(const struct td_store_position *a, const struct td_store_position *b)
{
	if (a->sequence != b->sequence)
		return a->sequence < b->sequence ? -1 : 1;
	return (a->offset > b->offset) - (a->offset < b->offset);
}

// Where somebody has written our position. Ahead of us it was another switch of our name: with its
// position we would pass over records of our own. Behind us the sink was put back to an older
// state: what the journal still has from there on is written again, each record over itself.
static void foreign_look(struct td_journal_reader *reader)
{
	const struct td_store_position *now = &reader->position, *ours = &reader->last;
	int order = reader->sure ? position_compare(now, ours) : 0;

	if (order > 0 || (order < 0 && reader->shared)) {
		reader->stats.strangers++;
		reader->position = reader->last;
	} else if (order < 0) {
		reader->stats.rewinds++;
		td_log(TD_LOG_WARNING, "journal.rewound",
			"dir=%s from=%016" PRIx64 ":%" PRIu64 " to=%016" PRIx64 ":%" PRIu64,
			reader->dir, ours->sequence, ours->offset, now->sequence, now->offset);
	}
}

int td_journal_reader_run(struct td_journal_reader *reader, struct td_sink *sink, uint32_t max)
{
	struct pass pass = { .left = max };
	struct td_journal_reader_stats before = reader->stats;
	reader->error[0] = '\0';
	int rc = sink->ops->position_get(sink, &reader->position);

	if (rc == -ENOENT)
		reader->position = (struct td_store_position){ 0 };
	if (rc == 0 || rc == -ENOENT)
		foreign_look(reader);
	reader->sure = false;
	if (rc != 0 && rc != -ENOENT)
		return rc;
	before.strangers = reader->stats.strangers;
	before.rewinds = reader->stats.rewinds;
	struct td_store_position from = reader->position;
	reader->sink = sink;
	reader->begun = false;
	rc = gap_tell(reader);
	if (rc == 0)
		records_read(reader, &pass);
	rc = rc ? rc : pass.rc;
	bool moved = from.sequence != reader->position.sequence ||
		     from.offset != reader->position.offset;
	if (rc == 0 && moved)
		rc = run_commit(reader);
	if (rc != 0 || !moved) {
		if (reader->begun)
			sink->ops->rollback(sink);
		reader->stats = before;
		reader->position = reader->last = from;
		reader->sure = rc == 0 && pass.rc == 0;
		return rc;
	}
	reader->last = reader->position;
	reader->sure = true;
	reader->stats.records += pass.applied;
	return (int)pass.applied;
}

const char *td_journal_reader_error(const struct td_journal_reader *reader)
{
	return reader->error;
}

struct td_store_position td_journal_reader_position(const struct td_journal_reader *reader)
{
	return reader->position;
}
