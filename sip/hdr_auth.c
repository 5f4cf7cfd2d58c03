// SPDX-License-Identifier: BSD-3-Clause
#include "sip/hdr_auth.h"

#include "sip/chars.h"

#include <errno.h>

#define FIELD(key, bytes, member)                                                                  \
	{                                                                                          \
		key, bytes, offsetof(struct td_digest_params, member)                              \
	}

// By the first eight letters of the name; one has nine.
struct field {
	char head[8];
	uint8_t len;
	uint8_t offset;
};

static const struct field fields[] = {
	FIELD("username", 8, username),
	FIELD("realm", 5, realm),
	FIELD("nonce", 5, nonce),
	FIELD("uri", 3, uri),
	FIELD("response", 8, response),
	FIELD("algorith", 9, algorithm),
	FIELD("cnonce", 6, cnonce),
	FIELD("opaque", 6, opaque),
	FIELD("qop", 3, qop),
	FIELD("nc", 2, nc),
	FIELD("stale", 5, stale),
};
static_assert(sizeof(struct td_digest_params) < 256, "offsets fit");

// Each of them in a slot of its own, so that a name is compared with one alone. An empty slot has
// no length.
enum { SLOT_BITS = 4 };
static struct field slots[1 << SLOT_BITS];
static uint64_t multiplier = 0x9e3779b97f4a7c15u;

static struct field *slot_of(uint64_t head)
{
	return &slots[head * multiplier >> (64 - SLOT_BITS)];
}

// false: two names share a slot.
static bool slots_fill(void)
{
	memset(slots, 0, sizeof(slots));
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		uint64_t head;
		memcpy(&head, fields[i].head, 8);
		if (slot_of(head)->len != 0)
			return false;
		*slot_of(head) = fields[i];
	}
	return true;
}

// The first multiplier of a fixed sequence that separates them. Written here only, before any
// thread exists.
__attribute__((constructor)) static void slots_make(void)
{
	for (unsigned tries = 0; !slots_fill(); tries++) {
		assert(tries < 100000);
		multiplier = (multiplier * 6364136223846793005u + 1442695040888963407u) | 1;
	}
}

// As it would stand in the table: the rest zero, letters in lower case. A token has no character
// but a letter that becomes one with that bit.
static inline __attribute__((always_inline)) uint64_t head_of(struct td_span name, const char *end)
{
	const uint64_t lower = 0x2020202020202020;
	uint32_t n = name.len < 8 ? name.len : 8;
	uint64_t word = 0;

	if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && end - name.ptr >= 8) {
		memcpy(&word, name.ptr, 8);
		return (word | lower) & UINT64_MAX >> (64 - 8 * n);
	}
	char head[8] = { 0 };
	for (uint32_t i = 0; i < n; i++)
		head[i] = name.ptr[i] | 0x20;
	memcpy(&word, head, 8);
	return word;
}

// What nobody asked for is passed over (§25.1 auth-param). end: of the header.
static inline struct td_span *place_of(
	struct td_span name, const char *end, struct td_digest_params *out)
{
	uint64_t word = head_of(name, end), head;
	const struct field *f = slot_of(word);

	memcpy(&head, f->head, 8);
	if (word != head || name.len != f->len || (name.len == 9 && (name.ptr[8] | 0x20) != 'm'))
		return NULL;
	return (struct td_span *)(void *)((char *)out + f->offset);
}

// Where the quotes of a header stand, as offsets from its start: found all at once, so that a value
// needs not be walked through to know where the next parameter begins. None are found of a header
// that is short or long beyond the usual, or holds what quotes may not: param_scan() reads all of
// it.
enum { QUOTES_MAX = 32, BLOCK = 64, BLOCKS_MAX = 8, KNOWN_MAX = 9 };

struct quotes {
	uint16_t n, next; // next: the first that was not taken
	uint16_t at[QUOTES_MAX + BLOCK];
};

