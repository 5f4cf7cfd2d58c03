// SPDX-License-Identifier: BSD-3-Clause
// Ports: any DPDK device from its configuration line, with as many queues and offloads as it really
// has (architecture §7).
//
// Main lcore, before "ready"; nothing is changed while workers run.
#pragma once

#include "dataplane/worker.h"

#define TD_PORT_FAULT_LEN 256

// "0000:01:00.0" or "01:00.0": EAL must then look at the PCI bus (-a for each), else --no-pci.
bool td_port_is_pci(const char *device);

// Probes, configures and starts every port of dp->conf: fills dp->ports, n_ports and dp->steer.
// Needs EAL, n_workers and dp->workers with their mbufs and ids. 0, or negative errno with one line
// for people in fault.
int td_ports_start(struct td_dataplane *dp, char fault[TD_PORT_FAULT_LEN]);
void td_ports_stop(struct td_dataplane *dp);

// What the port could not be made to use, one line for the log; length 0 when there is nothing to
// say.
size_t td_port_describe(const struct td_port *port, char *dst, size_t cap);

// Carrier on every port: it can send and receive.
bool td_port_up(const struct td_port *port);
bool td_ports_up(const struct td_dataplane *dp);

// Queues that a device of that kind will get, for pool sizes before EAL knows it: never fewer than
// it really gets.
uint16_t td_port_queues_max(const struct td_port_conf *conf, uint16_t n_workers);

// Bytes of a ring frame that the device must be given, 0 where its own are right. The kernel joins
// IPv4 fragments before an AF_PACKET port sees them, whatever the MTU, and cuts what does not fit:
// such a port receives into big mbufs, whose room this decides too.
uint32_t td_port_frame_bytes(const struct td_port_conf *conf, uint32_t sip_message_bytes);
