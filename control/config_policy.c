// SPDX-License-Identifier: BSD-3-Clause
// The last check: the policy is compiled as the data plane will compile it, so that what stays
// ambiguous there, or does not fit the frame that takes it there, is refused here, before it is
// pushed.
#include "control/config.h"
#include "control/config_schema.h"
#include "control/policy_pb.h"

#include "sip/policy.h"

#include <stdio.h>
#include <stdlib.h>

static uint32_t any_slot(void *ctx, enum td_limit_kind kind, const char *name)
{
	return 0; // slots are the data plane's; compiling needs only that there is one
}

static int realm_index(void *ctx, const char *realm_name)
{
	const struct td_config *conf = ctx;

	for (uint8_t i = 0; i < conf->n_realms; i++)
		if (strcmp(conf->realms[i].name, realm_name) == 0)
			return i;
	return -1;
}

static const char *registrar_realm(void *ctx, uint16_t realm)
{
	const struct td_config *conf = ctx;

	return conf->realms[realm].registrar.n_domains > 0 ? conf->realms[realm].name : NULL;
}

void td_config_policy_env(struct td_config *conf, struct td_policy_env *out)
{
	*out = (struct td_policy_env){ .slot_of = any_slot,
		.realm_of = realm_index,
		.ctx = conf,
		.registrar_realm = registrar_realm,
		.n_realms = conf->n_realms };
}

static bool fits(const struct td_policy_conf *policy, char *words, size_t cap)
{
	size_t len = 0;
	uint8_t *bytes = td_policy_pack(policy, &len);
	bool good = bytes && len <= TD_POLICY_BYTES_MAX;

	if (bytes && !good)
		snprintf(words, cap,
			"trunks, groups and routes take %zu MiB, expected at most %u: so many "
			"routes belong in a dial plan (tandemctl route load)",
			(len >> 20) + 1, TD_POLICY_BYTES_MAX >> 20);
	else if (!bytes)
		snprintf(words, cap, "no memory for the policy");
	free(bytes);
	return good;
}

void cfg_policy_check(struct cfg_reader *reader)
{
	struct td_policy_env env;
	const config_setting_t *trunks = config_lookup(&reader->config, "trunks");
	char words[256] = "";

	td_config_policy_env(reader->conf, &env);
	struct td_policy *policy = td_policy_new(&reader->conf->policy, &env, words, sizeof(words));

	if (!policy || !fits(&reader->conf->policy, words, sizeof(words)))
		cfg_fault_text(reader, trunks ? trunks : config_root_setting(&reader->config), "%s",
			words);
	td_policy_free(policy);
}
