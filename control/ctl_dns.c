// SPDX-License-Identifier: BSD-3-Clause
// tandemctl show dns, dns refresh: host names of peers.
#include "control/ctl.h"

static const char *const dns_columns[] = { "name", ">port", "state", ">ttl", "address", ">priority",
	">weight", "host", "trunks", "last error" };

// A line for each record; what belongs to the name stands in the first.
static void dns_cells(const struct ctl *ctl, struct ctl_table *out, const Tandem__Item *item)
{
	const Tandem__DnsName *d = item->dns_name;
	size_t n = d->n_records > 0 ? d->n_records : 1;

	for (size_t i = 0; i < n; i++) {
		const Tandem__DnsRecord *r = i < d->n_records ? d->records[i] : NULL;
		char trunks[128] = "";
		size_t at = 0;
		for (size_t t = 0; i == 0 && t < d->n_trunks && at < sizeof(trunks); t++)
			at += (size_t)snprintf(trunks + at, sizeof(trunks) - at, "%s%s",
				t > 0 ? " " : "", d->trunks[t]);
		ctl_table_cell(out, "%s", i == 0 ? d->name : "");
		if (i == 0 && d->port != 0)
			ctl_table_cell(out, "%u", d->port);
		else
			ctl_table_cell(out, "%s", i == 0 ? "SRV" : "");
		ctl_table_cell(out, "%s", i == 0 ? d->state : "");
		if (i == 0)
			ctl_table_cell(out, "%llu", (unsigned long long)d->ttl_s);
		else
			ctl_table_cell(out, "%s", "");
		ctl_table_cell(out, "%s", r ? r->address : "-");
		ctl_table_cell(out, "%u", r ? r->priority : 0);
		ctl_table_cell(out, "%u", r ? r->weight : 0);
		ctl_table_cell(out, "%s", r ? r->host : "");
		ctl_table_cell(out, "%s", trunks);
		ctl_table_cell(out, "%s", i == 0 ? d->error : "");
	}
}

static json_t *dns_json(const struct ctl *ctl, const Tandem__Item *item)
{
	const Tandem__DnsName *d = item->dns_name;
	json_t *records = json_array(), *trunks = json_array();

	for (size_t i = 0; i < d->n_records; i++)
		json_array_append_new(records, json_pack("{s:o, s:o, s:o, s:o}", "address",
						       ctl_text(d->records[i]->address), "priority",
						       ctl_number(d->records[i]->priority),
						       "weight", ctl_number(d->records[i]->weight),
						       "host", ctl_text(d->records[i]->host)));
	for (size_t i = 0; i < d->n_trunks; i++)
		json_array_append_new(trunks, ctl_text(d->trunks[i]));
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
		ctl_text(d->name), "port", ctl_number(d->port), "state", ctl_text(d->state),
		"records", records, "ttl_s", ctl_number(d->ttl_s), "resolved_s",
		ctl_number(d->resolved_s), "next_s", ctl_number(d->next_s), "error",
		ctl_text(d->error), "left_out", ctl_number(d->left_out), "trunks", trunks);
}

const struct ctl_view ctl_view_dns = { TANDEM__TABLE__DNS, TANDEM__ITEM__ROW_DNS_NAME,
	CTL_COLUMNS(dns_columns), .none = "no peer of a trunk is a host name", .cells = dns_cells,
	.json = dns_json };

enum ctl_status ctl_dns_refresh(struct ctl *ctl)
{
	Tandem__Frame frame = TANDEM__FRAME__INIT;
	Tandem__DnsRefresh refresh = TANDEM__DNS_REFRESH__INIT;

	frame.body_case = TANDEM__FRAME__BODY_DNS_REFRESH;
	frame.dns_refresh = &refresh;
	refresh.name = ctl->args[0];
	return ctl_act(ctl, &frame, "it is asked for");
}
