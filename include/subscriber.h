// SPDX-License-Identifier: BSD-3-Clause
// A subscriber as plain data: what is provisioned in a store and pushed to the data plane. Any
// thread; never allocates. A password is nowhere in it: only the hashes that digest needs.
//
// Packed (td_subscriber_pack()), it is one entry of a bulk push: its length, the numbers, then the
// texts one after the other, then what its flags say. Integers are little endian.
#pragma once

#include "include/ceilings.h"
#include "include/span.h"

#define TD_AOR_LEN 192     // "user@domain" and NUL
#define TD_NUMBER_LEN 24   // digits and NUL; E.164 has 15
#define TD_DISPLAY_LEN 64
#define TD_SUBSCRIBER_NUMBERS_MAX 8
#define TD_PLAN_DEFAULT "subscribers"

#define TD_MD5_BYTES 16
#define TD_SHA256_BYTES 32

struct td_subscriber {
	char aor[TD_AOR_LEN]; // user unescaped, its case kept; domain in lower case
	// H(user:domain:password) of each algorithm (RFC 7616 §3.4.2); only where has_… says so.
	uint8_t ha1_md5[TD_MD5_BYTES];
	uint8_t ha1_sha256[TD_SHA256_BYTES];
	bool has_md5, has_sha256;
	bool enabled; // false: known, but neither registers nor calls
	uint8_t n_numbers;
	// Digits without '+'; the first is the identity that is asserted.
	char numbers[TD_SUBSCRIBER_NUMBERS_MAX][TD_NUMBER_LEN];
	char plan[TD_NAME_LEN]; // dial plan or class
	char display[TD_DISPLAY_LEN];
	uint32_t max_calls; // 0: no limit; both directions
	uint32_t max_cps;   // 0: no limit
	uint32_t cps_burst; // of them at once; 0: one second's worth
};

// Texts stand behind it in the order of the lengths.
struct td_subscriber_packed {
	uint16_t bytes; // of this entry, head and padding to 8 included
	uint8_t aor_len, plan_len, display_len;
	uint8_t flags; // TD_SUBSCRIBER_…
	uint8_t n_numbers;
	uint8_t number_len[TD_SUBSCRIBER_NUMBERS_MAX];
	uint8_t zero;
	uint32_t max_calls, max_cps;
	uint8_t ha1_md5[TD_MD5_BYTES];
	uint8_t ha1_sha256[TD_SHA256_BYTES];
};

static_assert(sizeof(struct td_subscriber_packed) == 72, "no padding that is not named");

enum { TD_SUBSCRIBER_MD5 = 1, TD_SUBSCRIBER_SHA256 = 2, TD_SUBSCRIBER_ENABLED = 4,
	TD_SUBSCRIBER_BURST = 8 }; // cps_burst stands behind the texts

// An entry is never larger.
#define TD_SUBSCRIBER_PACKED_MAX                                                                   \
	(sizeof(struct td_subscriber_packed) + TD_AOR_LEN + TD_NAME_LEN + TD_DISPLAY_LEN +         \
		TD_SUBSCRIBER_NUMBERS_MAX * TD_NUMBER_LEN + 4 + 8)

static inline uint8_t td_packed_text(uint8_t **p, const char *text, size_t cap)
{
	size_t n = strnlen(text, cap - 1);

	memcpy(*p, text, n);
	*p += n;
	return (uint8_t)n;
}

