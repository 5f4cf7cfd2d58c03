// SPDX-License-Identifier: BSD-3-Clause
// The list of stored trunks and its file: "generation N", then of each trunk "trunk NAME" and its
// settings, one a line that begins with a tab.
#include "control/trunks.h"

#include "control/state_file.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_NAME "trunks.stored"

bool td_trunk_list_add(struct td_trunk_list *list, struct td_span name, struct td_span settings)
{
	if (list->n == TD_TRUNKS_MAX || name.len == 0 || name.len >= TD_NAME_LEN)
		return false;
	// Doubled where it is full: a power of two.
	if ((list->n & (list->n - 1)) == 0) {
		uint32_t cap = list->n ? 2 * list->n : 1;
		struct td_stored_trunk *larger =
			realloc(list->trunks, cap * sizeof(*list->trunks));
		if (!larger)
			return false;
		list->trunks = larger;
	}
	struct td_stored_trunk *trunk = &list->trunks[list->n];
	td_span_cstr(name, trunk->name, sizeof(trunk->name));
	snprintf(trunk->where, sizeof(trunk->where), TD_STORED_WHERE "%s", trunk->name);
	trunk->settings = strndup(settings.len ? settings.ptr : "", settings.len);
	list->n += trunk->settings != NULL;
	return trunk->settings != NULL;
}

void td_trunk_list_free(struct td_trunk_list *list)
{
	for (uint32_t i = 0; i < list->n; i++)
		free((char *)(uintptr_t)list->trunks[i].settings);
	free(list->trunks);
	*list = (struct td_trunk_list){ 0 };
}

struct td_stored_trunk *td_trunk_list_find(const struct td_trunk_list *list, const char *name)
{
	for (uint32_t i = 0; i < list->n; i++)
		if (strcmp(list->trunks[i].name, name) == 0)
			return &list->trunks[i];
	return NULL;
}

// --- the file ---

static void list_print(FILE *out, const void *what)
{
	const struct td_trunk_list *list = what;

	fprintf(out, "generation %" PRIu64 "\n", list->generation);
	for (uint32_t i = 0; i < list->n; i++) {
		fprintf(out, "trunk %s\n", list->trunks[i].name);
		for (const char *line = list->trunks[i].settings; *line;) {
			size_t len = strcspn(line, "\n");
			fprintf(out, "\t%.*s\n", (int)len, line);
			line += len + (line[len] == '\n');
		}
	}
}

int td_trunk_list_save(const struct td_trunk_list *list, const char *state_dir)
{
	return td_state_print(state_dir, FILE_NAME, list_print, list);
}

// The settings of one trunk, from the line behind its name on.
static int trunk_read(FILE *file, char **line, size_t *cap, ssize_t *len, struct td_span name,
	struct td_trunk_list *list)
{
	char *settings = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&settings, &size);

	if (!out)
		return -ENOMEM;
	while ((*len = getline(line, cap, file)) > 0 && (*line)[0] == '\t')
		fwrite(*line + 1, 1, (size_t)*len - 1, out);
	fclose(out);
	while (size > 0 && settings[size - 1] == '\n')
		size--;
	bool good = td_trunk_list_add(list, name, td_span(settings, size));
	free(settings);
	return good ? 0 : -EBADMSG;
}

int td_trunk_list_load(struct td_trunk_list *list, const char *state_dir)
{
	char path[PATH_MAX], *line = NULL, name[TD_NAME_LEN];
	size_t cap = 0;
	int rc = 0;

	snprintf(path, sizeof(path), "%s/" FILE_NAME, state_dir);
	FILE *file = fopen(path, "re");
	if (!file)
		return -errno;
	if (fscanf(file, "generation %" SCNu64, &list->generation) != 1 || fgetc(file) != '\n')
		rc = -EBADMSG;
	ssize_t len = rc == 0 ? getline(&line, &cap, file) : -1;
	while (rc == 0 && len > 0) {
		static_assert(TD_NAME_LEN == 32, "the width in the format below");
		rc = sscanf(line, "trunk %31s", name) == 1
			     ? trunk_read(file, &line, &cap, &len, td_span_str(name), list)
			     : -EBADMSG;
	}
	free(line);
	fclose(file);
	if (rc != 0)
		td_trunk_list_free(list);
	return rc;
}

// --- settings ---

static size_t key_len(const char *line)
{
	return strcspn(line, "=\n");
}

static bool names_key(char *const *changes, size_t n, const char *line)
{
	for (size_t i = 0; i < n; i++)
		if (key_len(changes[i]) == key_len(line) &&
			strncmp(changes[i], line, key_len(line)) == 0)
			return true;
	return false;
}

char *td_trunk_settings_merge(const char *before, char *const *changes, size_t n)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	for (const char *line = before; *line;) {
		size_t len = strcspn(line, "\n");
		if (!names_key(changes, n, line))
			fprintf(out, "%.*s\n", (int)len, line);
		line += len + (line[len] == '\n');
	}
	for (size_t i = 0; i < n; i++)
		if (changes[i][key_len(changes[i])] == '=' && changes[i][key_len(changes[i]) + 1])
			fprintf(out, "%s\n", changes[i]);
	fclose(out);
	if (size > 0)
		text[size - 1] = '\0'; // no end of line behind the last one
	return text;
}
