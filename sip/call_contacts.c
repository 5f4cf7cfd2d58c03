// SPDX-License-Identifier: BSD-3-Clause
// The registrar as a target: the contacts of the AoR or number that is called, in the place of the
// target. Those of one q ring together, then those of the next (§16.6, §16.7); each is reached over
// the flow that it registered on, and no other.
#include "sip/call_priv.h"

#include "sip/aor.h"
#include "sip/subscribers.h"

#include <errno.h>

enum { CAUSE_ABSENT = 20 };

// Asks by AoR, then by number: a carrier's Request-URI names our address, not the domain.
static enum td_answer contacts_locate(
	struct td_call *call, const struct td_core *core, struct td_locate_answer *out)
{
	const struct td_engine_conf *conf = &call->engine->conf;
	char text[CALL_NUMBER_MAX + 1 > TD_AOR_LEN ? CALL_NUMBER_MAX + 1 : TD_AOR_LEN];
	char escaped[NUMBER_ESCAPED_MAX];
	struct td_uri uri = core->uri;
	enum td_answer answer = TD_REFUSED;

	if (call->numbers)
		numbers_uri(call, core, &call->numbers->callee, &uri, escaped);
	int len = td_aor_make(&uri, text);

	out->sip_code = 404;
	if (!conf->ops->locate)
		return TD_REFUSED;
	if (len > 0)
		answer = conf->ops->locate(
			conf->host, td_span(text, (size_t)len), call_cookie(call), out);
	if (answer != TD_REFUSED || out->sip_code != 404)
		return answer;
	uint32_t digits = call_number(&uri, text);
	return digits > 0 ? conf->ops->locate(
				    conf->host, td_span(text, digits), call_cookie(call), out)
			  : TD_REFUSED;
}

static struct td_span keep(struct td_writer *out, struct td_span text)
{
	char *start = out->pos;

	td_put_span(out, text);
	return td_span(start, (size_t)(out->pos - start));
}

static struct td_call_contact *contact_keep(
	struct td_engine *engine, const struct td_contact *contact)
{
	struct td_span domain = call_aor_domain(contact->aor);
	uint32_t bytes = (uint32_t)sizeof(struct td_call_contact) + contact->uri.len +
			 contact->path.len + domain.len;
	char *block = td_slab_get(engine->slab, bytes);

	if (!block)
		return NULL;
	struct td_call_contact *kept = (struct td_call_contact *)(void *)block;
	struct td_writer out = { block, block + sizeof(*kept), block + bytes, false };
	*kept = (struct td_call_contact){ .flow = contact->flow };
	kept->uri = keep(&out, contact->uri);
	kept->path = keep(&out, contact->path);
	kept->domain = keep(&out, domain);
	return kept;
}

// One target more, in the trunk of the subscribers of its flow's realm. false: it cannot be.
static bool contact_add(struct td_call *call, const struct td_call_target *aor,
	const struct td_contact *contact, bool together)
{
	struct td_engine *engine = call->engine;
	int trunk = engine->policy ? td_policy_subscribers(engine->policy, contact->flow.realm)
				   : -1;
	struct td_call_target *target = &call->targets[call->n_targets];

	if (trunk < 0 || call->n_targets == TD_ATTEMPTS_MAX)
		return false;
	*target = (struct td_call_target){ .kind = TARGET_CONTACT,
		.together = together,
		.failover = aor->failover,
		.group = aor->group,
		.limit = aor->limit,
		.max_duration_s = aor->max_duration_s,
		.contact = contact_keep(engine, contact) };
	memcpy(target->route, aor->route, sizeof(target->route));
	if (!target->contact)
		return false;
	trunk_ref_set(&target->trunk, td_policy_trunk(engine->policy, (uint32_t)trunk),
		(uint32_t)trunk);
	target->peer = contact->flow.remote;
	call->n_targets++;
	return true;
}

// Puts the contacts before the targets that are left; what finds no room is left out.
static void contacts_insert(struct td_call *call, const struct td_locate_answer *located)
{
	struct td_call_target left[TD_ATTEMPTS_MAX];
	struct td_call_target aor = call->targets[call->next_target - 1];
	uint8_t at = call->next_target, n_left = (uint8_t)(call->n_targets - at);
	int q = -1;

	memcpy(left, call->targets + at, n_left * sizeof(left[0]));
	call->n_targets = at;
	for (uint16_t i = 0; i < located->n && i < TD_CONTACTS_MAX; i++)
		if (contact_add(call, &aor, &located->contacts[i], located->contacts[i].q == q))
			q = located->contacts[i].q;
	for (uint8_t i = 0; i < n_left && call->n_targets < TD_ATTEMPTS_MAX; i++)
		call->targets[call->n_targets++] = left[i];
}

void callee_release(struct td_call *call)
{
	if (call->callee_held)
		td_subscriber_release(call->engine->conf.subscribers, call->callee_slot);
	call->callee_held = false;
}

// 0, or the status that refuses one more call to that subscriber.
static uint16_t callee_acquire(struct td_call *call, const struct td_subscriber_entry *callee)
{
	callee_release(call);
	if (!callee)
		return 0;
	int rc = subscriber_acquire(call->engine, callee, !call->emergency);
	if (rc != 0)
		return rc == -EDQUOT ? 486 : 503;
	call->callee_slot = callee->slot;
	call->callee_held = true;
	return 0;
}

uint16_t contacts_expand(struct td_call *call, const struct td_core *core)
{
	struct td_locate_answer located = { 0 };
	enum td_answer answer = contacts_locate(call, core, &located);

	if (answer == TD_REFUSED && located.sip_code == 404) {
		call->nobody = true;
		return 0;
	}
	if (answer == TD_REFUSED && located.sip_code == 503) {
		call->best_cause = CAUSE_CONGESTION;
		return 503;
	}
	if (answer != TD_DONE || located.n == 0) {
		call->best_cause = CAUSE_ABSENT;
		return 480;
	}
	uint16_t status = callee_acquire(call, located.subscriber);
	if (status != 0) {
		call->best_cause = td_cause_of_status(status);
		return status;
	}
	contacts_insert(call, &located);
	return 0;
}
