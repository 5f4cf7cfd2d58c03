// SPDX-License-Identifier: BSD-3-Clause
#include "sip/index.h"

#include "sip/chars.h"
#include "sip/hdr_table.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define ALWAYS_INLINE inline __attribute__((always_inline))

// What the bytes at the start of a line say.
struct found {
	size_t colon; // offset of the first ':', TD_HDR_WINDOW where there is none
	uint8_t id;   // of the name before it
	bool known;   // false: it is none of the table's
};

typedef struct found find_fn(const char window[TD_HDR_WINDOW]);

// What the lines leave behind that are not read at once.
struct slow {
	struct td_msg *msg;
	const struct td_header *dead; // the next header's place when the last line was none: its
				      // folds belong to nobody
	enum td_fault fault;
};

static void fault_set(struct slow *s, enum td_fault fault)
{
	if (s->fault == TD_FAULT_NONE)
		s->fault = fault;
}

// A line that goes on with the header before it. One of white space alone reads as the end of the
// headers to some receivers: it is a fault here.
static void fold_read(struct slow *s, struct td_header *next, const char *p, const char *end)
{
	struct td_span text = td_trim(p, end);
	struct td_header *h = next - 1;

	if (text.len == 0 || next == s->msg->headers)
		fault_set(s, TD_FAULT_HEADER);
	if (text.len == 0 || next == s->dead)
		return;
	if (h->value_len == 0)
		h->value_off = (uint16_t)(text.ptr - s->msg->buf);
	h->value_len = (uint16_t)(text.ptr + text.len - s->msg->buf - h->value_off);
}

// [p, end) as "name SP* ':' value". false: it is not.
static bool header_read(struct td_header *h, const char *buf, const char *p, const char *end)
{
	char window[TD_HDR_WINDOW] = { 0 };
	const char *name_end = td_skip_token(p, end), *colon = name_end;
	size_t len = (size_t)(name_end - p);

	while (colon < end && (*colon == ' ' || *colon == '\t'))
		colon++;
	if (len == 0 || colon == end || *colon != ':')
		return false;
	h->id = TD_H_OTHER;
	if (len <= TD_HDR_NAME_MAX) {
		memcpy(window, p, len);
		h->id = td_hdr_lookup(window, (unsigned)len);
	}
	struct td_span value = td_trim(colon + 1, end);
	h->name_off = (uint16_t)(p - buf);
	h->name_len = (uint16_t)len;
	h->value_off = (uint16_t)(value.ptr - buf);
	h->value_len = (uint16_t)value.len;
	return true;
}

// Any line [off, lf): folds, long and unknown names, white space where it is unusual, and what is
// no header at all. Returns where the next header goes.
static __attribute__((noinline)) struct td_header *line_slowly(
	struct slow *s, struct td_header *h, size_t off, size_t lf)
{
	const char *p = s->msg->buf + off, *end = s->msg->buf + lf;

	end -= end[-1] == '\r'; // another line's LF, when this one is empty
	if (p < end && (*p == ' ' || *p == '\t')) {
		fold_read(s, h, p, end);
		return h;
	}
	if (h == s->msg->headers + TD_MSG_HEADERS_MAX)
		fault_set(s, TD_FAULT_TOO_MANY_HEADERS);
	else if (header_read(h, s->msg->buf, p, end))
		return h + 1;
	else
		fault_set(s, TD_FAULT_HEADER);
	s->dead = h;
	return h;
}

// A line as nearly all are: a known name, one space behind its colon, none before its CRLF. No name
// holds an LF and the checked characters are none: so the value lies inside the line.
// window: what stands at p, of which there are TD_HDR_WINDOW bytes.
static ALWAYS_INLINE bool line_read(find_fn *find, struct td_header *h, const char *buf,
	const char *window, size_t off, size_t lf)
{
	const char *p = buf + off;
	struct found found = find(window);

	if (!found.known || p[found.colon + 1] != ' ' || (uint8_t)p[found.colon + 2] <= ' ' ||
		buf[lf - 1] != '\r' || (uint8_t)buf[lf - 2] <= ' ')
		return false;
	size_t value = off + found.colon + 2;
	h->name_off = (uint16_t)off;
	h->name_len = (uint16_t)found.colon;
	h->value_off = (uint16_t)value;
	h->value_len = (uint16_t)(lf - 1 - value);
	h->id = found.id;
	return true;
}

// The last bytes of a message, where they are fewer than a window.
static __attribute__((noinline)) const char *tail_window(
	char tail[TD_HDR_WINDOW], const char *p, size_t len)
{
	memset(tail, 0, TD_HDR_WINDOW);
	memcpy(tail, p, len);
	return tail;
}

// From the last to the first: then no chain needs its end.
static ALWAYS_INLINE void chains_link(struct td_msg *msg)
{
	for (unsigned i = msg->n_headers; i-- > 0;) {
		struct td_header *h = &msg->headers[i];
		h->next = msg->first[h->id];
		msg->first[h->id] = (uint8_t)i;
	}
}

