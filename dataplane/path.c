// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/path.h"

#include "dataplane/handoff.h"
#include "dataplane/neigh.h"
#include "dataplane/realm_table.h"
#include "dataplane/reassembly.h"

#include <errno.h>
#include <stdio.h>

#define NEIGHBOURS_DEFAULT 8192

static int realms_start(struct td_dataplane *dp, char *fault)
{
	uint16_t bad = 0;
	int err = td_realm_table_create(dp, &bad);
	const struct td_realm_conf *realm = &dp->conf.realms[bad];

	if (err == -ENOENT)
		snprintf(fault, TD_PORT_FAULT_LEN, "realm %s: there is no port %s", realm->name,
			realm->port);
	else if (err == -EEXIST)
		snprintf(fault, TD_PORT_FAULT_LEN,
			"realm %s: one of its addresses stands twice on port %s, VLAN %u",
			realm->name, realm->port, realm->vlan);
	else if (err != 0)
		snprintf(fault, TD_PORT_FAULT_LEN, "no memory for the realms");
	return err;
}

static int tables_start(struct td_dataplane *dp, const struct td_path_conf *conf)
{
	int err = td_handoff_create(dp, conf->socket);

	if (err == 0)
		err = td_neigh_create(
			dp, conf->neighbours != 0 ? conf->neighbours : NEIGHBOURS_DEFAULT);
	for (uint16_t i = 0; err == 0 && i < dp->n_workers; i++)
		err = td_reassembly_create(dp->workers[i], conf->socket);
	return err;
}

int td_path_start(
	struct td_dataplane *dp, const struct td_path_conf *conf, char fault[TD_PORT_FAULT_LEN])
{
	int err = td_ports_start(dp, fault);

	if (err != 0)
		return err;
	err = realms_start(dp, fault);
	if (err == 0) {
		err = tables_start(dp, conf);
		if (err != 0)
			snprintf(fault, TD_PORT_FAULT_LEN,
				"no memory for rings, neighbours and fragments");
	}
	if (err != 0)
		td_path_stop(dp);
	return err;
}

static void batches_free(struct td_worker *w)
{
	for (uint16_t p = 0; p < TD_PORTS_MAX; p++) {
		rte_pktmbuf_free_bulk(w->tx[p].frames, w->tx[p].n);
		w->tx[p].n = 0;
	}
	w->tx_dirty = 0;
}

void td_path_stop(struct td_dataplane *dp)
{
	for (uint16_t i = 0; i < dp->n_workers; i++) {
		batches_free(dp->workers[i]);
		td_reassembly_destroy(dp->workers[i]);
	}
	batches_free(dp->main);
	td_neigh_destroy(dp);
	td_handoff_destroy(dp);
	td_realm_table_destroy(dp);
	td_ports_stop(dp);
}
