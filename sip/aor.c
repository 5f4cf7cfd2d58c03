// SPDX-License-Identifier: BSD-3-Clause
#include "sip/aor.h"

#include <errno.h>

// Eight letters at a time: what is 'A' … 'Z' gets the bit of the lower case.
static uint64_t lower_word(uint64_t w)
{
	const uint64_t ones = 0x0101010101010101, tops = ones << 7;
	uint64_t low = w & ~tops;
	uint64_t upper = (low + ones * (0x80 - 'A')) & ~(low + ones * (0x80 - 'Z' - 1)) & ~w & tops;

	return w | upper >> 2;
}

static void lower_copy(char *dst, const char *src, size_t len)
{
	size_t i = 0;

	for (uint64_t w; len - i >= 8; i += 8) {
		memcpy(&w, src + i, 8);
		w = lower_word(w);
		memcpy(dst + i, &w, 8);
	}
	for (; i < len; i++)
		dst[i] = td_lower(src[i]);
}

// Only an escape can bring a character into a user part that is no visible one.
static int user_write(struct td_span user, char *dst, size_t cap)
{
	if (!memchr(user.ptr, '%', user.len)) {
		if (user.len > cap)
			return -ENOBUFS;
		memcpy(dst, user.ptr, user.len);
		return (int)user.len;
	}
	int n = td_uri_unescape(user, dst, cap);
	for (int i = 0; i < n; i++)
		if ((uint8_t)dst[i] <= ' ' || dst[i] == 0x7f)
			return -EINVAL;
	return n;
}

int td_aor_make(const struct td_uri *uri, char dst[TD_AOR_LEN])
{
	int n = uri->user.len > 0 ? user_write(uri->user, dst, TD_AOR_LEN - 2) : 0;

	if (n <= 0 || uri->host.len == 0 || uri->host.len + (size_t)n + 2 > TD_AOR_LEN)
		return -EINVAL;
	dst[n++] = '@';
	lower_copy(dst + n, uri->host.ptr, uri->host.len);
	return n + (int)uri->host.len;
}
