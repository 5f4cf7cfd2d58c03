// SPDX-License-Identifier: BSD-3-Clause
// Look-up in a compiled dial plan. Packet path: no allocation, no call, no division.
#include "sip/route_image.h"

// Any number of symbols; those beyond 32 do not count.
static bool key_of_any(struct td_span number, struct td_route_key *out)
{
	uint32_t n = number.len < TD_ROUTE_SYMBOLS_MAX ? number.len : TD_ROUTE_SYMBOLS_MAX;
	uint64_t word[2] = { 0 };

	*out = (struct td_route_key){ 0 };
	for (uint32_t i = 0; i < number.len; i++) {
		uint64_t symbol = td_route_symbol(number.ptr[i]);
		if (symbol == 0)
			return false;
		if (i < n)
			word[i / 16] |= symbol << (60 - i % 16 * 4);
	}
	if (n < TD_ROUTE_SYMBOLS_MAX)
		word[n / 16] |= (uint64_t)TD_ROUTE_END << (60 - n % 16 * 4);
	*out = (struct td_route_key){ word[0], word[1] };
	return true;
}

// Most are digits alone, and fit one word with their end mark.
bool td_route_key_of(struct td_span number, struct td_route_key *out)
{
	uint64_t key = 0;

	if (number.len >= TD_ROUTE_KEY_SYMBOLS)
		return key_of_any(number, out);
	for (uint32_t i = 0; i < number.len; i++) {
		uint32_t digit = (uint8_t)number.ptr[i] - (uint32_t)'0';
		if (digit > 9)
			return key_of_any(number, out);
		key = key << 4 | (digit + 1);
	}
	key = (key << 4 | TD_ROUTE_END) << (60 - 4 * number.len);
	*out = (struct td_route_key){ key, 0 };
	return true;
}

size_t td_route_key_format(const struct td_route_key *key, char *dst)
{
	static const char symbols[] = "?0123456789*#";
	static const char sos[] = "urn:service:sos";
	char digits[TD_ROUTE_SYMBOLS_MAX];
	uint32_t n = 0, last = 0;

	if (key->hi == TD_ROUTE_SOS) {
		memcpy(dst, sos, sizeof(sos));
		return sizeof(sos) - 1;
	}
	for (; n < TD_ROUTE_SYMBOLS_MAX; n++) {
		uint64_t word = n < 16 ? key->hi : key->lo;
		last = word >> (60 - n % 16 * 4) & 15;
		if (last == 0 || last >= TD_ROUTE_END)
			break;
		digits[n] = symbols[last];
	}
	char *at = dst;
	if (n < TD_ROUTE_SYMBOLS_MAX && last == TD_ROUTE_END)
		*at++ = '=';
	memcpy(at, digits, n);
	at[n] = '\0';
	return (size_t)(at - dst) + n;
}

// From its own bucket on, as far as keys had to go.
static inline struct td_route_ref key_find(
	const struct td_route_image *image, uint64_t key, uint64_t hash)
{
	uint64_t beyond = td_route_beyond(hash);
	uint32_t at = td_route_home(hash, image->n_buckets);

	for (uint32_t hops = 0; hops <= TD_ROUTE_HOPS_MAX; hops++) {
		const struct td_route_bucket *bucket = &image->buckets[at];
		uint32_t same = 0; // which of them it is nobody can foresee: no branch for each
#pragma GCC unroll 4
		for (uint32_t i = 0; i < TD_ROUTE_BUCKET; i++)
			same |= (uint32_t)(bucket->key[i] == key) << i;
		if (same != 0) {
			uint32_t i = (uint32_t)__builtin_ctz(same);
			return (struct td_route_ref){ .set = bucket->set[i], .to = bucket->to[i] };
		}
		if ((bucket->beyond & beyond) == 0)
			break;
		at = at + 1 == image->n_buckets ? 0 : at + 1;
	}
	return (struct td_route_ref){ 0 };
}

struct td_route_ref td_route_exact(const struct td_route_image *image, uint64_t key)
{
	return image->n_buckets == 0 ? (struct td_route_ref){ 0 }
				     : key_find(image, key, td_route_hash(key));
}

