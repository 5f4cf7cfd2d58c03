// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port.h"

#include "dataplane/l2.h"
#include "dataplane/port_steer.h"
#include "dataplane/rx_wait.h"

#include <rte_dev.h>
#include <rte_malloc.h>

#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define RX_RING 1024
#define TX_RING 1024
#define MTU_DEFAULT 1500
#define RING_PAGE 4096u     // AF_PACKET blocks are whole pages
#define FRAME_OVERHEAD 256u // Ethernet, IP and UDP headers and the ring's own
#define FRAME_OVER (RTE_ETHER_HDR_LEN + 4) // around an IP packet

// What is decided about a port before it is configured.
struct plan {
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf;
	uint8_t key[TD_STEER_KEY_MAX];
	uint16_t slots; // that RSS tells apart; 0: none
};

// Drivers say -1 where they have no reason to give, and EPERM would send people the wrong way.
static int fault_say(char *fault, const struct td_port *p, const char *what, int err)
{
	if (err == -1) {
		snprintf(fault, TD_PORT_FAULT_LEN, "port %s: device %.120s: %.110s", p->conf.name,
			p->conf.device, what);
		return -ENODEV;
	}
	snprintf(fault, TD_PORT_FAULT_LEN, "port %s: device %.120s: %.110s (%s)", p->conf.name,
		p->conf.device, what, strerror(-err));
	return err;
}

bool td_port_is_pci(const char *device)
{
	size_t n = strspn(device, "0123456789abcdefABCDEF:.");

	return n >= 7 && device[n] == '\0' && strchr(device, ':') && strchr(device, '.');
}

// The drivers whose frames come from this machine's kernel, which leaves UDP checksums unfinished.
static bool kernel_backed(const char *driver)
{
	return strcmp(driver, "net_af_packet") == 0 || strcmp(driver, "net_af_xdp") == 0 ||
	       strcmp(driver, "net_tap") == 0;
}

uint16_t td_port_queues_max(const struct td_port_conf *conf, uint16_t n_workers)
{
	static const char *const single[] = { "net_af_packet", "net_af_xdp", "net_tap",
		"net_ring" };

	for (size_t i = 0; i < RTE_DIM(single); i++)
		if (strncmp(conf->device, single[i], strlen(single[i])) == 0)
			return 1;
	return (uint16_t)(n_workers + 1);
}

uint32_t td_port_frame_bytes(const struct td_port_conf *conf, uint32_t sip_message_bytes)
{
	static const char af_packet[] = "net_af_packet";

	if (strncmp(conf->device, af_packet, sizeof(af_packet) - 1) != 0 ||
		strstr(conf->device, "framesz="))
		return 0;
	uint32_t bytes = RTE_ALIGN_CEIL(sip_message_bytes + FRAME_OVERHEAD, RING_PAGE);
	return RTE_MIN(
		bytes, (uint32_t)RTE_ALIGN_FLOOR(UINT16_MAX - RTE_PKTMBUF_HEADROOM, RING_PAGE));
}

// Finds the device or has its driver make it.
static int device_probe(const struct td_dataplane *dp, struct td_port *p)
{
	char name[RTE_ETH_NAME_MAX_LEN], full[sizeof(p->conf.device) + 64];
	uint32_t frame = td_port_frame_bytes(&p->conf, dp->conf.sip_message_bytes);
	size_t n = strcspn(p->conf.device, ",");
	// EAL knows PCI devices by their whole address.
	const char *domain = td_port_is_pci(p->conf.device) && n < 10 ? "0000:" : "";

	if (frame != 0)
		snprintf(full, sizeof(full), "%s,framesz=%u,blocksz=%u", p->conf.device, frame,
			frame);
	else
		snprintf(full, sizeof(full), "%s%s", domain, p->conf.device);
	snprintf(name, sizeof(name), "%.*s", (int)(n + strlen(domain)), full);
	if (rte_eth_dev_get_port_by_name(name, &p->ethdev) == 0)
		return 0;
	int err = rte_dev_probe(full);
	if (err != 0)
		return err;
	return rte_eth_dev_get_port_by_name(name, &p->ethdev);
}

