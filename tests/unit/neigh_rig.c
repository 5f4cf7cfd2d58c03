// SPDX-License-Identifier: BSD-3-Clause
#include "neigh_rig.h"

#include "dataplane/l2.h"
#include "dataplane/neigh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

uint8_t neigh_frame[4096];

int neigh_setup(void **state)
{
	path_start(2, TD_CHECKSUM_AUTO);
	path_run(0); // main's clock runs
	return 0;
}

int neigh_teardown(void **state)
{
	path_stop();
	return 0;
}

void neigh_send(uint16_t worker, uint16_t realm, const char *src, const char *dst, uint16_t n)
{
	struct td_worker *w = path.dp->workers[worker];
	struct td_sockaddr s = path_addr(src, 5060), d = path_addr(dst, 5070);
	struct rte_mbuf *m = rte_pktmbuf_alloc(n > 1500 ? path.big : path.frames);

	memset(rte_pktmbuf_append(m, n), 'x', n);
	assert_true(td_udp_header(w, m, realm, &s, &d, 24));
	td_ip_output(w, td_adjacency_find(w, realm, &d), m);
}

uint32_t neigh_sent(int port)
{
	uint32_t n = 0;

	while (path_take(port, neigh_frame, sizeof(neigh_frame)) > 0)
		n++;
	return n;
}

void neigh_learn(uint16_t realm, const char *ip)
{
	static const struct rte_ether_addr peer = PEER_MAC;
	struct td_sockaddr a = path_addr(ip, 0);

	td_neigh_learn(path.dp, realm, &a, &peer, true);
}