static inline uint64_t key_cut(uint64_t key, uint32_t length)
{
	return length == 0 ? 0 : key & ~0ull << (64 - 4 * length);
}

static bool long_begins(const struct td_route_long *l, const struct td_route_key *x)
{
	return l->hi == x->hi && (x->lo & td_route_mask(l->lo)) == l->lo;
}

static uint32_t long_beginning(
	const struct td_route_image *image, uint32_t at, const struct td_route_key *x)
{
	while (at != TD_ROUTE_NONE && !long_begins(&image->longs[at], x))
		at = image->longs[at].parent;
	return at;
}

static uint32_t long_below(const struct td_route_image *image, const struct td_route_key *x)
{
	uint32_t lo = 0, hi = image->n_longs;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		const struct td_route_long *l = &image->longs[mid];
		if (l->hi < x->hi || (l->hi == x->hi && l->lo <= x->lo))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo == 0 ? TD_ROUTE_NONE : lo - 1;
}

void td_route_find(const struct td_route_image *image, const struct td_route_key *number,
	struct td_route_cursor *cursor)
{
	uint32_t head = (uint32_t)(number->hi >> 1 >> image->head_shift);

	cursor->key = number->hi;
	cursor->lengths = image->heads[head] & ((2u << td_route_length(number->hi)) - 1);
	cursor->at_long = TD_ROUTE_NONE;
	for (uint32_t left = cursor->lengths; left != 0; left &= left - 1) {
		uint32_t length = (uint32_t)__builtin_ctz(left);
		uint64_t hash = td_route_hash(key_cut(number->hi, length));
		cursor->hash[length] = hash;
		__builtin_prefetch(&image->buckets[td_route_home(hash, image->n_buckets)]);
	}
	if (image->n_longs > 0 && number->lo != 0)
		cursor->at_long = long_beginning(image, long_below(image, number), number);
}

bool td_route_next(const struct td_route_image *image, struct td_route_cursor *cursor,
	struct td_route_match *out)
{
	if (cursor->at_long != TD_ROUTE_NONE) {
		const struct td_route_long *l = &image->longs[cursor->at_long];
		*out = (struct td_route_match){ { l->hi, l->lo },
			TD_ROUTE_KEY_SYMBOLS + td_route_length(l->lo), l->ref };
		cursor->at_long = l->parent;
		return true;
	}
	while (cursor->lengths != 0) {
		uint32_t length = 31 - (uint32_t)__builtin_clz(cursor->lengths);
		uint64_t key = key_cut(cursor->key, length);
		struct td_route_ref ref = key_find(image, key, cursor->hash[length]);
		cursor->lengths &= ~(1u << length);
		if (ref.set == 0)
			continue;
		*out = (struct td_route_match){ { key, 0 }, length, ref };
		return true;
	}
	return false;
}

uint64_t td_route_aor_hash(struct td_span user, struct td_span domain)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (uint32_t i = 0; i < user.len; i++)
		h = (h ^ (uint8_t)user.ptr[i]) * 0x100000001b3u;
	h = (h ^ '@') * 0x100000001b3u;
	for (uint32_t i = 0; i < domain.len; i++)
		h = (h ^ (uint8_t)td_lower(domain.ptr[i])) * 0x100000001b3u;
	h ^= h >> 29;
	h *= 0xd6e8feb86659fd93u;
	h ^= h >> 32;
	return h == 0 ? 1 : h;
}

uint32_t td_route_aor(
	const struct td_route_image *image, struct td_span user, struct td_span domain)
{
	uint64_t hash = td_route_aor_hash(user, domain);
	uint32_t mask = image->n_aors - 1;

	if (image->n_aors == 0)
		return 0;
	for (uint32_t i = (uint32_t)hash & mask; image->aors[i].hash != 0; i = (i + 1) & mask) {
		struct td_span text = td_route_text(image, image->aors[i].text);
		if (image->aors[i].hash == hash && text.len == user.len + 1 + domain.len &&
			td_span_eq(td_span(text.ptr, user.len), user) &&
			td_span_ieq(td_span(text.ptr + user.len + 1, domain.len), domain))
			return image->aors[i].set;
	}
	return 0;
}