static void offloads_plan(struct td_port *p, struct plan *plan)
{
	uint64_t rx = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
	uint64_t tx = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
	bool kernel = kernel_backed(plan->info.driver_name);

	p->verify_rx = p->conf.rx_checksum == TD_CHECKSUM_VERIFY ||
		       (p->conf.rx_checksum == TD_CHECKSUM_AUTO && !kernel);
	// A software device's offload is the same sum in another place.
	p->hw_rx_cksum = p->verify_rx && !kernel && (plan->info.rx_offload_capa & rx) == rx;
	p->hw_tx_cksum = !kernel && (plan->info.tx_offload_capa & tx) == tx;
	if (p->hw_rx_cksum)
		plan->conf.rxmode.offloads |= rx;
	if (p->hw_tx_cksum)
		plan->conf.txmode.offloads |= tx;
}

static bool queues_one(const char *driver)
{
	struct td_port_conf conf = { 0 };

	snprintf(conf.device, sizeof(conf.device), "%s", driver);
	return td_port_queues_max(&conf, TD_WORKERS_MAX) == 1;
}

static void queues_plan(const struct td_dataplane *dp, struct td_port *p, struct plan *plan)
{
	uint16_t rx = dp->n_workers, tx = (uint16_t)(dp->n_workers + 1);

	if (queues_one(plan->info.driver_name))
		rx = tx = 1;
	p->n_rxq = RTE_MIN(rx, plan->info.max_rx_queues);
	p->n_txq = RTE_MIN(tx, plan->info.max_tx_queues);
	if (p->n_rxq > 1)
		plan->slots = td_port_rss_prepare(&plan->info, &plan->conf, plan->key);
}

// The kernel's interface that a port is on; a tap makes its own. false: on none.
static bool kernel_interface(const struct td_port *p, char name[IF_NAMESIZE])
{
	static const char key[] = "iface=";
	const char *iface = strstr(p->conf.device, key);

	if (!iface || strncmp(p->conf.device, "net_tap", 7) == 0)
		return false;
	iface += sizeof(key) - 1;
	size_t len = strcspn(iface, ",");
	if (len >= IF_NAMESIZE)
		return false;
	memcpy(name, iface, len);
	name[len] = '\0';
	return true;
}

// Names the cause that a driver does not.
static const char *probe_fault(const struct td_port *p, char *text, size_t cap)
{
	char name[IF_NAMESIZE];

	if (!kernel_interface(p, name) || if_nametoindex(name) != 0)
		return "cannot be opened; is a NIC bound to vfio-pci, and are we root?";
	snprintf(text, cap, "there is no interface %s in this network namespace (ip link)", name);
	return text;
}

static int port_plan(struct td_dataplane *dp, const struct td_port_conf *conf, struct td_port *p,
	struct plan *plan, char *fault)
{
	char text[128];

	memset(p, 0, sizeof(*p));
	memset(plan, 0, sizeof(*plan));
	p->conf = *conf;
	int err = device_probe(dp, p);
	if (err != 0)
		return fault_say(fault, p, probe_fault(p, text, sizeof(text)), err);
	err = rte_eth_dev_info_get(p->ethdev, &plan->info);
	if (err != 0)
		return fault_say(fault, p, "says nothing about itself", err);
	offloads_plan(p, plan);
	queues_plan(dp, p, plan);
	return 0;
}

// Queue q belongs to worker q; a port with fewer queues begins with another worker than its
// neighbour, so that single-queue ports spread over the workers.
static void owners_set(const struct td_dataplane *dp, struct td_port *p, uint16_t index)
{
	for (uint16_t q = 0; q < p->n_rxq; q++)
		p->rx_owner[q] =
			(uint16_t)((p->n_rxq == dp->n_workers ? q : index + q) % dp->n_workers);
	p->tx_owner = p->rx_owner[0];
	for (uint16_t w = 0; w <= TD_MAIN_ID; w++)
		p->tx_queue[w] = UINT16_MAX;
	if (p->n_txq < dp->n_workers) {
		p->tx_queue[p->tx_owner] = 0;
		return;
	}
	for (uint16_t w = 0; w < dp->n_workers; w++)
		p->tx_queue[w] = w;
	if (p->n_txq > dp->n_workers)
		p->tx_queue[TD_MAIN_ID] = dp->n_workers;
}