#if defined(__SSE2__)
// Bit i: p[i] is a quote. lowest: of the characters; escaped: not zero where a backslash was met.
static inline uint64_t block_quotes(const char *p, __m128i *lowest, __m128i *escaped)
{
	uint64_t bits = 0;

	for (unsigned i = 0; i < BLOCK / 16; i++) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
		__m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));
		*lowest = _mm_min_epu8(*lowest, v);
		*escaped = _mm_or_si128(*escaped, _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
		bits |= (uint64_t)(unsigned)_mm_movemask_epi8(quote) << (16 * i);
	}
	return bits;
}
#endif

static inline void quotes_find(struct quotes *q, struct td_span value)
{
	q->n = q->next = 0;
#if defined(__SSE2__)
	if (value.len < BLOCK || value.len > BLOCKS_MAX * BLOCK)
		return;
	__m128i lowest = _mm_set1_epi8(' '), escaped = _mm_setzero_si128();
	uint16_t *out = q->at;
	for (uint32_t from = 0; from < value.len && out < q->at + QUOTES_MAX; from += BLOCK) {
		uint32_t at = from + BLOCK <= value.len ? from : value.len - BLOCK;
		uint64_t bits = block_quotes(value.ptr + at, &lowest, &escaped) >> (from - at);
		for (; bits != 0; bits &= bits - 1)
			*out++ = (uint16_t)(from + (unsigned)__builtin_ctzll(bits));
	}
	__m128i usual = _mm_andnot_si128(escaped, _mm_cmpeq_epi8(lowest, _mm_set1_epi8(' ')));
	if (out < q->at + QUOTES_MAX && _mm_movemask_epi8(usual) == 0xffff)
		q->n = (uint16_t)(out - q->at);
#endif
}

// A known parameter whose quotes were found, p at its name. Position behind it; NULL: it may be
// anything else.
static inline const char *quoted_param(struct quotes *q, const char *start, const char *p,
	const char *end, struct td_digest_params *out)
{
	if (q->next + 1 >= q->n)
		return NULL;
	const char *open = start + q->at[q->next], *close = start + q->at[q->next + 1];
	if (open - p < 2 || open - p > KNOWN_MAX + 1 || open[-1] != '=')
		return NULL;
	struct td_span *place = place_of(td_span(p, (size_t)(open - 1 - p)), end, out);
	if (!place || place->ptr)
		return NULL;
	*place = td_span(open + 1, (size_t)(close - open - 1));
	q->next += 2;
	return close + 1;
}

// name=word without a space, as the others mostly are: one look at 16 characters shows where both
// end. Position behind it; NULL: it may be anything else.
static inline const char *word_param(const char *p, const char *end, struct td_digest_params *out)
{
#if defined(__SSE2__)
	if (p == end)
		return NULL;
	unsigned breaks = td_word_breaks_until(p, end);
	const char *equals = p + __builtin_ctz(breaks);
	breaks &= breaks - 1;
	if (breaks == 0 || equals == p || equals == end || *equals != '=')
		return NULL;
	const char *q = p + __builtin_ctz(breaks);
	if (q == p + 16)
		q = td_skip_token(q, end);
	if (q == equals + 1 || (q < end && *q != ','))
		return NULL;
	struct td_span *place = place_of(td_span(p, (size_t)(equals - p)), end, out);
	if (place && place->ptr)
		return NULL;
	if (place)
		*place = td_span(equals + 1, (size_t)(q - equals - 1));
	return q;
#else
	return NULL;
#endif
}

// First '"', '\\' or control character.
static const char *quoted_skip(const char *p, const char *end)
{
	while (p < end && *p != '"' && *p != '\\' && (uint8_t)*p >= ' ')
		p++;
	return p;
}

// A token or a quoted string without its quotes, p behind the '='. Position behind it, or NULL.
static const char *value_scan(const char *p, const char *end, struct td_span *value)
{
	if (p == end || *p != '"') {
		const char *q = td_skip_token(p, end);
		*value = td_span(p, (size_t)(q - p));
		return q > p ? q : NULL;
	}
	const char *q = quoted_skip(p + 1, end);
	if (q == end || *q != '"')
		return NULL;
	*value = td_span(p + 1, (size_t)(q - p - 1));
	return q + 1;
}

