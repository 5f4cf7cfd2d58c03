// SPDX-License-Identifier: BSD-3-Clause
#include "sip/aor.h"

#include <errno.h>

int td_aor_make(const struct td_uri *uri, char dst[TD_AOR_LEN])
{
	int n = td_uri_unescape(uri->user, dst, TD_AOR_LEN - 2);

	if (n <= 0 || uri->host.len == 0 || uri->host.len + (size_t)n + 2 > TD_AOR_LEN)
		return -EINVAL;
	for (int i = 0; i < n; i++)
		if ((uint8_t)dst[i] <= ' ' || dst[i] == 0x7f)
			return -EINVAL;
	dst[n++] = '@';
	for (uint32_t i = 0; i < uri->host.len; i++)
		dst[n++] = td_lower(uri->host.ptr[i]);
	return n;
}