static int queues_setup(const struct td_dataplane *dp, struct td_port *p, const struct plan *plan)
{
	struct rte_eth_rxconf rx = plan->info.default_rxconf;
	struct rte_eth_txconf tx = plan->info.default_txconf;
	int socket = rte_eth_dev_socket_id(p->ethdev), err;
	uint16_t n_rx = RX_RING, n_tx = TX_RING;

	err = rte_eth_dev_adjust_nb_rx_tx_desc(p->ethdev, &n_rx, &n_tx);
	if (err != 0 && err != -ENOTSUP)
		return err;
	rx.offloads = plan->conf.rxmode.offloads;
	tx.offloads = plan->conf.txmode.offloads;
	for (uint16_t q = 0; q < p->n_rxq; q++) {
		const struct td_worker *owner = dp->workers[p->rx_owner[q]];
		struct rte_mempool *pool = td_port_frame_bytes(&p->conf, dp->conf.sip_message_bytes)
						   ? owner->big_mbufs
						   : owner->mbufs;
		err = rte_eth_rx_queue_setup(p->ethdev, q, n_rx, (unsigned int)socket, &rx, pool);
		if (err != 0)
			return err;
	}
	for (uint16_t q = 0; q < p->n_txq; q++) {
		err = rte_eth_tx_queue_setup(p->ethdev, q, n_tx, (unsigned int)socket, &tx);
		if (err != 0)
			return err;
	}
	return 0;
}

// As large as the device, the configuration and one buffer allow.
static void mtu_set(const struct td_dataplane *dp, struct td_port *p)
{
	const struct rte_mempool *pool = dp->workers[p->tx_owner]->mbufs;
	uint16_t room =
		(uint16_t)(rte_pktmbuf_data_room_size((struct rte_mempool *)(uintptr_t)pool) -
			   RTE_PKTMBUF_HEADROOM - FRAME_OVER);

	if (p->conf.mtu != 0)
		rte_eth_dev_set_mtu(p->ethdev, RTE_MIN(p->conf.mtu, room));
	if (rte_eth_dev_get_mtu(p->ethdev, &p->mtu) != 0 || p->mtu == 0)
		p->mtu = MTU_DEFAULT;
	p->mtu = RTE_MIN(p->mtu, room);
	if (p->conf.mtu != 0)
		p->mtu = RTE_MIN(p->mtu, p->conf.mtu);
}

static int port_start(struct td_dataplane *dp, struct td_port *p, struct plan *plan, char *fault)
{
	int err = -ENOTSUP;

	// A device may have no vector for each queue.
	if (dp->conf.poll == TD_POLL_ADAPTIVE) {
		plan->conf.intr_conf.rxq = 1;
		err = rte_eth_dev_configure(p->ethdev, p->n_rxq, p->n_txq, &plan->conf);
	}
	if (err != 0) {
		plan->conf.intr_conf.rxq = 0;
		err = rte_eth_dev_configure(p->ethdev, p->n_rxq, p->n_txq, &plan->conf);
	}
	if (err != 0)
		return fault_say(fault, p, "refuses its queues and offloads", err);
	owners_set(dp, p, (uint16_t)(p - dp->ports));
	mtu_set(dp, p);
	err = queues_setup(dp, p, plan);
	if (err != 0)
		return fault_say(fault, p, "refuses a queue", err);
	err = rte_eth_dev_start(p->ethdev);
	if (err != 0)
		return fault_say(fault, p, "does not start", err);
	p->rx_interrupts =
		plan->conf.intr_conf.rxq != 0 && td_rx_wait_possible(p->ethdev, p->n_rxq);
	err = rte_eth_macaddr_get(p->ethdev, &p->mac);
	if (err != 0)
		return fault_say(fault, p, "has no MAC address", err);
	p->mac_word = td_mac_word(&p->mac);
	// Neighbour discovery asks a group; a device that can't hear all groups must hear
	// everything.
	if (rte_eth_allmulticast_enable(p->ethdev) != 0)
		rte_eth_promiscuous_enable(p->ethdev);
	return 0;
}

static void port_steer(struct td_dataplane *dp, struct td_port *p, const struct plan *plan)
{
	if (p->n_rxq == 1)
		p->steering = "single";
	else if (plan->slots != 0 &&
		 td_port_rss_apply(dp, p, plan->key, plan->info.hash_key_size) == 0)
		p->steering = "rss";
	else if (td_port_flow_apply(dp, p) == 0)
		p->steering = "flow";
	else
		p->steering = "software";
}

