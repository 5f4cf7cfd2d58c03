// SPDX-License-Identifier: BSD-3-Clause
// Fragments of IPv4 and IPv6 put together again, in one linear buffer (RFC 791 §3.2, RFC 8200 §4.5,
// RFC 5722).
//
// Owner: one worker. A datagram takes a big mbuf when its first fragment comes and every fragment
// is copied to its place there once; no chain is ever built. Keyed by realm: the same addresses and
// identification in two realms are two datagrams. Bounded in number and in time; an overlap
// condemns the whole datagram (RFC 5722 §4).
#pragma once

#include "dataplane/worker.h"

#define TD_REASSEMBLY_MAX 64               // datagrams in pieces at once, of one worker
#define TD_REASSEMBLY_NS 2000000000ull     // from the first fragment to the last

int td_reassembly_create(struct td_worker *w, int socket); // 0 or -ENOMEM; needs w->big_mbufs
void td_reassembly_destroy(struct td_worker *w);

// A fragment with realm, l3_off and vlan set; more: of its header. ip_len: of the header in front
// of the fragment's data, the IPv6 fragment header included; data_len as verified. Takes the mbuf.
// A datagram that is whole goes to td_l4_input().
struct td_fragment_info {
	uint8_t family;
	uint8_t protocol;
	bool more;
	uint32_t id;
	uint16_t offset;   // bytes
	uint16_t header_len;
	uint16_t data_len;
};
void td_reassembly_input(
	struct td_worker *w, struct rte_mbuf *packet, const struct td_fragment_info *info);
// Drops what is too old; at most a few entries a call. Returns when the next one is due (ns),
// UINT64_MAX: none.
uint64_t td_reassembly_age(struct td_worker *w);
// Frames of incomplete datagrams, as the balance counts them.
uint32_t td_reassembly_held(const struct td_worker *w);