// One body for every kernel: what differs is how a name is found, and what the compiler may use
// around it.
static ALWAYS_INLINE enum td_fault index_lines(
	find_fn *find, struct td_msg *msg, const struct td_lines *lines)
{
	unsigned n = lines->blank ? lines->n - 1u
				  : lines->n; // lines before the empty one, the start line included
	struct td_header *h = msg->headers;
	struct slow slow = { msg, h, TD_FAULT_NONE };
	const char *buf = msg->buf;
	size_t off = lines->end[0] + 1u;
	const size_t len = msg->len;
	const bool quick = n <= TD_MSG_HEADERS_MAX;
	char tail[TD_HDR_WINDOW];

	for (const uint16_t *line = lines->end + 1, *last = lines->end + n; line < last; line++) {
		size_t lf = *line;
		const char *window = buf + off;
		if (__builtin_expect(len - off < TD_HDR_WINDOW, 0))
			window = tail_window(tail, buf + off, len - off);
		if (quick && line_read(find, h, buf, window, off, lf))
			h++;
		else
			h = line_slowly(&slow, h, off, lf);
		off = lf + 1;
	}
	msg->n_headers = (uint16_t)(h - msg->headers);
	chains_link(msg);
	return slow.fault;
}

static struct found find_plain(const char window[TD_HDR_WINDOW])
{
	size_t colon = 0;

	while (colon < TD_HDR_WINDOW && window[colon] != ':')
		colon++;

	uint8_t id = td_hdr_lookup(window, (unsigned)colon);

	return (struct found){ colon, id, id != TD_H_OTHER };
}

static enum td_fault index_plain(struct td_msg *msg, const struct td_lines *lines)
{
	return index_lines(find_plain, msg, lines);
}

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2,bmi,bmi2,popcnt")))

static struct found find_sse2(const char window[TD_HDR_WINDOW])
{
	__m128i mark = _mm_set1_epi8(':');
	__m128i low = _mm_loadu_si128((const __m128i *)(const void *)window);
	__m128i high = _mm_loadu_si128((const __m128i *)(const void *)(window + 16));
	uint64_t bits = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(high, mark));
	bits = bits << 16 | (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(low, mark));
	size_t colon = (size_t)__builtin_ctzll(bits | 1ull << TD_HDR_WINDOW);
	uint8_t id = td_hdr_lookup(window, (unsigned)colon);

	return (struct found){ colon, id, id != TD_H_OTHER };
}

static enum td_fault index_sse2(struct td_msg *msg, const struct td_lines *lines)
{
	return index_lines(find_sse2, msg, lines);
}

AVX2 static __m256i words(const struct td_hdr_words *w)
{
	return _mm256_load_si256((const __m256i *)(const void *)w->w);
}

AVX2 static struct found find_avx2(const char window[TD_HDR_WINDOW])
{
	__m256i v = _mm256_loadu_si256((const __m256i *)(const void *)window);
	uint32_t bits =
		(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(v, words(&td_hdr_table.colon)));
	size_t colon = _tzcnt_u32(bits);
	__m256i keep = words(&td_hdr_table.keep[colon]);
	__m256i n = _mm256_and_si256(_mm256_or_si256(v, words(&td_hdr_table.fold)), keep);
	__m128i first = _mm256_castsi256_si128(n);
	unsigned at = td_hdr_table.slot[td_hdr_hash(
		(uint64_t)_mm_cvtsi128_si64(first), (uint64_t)_mm_extract_epi64(first, 1))];
	__m256i same = _mm256_cmpeq_epi8(n, words(&td_hdr_table.name[at]));

	return (struct found){ colon, td_hdr_table.id[at], _mm256_movemask_epi8(same) == -1 };
}

AVX2 static enum td_fault index_avx2(struct td_msg *msg, const struct td_lines *lines)
{
	return index_lines(find_avx2, msg, lines);
}
#endif

static struct td_index_kernel kernels[] = {
	{ "plain", index_plain, true },
#if defined(__x86_64__)
	{ "sse2", index_sse2, true },
	{ "avx2", index_avx2, false },
#endif
};

static td_index_fn *index_headers = index_plain;

// Written here only, before any thread exists.
__attribute__((constructor)) static void choose_kernel(void)
{
#if defined(__x86_64__)
	__builtin_cpu_init();
	kernels[2].usable = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
			    __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
#endif
	for (unsigned i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++)
		if (kernels[i].usable)
			index_headers = kernels[i].fn;
}

const struct td_index_kernel *td_index_kernels(unsigned *n)
{
	*n = sizeof(kernels) / sizeof(kernels[0]);
	return kernels;
}

enum td_fault td_index_headers(struct td_msg *msg, const struct td_lines *lines)
{
	return index_headers(msg, lines);
}
