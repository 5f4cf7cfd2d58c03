// SPDX-License-Identifier: BSD-3-Clause
// Comma-separated header values (RFC 3261 §7.3.1).
#include "sip/chars.h"
#include "sip/core.h"

// Position of the comma that ends the first entry, end where there is none.
static const char *entry_end(const char *p, const char *end)
{
	unsigned depth = 0;
	bool angle = false;

	for (; p < end; p++) {
		switch (*p) {
		case '"': {
			const char *close = td_skip_quoted(p, end);
			if (!close)
				return end;
			p = close - 1;
			break;
		}
		case '<':
			angle = true;
			break;
		case '>':
			angle = false;
			break;
		case '(':
			depth += !angle;
			break;
		case ')':
			depth -= !angle && depth > 0;
			break;
		case ',':
			if (!angle && depth == 0)
				return p;
			break;
		default:
			break;
		}
	}
	return end;
}

bool td_list_next(struct td_span *rest, struct td_span *entry)
{
	if (rest->len == 0)
		return false;
	const char *end = rest->ptr + rest->len;
	const char *comma = memchr(rest->ptr, ',', rest->len) ? entry_end(rest->ptr, end) : end;
	*entry = td_trim(rest->ptr, comma);
	*rest = comma < end ? td_span(comma + 1, (size_t)(end - comma - 1)) : td_span(end, 0);
	return entry->len > 0 || rest->len > 0 || comma < end;
}
