// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/journal_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define RING_MAGIC 0x524a4454u // "TDJR"
#define RING_VERSION 1
#define PAGE_BYTES 4096
#define MIN_CAPACITY 65536
#define SKIP_LENGTH UINT32_MAX // where a record's length stands: the rest of the ring is empty
// The end of the ring may be skipped once on the way, by less than the largest record.
#define WRAP_BYTES TD_JOURNAL_RECORD_BYTES(struct td_cdr)
#define EARLY_SECONDS                                                                              \
	4 // of new calls that may all be unanswered with the whole of their attempts ahead
#define EARLY_MIN 1024
#define BINDINGS_BYTES (4u << 20) // of registrations between two rounds of the thread

static_assert(sizeof(struct td_journal_ring_head) <= PAGE_BYTES, "one page in front of the ring");

uint64_t td_journal_ring_bytes(uint32_t max_calls, uint32_t max_cps, uint32_t max_registrations)
{
	uint64_t early = (uint64_t)max_cps * EARLY_SECONDS + EARLY_MIN;
	if (early > max_calls)
		early = max_calls;
	uint64_t need = (uint64_t)max_calls * TD_JOURNAL_ANSWERED_BYTES +
			early * (TD_JOURNAL_EARLY_BYTES - TD_JOURNAL_ANSWERED_BYTES) + MIN_CAPACITY;
	if (max_registrations > 0)
		need += BINDINGS_BYTES;
	uint64_t capacity = MIN_CAPACITY;
	while (capacity < need)
		capacity *= 2;
	return capacity;
}

static int ring_map(struct td_journal_ring *ring, int fd, size_t bytes, int flags)
{
	void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | flags, fd, 0);

	if (base == MAP_FAILED)
		return -errno;
	ring->shared = base;
	ring->data = (char *)base + PAGE_BYTES;
	ring->map_bytes = bytes;
	return 0;
}

int td_journal_ring_create(struct td_journal_ring *ring, const char *path, uint64_t capacity,
	uint16_t worker, uint32_t epoch)
{
	if (capacity < MIN_CAPACITY || (capacity & (capacity - 1)) != 0)
		return -EINVAL;
	memset(ring, 0, sizeof(*ring));
	unlink(path);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	// Allocated now, so that a full tmpfs is an error at start-up and not a SIGBUS in a worker.
	int rc = -posix_fallocate(fd, 0, (off_t)(PAGE_BYTES + capacity));
	if (rc == 0)
		rc = ring_map(ring, fd, PAGE_BYTES + capacity, MAP_POPULATE);
	close(fd);
	if (rc < 0) {
		unlink(path);
		return rc;
	}
	struct td_journal_ring_head *head = ring->shared;
	head->version = RING_VERSION;
	head->epoch = epoch;
	head->worker = worker;
	head->capacity = capacity;
	ring->mask = capacity - 1;
	atomic_thread_fence(memory_order_release);
	head->magic = RING_MAGIC;
	return 0;
}

int td_journal_ring_open(struct td_journal_ring *ring, const char *path)
{
	struct stat st;

	memset(ring, 0, sizeof(*ring));
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	int rc = fstat(fd, &st) < 0 ? -errno : st.st_size <= PAGE_BYTES ? -EBADMSG : 0;
	if (rc == 0)
		rc = ring_map(ring, fd, (size_t)st.st_size, 0);
	close(fd);
	if (rc < 0)
		return rc;
	const struct td_journal_ring_head *head = ring->shared;
	uint64_t capacity = head->capacity, used = head->head - head->tail;
	if (head->magic != RING_MAGIC || head->version != RING_VERSION ||
		(capacity & (capacity - 1)) != 0 || capacity != (uint64_t)st.st_size - PAGE_BYTES ||
		used > capacity || head->tail % 8 != 0) {
		td_journal_ring_close(ring);
		return -EBADMSG;
	}
	ring->mask = capacity - 1;
	ring->head = head->head;
	atomic_store_explicit(&ring->synced, head->tail, memory_order_relaxed);
	return 0;
}

void td_journal_ring_close(struct td_journal_ring *ring)
{
	if (ring->shared)
		munmap(ring->shared, ring->map_bytes);
	memset(ring, 0, sizeof(*ring));
}

static uint64_t ring_free(struct td_journal_ring *ring, uint64_t wanted)
{
	uint64_t capacity = ring->mask + 1;
	uint64_t room = capacity - (ring->head - ring->synced_seen);

	if (room < wanted) {
		ring->synced_seen = atomic_load_explicit(&ring->synced, memory_order_acquire);
		room = capacity - (ring->head - ring->synced_seen);
	}
	return room;
}

