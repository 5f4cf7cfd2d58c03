// SPDX-License-Identifier: BSD-3-Clause
// The arithmetic of digest authentication (RFC 7616 §3.4, RFC 8760). Pure; any thread; never
// allocates. The hashes themselves are nettle's, which takes the processor's SHA instructions.
#pragma once

#include "include/config.h"
#include "include/subscriber.h"

#define TD_DIGEST_BYTES_MAX TD_SHA256_BYTES
#define TD_DIGEST_HEX_MAX (2 * TD_DIGEST_BYTES_MAX)

// What the answer to a challenge is made of, as it stands in the header.
struct td_digest_ask {
	struct td_span method, uri;
	struct td_span nonce;
	struct td_span nc, cnonce, qop; // qop empty: RFC 2069's form, without the three
};

size_t td_digest_bytes(enum td_digest_algorithm algorithm);          // 16 or 32
struct td_span td_digest_name(enum td_digest_algorithm algorithm);   // "SHA-256"
// TD_DIGEST__COUNT where it is none of ours; an absent one is MD5 (§3.3).
enum td_digest_algorithm td_digest_id(struct td_span name);

// H(user:realm:password): all that is ever kept of a password.
void td_digest_ha1(enum td_digest_algorithm algorithm, struct td_span user, struct td_span realm,
	struct td_span password, uint8_t ha1[TD_DIGEST_BYTES_MAX]);
// The response in lower-case hexadecimal; returns its length.
size_t td_digest_response(enum td_digest_algorithm algorithm, const uint8_t *ha1,
	const struct td_digest_ask *ask, char hex[TD_DIGEST_HEX_MAX]);

// What every response of one HA1 begins with, made once for many of them: of SHA-256 the state
// after the hexadecimal HA1, which is one whole block; of MD5 HA1 itself.
void td_digest_seed(enum td_digest_algorithm algorithm, const uint8_t *ha1,
	uint8_t seed[TD_DIGEST_BYTES_MAX]);

// H(method:uri) in hexadecimal, kept for the next request that asks for the same. Zeroed at first.
struct td_digest_a2 {
	uint16_t method_len, uri_len; // uri_len 0: there is none
	char text[144];
	char hex[TD_DIGEST_HEX_MAX];
};
void td_digest_a2(struct td_digest_a2 *kept, enum td_digest_algorithm algorithm,
	struct td_span method, struct td_span uri);
// As td_digest_response(), whose method and uri are those of a2.
size_t td_digest_seeded(enum td_digest_algorithm algorithm, const uint8_t *seed,
	const struct td_digest_a2 *a2, const struct td_digest_ask *ask,
	char hex[TD_DIGEST_HEX_MAX]);

// The time tells nothing of how many characters were right. Letters of either case.
bool td_digest_equal(const char *ours, struct td_span theirs, size_t len);
