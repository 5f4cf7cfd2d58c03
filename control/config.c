// SPDX-License-Identifier: BSD-3-Clause
#include "control/config.h"

#include "control/config_schema.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <sys/stat.h>

// Checks the parsed tree and hands its content over.
static int config_take(
	struct cfg_reader *reader, const char *const *sets, int n_sets, struct td_config **out)
{
	uint32_t before = reader->faults->n;

	reader->conf = calloc(1, sizeof(*reader->conf));
	if (!reader->conf) {
		td_faults_add(reader->faults, "%s: no memory", reader->name);
		return -EINVAL;
	}
	for (int i = 0; i < n_sets; i++)
		cfg_apply_set(reader, sets[i]);
	cfg_read_fields(reader, config_root_setting(&reader->config), cfg_top, reader->conf);
	cfg_cross_check(reader);
	reader->conf->policy.max_calls = reader->conf->max_calls;
	reader->conf->policy.max_cps = reader->conf->max_cps;
	reader->conf->policy.cps_burst = reader->conf->cps_burst;
	reader->conf->policy.source_cps = reader->conf->source_cps;
	reader->conf->policy.drain_s = reader->conf->drain_s;
	if (reader->faults->n == before)
		cfg_policy_check(reader);
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

// libconfig ends the process where a file opens but does not read, so a directory never gets there.
static bool readable(const char *path, struct td_faults *faults)
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
	return true;
}

// What a file includes lies beside it.
static void file_prepare(config_t *config, const char *path)
{
	char folder[4096];

	config_init(config);
	td_span_cstr(td_span_str(path), folder, sizeof(folder));
	config_set_include_dir(config, dirname(folder));
}

int td_config_load(const char *path, const char *const *sets, int n_sets, struct td_config **out,
	struct td_faults *faults)
{
	struct cfg_reader reader = { .name = path, .faults = faults };
	int rc;

	if (!readable(path, faults))
		return -EINVAL;
	file_prepare(&reader.config, path);
	if (config_read_file(&reader.config, path) == CONFIG_TRUE)
		rc = config_take(&reader, sets, n_sets, out);
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
		rc = config_take(&reader, sets, n_sets, out);
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

	if (!readable(path, faults))
		return -EINVAL;
	file_prepare(&reader.config, path);
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
	free(conf);
}