// Bytes that calls hold, early more of them new ones, and what the end of the ring may cost.
static uint64_t reserved_bytes(const struct td_journal_ring *ring, uint32_t early)
{
	return (uint64_t)(ring->early + early) * TD_JOURNAL_EARLY_BYTES +
	       (uint64_t)ring->answered * TD_JOURNAL_ANSWERED_BYTES + WRAP_BYTES;
}

bool td_journal_has_spare(struct td_journal_ring *ring, uint64_t bytes)
{
	uint64_t wanted = reserved_bytes(ring, 0) + bytes + TD_JOURNAL_PAYLOAD_MAX;

	return ring_free(ring, wanted) >= wanted;
}

int td_journal_reserve(struct td_journal_ring *ring)
{
	uint64_t wanted = reserved_bytes(ring, 1);

	if (ring_free(ring, wanted) < wanted)
		return -ENOSPC;
	ring->early++;
	return 0;
}

void td_journal_release(struct td_journal_ring *ring, bool was_answered)
{
	uint32_t *held = was_answered ? &ring->answered : &ring->early;

	if (*held > 0)
		(*held)--;
}

int td_journal_append(struct td_journal_ring *ring, enum td_journal_type type, const void *payload,
	uint32_t length)
{
	struct td_journal_record record = {
		.length = length,
		.type = (uint16_t)type,
		.worker = (uint16_t)ring->shared->worker,
		.epoch = ring->shared->epoch,
	};
	uint64_t bytes = sizeof(record) + td_journal_padded(length);
	uint64_t at = ring->head & ring->mask;
	uint64_t skip = ring->mask + 1 - at < bytes ? ring->mask + 1 - at : 0;

	if (ring_free(ring, bytes + skip) < bytes + skip)
		return -ENOSPC;
	if (skip > 0) {
		uint32_t mark = SKIP_LENGTH;
		memcpy(ring->data + at, &mark, sizeof(mark));
		at = 0;
	}
	record.crc = td_journal_crc(&record, payload);
	memcpy(ring->data + at, &record, sizeof(record));
	memcpy(ring->data + at + sizeof(record), payload, length);
	memset(ring->data + at + sizeof(record) + length, 0, td_journal_padded(length) - length);
	ring->head += skip + bytes;
	if (type == TD_JOURNAL_START && ring->early > 0) {
		ring->early--;
		ring->answered++;
	}
	atomic_store_explicit(&ring->shared->head, ring->head, memory_order_release);
	return 0;
}

int td_journal_append_spare(struct td_journal_ring *ring, enum td_journal_type type,
	const void *payload, uint32_t length)
{
	// Its own skip of the ring's end counts too.
	uint64_t wanted = reserved_bytes(ring, 0) + WRAP_BYTES +
			  sizeof(struct td_journal_record) + td_journal_padded(length);

	if (ring_free(ring, wanted) < wanted)
		return -ENOSPC;
	return td_journal_append(ring, type, payload, length);
}

size_t td_journal_peek(struct td_journal_ring *ring, const void **records, size_t max)
{
	uint64_t tail = atomic_load_explicit(&ring->shared->tail, memory_order_relaxed);
	uint64_t used = atomic_load_explicit(&ring->shared->head, memory_order_acquire) - tail;
	uint64_t at = tail & ring->mask;
	uint64_t end = ring->mask + 1 - at;
	uint32_t mark;

	if (used == 0)
		return 0;
	memcpy(&mark, ring->data + at, sizeof(mark));
	if (mark == SKIP_LENGTH && used >= end) {
		atomic_store_explicit(&ring->shared->tail, tail + end, memory_order_release);
		return td_journal_peek(ring, records, max);
	}
	uint64_t have = used < end ? used : end;
	size_t n = 0;
	while (n < have) {
		int64_t bytes = td_journal_check(ring->data + at + n, have - n);
		if (bytes <= 0 || n + (size_t)bytes > max)
			break;
		n += (size_t)bytes;
	}
	*records = ring->data + at;
	return n;
}

void td_journal_consume(struct td_journal_ring *ring, size_t bytes)
{
	uint64_t tail = atomic_load_explicit(&ring->shared->tail, memory_order_relaxed);

	atomic_store_explicit(&ring->shared->tail, tail + bytes, memory_order_release);
}

void td_journal_tell(struct td_journal_ring *ring, bool synced, int rc)
{
	uint64_t tail = atomic_load_explicit(&ring->shared->tail, memory_order_relaxed);
	uint64_t safe = atomic_load_explicit(&ring->synced, memory_order_relaxed);

	atomic_store_explicit(&ring->error, rc, memory_order_relaxed);
	if (synced)
		atomic_store_explicit(&ring->synced, tail, memory_order_release);
	else
		atomic_store_explicit(&ring->shared->tail, safe, memory_order_release);
}
