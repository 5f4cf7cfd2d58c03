// SPDX-License-Identifier: BSD-3-Clause
#include "sip/scan.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { BLOCK = 64 };

struct bits {
	uint64_t lf, cr; // bit i: byte i of the block
};

// What one block leaves to the next. Kept apart from struct td_lines, so that it stays in registers.
struct state {
	uint64_t lf2, cr1; // LF in the last two bytes, CR in the last
	uint64_t bare_cr, bare_lf;
	unsigned n;
	bool blank, stop;
};

// Stores the offsets of the bits. Most blocks have one or two lines: these are stored without a branch per line.
static inline __attribute__((always_inline)) void store_lines(uint16_t *end, uint64_t lf, unsigned count, uint32_t base)
{
	end[0] = (uint16_t)(base + (unsigned)__builtin_ctzll(lf | 1ull << 63));
	lf &= lf - 1;
	end[1] = (uint16_t)(base + (unsigned)__builtin_ctzll(lf | 1ull << 63));
	for (unsigned i = 2; i < count; i++) {
		lf &= lf - 1;
		end[i] = (uint16_t)(base + (unsigned)__builtin_ctzll(lf | 1ull << 63));
	}
}

static inline __attribute__((always_inline)) void take_block(struct state *s, uint16_t *ends, struct bits bits, uint32_t base,
	bool to_blank)
{
	uint64_t cr1 = bits.cr << 1 | s->cr1;
	uint64_t blank = bits.lf & (bits.lf << 2 | s->lf2) & cr1;

	if (to_blank && blank) {
		uint64_t keep = blank ^ (blank - 1); // up to the first
		bits.lf &= keep;
		cr1 &= keep;
		s->blank = true;
	}
	s->bare_cr |= cr1 & ~bits.lf;
	s->bare_lf |= bits.lf & ~cr1;
	unsigned count = (unsigned)__builtin_popcountll(bits.lf);
	store_lines(ends + s->n, bits.lf, count, base);
	s->n += count;
	s->lf2 = bits.lf >> 62;
	s->cr1 = bits.cr >> 63;
	s->stop = s->blank || s->n > TD_LINES_MAX;
}

typedef struct bits block_fn(const char *block);

// One body for every kernel: what differs is how a block becomes bits, and what the compiler may use around it.
static inline __attribute__((always_inline)) void scan_blocks(block_fn *block, struct td_lines *lines, const char *buf,
	uint32_t from, uint32_t len, bool to_blank)
{
	struct state s = { 0 };

	for (; from + BLOCK <= len && !s.stop; from += BLOCK)
		take_block(&s, lines->end, block(buf + from), from, to_blank);
	if (from < len && !s.stop) {
		char tail[BLOCK] = { 0 };
		memcpy(tail, buf + from, len - from);
		take_block(&s, lines->end, block(tail), from, to_blank);
	}
	lines->n = (uint16_t)s.n;
	lines->blank = s.blank;
	lines->bare_cr = s.bare_cr != 0;
	lines->bare_lf = s.bare_lf != 0;
	lines->full = s.n > TD_LINES_MAX;
}

static struct bits block_scalar(const char *block)
{
	struct bits bits = { 0 };

	for (unsigned i = 0; i < BLOCK; i++) {
		bits.lf |= (uint64_t)(block[i] == '\n') << i;
		bits.cr |= (uint64_t)(block[i] == '\r') << i;
	}
	return bits;
}

static void scan_scalar(struct td_lines *lines, const char *buf, uint32_t from, uint32_t len, bool to_blank)
{
	scan_blocks(block_scalar, lines, buf, from, len, to_blank);
}

#if defined(__x86_64__)
#define SSE42 __attribute__((target("sse4.2,popcnt")))
#define AVX2 __attribute__((target("avx2,bmi,popcnt")))

SSE42 static uint64_t match_sse42(const char *p, char c)
{
	uint64_t m = 0;

	for (unsigned i = 0; i < 4; i++) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + i * 16));
		m |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8(c))) << (i * 16);
	}
	return m;
}

SSE42 static struct bits block_sse42(const char *block)
{
	return (struct bits){ match_sse42(block, '\n'), match_sse42(block, '\r') };
}

SSE42 static void scan_sse42(struct td_lines *lines, const char *buf, uint32_t from, uint32_t len, bool to_blank)
{
	scan_blocks(block_sse42, lines, buf, from, len, to_blank);
}

AVX2 static uint64_t match_avx2(const char *p, char c)
{
	__m256i low = _mm256_loadu_si256((const __m256i *)(const void *)p);
	__m256i high = _mm256_loadu_si256((const __m256i *)(const void *)(p + 32));
	uint64_t m = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(high, _mm256_set1_epi8(c)));

	return m << 32 | (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(low, _mm256_set1_epi8(c)));
}

AVX2 static struct bits block_avx2(const char *block)
{
	return (struct bits){ match_avx2(block, '\n'), match_avx2(block, '\r') };
}

AVX2 static void scan_avx2(struct td_lines *lines, const char *buf, uint32_t from, uint32_t len, bool to_blank)
{
	scan_blocks(block_avx2, lines, buf, from, len, to_blank);
}
#endif

static struct td_scan_kernel kernels[] = {
	{ "scalar", scan_scalar, true },
#if defined(__x86_64__)
	{ "sse4.2", scan_sse42, false },
	{ "avx2", scan_avx2, false },
#endif
};

static td_scan_fn *scan = scan_scalar;

// Written here only, before any thread exists.
__attribute__((constructor)) static void choose_kernel(void)
{
#if defined(__x86_64__)
	__builtin_cpu_init();
	kernels[1].usable = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
	kernels[2].usable = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && kernels[1].usable;
#endif
	for (unsigned i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++)
		if (kernels[i].usable)
			scan = kernels[i].fn;
}

const struct td_scan_kernel *td_scan_kernels(unsigned *n)
{
	*n = sizeof(kernels) / sizeof(kernels[0]);
	return kernels;
}

void td_scan_lines(struct td_lines *lines, const char *buf, uint32_t from, uint32_t len, bool to_blank)
{
	scan(lines, buf, from, len, to_blank);
}
