// SPDX-License-Identifier: BSD-3-Clause
#include "perf/micro/sip_messages.h"

#include "perf/micro/bench.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_MAX = 65535, LINES_MAX = 64 };

static struct td_span file_read(const char *path)
{
	char *bytes = malloc(MESSAGE_MAX);
	FILE *f = fopen(path, "rb");
	size_t n = f && bytes ? fread(bytes, 1, MESSAGE_MAX, f) : 0;

	if (f)
		fclose(f);
	if (n == 0)
		fprintf(stderr, "%s: not there or empty\n", path);
	return td_span(bytes, n);
}

static int load_folder(struct sip_messages *set, const char *folder)
{
	DIR *dir = opendir(folder);
	char path[4096];

	if (!dir) {
		fprintf(stderr, "DATA=%s: no such folder\n", folder);
		return -1;
	}
	for (struct dirent *e; (e = readdir(dir)) && set->n < SIP_MESSAGES_MAX;) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		struct td_span bytes = file_read(path);
		if (bytes.len > 0)
			set->message[set->n++] = bytes;
	}
	closedir(dir);
	return set->n > 0 ? 0 : -1;
}

// Every digit behind "Call-ID:", "branch=", "tag=" and "user" names becomes another digit: no two
// variants are alike.
static void scramble(char *p, size_t len, uint64_t *state)
{
	static const char *const marks[] = { "branch=z9hG4bK", "tag=", "Call-ID: ", "sip:+",
		"CSeq: ", "o=bench " };

	for (size_t m = 0; m < sizeof(marks) / sizeof(marks[0]); m++) {
		char *at = p, *end = p + len;
		while ((at = memmem(at, (size_t)(end - at), marks[m], strlen(marks[m])))) {
			at += strlen(marks[m]);
			for (; at < end && !strchr(" ;>@\r", *at); at++)
				if (*at >= '0' && *at <= '9')
					*at = (char)('1' + bench_random(state) % 9);
		}
	}
}

// Same bytes, the header lines in another order.
static struct td_span variant(struct td_span from, uint64_t *state)
{
	struct td_span line[LINES_MAX];
	uint32_t order[LINES_MAX], n = 0;
	char *out = malloc(from.len), *w = out;
	const char *p = memmem(from.ptr, from.len, "\r\n", 2);
	const char *body = memmem(from.ptr, from.len, "\r\n\r\n", 4);

	memcpy(w, from.ptr, (size_t)(p + 2 - from.ptr));
	w += p + 2 - from.ptr;
	for (p += 2; p < body + 2 && n < LINES_MAX; n++) {
		const char *end = memmem(p, (size_t)(body + 2 - p), "\r\n", 2);
		line[n] = td_span(p, (size_t)(end + 2 - p));
		p = end + 2;
	}
	bench_shuffle(order, n, state);
	for (uint32_t i = 0; i < n; i++) {
		memcpy(w, line[order[i]].ptr, line[order[i]].len);
		w += line[order[i]].len;
	}
	memcpy(w, body + 2, (size_t)(from.ptr + from.len - body - 2));
	scramble(out, from.len, state);
	return td_span(out, from.len);
}

int sip_messages_load(struct sip_messages *set, const char *invite_path, uint64_t seed)
{
	const char *folder = getenv("DATA");

	set->n = 0;
	if (folder && *folder)
		return load_folder(set, folder);
	struct td_span invite = file_read(invite_path);
	if (invite.len == 0)
		return -1;
	while (set->n < SIP_VARIANTS)
		set->message[set->n++] = variant(invite, &seed);
	return 0;
}
