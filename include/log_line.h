// SPDX-License-Identifier: BSD-3-Clause
// The rest of a log line, "key=value key=\"a text\"", made of a printf format so that what a text
// argument brings along (names, words of servers, of libraries, of the wire) can neither end its
// value nor its line, nor pass for a further key.
//
// In quotes a " becomes ', an end of line ";" (none at the end of the text), other control
// characters '?'; a bare value with a blank, a quote or a '=' gets quotes. Pure; any thread.
#pragma once

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define TD_LOG_SPEC_LEN 16 // "%016lx" and its like

struct td_log_writer {
	char *dst;
	size_t cap, at;
	bool quoted; // the format is inside of quotes
	va_list ap;
};

static inline void td_log_put(struct td_log_writer *w, char c)
{
	if (w->at + 1 < w->cap)
		w->dst[w->at++] = c;
}

static inline void td_log_put_text(struct td_log_writer *w, const char *text, size_t len)
{
	bool bare = !w->quoted && w->at > 0 && w->dst[w->at - 1] == '=';
	bool quotes = false;

	for (size_t i = 0; bare && i < len; i++)
		quotes |= (unsigned char)text[i] <= ' ' || text[i] == '"' || text[i] == '=';
	if (quotes)
		td_log_put(w, '"');
	while (len > 0 && text[len - 1] == '\n')
		len--;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		bool end = c == '\n' || c == '\r';
		td_log_put(w, end ? ';' : c < ' ' || c == 0x7f ? '?' : c == '"' ? '\'' : (char)c);
	}
	if (quotes)
		td_log_put(w, '"');
}

static inline void td_log_put_number(struct td_log_writer *w, const char *spec, size_t len)
{
	char text[32] = "";
	char last = spec[len - 1], size = spec[len - 2];

	// Each takes its argument: what follows would read another's.
	if (strchr("aAeEfFgG", last))
		snprintf(text, sizeof(text), spec, va_arg(w->ap, double));
	else if (last == 'p')
		snprintf(text, sizeof(text), spec, va_arg(w->ap, void *));
	else if (size == 'l' || size == 'z' || size == 'j' || size == 't')
		snprintf(text, sizeof(text), spec, va_arg(w->ap, unsigned long));
	else
		snprintf(text, sizeof(text), spec, va_arg(w->ap, unsigned int));
	for (const char *c = text; *c; c++)
		td_log_put(w, *c);
}

// The conversion that begins at the '%' of format. Returns what follows it.
static inline const char *td_log_convert(struct td_log_writer *w, const char *format)
{
	char spec[TD_LOG_SPEC_LEN];
	size_t len = 1 + strspn(format + 1, "-+# 0123456789.*lzjth") + 1;

	if (format[len - 1] == 's') {
		bool bounded = memchr(format, '*', len) != NULL;
		int most = bounded ? va_arg(w->ap, int) : -1;
		const char *text = va_arg(w->ap, const char *);
		td_log_put_text(w, text, most >= 0 ? strnlen(text, (size_t)most) : strlen(text));
	} else if (format[len - 1] == '%') {
		td_log_put(w, '%');
	} else if (format[len - 1] != '\0' && len < sizeof(spec)) {
		memcpy(spec, format, len);
		spec[len] = '\0';
		td_log_put_number(w, spec, len);
	}
	return format + len - (format[len - 1] == '\0');
}

// Takes %s, %.*s and numbers, without '*' in those. Cut at cap - 1, ended by NUL. Returns the
// length.
static inline size_t td_log_values(char *dst, size_t cap, const char *format, va_list ap)
{
	struct td_log_writer w = { .dst = dst, .cap = cap };

	va_copy(w.ap, ap);
	while (*format) {
		if (*format == '%') {
			format = td_log_convert(&w, format);
			continue;
		}
		w.quoted ^= *format == '"';
		td_log_put(&w, *format++);
	}
	va_end(w.ap);
	w.dst[w.at] = '\0';
	return w.at;
}

static_assert(sizeof(size_t) == sizeof(long) && sizeof(uint64_t) == sizeof(long),
	"%zu, PRIu64 and %lu are one");
