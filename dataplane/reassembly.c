// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/reassembly.h"

#include <rte_ip.h>
#include <rte_malloc.h>

#include <errno.h>

#define UNITS (65536 / 8) // offsets count 8 bytes
#define UNITS_WORDS (UNITS / 64)

// Everything by which the fragments of one datagram are known (RFC 791, RFC 8200 §4.5).
struct key {
	struct td_sockaddr src, dst;
	uint32_t id;
	uint16_t realm, port, vlan;
	// Not of IPv6, where fragments may differ in it and the first one's counts.
	uint8_t protocol;
	uint8_t family;
};

static_assert(sizeof(struct key) == 52, "compared as bytes");

struct datagram {
	struct key key;
	uint64_t due_ns; // 0: free
	struct rte_mbuf *m; // NULL: condemned, what still comes is dropped
	uint32_t total;  // bytes of data, known from the last fragment; 0: not yet
	uint32_t have;   // bytes that came
	uint32_t reach;  // where the furthest of them ends
	uint8_t protocol;
	uint64_t units[UNITS_WORDS];
};

struct td_reassembly {
	uint32_t live;
	uint64_t next_due_ns;
	uint64_t tags[TD_REASSEMBLY_MAX]; // short form of the keys: one line is enough to say no
	struct datagram datagrams[TD_REASSEMBLY_MAX];
};

int td_reassembly_create(struct td_worker *w, int socket)
{
	w->reassembly = rte_zmalloc_socket("reassembly", sizeof(*w->reassembly), 64, socket);
	return w->reassembly ? 0 : -ENOMEM;
}

void td_reassembly_destroy(struct td_worker *w)
{
	for (int i = 0; w->reassembly && i < TD_REASSEMBLY_MAX; i++)
		rte_pktmbuf_free(w->reassembly->datagrams[i].m);
	rte_free(w->reassembly);
	w->reassembly = NULL;
}

uint32_t td_reassembly_held(const struct td_worker *w)
{
	uint32_t n = 0;

	for (int i = 0; w->reassembly && i < TD_REASSEMBLY_MAX; i++)
		n += w->reassembly->datagrams[i].m != NULL;
	return n;
}

static uint64_t key_tag(const struct key *k)
{
	const uint8_t *p = (const uint8_t *)k;
	uint64_t tag = 0, word;

	for (size_t i = 0; i + 8 <= sizeof(*k); i += 8) {
		memcpy(&word, p + i, sizeof(word));
		tag = (tag ^ word) * 0x9e3779b97f4a7c15u;
	}
	uint32_t last;
	memcpy(&last, p + sizeof(*k) - sizeof(last), sizeof(last));
	return ((tag ^ last) * 0x9e3779b97f4a7c15u) | 1; // 0 is a free place
}

static void datagram_end(struct td_reassembly *r, struct datagram *d)
{
	r->tags[d - r->datagrams] = 0;
	d->due_ns = 0;
	d->m = NULL;
	r->live--;
}

static void datagram_drop(struct td_worker *w, struct datagram *d, enum td_counter why)
{
	if (d->m)
		td_worker_drop(w, d->m, why);
	datagram_end(w->reassembly, d);
}

uint64_t td_reassembly_age(struct td_worker *w)
{
	struct td_reassembly *r = w->reassembly;
	uint64_t next = UINT64_MAX;

	if (!r || r->live == 0)
		return UINT64_MAX;
	if (w->now_ns < r->next_due_ns)
		return r->next_due_ns;
	for (int i = 0; i < TD_REASSEMBLY_MAX; i++) {
		struct datagram *d = &r->datagrams[i];
		if (d->due_ns != 0 && d->due_ns <= w->now_ns)
			datagram_drop(w, d, TD_C_IP_FRAGMENT_TIMEOUT);
		else if (d->due_ns != 0 && d->due_ns < next)
			next = d->due_ns;
	}
	r->next_due_ns = next;
	return next;
}

// A free place, or that of the oldest: under a flood of first fragments what is sent at once still
// gets through, because its pieces come one after the other.
static struct datagram *datagram_place(struct td_worker *w)
{
	struct td_reassembly *r = w->reassembly;
	struct datagram *oldest = &r->datagrams[0];

	for (int i = 0; i < TD_REASSEMBLY_MAX; i++) {
		if (r->datagrams[i].due_ns == 0)
			return &r->datagrams[i];
		if (r->datagrams[i].due_ns < oldest->due_ns)
			oldest = &r->datagrams[i];
	}
	datagram_drop(w, oldest, TD_C_IP_FRAGMENT_FULL);
	return oldest;
}

static uint16_t header_len(uint8_t family)
{
	return family == TD_IPV4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr);
}

static struct datagram *datagram_new(struct td_worker *w, const struct key *key, uint64_t tag)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(w->big_mbufs);

	if (!m)
		return NULL;
	struct datagram *d = datagram_place(w);
	struct td_reassembly *r = w->reassembly;
	memset(d, 0, sizeof(*d));
	d->key = *key;
	d->m = m;
	d->due_ns = w->now_ns + TD_REASSEMBLY_NS;
	r->tags[d - r->datagrams] = tag;
	if (r->live++ == 0 || d->due_ns < r->next_due_ns)
		r->next_due_ns = d->due_ns;
	return d;
}

static struct datagram *datagram_find(struct td_reassembly *r, const struct key *key, uint64_t tag)
{
	for (int i = 0; i < TD_REASSEMBLY_MAX; i++)
		if (r->tags[i] == tag && memcmp(&r->datagrams[i].key, key, sizeof(*key)) == 0)
			return &r->datagrams[i];
	return NULL;
}

