// SPDX-License-Identifier: BSD-3-Clause
// Frames off the wire, from eth_input to the stages above and to main's ARP, ND and reassembly.
// First byte: bit 0 ports trust checksums. Then frames: a byte (bit 0 port b, bit 1 a tag of VLAN
// 100 in the mbuf, bit 2 our MAC is put in, bit 3 the IPv4 header checksum is put right, bit 4 in
// two segments), two bytes of length, the frame. The host asserts that counters balance after every
// turn and that every buffer comes back.
#include "tests/unit/path_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rte_mbuf *frame_new(struct frame_buf *f, uint8_t how)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(path.frames);
	size_t first = how & 16 ? f->len / 2 : f->len;

	if ((how & 4) && f->len >= 6)
		memcpy(f->bytes, &path.dp->ports[how & 1].mac, 6);
	if ((how & 8) && f->len >= 14 + (f->bytes[14] & 15) * 4u && f->len >= 34)
		frame_ip_checksum(f, 14);
	memcpy(rte_pktmbuf_append(m, (uint16_t)first), f->bytes, first);
	if (first < f->len) {
		struct rte_mbuf *tail = rte_pktmbuf_alloc(path.frames);
		memcpy(rte_pktmbuf_append(tail, (uint16_t)(f->len - first)), f->bytes + first,
			f->len - first);
		rte_pktmbuf_chain(m, tail);
	}
	if (how & 2) {
		m->ol_flags = RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
		m->vlan_tci = 100;
	}
	return m;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct frame_buf f;
	static uint8_t out[4096];
	uint32_t frames = 0;

	if (size < 1)
		return 0;
	path_start(2, data[0] & 1 ? TD_CHECKSUM_TRUST : TD_CHECKSUM_VERIFY);
	for (size_t at = 1; at + 3 <= size && frames < 64; frames++) {
		uint8_t how = data[at];
		size_t len = (size_t)(data[at + 1] << 8 | data[at + 2]) % 1600;
		at += 3;
		if (len > size - at)
			len = size - at;
		f.len = 0;
		frame_add(&f, data + at, len);
		at += len;
		path_put_mbuf(how & 1, frame_new(&f, how));
		path_run(frames % 8 == 7 ? 400 : 0);
		path.n_rtp = path.n_sip = 0;
	}
	for (int port = 0; port < 2; port++)
		while (path_take(port, out, sizeof(out)) > 0)
			;
	path_stop();
	return 0;
}
