// SPDX-License-Identifier: BSD-3-Clause
// The registrar as a target: the contacts of the AoR or number that is called, in the place of the
// target. Those of one q ring together, then those of the next (§16.6, §16.7); each is reached over
// the flow that it registered on, and no other. A phone with several flows rings over one of them
// at a time (RFC 5626 §5.3).
#include "sip/call_priv.h"

#include "sip/aor.h"
#include "sip/subscribers.h"

#include <errno.h>

enum { CAUSE_ABSENT = 20 };

static enum td_answer locate(struct td_call *call, enum call_locating by, struct td_span who,
	struct td_locate_answer *out)
{
	const struct td_engine_conf *conf = &call->engine->conf;

	out->sip_code = 404;
	if (!conf->ops->locate || who.len == 0)
		return TD_REFUSED;
	enum td_answer answer = conf->ops->locate(conf->host, who, call_cookie(call), out);
	call->locating = answer == TD_PENDING ? by : LOCATE_NONE;
	return answer;
}

// What A called, as the rules have made it.
static void uri_called(struct td_call *call, const struct td_core *core, struct td_uri *uri,
	char escaped[NUMBER_ESCAPED_MAX])
{
	*uri = core->uri;
	if (call->numbers)
		numbers_uri(call, core, &call->numbers->callee, uri, escaped);
}

static enum td_answer locate_aor(
	struct td_call *call, const struct td_core *core, struct td_locate_answer *out)
{
	char text[TD_AOR_LEN], escaped[NUMBER_ESCAPED_MAX];
	struct td_uri uri;

	uri_called(call, core, &uri, escaped);
	int len = td_aor_make(&uri, text);
	return locate(call, LOCATE_AOR, td_span(text, len > 0 ? (size_t)len : 0), out);
}

static enum td_answer locate_number(
	struct td_call *call, const struct td_core *core, struct td_locate_answer *out)
{
	char text[CALL_NUMBER_MAX + 1], escaped[NUMBER_ESCAPED_MAX];
	struct td_uri uri;

	uri_called(call, core, &uri, escaped);
	return locate(call, LOCATE_NUMBER, td_span(text, call_number(&uri, text)), out);
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

void contact_free(struct td_engine *engine, struct td_call_contact *contact)
{
	while (contact) {
		struct td_call_contact *next = contact->next;
		td_slab_put(engine->slab, (char *)contact);
		contact = next;
	}
}

// Points the target at its contact, by the trunk of the subscribers of the flow's realm. false:
// there is none.
static bool target_follow(struct td_engine *engine, struct td_call_target *target)
{
	const struct td_flow *flow = &target->contact->flow;
	int trunk = engine->policy ? td_policy_subscribers(engine->policy, flow->realm) : -1;

	if (trunk < 0)
		return false;
	trunk_ref_set(&target->trunk, td_policy_trunk(engine->policy, (uint32_t)trunk),
		(uint32_t)trunk);
	target->peer = flow->remote;
	return true;
}

// One target more. NULL: it cannot be.
static struct td_call_target *contact_add(struct td_call *call, const struct td_call_target *aor,
	const struct td_contact *contact, bool together)
{
	struct td_engine *engine = call->engine;
	struct td_call_target *target = &call->targets[call->n_targets];

	if (call->n_targets == TD_ATTEMPTS_MAX)
		return NULL;
	*target = (struct td_call_target){ .kind = TARGET_CONTACT,
		.together = together,
		.failover = aor->failover,
		.group = aor->group,
		.limit = aor->limit,
		.max_duration_s = aor->max_duration_s,
		.contact = contact_keep(engine, contact) };
	memcpy(target->route, aor->route, sizeof(target->route));
	if (!target->contact)
		return NULL;
	if (!target_follow(engine, target)) {
		contact_free(engine, target->contact);
		return NULL;
	}
	call->n_targets++;
	return target;
}

// Another flow behind those that the phone has already; without memory there is one less.
static void flow_add(
	struct td_call *call, struct td_call_target *target, const struct td_contact *contact)
{
	struct td_call_contact **end = &target->contact;

