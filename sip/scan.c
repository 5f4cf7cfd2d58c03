// SPDX-License-Identifier: BSD-3-Clause
#include "sip/scan.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define ALWAYS_INLINE inline __attribute__((always_inline))

enum { BLOCK = 64 };

struct bits {
	uint64_t lf, cr; // bit i: byte i of the block
};

// What one block leaves to the next. Kept apart from struct td_lines, so that it stays in
// registers.
struct state {
	uint16_t *out;     // where the next line's end goes
	uint64_t lf2, cr1; // LF in the last two bytes, CR in the last
	uint64_t bare_cr, bare_lf;
};

// One kernel: how a block becomes bits, and where the lowest of them is (BLOCK where there is
// none).
typedef struct bits block_fn(const char *block);
typedef uint64_t lowest_fn(uint64_t bits);

// Stores the offsets of the bits. Few blocks have more than four lines: these are stored without a
// branch per line.
static ALWAYS_INLINE void store_lines(
	lowest_fn *lowest, uint16_t *out, const uint16_t *out_end, uint64_t lf, size_t base)
{
	for (unsigned i = 0; i < 4; i++, lf &= lf - 1)
		out[i] = (uint16_t)(base + lowest(lf));
	for (out += 4; __builtin_expect(out < out_end, 0); lf &= lf - 1)
		*out++ = (uint16_t)(base + lowest(lf));
}

// true: an empty line was met, and `stops` (all ones or none) says that it ends the scan.
static ALWAYS_INLINE bool take_block(
	lowest_fn *lowest, struct state *s, struct bits bits, size_t base, uint64_t stops)
{
	uint64_t cr1 = bits.cr << 1 | s->cr1;
	uint64_t blank = bits.lf & (bits.lf << 2 | s->lf2) & cr1 & stops;

	if (__builtin_expect(blank != 0, 0)) {
		uint64_t keep = blank ^ (blank - 1); // up to the first
		bits.lf &= keep;
		cr1 &= keep;
	}
	s->bare_cr |= cr1 & ~bits.lf;
	s->bare_lf |= bits.lf & ~cr1;
	uint16_t *out_end = s->out + (size_t)__builtin_popcountll(bits.lf);
	store_lines(lowest, s->out, out_end, bits.lf, base);
	s->out = out_end;
	s->lf2 = bits.lf >> 62;
	s->cr1 = bits.cr >> 63;
	return blank != 0;
}

// The last bytes, fewer than a block: bits of what is not there are zero.
static ALWAYS_INLINE struct bits tail_block(
	block_fn *block, const char *buf, size_t from, size_t len)
{
	size_t missing = BLOCK - (len - from);
	char copy[BLOCK] = { 0 };

	if (len >= BLOCK) {
		struct bits bits = block(buf + len - BLOCK);
		return (struct bits){ bits.lf >> missing, bits.cr >> missing };
	}
	memcpy(copy, buf + from, len - from);
	return block(copy);
}

// true: the scan ended at an empty line. It ends early, too, when more lines were met than are
// counted.
static ALWAYS_INLINE bool take_blocks(block_fn *block, lowest_fn *lowest, struct state *s,
	const char *buf, size_t from, size_t len, uint64_t stops, const uint16_t *full)
{
	for (size_t whole = (len - from) / BLOCK; whole > 0; whole--, from += BLOCK) {
		if (take_block(lowest, s, block(buf + from), from, stops))
			return true;
		if (__builtin_expect(s->out > full, 0))
			return false;
	}
	return from < len && take_block(lowest, s, tail_block(block, buf, from, len), from, stops);
}

// One body for every kernel, and what the compiler may use around it.
static ALWAYS_INLINE void scan_blocks(block_fn *block, lowest_fn *lowest, struct td_lines *lines,
	const char *buf, size_t from, size_t len, bool to_blank)
{
	const uint16_t *full = lines->end + TD_LINES_MAX;
	struct state s = { .out = lines->end };

	lines->blank =
		take_blocks(block, lowest, &s, buf, from, len, to_blank ? UINT64_MAX : 0, full);
	lines->n = (uint16_t)(s.out - lines->end);
	lines->bare_cr = s.bare_cr != 0;
	lines->bare_lf = s.bare_lf != 0;
	lines->full = s.out > full;
}

static uint64_t lowest_plain(uint64_t bits)
{
	return bits ? (uint64_t)__builtin_ctzll(bits) : BLOCK;
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

static void scan_scalar(
	struct td_lines *lines, const char *buf, uint32_t from, uint32_t len, bool to_blank)
{
	scan_blocks(block_scalar, lowest_plain, lines, buf, from, len, to_blank);
}

#if defined(__x86_64__)
#define SSE42 __attribute__((target("sse4.2,popcnt")))
#define AVX2 __attribute__((target("avx2,bmi,popcnt")))

SSE42 static uint64_t match_sse42(const char *p, char c)
{
	uint64_t m = 0;

	for (unsigned i = 0; i < 4; i++) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + i * 16));
		m |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8(c)))
		     << (i * 16);
	}
	return m;
}

SSE42 static struct bits block_sse42(const char *block)
{
	return (struct bits){ match_sse42(block, '\n'), match_sse42(block, '\r') };
}

SSE42 static void scan_sse42(
	struct td_lines *lines, const char *buf, uint32_t from, uint32_t len, bool to_blank)
{
	scan_blocks(block_sse42, lowest_plain, lines, buf, from, len, to_blank);
}

AVX2 static uint64_t match_avx2(const char *p, char c)
{
	__m256i low = _mm256_loadu_si256((const __m256i *)(const void *)p);
	__m256i high = _mm256_loadu_si256((const __m256i *)(const void *)(p + 32));
	uint64_t m = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(high, _mm256_set1_epi8(c)));

	return m << 32 |
	       (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(low, _mm256_set1_epi8(c)));
}

AVX2 static uint64_t lowest_bmi(uint64_t bits)
{
	return _tzcnt_u64(bits);
}

AVX2 static struct bits block_avx2(const char *block)
{
	return (struct bits){ match_avx2(block, '\n'), match_avx2(block, '\r') };
}

AVX2 static void scan_avx2(
	struct td_lines *lines, const char *buf, uint32_t from, uint32_t len, bool to_blank)
{
	scan_blocks(block_avx2, lowest_bmi, lines, buf, from, len, to_blank);
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
	kernels[2].usable = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
			    kernels[1].usable;
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

void td_scan_lines(
	struct td_lines *lines, const char *buf, uint32_t from, uint32_t len, bool to_blank)
{
	scan(lines, buf, from, len, to_blank);
}
