// SPDX-License-Identifier: BSD-3-Clause
#include "sip/scan.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { BLOCK = 64, BATCH = 8 };

static void scan_scalar(const char *bytes, unsigned blocks, struct td_scan_bits *bits)
{
	for (unsigned b = 0; b < blocks; b++) {
		bits[b] = (struct td_scan_bits){ 0 };
		for (unsigned i = 0; i < BLOCK; i++) {
			bits[b].lf |= (uint64_t)(bytes[b * BLOCK + i] == '\n') << i;
			bits[b].cr |= (uint64_t)(bytes[b * BLOCK + i] == '\r') << i;
		}
	}
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint64_t match_sse42(const char *p, __m128i c)
{
	uint64_t m = 0;

	for (unsigned i = 0; i < 4; i++) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + i * 16));
		m |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v, c)) << (i * 16);
	}
	return m;
}

__attribute__((target("sse4.2"))) static void scan_sse42(const char *bytes, unsigned blocks, struct td_scan_bits *bits)
{
	for (unsigned b = 0; b < blocks; b++) {
		bits[b].lf = match_sse42(bytes + b * BLOCK, _mm_set1_epi8('\n'));
		bits[b].cr = match_sse42(bytes + b * BLOCK, _mm_set1_epi8('\r'));
	}
}

__attribute__((target("avx2"))) static uint64_t match_avx2(__m256i low, __m256i high, __m256i c)
{
	uint64_t m = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(high, c));

	return m << 32 | (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(low, c));
}

__attribute__((target("avx2"))) static void scan_avx2(const char *bytes, unsigned blocks, struct td_scan_bits *bits)
{
	for (unsigned b = 0; b < blocks; b++) {
		__m256i low = _mm256_loadu_si256((const __m256i *)(const void *)(bytes + b * BLOCK));
		__m256i high = _mm256_loadu_si256((const __m256i *)(const void *)(bytes + b * BLOCK + 32));
		bits[b].lf = match_avx2(low, high, _mm256_set1_epi8('\n'));
		bits[b].cr = match_avx2(low, high, _mm256_set1_epi8('\r'));
	}
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
	kernels[1].usable = __builtin_cpu_supports("sse4.2");
	kernels[2].usable = __builtin_cpu_supports("avx2");
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

// What the end of one block means to the next: the last two bytes' bits.
struct carry {
	uint64_t lf1, lf2, cr1; // LF in the last byte, LF in the last two, CR in the last
};

// Stores the offsets of the bits. Most blocks have at most four lines, stored without a branch per line.
static void store_lines(struct td_lines *lines, uint64_t lf, uint32_t base)
{
	unsigned n = lines->n;

	for (unsigned i = 0; i < 4; i++) {
		lines->end[n] = (uint16_t)(base + (unsigned)__builtin_ctzll(lf | 1ull << 63));
		n += lf != 0;
		lf &= lf - 1;
	}
	for (; lf; lf &= lf - 1)
		lines->end[n++] = (uint16_t)(base + (unsigned)__builtin_ctzll(lf));
	lines->full = n > TD_LINES_MAX;
	lines->n = (uint16_t)n;
}

// true: an empty line ended the search.
static bool take_block(struct td_lines *lines, struct carry *carry, struct td_scan_bits bits, uint32_t base, bool to_blank)
{
	uint64_t lf1 = bits.lf << 1 | carry->lf1;
	uint64_t lf2 = bits.lf << 2 | carry->lf2;
	uint64_t cr1 = bits.cr << 1 | carry->cr1;
	uint64_t blank = to_blank ? bits.lf & (lf1 | (lf2 & cr1)) : 0;
	uint64_t keep = blank ? (blank & -blank) | ((blank & -blank) - 1) : ~0ull;

	lines->bare_cr |= (cr1 & ~bits.lf & keep) != 0;
	lines->bare_lf |= (bits.lf & ~cr1 & keep) != 0;
	store_lines(lines, bits.lf & keep, base);
	carry->lf1 = bits.lf >> 63;
	carry->lf2 = bits.lf >> 62;
	carry->cr1 = bits.cr >> 63;
	lines->blank = blank != 0;
	return blank || lines->full;
}

void td_scan_lines(struct td_lines *lines, const char *buf, uint32_t from, uint32_t len, bool to_blank)
{
	struct td_scan_bits bits[BATCH];
	struct carry carry = { 0 };

	lines->n = 0;
	lines->blank = lines->bare_cr = lines->bare_lf = lines->full = false;
	while (from + BLOCK <= len) {
		unsigned blocks = (len - from) / BLOCK < BATCH ? (len - from) / BLOCK : BATCH;
		scan(buf + from, blocks, bits);
		for (unsigned b = 0; b < blocks; b++, from += BLOCK)
			if (take_block(lines, &carry, bits[b], from, to_blank))
				return;
	}
	if (from < len) {
		char tail[BLOCK] = { 0 };
		memcpy(tail, buf + from, len - from);
		scan(tail, 1, bits);
		take_block(lines, &carry, bits[0], from, to_blank);
	}
}