// Every worker's list of queues to poll.
static int polls_set(struct td_dataplane *dp)
{
	for (uint16_t i = 0; i < dp->n_workers; i++) {
		struct td_worker *w = dp->workers[i];
		w->n_rx = 0;
		w->rx = rte_calloc("rx",
			TD_PORTS_MAX * TD_WORKERS_MAX / dp->n_workers + TD_PORTS_MAX,
			sizeof(*w->rx), 64);
		if (!w->rx)
			return -ENOMEM;
		for (uint16_t p = 0; p < dp->n_ports; p++)
			for (uint16_t q = 0; q < dp->ports[p].n_rxq; q++)
				if (dp->ports[p].rx_owner[q] == i)
					w->rx[w->n_rx++] =
						(struct td_rx_queue){ p, dp->ports[p].ethdev, q };
	}
	return 0;
}

static int ports_start(struct td_dataplane *dp, struct plan *plans, char *fault)
{
	uint16_t period = TD_STEER_SLOTS;
	int err = 0;

	for (uint16_t i = 0; i < dp->conf.n_ports; i++) {
		err = port_plan(dp, &dp->conf.ports[i], &dp->ports[i], &plans[i], fault);
		if (err != 0)
			return err;
		if (plans[i].slots != 0 && plans[i].slots < period)
			period = plans[i].slots;
	}
	td_steer_init(&dp->steer, dp->n_workers, period);
	for (; dp->n_ports < dp->conf.n_ports; dp->n_ports++) {
		err = port_start(dp, &dp->ports[dp->n_ports], &plans[dp->n_ports], fault);
		if (err != 0)
			return err;
		port_steer(dp, &dp->ports[dp->n_ports], &plans[dp->n_ports]);
	}
	err = polls_set(dp);
	if (err != 0)
		snprintf(fault, TD_PORT_FAULT_LEN, "no memory for the lists of queues");
	return err;
}

int td_ports_start(struct td_dataplane *dp, char fault[TD_PORT_FAULT_LEN])
{
	struct plan *plans = calloc(TD_PORTS_MAX, sizeof(*plans));
	int err = -ENOMEM;

	fault[0] = '\0';
	dp->n_ports = 0;
	if (plans)
		err = ports_start(dp, plans, fault);
	else
		snprintf(fault, TD_PORT_FAULT_LEN, "no memory for the plans of the ports");
	free(plans);
	if (err != 0)
		td_ports_stop(dp);
	return err;
}

void td_ports_stop(struct td_dataplane *dp)
{
	for (uint16_t i = 0; i < dp->n_ports; i++)
		rte_eth_dev_stop(dp->ports[i].ethdev);
	for (uint16_t i = 0; i < dp->n_workers; i++) {
		rte_free(dp->workers[i]->rx);
		dp->workers[i]->rx = NULL;
		dp->workers[i]->n_rx = 0;
	}
	dp->n_ports = 0;
}

size_t td_port_describe(const struct td_port *p, char *dst, size_t cap)
{
	int n = snprintf(dst, cap,
		"port %s: %u rx, %u tx queues, steering %s, mtu %u, rx checksums %s, tx checksums "
		"%s, rx interrupts %s",
		p->conf.name, p->n_rxq, p->n_txq, p->steering, p->mtu,
		!p->verify_rx    ? "trusted"
		: p->hw_rx_cksum ? "by the device"
				 : "in software",
		p->hw_tx_cksum ? "by the device" : "in software",
		p->rx_interrupts ? "used" : "none");

	return n < 0 ? 0 : RTE_MIN((size_t)n, cap - 1);
}

static bool interface_running(const char *name)
{
	struct ifreq request = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(request.ifr_name, name, IF_NAMESIZE);
	bool running = fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &request) == 0 &&
		       (request.ifr_flags & IFF_UP) && (request.ifr_flags & IFF_RUNNING);
	if (fd >= 0)
		close(fd);
	return running;
}

// A tap has no carrier of its own, and once its kernel end lies in another network namespace the
// driver finds no interface of that name to ask. Of interfaces that are the kernel's, drivers tell
// what they were at the start; the kernel tells what they are.
bool td_port_up(const struct td_port *port)
{
	struct rte_eth_link link = { 0 };
	char name[IF_NAMESIZE];

	if (strncmp(port->conf.device, "net_tap", 7) == 0)
		return true;
	if (kernel_interface(port, name))
		return interface_running(name);
	return rte_eth_link_get_nowait(port->ethdev, &link) == 0 &&
	       link.link_status == RTE_ETH_LINK_UP;
}

bool td_ports_up(const struct td_dataplane *dp)
{
	for (uint16_t i = 0; i < dp->n_ports; i++)
		if (!td_port_up(&dp->ports[i]))
			return false;
	return dp->n_ports > 0;
}
