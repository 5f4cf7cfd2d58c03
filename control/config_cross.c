// SPDX-License-Identifier: BSD-3-Clause
// What no key can tell alone: names that point somewhere, things that may exist once, room for what
// the limits promise. Records that are faulty already are passed over, so that one mistake is one
// line.
#include "control/config_schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// --- places ---

// The setting at list[index].key of the file, or the nearest thing around it that is there.
static const config_setting_t *place(
	struct cfg_reader *reader, const char *list, uint32_t index, const char *key)
{
	config_setting_t *root = config_root_setting(&reader->config);
	config_setting_t *at = config_setting_get_member(root, list);
	config_setting_t *element = at ? config_setting_get_elem(at, index) : NULL;
	config_setting_t *member = element && key ? config_setting_lookup(element, key) : NULL;

	return member ? member : element ? element : at ? at : root;
}

static const config_setting_t *inside(const config_setting_t *setting, uint32_t index)
{
	config_setting_t *element = config_setting_get_elem(setting, index);

	return element ? element : setting;
}

// --- names ---

struct name {
	const char *text;
	uint32_t index;
};

struct names {
	struct name *sorted;
	uint32_t n;
};

static int name_compare(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	int order = strcmp(x->text, y->text);

	return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

static int name_match(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

// Sorts the names of n records of stride bytes; each name that came before is a fault at
// list[i].key.
static struct names names_of(struct cfg_reader *reader, const char *list, const char *key,
	const char *first, uint32_t n, size_t stride)
{
	struct names names = { .sorted = calloc(n + 1, sizeof(struct name)), .n = n };

	if (!names.sorted) {
		td_faults_add(reader->faults, "%s: no memory", reader->name);
		return (struct names){ 0 };
	}
	for (uint32_t i = 0; i < n; i++)
		names.sorted[i] = (struct name){ first + i * stride, i };
	qsort(names.sorted, n, sizeof(struct name), name_compare);
	for (uint32_t i = 1; i < n; i++)
		if (names.sorted[i].text[0] &&
			strcmp(names.sorted[i].text, names.sorted[i - 1].text) == 0)
			cfg_fault(reader, place(reader, list, names.sorted[i].index, key),
				"another %s than %s[%u]'s", key, list, names.sorted[i - 1].index);
	return names;
}

static bool names_find(const struct names *names, const char *text, uint32_t *index)
{
	struct name wanted = { text, 0 };
	const struct name *found =
		bsearch(&wanted, names->sorted, names->n, sizeof(struct name), name_match);

	if (found)
		*index = found->index;
	return found != NULL;
}

// --- the machine ---

// Is a CPU in a list as the kernel prints it: "0-3,8"?
static bool cpu_listed(const char *list, int cpu)
{
	for (const char *p = list; *p;) {
		char *end;
		long first = strtol(p, &end, 10), last = first;
		if (end == p)
			return false;
		if (*end == '-')
			last = strtol(end + 1, &end, 10);
		if (cpu >= first && cpu <= last)
			return true;
		p = *end == ',' ? end + 1 : "";
	}
	return false;
}

static void check_cpus(struct cfg_reader *reader)
{
	const struct td_config *conf = reader->conf;
	config_setting_t *workers = config_lookup(&reader->config, "lcores.workers");
	config_setting_t *main_cpu = config_lookup(&reader->config, "lcores.main");
	char online[4096] = "";
	FILE *file = fopen("/sys/devices/system/cpu/online", "re");

	if (!file || !fgets(online, sizeof(online), file))
		snprintf(online, sizeof(online), "0-%ld", sysconf(_SC_NPROCESSORS_CONF) - 1);
	if (file)
		fclose(file);
	online[strcspn(online, "\n")] = '\0';
	if (main_cpu && !cpu_listed(online, conf->main_cpu))
		cfg_fault(reader, main_cpu, "a CPU that this machine has (%s)", online);
	// Faulty elements are missing from worker_cpus, so places are only told where none was.
	bool whole = workers && config_setting_length(workers) == conf->n_workers;
	for (uint16_t i = 0; i < conf->n_workers; i++)
		if (whole && !cpu_listed(online, conf->worker_cpus[i]))
			cfg_fault(reader, inside(workers, i), "a CPU that this machine has (%s)",
				online);
}

// --- realms ---

static bool on_link(const struct td_realm_conf *realm, const struct td_sockaddr *a)
{
	for (uint8_t i = 0; i < realm->n_addresses; i++) {
		struct td_prefix prefix = { .family = realm->addresses[i].ip.family,
			.len = realm->addresses[i].prefix_len };
		memcpy(prefix.ip, realm->addresses[i].ip.ip, 16);
		if (td_prefix_has(&prefix, a))
			return true;
	}
	return a->family == TD_IPV6 && a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
}

static bool realm_has_family(const struct td_realm_conf *realm, uint8_t family)
{
	for (uint8_t i = 0; i < realm->n_addresses; i++)
		if (realm->addresses[i].ip.family == family)
			return true;
	return false;
}

static bool realm_has_address(const struct td_realm_conf *realm, const struct td_sockaddr *a)
{
	for (uint8_t i = 0; i < realm->n_addresses; i++)
		if (td_ip_eq(&realm->addresses[i].ip, a))
			return true;
	return false;
}

static void check_addresses(struct cfg_reader *reader, uint32_t r)
{
	const struct td_realm_conf *realm = &reader->conf->realms[r];
	const config_setting_t *addresses = place(reader, "realms", r, "addresses");
	const config_setting_t *gateways = place(reader, "realms", r, "gateways");

	for (uint8_t i = 1; i < realm->n_addresses; i++)
		for (uint8_t j = 0; j < i; j++)
			if (td_ip_eq(&realm->addresses[i].ip, &realm->addresses[j].ip))
				cfg_fault(reader, inside(addresses, i),
					"each address of a realm once");
	for (uint8_t i = 0; i < realm->n_gateways; i++) {
		if (!on_link(realm, &realm->gateways[i]) ||
			realm_has_address(realm, &realm->gateways[i]))
			cfg_fault(reader, inside(gateways, i),
				"a neighbour inside one of the realm's prefixes");
		for (uint8_t j = 0; j < i; j++)
			if (realm->gateways[i].family == realm->gateways[j].family)
				cfg_fault(
					reader, inside(gateways, i), "one gateway of each family");
	}
}

static void check_listeners(struct cfg_reader *reader, uint32_t r)
{
	const struct td_realm_conf *realm = &reader->conf->realms[r];
	const config_setting_t *sip = place(reader, "realms", r, "sip");

	if (realm->n_listeners == 0 && config_setting_is_list(sip))
		cfg_fault(reader, sip, "at least one listener");
	for (uint8_t i = 0; i < realm->n_listeners; i++) {
		if (realm->sip[i].port >= realm->media_port_min &&
			realm->sip[i].port <= realm->media_port_max)
			cfg_fault_text(reader, inside(sip, i),
				"found port %u, expected one outside media.ports %u to %u",
				realm->sip[i].port, realm->media_port_min, realm->media_port_max);
		for (uint8_t j = 0; j < i; j++)
			if (realm->sip[i].port == realm->sip[j].port &&
				realm->sip[i].transport == realm->sip[j].transport)
				cfg_fault_text(reader, inside(sip, i),
					"found port %u again, expected each listener once",
					realm->sip[i].port);
	}
}

static void check_mtu(struct cfg_reader *reader, uint32_t r, uint32_t port)
{
	const struct td_realm_conf *realm = &reader->conf->realms[r];
	uint16_t port_mtu = port < reader->conf->n_ports ? reader->conf->ports[port].mtu : 0;
	uint16_t mtu = realm->mtu ? realm->mtu : port_mtu;

	if (realm->mtu && port_mtu && realm->mtu > port_mtu)
		cfg_fault(reader, place(reader, "realms", r, "mtu"), "at most the port's %u",
			port_mtu);
	if (mtu && mtu < 1280 && realm_has_family(realm, TD_IPV6))
		cfg_fault_text(reader, place(reader, "realms", r, "mtu"),
			"found an MTU of %u with an IPv6 address, expected at least 1280 (RFC "
			"8200)",
			mtu);
}

static void check_realms(struct cfg_reader *reader, const struct names *ports)
{
	const struct td_config *conf = reader->conf;

	for (uint32_t r = 0; r < conf->n_realms; r++) {
		const struct td_realm_conf *realm = &conf->realms[r];
		uint32_t port = UINT32_MAX;
		if (realm->port[0] && !names_find(ports, realm->port, &port))
			cfg_fault(reader, place(reader, "realms", r, "port"),
				"the name of one of the ports");
		for (uint32_t o = 0; o < r; o++)
			if (realm->port[0] && strcmp(conf->realms[o].port, realm->port) == 0 &&
				conf->realms[o].vlan == realm->vlan)
				cfg_fault_text(reader, place(reader, "realms", r, "port"),
					"found port \"%s\" %s %u, which is realm \"%s\" already, "
					"expected a port and VLAN for each realm",
					realm->port, realm->vlan ? "with VLAN" : "untagged, VLAN",
					realm->vlan, conf->realms[o].name);
		check_mtu(reader, r, port);
		check_addresses(reader, r);
		check_listeners(reader, r);
	}
}

// --- policy ---

static void check_peers(struct cfg_reader *reader, uint32_t t, const struct td_realm_conf *realm)
{
	const struct td_trunk_conf *trunk = &reader->conf->policy.trunks[t];
	const config_setting_t *peers = place(reader, "trunks", t, "peers");

	if (trunk->n_peers == 0 && trunk->n_sources == 0)
		cfg_fault_text(reader, place(reader, "trunks", t, NULL),
			"found neither peers nor sources, expected one of them");
	for (uint8_t i = 0; i < trunk->n_peers; i++) {
		const struct td_sockaddr *a = &trunk->peers[i].address;
		for (uint8_t j = 0; j < i && trunk->peers[i].host != 0; j++)
			if (trunk->peers[i].host == trunk->peers[j].host)
				cfg_fault_text(reader, inside(peers, i),
					"found the host of peers[%u] again, expected each once", j);
		if (a->family == 0)
			continue;
		if (realm && !realm_has_family(realm, a->family))
			cfg_fault_text(reader, inside(peers, i),
				"found an IPv%u address, expected one of a family that realm "
				"\"%s\" has",
				a->family, realm->name);
		if (realm && realm_has_address(realm, a))
			cfg_fault_text(reader, inside(peers, i),
				"found the switch's own address, expected the peer's");
		for (uint8_t j = 0; j < i; j++)
			if (td_sockaddr_eq(a, &trunk->peers[j].address) &&
				trunk->peers[i].transport == trunk->peers[j].transport)
				cfg_fault_text(reader, inside(peers, i),
					"found the address and port of peers[%u] again, expected "
					"each once",
					j);
	}
}

// match.listener is spelt by the reader as these spell it: equality of text is equality.
static void check_match(struct cfg_reader *reader, uint32_t t, const struct td_realm_conf *realm)
{
	const char *wanted = reader->conf->policy.trunks[t].match.listener;

	if (wanted[0] == '\0' || !realm)
		return;
	for (uint8_t i = 0; i < realm->n_addresses; i++) {
		struct td_sockaddr a = realm->addresses[i].ip;
		char text[TD_ADDR_STRLEN];
		td_ip_format(&a, false, text, sizeof(text));
		if (strcmp(text, wanted) == 0)
			return;
		for (uint8_t l = 0; l < realm->n_listeners; l++) {
			a.port = realm->sip[l].port;
			td_sockaddr_format(&a, text, sizeof(text));
			if (strcmp(text, wanted) == 0)
				return;
		}
	}
	cfg_fault(reader, place(reader, "trunks", t, "match.listener"),
		"an address, or address:port, that realm \"%s\" listens on", realm->name);
}

static void check_trunks(struct cfg_reader *reader, const struct names *realms)
{
	const struct td_config *conf = reader->conf;

	for (uint32_t t = 0; t < conf->policy.n_trunks; t++) {
		const struct td_trunk_conf *trunk = &conf->policy.trunks[t];
		uint32_t realm = UINT32_MAX;
		if (trunk->realm[0] && !names_find(realms, trunk->realm, &realm))
			cfg_fault(reader, place(reader, "trunks", t, "realm"),
				"the name of one of the realms");
		if (strcmp(trunk->name, "subscribers") == 0)
			cfg_fault(reader, place(reader, "trunks", t, "name"),
				"another name: this one is reserved");
		check_peers(reader, t, realm < conf->n_realms ? &conf->realms[realm] : NULL);
		check_match(reader, t, realm < conf->n_realms ? &conf->realms[realm] : NULL);
	}
}

static void check_target(struct cfg_reader *reader, const config_setting_t *to, const char *trunk,
	const struct names *trunks)
{
	bool group = config_setting_is_group(to);
	const config_setting_t *name = group ? config_setting_get_member(to, "trunk") : NULL;
	uint32_t index;

	if (trunk[0] == '\0') {
		if (group && !name && !config_setting_get_member(to, "registrar"))
			cfg_fault(reader, to, "a target's trunk");
		return;
	}
	for (uint32_t i = 0; i < reader->conf->policy.n_groups; i++)
		if (strcmp(reader->conf->policy.groups[i].name, trunk) == 0)
			return;
	if (!names_find(trunks, trunk, &index))
		cfg_fault(reader, name ? name : to, "the name of one of the trunks");
	else if (reader->conf->policy.trunks[index].n_peers == 0)
		cfg_fault(reader, name ? name : to, "a trunk that has peers to send calls to");
}

static void check_routes(struct cfg_reader *reader, const struct names *trunks)
{
	const struct td_policy_conf *policy = &reader->conf->policy;
	uint32_t index;

	for (uint32_t r = 0; r < policy->n_routes; r++) {
		const struct td_route_conf *route = &policy->routes[r];
		const config_setting_t *from = place(reader, "routes", r, "from"),
				       *to = place(reader, "routes", r, "to");
		for (uint16_t i = 0; i < route->n_from; i++)
			if (route->from[i][0] && strcmp(route->from[i], "subscribers") != 0 &&
				!names_find(trunks, route->from[i], &index))
				cfg_fault(reader, inside(from, i), "the name of one of the trunks");
		if (route->n_to == 0 && route->block == 0 && config_setting_is_list(to))
			cfg_fault(reader, to, "at least one target");
		else if ((route->n_to == 0) != (route->block != 0))
			cfg_fault_text(reader, to, "a route has targets in \"to\", or \"block\"");
		for (uint16_t i = 0; i < route->n_to; i++)
			check_target(reader, inside(to, i), route->to[i].trunk, trunks);
	}
}

// --- room ---

static bool trunk_uses(const struct td_trunk_conf *trunk, const char *realm, uint8_t family)
{
	bool uses = false;

	for (uint8_t i = 0; i < trunk->n_peers; i++)
		uses |= trunk->peers[i].host != 0 || trunk->peers[i].address.family == family;
	for (uint8_t i = 0; i < trunk->n_sources; i++)
		uses |= trunk->sources[i].family == family;
	return uses && strcmp(trunk->realm, realm) == 0;
}

// Who has legs on one realm and family.
struct legs {
	const struct td_policy_conf *policy;
	const struct names *trunks;
	const struct td_realm_conf *realm;
	uint8_t family;
	bool phones; // subscribers have
};

static bool legs_of_trunk(const struct legs *legs, const char *name)
{
	uint32_t index;

	return names_find(legs->trunks, name, &index) &&
	       trunk_uses(&legs->policy->trunks[index], legs->realm->name, legs->family);
}

static bool legs_of_source(const struct legs *legs, const char *name)
{
	return strcmp(name, "subscribers") == 0 ? legs->phones : legs_of_trunk(legs, name);
}

// A group is its trunks.
static bool legs_of_target(const struct legs *legs, const struct td_route_target_conf *target)
{
	if (target->registrar)
		return legs->phones;
	for (uint32_t g = 0; g < legs->policy->n_groups; g++) {
		const struct td_group_conf *group = &legs->policy->groups[g];
		if (strcmp(group->name, target->trunk) != 0)
			continue;
		for (uint8_t i = 0; i < group->n_members; i++)
			if (legs_of_trunk(legs, group->members[i].trunk))
				return true;
		return false;
	}
	return legs_of_trunk(legs, target->trunk);
}

// Can both legs of a call be there?
static bool hairpins(const struct legs *legs)
{
	for (uint32_t r = 0; r < legs->policy->n_routes; r++) {
		const struct td_route_conf *route = &legs->policy->routes[r];
		bool from = false, to = false;
		for (uint16_t i = 0; i < route->n_from && !from; i++)
			from = legs_of_source(legs, route->from[i]);
		for (uint16_t i = 0; from && i < route->n_to && !to; i++)
			to = legs_of_target(legs, &route->to[i]);
		if (to)
			return true;
	}
	return false;
}

// Every call that limits and trunks admit takes a pair of ports on each side it touches.
// XXX: calls from phone to phone are counted once: all calls being such is nobody's traffic, and
// what finds no port then is refused and counted (sip.no_media_port).
static void check_media_room(
	struct cfg_reader *reader, uint32_t r, uint8_t family, const struct names *trunks)
{
	const struct td_config *conf = reader->conf;
	const struct td_realm_conf *realm = &conf->realms[r];
	const struct legs legs = { &conf->policy, trunks, realm, family,
		realm->registrar.n_domains > 0 };
	uint64_t addresses = 0, needed = legs.phones ? conf->max_calls : 0;

	if (!realm_has_family(realm, family)) // what a host has of it is passed over
		return;
	for (uint8_t i = 0; i < realm->n_addresses; i++)
		addresses += realm->addresses[i].media && realm->addresses[i].ip.family == family;
	for (uint32_t t = 0; t < conf->policy.n_trunks; t++) {
		const struct td_trunk_conf *trunk = &conf->policy.trunks[t];
		if (trunk_uses(trunk, realm->name, family))
			needed += trunk->max_calls && trunk->max_calls < conf->max_calls
					  ? trunk->max_calls
					  : conf->max_calls;
	}
	if (needed > conf->max_calls) {
		uint64_t most = hairpins(&legs) ? 2ull * conf->max_calls : conf->max_calls;
		needed = needed < most ? needed : most;
	}
	uint64_t available = addresses * ((realm->media_port_max - realm->media_port_min + 1u) / 2);
	if (needed > available && realm->name[0])
		cfg_fault_text(reader, place(reader, "realms", r, "media.ports"),
			"found room for %llu calls over IPv%u (%llu addresses, ports %u to %u), "
			"expected %llu as limits.calls and the "
			"trunks' max_calls%s ask for",
			(unsigned long long)available, family, (unsigned long long)addresses,
			realm->media_port_min, realm->media_port_max, (unsigned long long)needed,
			legs.phones ? " (and phones, on their side)" : "");
}

void cfg_cross_check(struct cfg_reader *reader)
{
	const struct td_config *conf = reader->conf;
	struct names ports = names_of(reader, "ports", "name", conf->ports[0].name, conf->n_ports,
		sizeof(conf->ports[0]));
	struct names devices = names_of(reader, "ports", "device", conf->ports[0].device,
		conf->n_ports, sizeof(conf->ports[0]));
	struct names realms = names_of(reader, "realms", "name", conf->realms[0].name,
		conf->n_realms, sizeof(conf->realms[0]));
	const char *first_trunk = conf->policy.trunks ? conf->policy.trunks[0].name : "";
	struct names trunks = names_of(reader, "trunks", "name", first_trunk, conf->policy.n_trunks,
		sizeof(struct td_trunk_conf));

	check_cpus(reader);
	if (conf->n_ports == 0 && config_lookup(&reader->config, "ports"))
		cfg_fault(reader, config_lookup(&reader->config, "ports"), "at least one port");
	if (conf->n_realms == 0 && config_lookup(&reader->config, "realms"))
		cfg_fault(reader, config_lookup(&reader->config, "realms"), "at least one realm");
	check_realms(reader, &ports);
	cfg_registrar_check(reader);
	check_trunks(reader, &realms);
	if (conf->dns.min_ttl_s > conf->dns.max_ttl_s)
		cfg_fault_text(reader, config_lookup(&reader->config, "dns"),
			"found a min_ttl above max_ttl (%u s)", conf->dns.max_ttl_s);
	if (conf->dns.timeout_ms < 50)
		cfg_fault_text(reader, config_lookup(&reader->config, "dns"),
			"found a timeout of %u ms, expected at least 0.05 s", conf->dns.timeout_ms);
	check_routes(reader, &trunks);
	cfg_numbers_check(reader);
	for (uint32_t r = 0; r < conf->n_realms; r++) {
		check_media_room(reader, r, TD_IPV4, &trunks);
		check_media_room(reader, r, TD_IPV6, &trunks);
	}
	free(ports.sorted);
	free(devices.sorted);
	free(realms.sorted);
	free(trunks.sorted);
}
