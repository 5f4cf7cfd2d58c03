// SPDX-License-Identifier: BSD-3-Clause
// Trunks that are kept in the store: they join those of the parsed file before anything is checked,
// so that one loader knows every key of a trunk. A trunk of the file keeps its name.
#include "control/config_schema.h"

#include <stdlib.h>
#include <string.h>

static int text_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// Names of the file's trunks, sorted; *n of them. NULL: no memory.
static const char **names_of(const config_setting_t *trunks, uint32_t *n)
{
	int length = config_setting_length(trunks);
	const char **names = calloc((size_t)length + 1, sizeof(*names));

	*n = 0;
	for (int i = 0; names && i < length; i++) {
		const config_setting_t *trunk = config_setting_get_elem(trunks, (unsigned int)i);
		if (config_setting_is_group(trunk) &&
			config_setting_lookup_string(trunk, "name", &names[*n]))
			(*n)++;
	}
	if (names)
		qsort(names, *n, sizeof(*names), text_compare);
	return names;
}

// One "key=value" a line, each put in as --set does it.
static bool settings_put(config_setting_t *trunk, const char *settings, const char *where)
{
	for (const char *line = settings; *line;) {
		size_t len = strcspn(line, "\n"), key_len = strcspn(line, "=\n");
		char *key = strndup(line, key_len),
		     *value = key_len < len ? strndup(line + key_len + 1, len - key_len - 1) : NULL;
		bool good = key && value && cfg_value_put(trunk, key, value, where);
		free(key);
		free(value);
		if (!good)
			return false;
		line += len + (line[len] == '\n');
	}
	return true;
}

static void trunk_add(struct cfg_reader *reader, config_setting_t *trunks,
	const struct td_stored_trunk *stored)
{
	config_setting_t *trunk = config_setting_add(trunks, NULL, CONFIG_TYPE_GROUP);
	config_setting_t *name =
		trunk ? config_setting_add(trunk, "name", CONFIG_TYPE_STRING) : NULL;

	if (!name || !config_setting_set_string(name, stored->name) ||
		!settings_put(trunk, stored->settings, stored->where))
		td_faults_add(reader->faults,
			"%s: found settings that are none, expected KEY=VALUE", stored->where);
	if (trunk)
		config_setting_set_hook(trunk, (void *)(uintptr_t)stored->where);
}

void cfg_stored_add(struct cfg_reader *reader, const struct td_stored_trunk *list, uint32_t n)
{
	config_setting_t *root = config_root_setting(&reader->config);
	config_setting_t *trunks = config_setting_get_member(root, "trunks");
	uint32_t n_names = 0;

	if (n > 0 && !trunks)
		trunks = config_setting_add(root, "trunks", CONFIG_TYPE_LIST);
	if (n == 0 || !trunks || !config_setting_is_list(trunks))
		return; // what else it is gets its fault with the file
	const char **names = names_of(trunks, &n_names);
	if (!names)
		td_faults_add(reader->faults, "%s: no memory", reader->name);
	for (uint32_t i = 0; names && i < n; i++) {
		const char *name = list[i].name;
		if (!bsearch(&name, names, n_names, sizeof(*names), text_compare))
			trunk_add(reader, trunks, &list[i]);
	}
	free(names);
}
