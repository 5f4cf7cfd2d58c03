// SPDX-License-Identifier: BSD-3-Clause
// --set path=value: changes the parsed file before anything of it is checked.
#include "control/config_schema.h"

#include <ctype.h>
#include <stdlib.h>

// Copies a value; groups and lists go deep. false: not a name that libconfig takes, or memory is
// out.
static bool value_copy(config_setting_t *parent, const char *key, const config_setting_t *from)
{
	config_setting_t *to = config_setting_add(parent, key, config_setting_type(from));

	if (!to)
		return false;
	switch (config_setting_type(from)) {
	case CONFIG_TYPE_INT:
		return config_setting_set_int(to, config_setting_get_int(from));
	case CONFIG_TYPE_INT64:
		return config_setting_set_int64(to, config_setting_get_int64(from));
	case CONFIG_TYPE_FLOAT:
		return config_setting_set_float(to, config_setting_get_float(from));
	case CONFIG_TYPE_BOOL:
		return config_setting_set_bool(to, config_setting_get_bool(from));
	case CONFIG_TYPE_STRING:
		return config_setting_set_string(to, config_setting_get_string(from));
	default:
		for (int i = 0; i < config_setting_length(from); i++) {
			const config_setting_t *element =
				config_setting_get_elem(from, (unsigned int)i);
			if (!value_copy(to, config_setting_name(element), element))
				return false;
		}
		return true;
	}
}

// The element of a list that a path's component names: by index or by its key name.
static config_setting_t *element_find(config_setting_t *list, const char *component)
{
	char *end;
	unsigned long index = strtoul(component, &end, 10);

	if (isdigit((unsigned char)component[0]) && *end == '\0')
		return index <= UINT16_MAX ? config_setting_get_elem(list, (unsigned int)index)
					   : NULL;
	for (int i = 0; i < config_setting_length(list); i++) {
		config_setting_t *element = config_setting_get_elem(list, (unsigned int)i);
		const char *name;
		if (config_setting_is_group(element) &&
			config_setting_lookup_string(element, "name", &name) &&
			strcmp(name, component) == 0)
			return element;
	}
	return NULL;
}

static config_setting_t *step(config_setting_t *from, const char *component, const char *set)
{
	if (config_setting_is_list(from))
		return element_find(from, component);
	if (!config_setting_is_group(from))
		return NULL;
	config_setting_t *member = config_setting_get_member(from, component);
	if (member)
		return member;
	member = config_setting_add(from, component, CONFIG_TYPE_GROUP);
	if (member)
		config_setting_set_hook(member, (void *)(uintptr_t)set);
	return member;
}

// Syntax that libconfig does not take is a string.
bool cfg_value_put(
	config_setting_t *parent, const char *key, const char *text, const char *where)
{
	config_t scratch;
	char *line = NULL;
	bool done = false;

	config_init(&scratch);
	if (asprintf(&line, "v = %s ;", text) < 0)
		line = NULL;
	if (line) {
		const config_setting_t *value = NULL;
		// Whoever overrides from a shell does not mean to include a file.
		if (!strchr(text, '@') && config_read_string(&scratch, line) == CONFIG_TRUE &&
			config_setting_length(config_root_setting(&scratch)) == 1)
			value = config_lookup(&scratch, "v");
		if (!value) {
			config_setting_t *string = config_setting_add(
				config_root_setting(&scratch), "s", CONFIG_TYPE_STRING);
			if (string && config_setting_set_string(string, text))
				value = string;
		}
		config_setting_remove(parent, key);
		done = value && value_copy(parent, key, value);
	}
	if (done)
		config_setting_set_hook(
			config_setting_get_member(parent, key), (void *)(uintptr_t)where);
	free(line);
	config_destroy(&scratch);
	return done;
}

void cfg_apply_set(struct cfg_reader *reader, const char *set)
{
	const char *equals = strchr(set, '=');
	config_setting_t *at = config_root_setting(&reader->config);
	char path[256];

	if (!equals || equals == set || (size_t)(equals - set) >= sizeof(path)) {
		td_faults_add(reader->faults,
			"--set %.*s: found no PATH=VALUE, expected such as limits.calls=100",
			cfg_set_shown(set), set);
		return;
	}
	td_span_cstr(td_span(set, (size_t)(equals - set)), path, sizeof(path));
	char *save, *component = strtok_r(path, ".", &save);
	for (char *next; at && component && (next = strtok_r(NULL, ".", &save)); component = next)
		at = step(at, component, set);
	if (!at || !component || !config_setting_is_group(at) ||
		!cfg_value_put(at, component, equals + 1, set))
		td_faults_add(reader->faults,
			"--set %.*s: found no such place in the configuration, expected keys "
			"joined by dots, elements of a list by index or name",
			cfg_set_shown(set), set);
}