	while (*end)
		end = &(*end)->next;
	*end = contact_keep(call->engine, contact);
}

bool contact_next_flow(struct td_call *call, struct td_call_target *target)
{
	while (target->contact && target->contact->next) {
		struct td_call_contact *failed = target->contact;
		target->contact = failed->next;
		failed->next = NULL;
		contact_free(call->engine, failed);
		if (target_follow(call->engine, target))
			return true;
	}
	return false;
}

// The target that is another flow of contact i's phone; NULL: there is none.
static struct td_call_target *phone_find(const struct td_locate_answer *located,
	struct td_call_target *const made[], uint16_t i)
{
	for (uint16_t j = 0; j < i; j++)
		if (made[j] && td_contact_same_instance(
				       &located->contacts[j], &located->contacts[i]))
			return made[j];
	return NULL;
}

// Puts the contacts before the targets that are left; what finds no room is left out.
static void contacts_insert(struct td_call *call, const struct td_locate_answer *located)
{
	struct td_call_target left[TD_ATTEMPTS_MAX];
	struct td_call_target aor = call->targets[call->next_target - 1];
	uint8_t at = call->next_target, n_left = (uint8_t)(call->n_targets - at);
	struct td_call_target *made[TD_CONTACTS_MAX];
	int q = -1;

	memcpy(left, call->targets + at, n_left * sizeof(left[0]));
	call->n_targets = at;
	for (uint16_t i = 0; i < located->n && i < TD_CONTACTS_MAX; i++) {
		const struct td_contact *contact = &located->contacts[i];
		made[i] = phone_find(located, made, i);
		if (made[i]) {
			flow_add(call, made[i], contact);
			continue;
		}
		made[i] = contact_add(call, &aor, contact, contact->q == q);
		if (made[i])
			q = contact->q;
	}
	for (uint8_t i = 0; i < n_left && call->n_targets < TD_ATTEMPTS_MAX; i++)
		call->targets[call->n_targets++] = left[i];
}

void callee_release(struct td_call *call)
{
	if (call->callee_held && call->callee_fresh)
		td_subscriber_cancel(call->engine->conf.subscribers, call->callee_slot);
	else if (call->callee_held)
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
	call->callee_fresh = !call->emergency && callee->limit.max_cps > 0;
	return 0;
}

static bool is_nobodys(enum td_answer answer, const struct td_locate_answer *located)
{
	return answer == TD_REFUSED && located->sip_code == 404;
}

// The status that says why nobody is there; 0: the registrar knows nobody of that name.
static uint16_t contacts_refused(
	struct td_call *call, enum td_answer answer, const struct td_locate_answer *located)
{
	if (is_nobodys(answer, located)) {
		call->nobody = true;
		return 0;
	}
	if (answer == TD_REFUSED && located->sip_code == 503) {
		call->best_cause = CAUSE_CONGESTION;
		return 503;
	}
	call->best_cause = CAUSE_ABSENT;
	return 480;
}

static uint16_t contacts_take(
	struct td_call *call, enum td_answer answer, const struct td_locate_answer *located)
{
	if (answer == TD_PENDING) {
		call_timer_question(call);
		return CONTACTS_PENDING;
	}
	if (answer != TD_DONE || located->n == 0)
		return contacts_refused(call, answer, located);
	uint16_t status = callee_acquire(call, located->subscriber);
	if (status != 0) {
		call->best_cause = td_cause_of_status(status);
		return status;
	}
	contacts_insert(call, located);
	return 0;
}

// By AoR, then by number: a carrier's Request-URI names our address, not the domain.
uint16_t contacts_expand(struct td_call *call, const struct td_core *core)
{
	struct td_locate_answer located = { 0 };
	enum td_answer answer = locate_aor(call, core, &located);

	if (is_nobodys(answer, &located))
		answer = locate_number(call, core, &located);
	return contacts_take(call, answer, &located);
}

uint16_t contacts_located(struct td_call *call, const struct td_core *core,
	const struct td_locate_answer *late, enum td_answer answer)
{
	struct td_locate_answer located = { 0 };
	bool by_aor = call->locating == LOCATE_AOR;

	call->locating = LOCATE_NONE;
	call_timer_setup(call);
	if (!by_aor || !is_nobodys(answer, late))
		return contacts_take(call, answer, late);
	answer = locate_number(call, core, &located);
	return contacts_take(call, answer, &located);
}
