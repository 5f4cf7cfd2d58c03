// SPDX-License-Identifier: BSD-3-Clause
// Port, VLAN and destination address → realm and local address: the first question every packet
// asks (architecture §3).
//
// Built by main before "ready" from the configuration, read-only afterwards. A realm is one VLAN of
// one port; several realms may share it with different addresses.
#pragma once

#include "dataplane/worker.h"

struct td_realm_entry {
	uint64_t key[3]; // port, VLAN and family; the address
	uint16_t realm;
	uint8_t address; // index in the realm
	uint16_t media_min;  // UDP ports of RTP and RTCP
	// Highest less lowest; where there is no media, the range is port 0 alone.
	uint16_t media_span;
};

// > 2 × TD_REALMS_MAX × TD_REALM_ADDRS_MAX: always a free one, so probing ends.
#define TD_REALM_TABLE_SLOTS 2048

struct td_realm_table {
	uint64_t factor; // of the hash: of some, the one that leaves the fewest beside their slot
	// Slots that are not empty: nearly every address that is none of ours ends at a bit,
	// without a cache line of the slots.
	uint64_t used[TD_REALM_TABLE_SLOTS / 64];
	struct td_realm_entry slots[TD_REALM_TABLE_SLOTS];
};

// Fills dp->realms from dp->conf and makes dp->realm_table; dp->ports must be known. 0, -ENOMEM,
// -ENOENT (a realm's port is none of ours), -EEXIST (one address twice on a port and VLAN); the
// realm at fault in *bad.
int td_realm_table_create(struct td_dataplane *dp, uint16_t *bad);
void td_realm_table_destroy(struct td_dataplane *dp);

static inline uint64_t td_realm_key(uint16_t port, uint16_t vlan, uint8_t family)
{
	return (uint64_t)family << 32 | (uint64_t)port << 16 | vlan;
}

static inline uint32_t td_realm_hash(uint64_t factor, uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t h = (a ^ b ^ (c >> 32 | c << 32)) * factor;

	return (uint32_t)(h >> 53) % TD_REALM_TABLE_SLOTS;
}

// false: certainly no address of ours there.
static inline bool td_realm_perhaps(
	const struct td_realm_table *t, uint64_t key, uint64_t hi, uint64_t lo)
{
	uint32_t i = td_realm_hash(t->factor, key, hi, lo);

	return t->used[i / 64] >> (i % 64) & 1;
}

// NULL: no such address there.
static inline const struct td_realm_entry *td_realm_find(
	const struct td_realm_table *t, uint64_t key, uint64_t hi, uint64_t lo)
{
	for (uint32_t i = td_realm_hash(t->factor, key, hi, lo);;
		i = (i + 1) % TD_REALM_TABLE_SLOTS) {
		const struct td_realm_entry *e = &t->slots[i];
		if (((e->key[0] ^ key) | (e->key[1] ^ hi) | (e->key[2] ^ lo)) == 0)
			return e;
		if (e->key[0] == 0)
			return NULL;
	}
}

const struct td_realm_entry *td_realm_find_ip(
	const struct td_realm_table *t, uint16_t port, uint16_t vlan, const struct td_sockaddr *ip);
// Is there any realm on that VLAN of that port?
bool td_realm_vlan_known(const struct td_dataplane *dp, uint16_t port, uint16_t vlan);
// A local address of the realm of that family whose prefix holds ip: index, or -1.
int td_realm_on_link(const struct td_realm_conf *realm, const struct td_sockaddr *ip);
