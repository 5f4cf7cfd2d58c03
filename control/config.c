// SPDX-License-Identifier: BSD-3-Clause
#include "control/config.h"

#include "control/config_schema.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define INCLUDE_DEPTH 10 // libconfig's

// Checks the parsed tree and hands its content over.
static int config_take(struct cfg_reader *reader, const char *const *sets, int n_sets,
	const struct td_stored_trunk *stored, uint32_t n_stored, struct td_config **out)
{
	uint32_t before = reader->faults->n;

	reader->conf = calloc(1, sizeof(*reader->conf));
	if (!reader->conf) {
		td_faults_add(reader->faults, "%s: no memory", reader->name);
		return -EINVAL;
	}
	if (!cfg_realm_numbers_begin(reader)) {
		td_config_free(reader->conf);
		return -EINVAL;
	}
	for (int i = 0; i < n_sets; i++)
		cfg_apply_set(reader, sets[i]);
	cfg_stored_add(reader, stored, n_stored);
	cfg_read_fields(reader, config_root_setting(&reader->config), cfg_top, reader->conf);
	cfg_cross_check(reader);
	reader->conf->policy.max_calls = reader->conf->max_calls;
	reader->conf->policy.max_cps = reader->conf->max_cps;
	reader->conf->policy.cps_burst = reader->conf->cps_burst;
	reader->conf->policy.source_cps = reader->conf->source_cps;
	reader->conf->policy.drain_s = reader->conf->drain_s;
	if (reader->faults->n == before) {
		cfg_realm_numbers_fill(reader);
		cfg_policy_check(reader);
	}
	if (reader->faults->n > before) {
		td_config_free(reader->conf);
		return -EINVAL;
	}
	*out = reader->conf;
	return 0;
}

static int syntax_fault(struct cfg_reader *reader)
{
	const char *file = config_error_file(&reader->config);

	if (config_error_type(&reader->config) == CONFIG_ERR_FILE_IO)
		td_faults_add(reader->faults, "%s: cannot be read, expected a configuration file",
			reader->name);
	else
		td_faults_add(reader->faults, "%s:%d: found a %s, expected libconfig syntax",
			file ? file : reader->name, config_error_line(&reader->config),
			config_error_text(&reader->config));
	return -EINVAL;
}

// The path between the quotes of an @include, in place; NULL: the line is none.
static char *include_of(char *line)
{
	static const char word[] = "@include";

	line += strspn(line, " \t");
	if (strncmp(line, word, sizeof(word) - 1) != 0)
		return NULL;
	line += sizeof(word) - 1;
	line += strspn(line, " \t");
	if (*line++ != '"')
		return NULL;
	line[strcspn(line, "\"\n")] = '\0';
	return line;
}

static bool readable(const char *path, const char *folder, int depth, struct td_faults *faults);

// Faults of nested files that libconfig would tell anyway are left to it.
static bool includes_readable(
	const char *path, const char *folder, int depth, struct td_faults *faults)
{
	FILE *file = depth < INCLUDE_DEPTH ? fopen(path, "re") : NULL;
	char *line = NULL, *name, inner[PATH_MAX];
	size_t cap = 0;
	bool good = true;

	while (file && good && getline(&line, &cap, file) > 0) {
		if (!(name = include_of(line)))
			continue;
		snprintf(inner, sizeof(inner), "%s%s%s", name[0] == '/' ? "" : folder,
			name[0] == '/' ? "" : "/", name);
		good = access(inner, F_OK) != 0 || readable(inner, folder, depth + 1, faults);
	}
	free(line);
	if (file)
		fclose(file);
	return good;
}

// libconfig ends the process where a file opens but does not read, so a directory never gets there,
// neither by itself nor by an @include.
static bool readable(const char *path, const char *folder, int depth, struct td_faults *faults)
{
	struct stat st;

	if (stat(path, &st) != 0) {
		td_faults_add(
			faults, "%s: %s, expected a configuration file", path, strerror(errno));
		return false;
	}
	if (S_ISDIR(st.st_mode)) {
		td_faults_add(faults, "%s: is a directory, expected a configuration file", path);
		return false;
	}
	return !S_ISREG(st.st_mode) || includes_readable(path, folder, depth, faults);
}

// What a file includes lies beside it. false: it cannot be read, and nothing is to be destroyed.
static bool file_prepare(config_t *config, const char *path, struct td_faults *faults)
{
	char copy[PATH_MAX];

	td_span_cstr(td_span_str(path), copy, sizeof(copy));
	const char *folder = dirname(copy);
	if (!readable(path, folder, 0, faults))
		return false;
	config_init(config);
	config_set_include_dir(config, folder);
	return true;
}

int td_config_load(const char *path, const char *const *sets, int n_sets, struct td_config **out,
	struct td_faults *faults)
{
	return td_config_load_stored(path, sets, n_sets, NULL, 0, out, faults);
}

int td_config_load_stored(const char *path, const char *const *sets, int n_sets,
	const struct td_stored_trunk *stored, uint32_t n, struct td_config **out,
	struct td_faults *faults)
{
	struct cfg_reader reader = { .name = path, .faults = faults };
	int rc;

	if (!file_prepare(&reader.config, path, faults))
		return -EINVAL;
	if (config_read_file(&reader.config, path) == CONFIG_TRUE)
		rc = config_take(&reader, sets, n_sets, stored, n, out);
	else
		rc = syntax_fault(&reader);
	config_destroy(&reader.config);
	return rc;
}

int td_config_load_text(const char *text, const char *name, const char *const *sets, int n_sets,
	struct td_config **out, struct td_faults *faults)
{
	struct cfg_reader reader = { .name = name, .faults = faults };
	int rc;

	config_init(&reader.config);
	if (config_read_string(&reader.config, text) == CONFIG_TRUE)
		rc = config_take(&reader, sets, n_sets, NULL, 0, out);
	else
		rc = syntax_fault(&reader);
	config_destroy(&reader.config);
	return rc;
}

int td_config_run_dir(const char *path, char *dst, size_t cap, struct td_faults *faults)
{
	struct cfg_reader reader = { .name = path, .faults = faults };
	const char *run_dir = "";
	int rc = 0;

	if (!file_prepare(&reader.config, path, faults))
		return -EINVAL;
	if (config_read_file(&reader.config, path) != CONFIG_TRUE) {
		rc = syntax_fault(&reader);
	} else {
		for (const struct cfg_field *f = cfg_top; f->key; f++)
			if (strcmp(f->key, "run_dir") == 0)
				run_dir = f->text;
		config_lookup_string(&reader.config, "run_dir", &run_dir);
		td_span_cstr(td_span_str(run_dir), dst, cap);
	}
	config_destroy(&reader.config);
	return rc;
}

void td_config_free(struct td_config *conf)
{
	if (!conf)
		return;
	free(conf->policy.trunks);
	free(conf->policy.routes);
	free(conf->policy.groups);
	free(conf->policy.windows);
	free(conf->policy.failovers);
	free(conf->policy.limits);
	free(conf->policy.rules);
	free(conf->policy.plans);
	free(conf->policy.realms);
	free(conf);
}