// Units of [first, first + n) that came already.
static uint32_t units_count(const struct datagram *d, uint32_t first, uint32_t n)
{
	uint32_t set = 0;

	for (uint32_t u = first; u < first + n; u++)
		set += d->units[u / 64] >> (u % 64) & 1;
	return set;
}

enum taken { TAKEN, REPEATED, CONDEMNED, TOO_BIG };

// Copies a fragment's data to its place.
static enum taken datagram_take(
	struct datagram *d, const struct rte_mbuf *m, const struct td_fragment_info *f)
{
	const struct td_packet *p = td_packet((struct rte_mbuf *)m);
	uint32_t end = (uint32_t)f->offset + f->data_len, n = (f->data_len + 7u) / 8;
	uint32_t room = rte_pktmbuf_tailroom(d->m) - RTE_ETHER_HDR_LEN - header_len(f->family);

	if (f->data_len == 0 || end > 65535 || (f->more && f->data_len % 8 != 0))
		return CONDEMNED;
	if (end > room)
		return TOO_BIG;
	if (!f->more && d->total != 0 && d->total != end)
		return CONDEMNED;
	uint32_t total = f->more ? d->total : end;
	uint32_t came = units_count(d, f->offset / 8, n);
	if (came == n) // RFC 8200 §4.5 lets an exact repetition pass; what came first stays
		return REPEATED;
	uint32_t reach = RTE_MAX(d->reach, end);
	if (came != 0 || (total != 0 && reach > total))
		return CONDEMNED;
	for (uint32_t u = f->offset / 8; u < f->offset / 8 + n; u++)
		d->units[u / 64] |= 1ull << (u % 64);
	char *base = rte_pktmbuf_mtod(d->m, char *) + RTE_ETHER_HDR_LEN;
	memcpy(base + header_len(f->family) + f->offset,
		rte_pktmbuf_mtod_offset(m, const char *, p->l4_off), f->data_len);
	if (f->offset == 0) {
		memcpy(base, rte_pktmbuf_mtod_offset(m, const char *, p->l3_off),
			header_len(f->family));
		memcpy(base - RTE_ETHER_HDR_LEN, rte_pktmbuf_mtod(m, const char *),
			RTE_ETHER_HDR_LEN - 2);
		// Past a tag.
		memcpy(base - 2, rte_pktmbuf_mtod_offset(m, const char *, p->l3_off - 2), 2);
		d->protocol = f->protocol;
		*td_packet(d->m) = *p;
	}
	d->total = total;
	d->reach = reach;
	d->have += f->data_len;
	return TAKEN;
}

// The datagram as if it had come whole, without options and without a tag.
static void datagram_deliver(struct td_worker *w, struct datagram *d)
{
	struct rte_mbuf *m = d->m;
	struct td_packet *p = td_packet(m);
	uint8_t family = d->key.family, protocol = d->protocol;
	uint16_t len = (uint16_t)d->total, head = header_len(family);
	uint8_t *l3 = rte_pktmbuf_mtod(m, uint8_t *) + RTE_ETHER_HDR_LEN;

	rte_pktmbuf_append(m, RTE_ETHER_HDR_LEN + head + len);
	if (family == TD_IPV4) {
		struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)l3;
		ip->version_ihl = 0x45;
		ip->total_length = rte_cpu_to_be_16((uint16_t)(head + len));
		ip->fragment_offset = 0;
		ip->hdr_checksum = 0;
		ip->hdr_checksum = rte_ipv4_cksum(ip);
	} else {
		struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)l3;
		ip->proto = protocol;
		ip->payload_len = rte_cpu_to_be_16(len);
	}
	p->l3_off = RTE_ETHER_HDR_LEN;
	p->l4_off = RTE_ETHER_HDR_LEN + head;
	datagram_end(w->reassembly, d);
	td_l4_input(w, m, protocol, len);
}

static void fragment_key(struct key *key, struct rte_mbuf *m, const struct td_fragment_info *f)
{
	const struct td_packet *p = td_packet(m);

	*key = (struct key){
		.src = p->src,
		.dst = p->dst,
		.id = f->id,
		.realm = p->realm,
		.port = p->port,
		.vlan = p->vlan,
		.protocol = f->family == TD_IPV4 ? f->protocol : 0,
		.family = f->family,
	};
}

void td_reassembly_input(struct td_worker *w, struct rte_mbuf *m, const struct td_fragment_info *f)
{
	struct key key;

	fragment_key(&key, m, f);
	uint64_t tag = key_tag(&key);
	struct datagram *d = datagram_find(w->reassembly, &key, tag);
	bool first = !d;
	if (!d)
		d = datagram_new(w, &key, tag);
	if (!d || !d->m) {
		td_worker_drop(w, m, d ? TD_C_IP_FRAGMENT_BAD : TD_C_IP_FRAGMENT_NO_BUFFER);
		return;
	}
	enum taken taken = datagram_take(d, m, f);
	if (taken == REPEATED) {
		td_worker_drop(w, m, TD_C_IP_FRAGMENT_BAD);
	} else if (taken != TAKEN) {
		// The place stays, so that the rest of a condemned datagram finds it (RFC 5722 §4).
		enum td_counter why = taken == TOO_BIG ? TD_C_IP_TOO_BIG : TD_C_IP_FRAGMENT_BAD;
		if (first)
			rte_pktmbuf_free(d->m);
		else
			td_worker_drop(w, d->m, why);
		d->m = NULL;
		td_worker_drop(w, m, why);
	} else {
		// The first fragment lives on in the datagram, the others are merged into it.
		rte_pktmbuf_free(m);
		td_worker_count(w, TD_C_IP_FRAGMENT_MERGED, first ? 0 : 1);
		if (d->total != 0 && d->have == d->total)
			datagram_deliver(w, d);
	}
}
