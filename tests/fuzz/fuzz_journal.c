// SPDX-License-Identifier: BSD-3-Clause
// A journal that its writer, a crash or somebody else left as they like, read into a file's lines
// and a store: each run ends, takes no more than it may, and moves on; what was read is not read
// again.
//
// Input: steps of a byte (enum step, modulo) and what belongs to it.
#include "control/journal_reader.h"
#include "control/log.h"
#include "control/sink_file.h"
#include "include/binding.h"
#include "include/cdr.h"
#include "include/journal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RUNS_MAX 400 // segments and records of the largest input, one at a time

enum step {
	RECORD,  // type, length (2 bytes), epoch, bytes: with a good sum
	FILLED,  // type, epoch, byte: a record of its type's size, full of that byte
	RAW,     // length, bytes: as they are
	SEGMENT, // byte: a new one, so much further on; its header is good
	READ,    // byte: a run of at most so many records
	REMOVE,  // all but the newest segment
	STEP__COUNT
};

struct input {
	const uint8_t *at, *end;
};

static struct td_journal_reader *reader;
static struct td_sink *sinks[3];
static char dir[64];
static FILE *segment;
static uint64_t sequence;

// Lines of the log would drown a crash.
void td_log(enum td_log_level level, const char *event, const char *format, ...)
{
}

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "fuzz_journal: %s\n", what);
	abort();
}

static void clean_up(void)
{
	char command[96];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (system(command) != 0)
		fprintf(stderr, "fuzz_journal: %s is left\n", dir);
}

// The sinks stay, since a database takes longer to make than an input to read.
static void set_up(void)
{
	static struct td_cdr_file_conf csv, jsonl;
	char error[128], url[128];

	snprintf(dir, sizeof(dir), "/dev/shm/td_fuzz_journal_%d", (int)getpid());
	must(mkdir(dir, 0700) == 0, "no folder");
	atexit(clean_up);
	snprintf(url, sizeof(url), "sqlite:%s/store", dir);
	sinks[0] = td_sink_store_open(url, "n", error, sizeof(error));
	snprintf(url, sizeof(url), "sqlite:%s/csv_ledger", dir);
	snprintf(csv.path, sizeof(csv.path), "%s/csv", dir);
	sinks[1] = td_sink_file_open(TD_FILE_CSV, &csv, url, error, sizeof(error));
	snprintf(url, sizeof(url), "sqlite:%s/jsonl_ledger", dir);
	snprintf(jsonl.path, sizeof(jsonl.path), "%s/jsonl", dir);
	sinks[2] = td_sink_file_open(TD_FILE_JSONL, &jsonl, url, error, sizeof(error));
	must(sinks[0] && sinks[1] && sinks[2], "no sink");
}

// As if it had read nothing yet.
static void sink_reset(struct td_sink *sink)
{
	const struct td_store_position begin = { 0 };

	must(sink->ops->begin(sink) == 0 && sink->ops->gap(sink) == 0 &&
			sink->ops->commit(sink, &begin) == 0,
		"the sink does not begin again");
}

static uint8_t byte_take(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

static void segment_begin(uint64_t n)
{
	char path[128];
	const struct td_journal_segment head = { TD_JOURNAL_MAGIC, TD_JOURNAL_VERSION, n };

	if (segment)
		fclose(segment);
	sequence = n;
	snprintf(path, sizeof(path), "%s/%016" PRIx64 ".tdj", dir, n);
	segment = fopen(path, "wb");
	must(segment != NULL, "no segment");
	fwrite(&head, sizeof(head), 1, segment);
}

static void record_write(uint8_t type, uint32_t epoch, const uint8_t *payload, uint32_t len)
{
	static const uint8_t zero[8];
	struct td_journal_record record = { .length = len, .type = type, .epoch = epoch };

	record.crc = td_journal_crc(&record, payload);
	fwrite(&record, sizeof(record), 1, segment);
	fwrite(payload, len, 1, segment);
	fwrite(zero, td_journal_padded(len) - len, 1, segment);
}

static void record_step(struct input *in)
{
	static uint8_t payload[TD_JOURNAL_PAYLOAD_MAX];
	uint8_t type = byte_take(in), low = byte_take(in), high = byte_take(in);
	uint32_t epoch = byte_take(in), len = (uint32_t)(low | high << 8) % sizeof(payload);
	size_t there = (size_t)(in->end - in->at) < len ? (size_t)(in->end - in->at) : len;

	memset(payload, 0, len);
	memcpy(payload, in->at, there);
	in->at += there;
	record_write(type, epoch, payload, len);
}

// Texts that do not end, numbers as large as they get.
static void filled_step(struct input *in)
{
	static const uint32_t lengths[] = { sizeof(struct td_journal_boot), sizeof(struct td_cdr),
		sizeof(struct td_cdr), sizeof(struct td_cdr_attempt),
		sizeof(struct td_binding_packed), sizeof(struct td_cdr) };
	static uint8_t payload[sizeof(struct td_cdr)];
	uint8_t type = 1 + byte_take(in) % TD_JOURNAL_INTERIM, epoch = byte_take(in);

	memset(payload, byte_take(in), sizeof(payload));
	record_write(type, epoch, payload, lengths[type - 1]);
}

static void raw_step(struct input *in)
{
	size_t len = byte_take(in), there = (size_t)(in->end - in->at);

	len = len < there ? len : there;
	fwrite(in->at, len, 1, segment);
	in->at += len;
}

static int sink_run(struct td_sink *sink, uint32_t max)
{
	fflush(segment);
	int n = td_journal_reader_run(reader, sink, max);
	must(n <= (int)max, "a run takes more than it may");
	return n;
}

static void step_take(struct input *in, struct td_sink *sink)
{
	switch (byte_take(in) % STEP__COUNT) {
	case RECORD:
		record_step(in);
		break;
	case FILLED:
		filled_step(in);
		break;
	case RAW:
		raw_step(in);
		break;
	case SEGMENT:
		segment_begin(sequence + 1 + byte_take(in));
		break;
	case READ:
		sink_run(sink, 1 + byte_take(in));
		break;
	case REMOVE:
		td_journal_remove(dir, sequence);
		break;
	}
}

// All that is left, then nothing.
static void rest_read(struct td_sink *sink)
{
	struct td_store_position before, after;
	int n = 1;

	for (int i = 0; n > 0; i++) {
		must(i < RUNS_MAX, "there is always more");
		n = sink_run(sink, 1000);
	}
	must(n == 0, "a record stops all that follow");
	before = td_journal_reader_position(reader);
	must(sink_run(sink, 1000) == 0, "something is read again");
	after = td_journal_reader_position(reader);
	must(before.sequence == after.sequence && before.offset == after.offset &&
			after.sequence == sequence,
		"the newest segment is not reached");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };

	if (size == 0 || size > 4096)
		return 0;
	if (!sinks[0])
		set_up();
	struct td_sink *sink = sinks[byte_take(&in) % 3];
	sink_reset(sink);
	reader = td_journal_reader_new(dir);
	must(reader != NULL, "no memory");
	segment_begin(1);
	while (in.at < in.end)
		step_take(&in, sink);
	rest_read(sink);
	td_journal_reader_free(reader);
	fclose(segment);
	segment = NULL;
	td_journal_remove(dir, UINT64_MAX);
	return 0;
}
