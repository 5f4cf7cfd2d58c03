// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/realm_table.h"

#include <errno.h>
#include <stdlib.h>

#define FACTORS 64
#define FACTOR_FIRST 0x9e3779b97f4a7c15u
#define FACTOR_STEP 0xd1342543de82ef95u

static void address_words(const struct td_sockaddr *ip, uint64_t *hi, uint64_t *lo)
{
	uint32_t word;

	if (ip->family == TD_IPV4) {
		memcpy(&word, ip->ip, sizeof(word));
		*hi = 0;
		*lo = word;
	} else {
		memcpy(hi, ip->ip, 8);
		memcpy(lo, ip->ip + 8, 8);
	}
}

const struct td_realm_entry *td_realm_find_ip(
	const struct td_realm_table *t, uint16_t port, uint16_t vlan, const struct td_sockaddr *ip)
{
	uint64_t hi, lo;

	address_words(ip, &hi, &lo);
	return td_realm_find(t, td_realm_key(port, vlan, ip->family), hi, lo);
}

bool td_realm_vlan_known(const struct td_dataplane *dp, uint16_t port, uint16_t vlan)
{
	for (uint16_t i = 0; i < dp->n_realms; i++)
		if (dp->realms[i].port == port && dp->realms[i].conf.vlan == vlan)
			return true;
	return false;
}

int td_realm_on_link(const struct td_realm_conf *realm, const struct td_sockaddr *ip)
{
	for (uint8_t i = 0; i < realm->n_addresses; i++) {
		const struct td_realm_address *a = &realm->addresses[i];
		struct td_prefix prefix = { .family = a->ip.family, .len = a->prefix_len };
		memcpy(prefix.ip, a->ip.ip, sizeof(prefix.ip));
		if (td_prefix_has(&prefix, ip))
			return i;
	}
	return -1;
}

static void table_put(struct td_realm_table *t, const struct td_realm_entry *e)
{
	uint32_t i = td_realm_hash(t->factor, e->key[0], e->key[1], e->key[2]);

	while (t->slots[i].key[0] != 0)
		i = (i + 1) % TD_REALM_TABLE_SLOTS;
	t->slots[i] = *e;
	t->used[i / 64] |= 1ull << (i % 64);
}

static int table_add(
	struct td_realm_table *t, const struct td_realm *realm, uint16_t index, uint8_t address)
{
	const struct td_realm_address *a = &realm->conf.addresses[address];
	uint64_t key = td_realm_key(realm->port, realm->conf.vlan, a->ip.family);
	uint64_t hi, lo;

	address_words(&a->ip, &hi, &lo);
	if (td_realm_find(t, key, hi, lo))
		return -EEXIST;
	struct td_realm_entry e = {
		.key = { key, hi, lo },
		.realm = index,
		.address = address,
	};
	if (a->media && realm->conf.media_port_min <= realm->conf.media_port_max) {
		e.media_min = realm->conf.media_port_min;
		e.media_span = realm->conf.media_port_max - realm->conf.media_port_min;
	}
	table_put(t, &e);
	return 0;
}

static uint32_t table_displaced(const struct td_realm_table *t)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < TD_REALM_TABLE_SLOTS; i++) {
		const uint64_t *key = t->slots[i].key;
		n += key[0] != 0 && td_realm_hash(t->factor, key[0], key[1], key[2]) != i;
	}
	return n;
}

// Which address comes next is nobody's guess, so that a second probe is a branch that the CPU
// predicts wrongly: a few other factors are tried for one with which there is none.
static void table_spread(struct td_realm_table *t)
{
	struct td_realm_table *other = malloc(sizeof(*other));
	uint32_t best = table_displaced(t);
	uint64_t factor = t->factor;

	for (int i = 0; other && best > 0 && i < FACTORS; i++) {
		factor *= FACTOR_STEP; // odd times odd stays odd
		memset(other, 0, sizeof(*other));
		other->factor = factor;
		for (uint32_t s = 0; s < TD_REALM_TABLE_SLOTS; s++)
			if (t->slots[s].key[0] != 0)
				table_put(other, &t->slots[s]);
		uint32_t displaced = table_displaced(other);
		if (displaced < best) {
			best = displaced;
			*t = *other;
		}
	}
	free(other);
}

static int realm_fill(struct td_dataplane *dp, uint16_t index)
{
	struct td_realm *realm = &dp->realms[index];

	realm->conf = dp->conf.realms[index];
	for (uint16_t p = 0; p < dp->n_ports; p++) {
		if (strcmp(dp->ports[p].conf.name, realm->conf.port) != 0)
			continue;
		realm->port = p;
		realm->mtu = dp->ports[p].mtu;
		if (realm->conf.mtu != 0 && realm->conf.mtu < realm->mtu)
			realm->mtu = realm->conf.mtu;
		return 0;
	}
	return -ENOENT;
}

int td_realm_table_create(struct td_dataplane *dp, uint16_t *bad)
{
	static_assert(
		TD_REALM_TABLE_SLOTS > 2 * TD_REALMS_MAX * TD_REALM_ADDRS_MAX, "probing ends");
	struct td_realm_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->factor = FACTOR_FIRST;
	dp->realm_table = t;
	dp->n_realms = dp->conf.n_realms;
	for (uint16_t i = 0; i < dp->n_realms; i++) {
		*bad = i;
		int err = realm_fill(dp, i);
		for (uint8_t a = 0; err == 0 && a < dp->realms[i].conf.n_addresses; a++)
			err = table_add(t, &dp->realms[i], i, a);
		if (err != 0) {
			td_realm_table_destroy(dp);
			return err;
		}
	}
	table_spread(t);
	return 0;
}

void td_realm_table_destroy(struct td_dataplane *dp)
{
	free(dp->realm_table);
	dp->realm_table = NULL;
}