// Mostly there is one.
static inline const char *space_skip(const char *p, const char *end)
{
	if (end - p >= 2 && *p == ' ' && (uint8_t)p[1] > ' ')
		return p + 1;
	return td_skip_space(p, end);
}

// The '=' behind a name, which begins at p and ends at *name_end; NULL where there is none.
static const char *name_scan(const char *p, const char *end, const char **name_end)
{
	*name_end = td_skip_token(p, end);
	const char *equals = td_skip_space(*name_end, end);
	return *name_end > p && equals < end && *equals == '=' ? equals : NULL;
}

// Any parameter.
static const char *param_scan(struct quotes *quotes, const char *start, const char *p,
	const char *end, struct td_digest_params *out)
{
	struct td_span value;
	const char *name = p, *name_end;

	p = name_scan(p, end, &name_end);
	if (p)
		p = value_scan(space_skip(p + 1, end), end, &value);
	if (!p)
		return NULL;
	struct td_span *place = place_of(td_span(name, (size_t)(name_end - name)), end, out);
	if (place && place->ptr)
		return NULL;
	if (place)
		*place = value;
	while (quotes->next < quotes->n && start + quotes->at[quotes->next] < p)
		quotes->next++;
	return p;
}

int td_digest_params_decode(struct td_span value, struct td_digest_params *out)
{
	struct quotes quotes;

	memset(out, 0, sizeof(*out));
	if (value.len < 7 || !td_span_ieq(td_span(value.ptr, 6), TD_SPAN("Digest")) ||
		!td_char_is(value.ptr[6], TD_CH_SPACE))
		return -ENOTSUP;
	const char *p = value.ptr, *end = value.ptr + value.len;
	quotes_find(&quotes, value);
	for (p = td_skip_space(p + 6, end);; p = space_skip(p + 1, end)) {
		const char *q = quoted_param(&quotes, value.ptr, p, end, out);
		if (!q)
			q = word_param(p, end, out);
		p = q ? q : param_scan(&quotes, value.ptr, p, end, out);
		if (!p)
			return -EBADMSG;
		if (p < end && *p != ',')
			p = td_skip_space(p, end);
		if (p == end)
			return 0;
		if (*p != ',')
			return -EBADMSG;
	}
}

// Eight hexadecimal digits, either case.
bool td_nc_decode(struct td_span text, uint32_t *out)
{
	if (text.len != 8)
		return false;
#if defined(__SSE2__)
	__m128i v = _mm_loadl_epi64((const __m128i *)(const void *)text.ptr);
	__m128i digit = _mm_sub_epi8(v, _mm_set1_epi8('0'));
	__m128i letter = _mm_sub_epi8(_mm_or_si128(v, _mm_set1_epi8(0x20)), _mm_set1_epi8('a'));
	__m128i is_digit = _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit);
	__m128i is_letter = _mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(5)), letter);
	if ((_mm_movemask_epi8(_mm_or_si128(is_digit, is_letter)) & 0xff) != 0xff)
		return false;
	v = _mm_or_si128(_mm_and_si128(is_digit, digit),
		_mm_andnot_si128(is_digit, _mm_add_epi8(letter, _mm_set1_epi8(10))));
	v = _mm_or_si128(_mm_slli_epi16(v, 4), _mm_srli_epi16(v, 8)); // of two digits the low byte
	v = _mm_and_si128(v, _mm_set1_epi16(0xff));
	*out = __builtin_bswap32((uint32_t)_mm_cvtsi128_si32(_mm_packus_epi16(v, v)));
	return true;
#else
	uint32_t n = 0;

	for (uint32_t i = 0; i < 8; i++) {
		char c = td_lower(text.ptr[i]);
		if (!td_char_is(c, TD_CH_HEX))
			return false;
		n = n << 4 | (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	*out = n;
	return true;
#endif
}
