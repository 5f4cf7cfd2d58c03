// SPDX-License-Identifier: BSD-3-Clause
// What realms say of numbers, and where it is filled in: a part that a trunk, or the subscribers,
// do not say themselves is what their realm says. It stands in the policy, so that a reload takes
// it like a trunk's own, and the data plane finds it in the trunk.
#include "control/config_schema.h"

#include <stdlib.h>

#define PART(path, field)                                                                          \
	{                                                                                          \
		path, offsetof(struct td_numbers_conf, field),                                     \
			sizeof(((struct td_numbers_conf *)0)->field)                               \
	}
static const struct {
	const char *path; // in the group that says it
	size_t offset, bytes;
} parts[TD_PARTS] = {
	[TD_PART_FORM] = PART("number", form),
	[TD_PART_IN_CALLER] = PART("rules.in.caller", in.caller),
	[TD_PART_IN_CALLEE] = PART("rules.in.callee", in.callee),
	[TD_PART_OUT_CALLER] = PART("rules.out.caller", out.caller),
	[TD_PART_OUT_CALLEE] = PART("rules.out.callee", out.callee),
	[TD_PART_SHOWN_IN] = PART("caller_id.in", caller_in),
	[TD_PART_SHOWN_OUT] = PART("caller_id.out", caller_out),
};

static const struct td_numbers_conf nothing;

bool cfg_realm_numbers_begin(struct cfg_reader *reader)
{
	struct td_policy_conf *policy = &reader->conf->policy;

	policy->realms = calloc(TD_REALMS_MAX, sizeof(*policy->realms));
	if (!policy->realms)
		td_faults_add(reader->faults, "%s: no memory", reader->name);
	return policy->realms != NULL;
}

void *cfg_realm_numbers(struct cfg_reader *reader, void *record)
{
	struct td_config *conf = reader->conf;

	return &conf->policy.realms[(struct td_realm_conf *)record - conf->realms].numbers;
}

// own: the group that may say a part itself, be it nothing; NULL: there is none.
static void numbers_fill(
	config_setting_t *own, const struct td_numbers_conf *realm, struct td_numbers_conf *out)
{
	for (uint8_t i = 0; i < TD_PARTS; i++) {
		const char *from = (const char *)realm + parts[i].offset;
		if (memcmp(from, (const char *)&nothing + parts[i].offset, parts[i].bytes) == 0 ||
			(own && config_setting_lookup(own, parts[i].path)))
			continue;
		memcpy((char *)out + parts[i].offset, from, parts[i].bytes);
		out->from_realm |= (uint8_t)(1u << i);
	}
}

static void trunks_fill(struct cfg_reader *reader)
{
	struct td_policy_conf *policy = &reader->conf->policy;
	const config_setting_t *trunks = config_lookup(&reader->config, "trunks");

	for (uint32_t i = 0; i < policy->n_trunks; i++) {
		struct td_trunk_conf *trunk = &policy->trunks[i];
		for (uint32_t r = 0; r < policy->n_realms; r++)
			if (strcmp(policy->realms[r].realm, trunk->realm) == 0)
				numbers_fill(config_setting_get_elem(trunks, i),
					&policy->realms[r].numbers, &trunk->numbers);
	}
}

// Those that say something come together at the front.
static void realms_pack(struct cfg_reader *reader)
{
	struct td_config *conf = reader->conf;
	struct td_policy_conf *policy = &conf->policy;
	config_setting_t *subscribers = config_lookup(&reader->config, "subscribers");

	for (uint8_t i = 0; i < conf->n_realms; i++) {
		struct td_realm_numbers_conf one = policy->realms[i];
		if (memcmp(&one.numbers, &nothing, sizeof(nothing)) == 0)
			continue;
		td_span_cstr(td_span_str(conf->realms[i].name), one.realm, sizeof(one.realm));
		if (conf->realms[i].registrar.n_domains > 0) {
			one.subscribers = policy->subscribers;
			numbers_fill(subscribers, &one.numbers, &one.subscribers);
		}
		policy->realms[policy->n_realms++] = one;
	}
}

void cfg_realm_numbers_fill(struct cfg_reader *reader)
{
	realms_pack(reader);
	trunks_fill(reader);
}