// Writes one entry; dst has room for TD_SUBSCRIBER_PACKED_MAX. Returns its bytes.
static inline size_t td_subscriber_pack(const struct td_subscriber *s, uint8_t *dst)
{
	struct td_subscriber_packed head = { 0 };
	uint8_t *p = dst + sizeof(head);

	head.flags = (uint8_t)((s->has_md5 ? TD_SUBSCRIBER_MD5 : 0) |
			       (s->has_sha256 ? TD_SUBSCRIBER_SHA256 : 0) |
			       (s->enabled ? TD_SUBSCRIBER_ENABLED : 0) |
			       (s->cps_burst ? TD_SUBSCRIBER_BURST : 0));
	head.max_calls = s->max_calls;
	head.max_cps = s->max_cps;
	if (s->has_md5)
		memcpy(head.ha1_md5, s->ha1_md5, sizeof(head.ha1_md5));
	if (s->has_sha256)
		memcpy(head.ha1_sha256, s->ha1_sha256, sizeof(head.ha1_sha256));
	head.aor_len = td_packed_text(&p, s->aor, sizeof(s->aor));
	head.plan_len = td_packed_text(&p, s->plan, sizeof(s->plan));
	head.display_len = td_packed_text(&p, s->display, sizeof(s->display));
	for (; head.n_numbers < s->n_numbers && head.n_numbers < TD_SUBSCRIBER_NUMBERS_MAX;
		head.n_numbers++)
		head.number_len[head.n_numbers] =
			td_packed_text(&p, s->numbers[head.n_numbers], TD_NUMBER_LEN);
	if (s->cps_burst) {
		memcpy(p, &s->cps_burst, sizeof(s->cps_burst));
		p += sizeof(s->cps_burst);
	}
	while ((p - dst) % 8 != 0)
		*p++ = 0;
	head.bytes = (uint16_t)(p - dst);
	memcpy(dst, &head, sizeof(head));
	return head.bytes;
}

// The next text of an entry; false: it does not fit where it comes from or where it goes, or holds
// a NUL.
static inline bool td_unpacked_text(
	const uint8_t **p, const uint8_t *end, size_t len, char *dst, size_t cap)
{
	if (len >= cap || (size_t)(end - *p) < len || memchr(*p, '\0', len))
		return false;
	memcpy(dst, *p, len);
	dst[len] = '\0';
	*p += len;
	return true;
}

// Reads the entry at src, of which have bytes are there; nothing in it is trusted. Returns its
// bytes, 0 where it does not hold. *out is written in any case.
static inline size_t td_subscriber_unpack(
	const uint8_t *src, size_t have, struct td_subscriber *out)
{
	struct td_subscriber_packed head;

	memset(out, 0, sizeof(*out));
	if (have < sizeof(head))
		return 0;
	memcpy(&head, src, sizeof(head));
	const uint8_t *p = src + sizeof(head), *end = src + head.bytes;
	if (head.bytes < sizeof(head) || head.bytes > have || head.bytes % 8 != 0 ||
		head.n_numbers > TD_SUBSCRIBER_NUMBERS_MAX || head.aor_len == 0)
		return 0;
	out->has_md5 = head.flags & TD_SUBSCRIBER_MD5;
	out->has_sha256 = head.flags & TD_SUBSCRIBER_SHA256;
	out->enabled = head.flags & TD_SUBSCRIBER_ENABLED;
	out->max_calls = head.max_calls;
	out->max_cps = head.max_cps;
	memcpy(out->ha1_md5, head.ha1_md5, sizeof(out->ha1_md5));
	memcpy(out->ha1_sha256, head.ha1_sha256, sizeof(out->ha1_sha256));
	if (!td_unpacked_text(&p, end, head.aor_len, out->aor, sizeof(out->aor)) ||
		!td_unpacked_text(&p, end, head.plan_len, out->plan, sizeof(out->plan)) ||
		!td_unpacked_text(&p, end, head.display_len, out->display, sizeof(out->display)))
		return 0;
	for (; out->n_numbers < head.n_numbers; out->n_numbers++)
		if (!td_unpacked_text(&p, end, head.number_len[out->n_numbers],
			    out->numbers[out->n_numbers], TD_NUMBER_LEN))
			return 0;
	if (!(head.flags & TD_SUBSCRIBER_BURST))
		return head.bytes;
	if ((size_t)(end - p) < sizeof(out->cps_burst))
		return 0;
	memcpy(&out->cps_burst, p, sizeof(out->cps_burst));
	return head.bytes;
}
