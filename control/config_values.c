// SPDX-License-Identifier: BSD-3-Clause
// Values that have a grammar of their own: addresses, prefixes, port ranges, lists of names.
#include "control/config_schema.h"

#include <ctype.h>
#include <stdio.h>

// --- helpers ---

// Number of elements of an array (or list) of at most max, or -1 and a fault.
static int elements(
	struct cfg_reader *reader, const config_setting_t *setting, int max, const char *what)
{
	if ((config_setting_is_array(setting) || config_setting_is_list(setting)) &&
		config_setting_length(setting) <= max)
		return config_setting_length(setting);
	cfg_fault(reader, setting, "an array [ … ] of at most %d %s", max, what);
	return -1;
}

static const char *text_of(const config_setting_t *setting)
{
	const char *text = config_setting_get_string(setting);

	return text ? text : "";
}

static bool number_of(const config_setting_t *setting, long long min, long long max, long long *out)
{
	int type = config_setting_type(setting);

	if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64)
		return false;
	*out = config_setting_get_int64(setting);
	return *out >= min && *out <= max;
}

static bool host_parse(const char *text, struct td_sockaddr *out)
{
	struct td_sockaddr a = { 0 };

	if (td_ip_parse(td_span_str(text), &a) != 0 || !td_ip_is_host(&a))
		return false;
	out->family = a.family;
	memcpy(out->ip, a.ip, 16);
	return true;
}

// "ADDRESS/LENGTH"; the length may be left out where whole is set: the address alone.
static bool cidr_parse(const char *text, bool whole, struct td_sockaddr *ip, uint8_t *len)
{
	const char *slash = strchr(text, '/');
	struct td_sockaddr a = { 0 };
	unsigned int bits = 0;

	if (td_ip_parse(slash ? td_span(text, (size_t)(slash - text)) : td_span_str(text), &a) != 0)
		return false;
	unsigned int most = a.family == TD_IPV4 ? 32 : 128;
	if (!slash && !whole)
		return false;
	if (slash) {
		const char *digit = slash + 1;
		for (; isdigit((unsigned char)*digit) && digit - slash <= 3; digit++)
			bits = bits * 10 + (unsigned int)(*digit - '0');
		if (digit == slash + 1 || *digit != '\0' || bits > most)
			return false;
	} else {
		bits = most;
	}
	*ip = a;
	*len = (uint8_t)bits;
	return true;
}

static void host_bits_clear(struct td_prefix *prefix)
{
	for (unsigned int bit = prefix->len; bit < 128; bit++)
		prefix->ip[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
}

static uint8_t read_prefixes(
	struct cfg_reader *reader, config_setting_t *setting, struct td_prefix *out)
{
	uint8_t n = 0;
	int count = elements(reader, setting, TD_SOURCES_MAX, "prefixes");

	for (int i = 0; i < count; i++) {
		config_setting_t *element = config_setting_get_elem(setting, (unsigned int)i);
		struct td_sockaddr ip;
		struct td_prefix prefix = { 0 };
		if (!cidr_parse(text_of(element), true, &ip, &prefix.len)) {
			cfg_fault(reader, element,
				"an address or a prefix, such as \"192.0.2.0/24\"");
			continue;
		}
		memcpy(prefix.ip, ip.ip, 16);
		prefix.family = ip.family;
		host_bits_clear(&prefix);
		out[n++] = prefix;
	}
	return n;
}

// --- the machine ---

void cfg_read_workers(struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	struct td_config *conf = record;
	int count = setting ? elements(reader, setting, TD_WORKERS_MAX, "CPU numbers") : 0;

	if (setting && count == 0)
		cfg_fault(reader, setting, "at least one CPU number");
	for (int i = 0; i < count; i++) {
		config_setting_t *element = config_setting_get_elem(setting, (unsigned int)i);
		long long cpu;
		if (number_of(element, 0, 1023, &cpu))
			conf->worker_cpus[conf->n_workers++] = (int)cpu;
		else
			cfg_fault(reader, element, "a CPU number from 0 to 1023");
	}
}

void cfg_read_dsp(struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	if (setting && elements(reader, setting, TD_WORKERS_MAX, "CPU numbers") > 0)
		cfg_fault_text(reader, setting,
			"found DSP cores, which are not supported by this version, expected [ ]");
}

// --- realms ---

void cfg_read_realm_addresses(struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	struct td_realm_conf *realm = record;
	int count = setting ? elements(reader, setting, TD_REALM_ADDRS_MAX, "addresses") : 0;

	if (setting && count == 0)
		cfg_fault(reader, setting, "at least one address");
	for (int i = 0; i < count; i++) {
		config_setting_t *element = config_setting_get_elem(setting, (unsigned int)i);
		struct td_realm_address address = { .media = true };
		if (cidr_parse(text_of(element), false, &address.ip, &address.prefix_len) &&
			td_ip_is_host(&address.ip) && address.prefix_len > 0)
			realm->addresses[realm->n_addresses++] = address;
		else
			cfg_fault(reader, element,
				"a unicast address with its prefix length, such as "
				"\"192.0.2.1/24\"");
	}
}

// One public address stands for every address of its family; an array gives each address its own,
// in their order.
void cfg_read_realm_advertise(struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	struct td_realm_conf *realm = record;
	struct td_sockaddr public = { 0 };

	if (!setting)
		return;
	if (config_setting_type(setting) == CONFIG_TYPE_STRING &&
		host_parse(text_of(setting), &public)) {
		for (uint8_t i = 0; i < realm->n_addresses; i++)
			if (realm->addresses[i].ip.family == public.family)
				realm->addresses[i].advertise = public;
		return;
	}
	if (!config_setting_is_array(setting) ||
		config_setting_length(setting) != realm->n_addresses) {
		cfg_fault(reader, setting,
			"an address, or an array with one for each of the %u addresses",
			realm->n_addresses);
		return;
	}
	for (uint8_t i = 0; i < realm->n_addresses; i++) {
		config_setting_t *element = config_setting_get_elem(setting, i);
		if (host_parse(text_of(element), &public) &&
			public.family == realm->addresses[i].ip.family)
			realm->addresses[i].advertise = public;
		else
			cfg_fault(reader, element, "an address of the same family as addresses[%u]",
				i);
	}
}

void cfg_read_realm_gateways(struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	struct td_realm_conf *realm = record;
	int count = setting ? elements(reader, setting, TD_REALM_GATEWAYS_MAX, "addresses") : 0;

	for (int i = 0; i < count; i++) {
		config_setting_t *element = config_setting_get_elem(setting, (unsigned int)i);
		struct td_sockaddr gateway = { 0 };
		if (host_parse(text_of(element), &gateway))
			realm->gateways[realm->n_gateways++] = gateway;
		else
			cfg_fault(reader, element, "an IP address");
	}
}

void cfg_read_media_ports(struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	struct td_realm_conf *realm = record;
	long long first, last;

	realm->media_port_min = 16384;
	realm->media_port_max = 65535;
	if (!setting)
		return;
	if ((config_setting_is_array(setting) || config_setting_is_list(setting)) &&
		config_setting_length(setting) == 2 &&
		number_of(config_setting_get_elem(setting, 0), 1024, 65534, &first) &&
		number_of(config_setting_get_elem(setting, 1), 1025, 65535, &last) &&
		(first | 1) <= last && first % 2 == 0) {
		realm->media_port_min = (uint16_t)first;
		realm->media_port_max = (uint16_t)last;
		return;
	}
	cfg_fault(reader, setting,
		"[ first, last ] with an even first port from 1024 and a last one above it up to "
		"65535");
}

void cfg_read_media_addresses(struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	struct td_realm_conf *realm = record;
	int count = setting ? elements(reader, setting, TD_REALM_ADDRS_MAX, "addresses") : -1;

	for (uint8_t i = 0; count >= 0 && i < realm->n_addresses; i++)
		realm->addresses[i].media = false;
	for (int e = 0; e < count; e++) {
		config_setting_t *element = config_setting_get_elem(setting, (unsigned int)e);
		struct td_sockaddr a = { 0 };
		bool found = false;
		for (uint8_t i = 0; host_parse(text_of(element), &a) && i < realm->n_addresses;
			i++) {
			if (td_ip_eq(&realm->addresses[i].ip, &a)) {
				realm->addresses[i].media = true;
				found = true;
			}
		}
		if (!found)
			cfg_fault(reader, element,
				"one of the realm's addresses, without its prefix length");
	}
}

// --- stores ---

// A password may stand in it: it is never said back.
// One '@' parts user and host, and nothing before it looks like the end of the host: libpq would
// take a piece of the password for a host, and name it in its errors.
static bool url_is_clear(const char *url)
{
	const char *rest = strstr(url, "://");
	const char *at = rest ? strchr(rest + 3, '@') : NULL;

	return !at || (!strchr(at + 1, '@') && strcspn(rest + 3, "/?") > (size_t)(at - rest - 3));
}

void cfg_read_store(struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	static const char sqlite[] = "sqlite:", postgresql[] = "postgresql://";
	struct td_config *conf = record;
	const char *url = setting ? text_of(setting) : sqlite;
	size_t len = strlen(url);
	bool whole = strncmp(url, "sqlite:/", strlen(sqlite) + 1) == 0 ||
		     strncmp(url, postgresql, strlen(postgresql)) == 0;

	if (whole && strncmp(url, postgresql, strlen(postgresql)) == 0 && !url_is_clear(url))
		cfg_fault_text(reader, setting,
			"expected %%40, %%2F and %%3F for each \"@\", \"/\" and \"?\" of a user, "
			"password or parameter");
	else if (strcmp(url, sqlite) == 0)
		snprintf(conf->store, sizeof(conf->store), "%s%s/tandem.db", sqlite,
			conf->state_dir);
	else if (whole && len < sizeof(conf->store))
		snprintf(conf->store, sizeof(conf->store), "%s", url);
	else
		cfg_fault_text(reader, setting,
			"expected \"sqlite:\" (a file in state_dir), \"sqlite:/PATH\" or "
			"\"postgresql://…\", at most %zu characters",
			sizeof(conf->store) - 1);
}

// --- metrics ---

// An address of this machine, or 0.0.0.0 or :: for all of them.
void cfg_read_metrics_address(struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	struct td_config *conf = record;
	struct td_sockaddr address = { .family = TD_IPV4, .ip = { 127, 0, 0, 1 } };

	if (setting && td_ip_parse(td_span_str(text_of(setting)), &address) != 0)
		cfg_fault(reader, setting, "an IP address");
	conf->metrics.family = address.family;
	memcpy(conf->metrics.ip, address.ip, sizeof(address.ip));
}

// --- DNS ---

// "ADDRESS" or "ADDRESS:PORT", "[ADDRESS]:PORT". Name servers are asked through the kernel: any
// address that it can reach will do.
static bool server_parse(const char *text, struct td_sockaddr *out)
{
	struct td_sockaddr a = { .port = 53 };
	const char *colon = strrchr(text, ':');
	char host[TD_ADDR_STRLEN], after;
	unsigned int port = 0;

	if (td_ip_parse(td_span_str(text), &a) != 0) {
		if (!colon || (text[0] == '[' ? colon[-1] != ']' : strchr(text, ':') != colon) ||
			!isdigit((unsigned char)colon[1]) ||
			sscanf(colon + 1, "%5u%c", &port, &after) != 1 || port < 1 || port > 65535)
			return false;
		td_span_cstr(td_span(text, (size_t)(colon - text)), host, sizeof(host));
		if (td_ip_parse(td_span_str(host), &a) != 0)
			return false;
		a.port = (uint16_t)port;
	}
	*out = a;
	return true;
}

void cfg_read_dns_servers(struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	struct td_config *conf = record;
	int count = setting ? elements(reader, setting, TD_DNS_SERVERS_MAX, "name servers") : 0;

	for (int i = 0; i < count; i++) {
		config_setting_t *element = config_setting_get_elem(setting, (unsigned int)i);
		if (server_parse(text_of(element), &conf->dns.servers[conf->dns.n_servers]))
			conf->dns.n_servers++;
		else
			cfg_fault(reader, element,
				"an IP address, with or without a port, such as "
				"\"192.0.2.53:53\"");
	}
}

// --- policy ---

// Where the name stands among the trunk's hosts, from 1; 0: there is no room.
static uint8_t host_place(struct td_trunk_conf *trunk, const struct td_host_conf *host)
{
	for (uint8_t i = 0; i < trunk->n_hosts; i++)
		if (memcmp(&trunk->hosts[i], host, sizeof(*host)) == 0)
			return i + 1;
	if (trunk->n_hosts == TD_TRUNK_HOSTS_MAX)
		return 0;
	trunk->hosts[trunk->n_hosts] = *host;
	return ++trunk->n_hosts;
}

// Behind the port in the table: whether one was given decides what a name stands for (RFC 3263
// §4.2).
void cfg_read_peer_address(struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	struct td_peer_conf *peer = record;
	struct td_host_conf host = { .port = peer->address.port };
	const char *text = setting ? text_of(setting) : "";

	if (!setting)
		return;
	if (host_parse(text, &peer->address)) {
		if (peer->address.port == 0)
			peer->address.port = 5060;
		return;
	}
	if (!td_host_is_name(td_span_str(text))) {
		cfg_fault(reader, setting, "a unicast IP address or a host name");
		return;
	}
	for (uint32_t i = 0; text[i]; i++)
		host.name[i] = (char)tolower((unsigned char)text[i]);
	peer->host = host_place(reader->outer, &host);
	if (peer->host == 0)
		cfg_fault_text(reader, setting,
			"found another host name, expected at most %d of a trunk",
			TD_TRUNK_HOSTS_MAX);
}

void cfg_read_sources(struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	struct td_trunk_conf *trunk = record;

	if (setting)
		trunk->n_sources = read_prefixes(reader, setting, trunk->sources);
}

void cfg_read_media_sources(struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	struct td_trunk_conf *trunk = record;

	if (setting)
		trunk->n_media_sources = read_prefixes(reader, setting, trunk->media_sources);
}

// 486, 600, 603 and the rest of the 6xx end a call wherever they come from (RFC 3261 §16.7,
// §21.4.24).
void cfg_read_failover_codes(struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	struct td_trunk_conf *trunk = record;
	int max = sizeof(trunk->failover_codes) / sizeof(trunk->failover_codes[0]);
	int count = setting ? elements(reader, setting, max, "status codes") : 0;

	for (int i = 0; i < count; i++) {
		config_setting_t *element = config_setting_get_elem(setting, (unsigned int)i);
		long long code;
		if (number_of(element, 300, 599, &code) && code != 486)
			trunk->failover_codes[trunk->n_failover_codes++] = (uint16_t)code;
		else
			cfg_fault(reader, element, "a status code from 300 to 599 other than 486");
	}
}

void cfg_read_emergency_numbers(
	struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	struct td_policy_conf *policy = &((struct td_config *)record)->policy;
	int count = setting ? elements(reader, setting, TD_EMERGENCY_MAX, "numbers") : 0;

	for (int i = 0; i < count; i++) {
		config_setting_t *element = config_setting_get_elem(setting, (unsigned int)i);
		const char *text = config_setting_get_string(element);
		size_t len = text ? strlen(text) : 0;
		if (len > 0 && len < TD_EMERGENCY_LEN && strspn(text, "0123456789*#") == len)
			td_span_cstr(td_span(text, len), policy->emergency[policy->n_emergency++],
				TD_EMERGENCY_LEN);
		else
			cfg_fault(reader, element, "a number of 1 to %d digits, without '+'",
				TD_EMERGENCY_LEN - 1);
	}
}

// "192.0.2.1", "192.0.2.1:5060", "[2001:db8::1]:5060"; kept as td_ip_format() or
// td_sockaddr_format() spell it.
void cfg_read_listener_match(struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	struct td_trunk_conf *trunk = record;
	struct td_sockaddr a = { 0 };
	unsigned int port = 0;

	if (!setting)
		return;
	const char *text = text_of(setting), *end = strrchr(text, ':');
	bool has_port = end && (text[0] == '[' ? end[-1] == ']' : strchr(text, ':') == end);
	bool good = host_parse(text, &a);
	if (!good && has_port) {
		char host[TD_ADDR_STRLEN], after;
		td_span_cstr(td_span(text, (size_t)(end - text)), host, sizeof(host));
		good = host_parse(host, &a) && isdigit((unsigned char)end[1]) &&
		       sscanf(end + 1, "%5u%c", &port, &after) == 1 && port >= 1 && port <= 65535;
	}
	if (!good) {
		cfg_fault(reader, setting, "one of the realm's addresses, with or without a port");
		return;
	}
	a.port = (uint16_t)port;
	if (port)
		td_sockaddr_format(&a, trunk->match.listener, sizeof(trunk->match.listener));
	else
		td_ip_format(&a, false, trunk->match.listener, sizeof(trunk->match.listener));
}

void cfg_read_route_from(struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	struct td_route_conf *route = record;
	int count = setting ? elements(reader, setting, TD_ROUTE_FROM_MAX, "trunk names") : 0;

	if (setting && count == 0)
		cfg_fault(reader, setting, "at least one trunk name");
	for (int i = 0; i < count; i++) {
		config_setting_t *element = config_setting_get_elem(setting, (unsigned int)i);
		const char *name = text_of(element);
		if (name[0] == '\0' || strlen(name) >= TD_NAME_LEN)
			cfg_fault(reader, element, "a trunk's name");
		// A faulty name keeps its place, so that cross checks find each other by index.
		td_span_cstr(td_span_str(name), route->from[route->n_from++], TD_NAME_LEN);
	}
}

void cfg_read_route_prefix(struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	struct td_route_conf *route = record;
	const char *text = setting ? config_setting_get_string(setting) : "";
	bool good = text && strlen(text) < sizeof(route->prefix);

	const char *digits = text && text[0] == '=' && text[1] ? text + 1 : text;
	bool spelled = text && (strcmp(text, "urn:service:sos") == 0 || strchr(text, '@'));
	for (const char *c = digits; good && !spelled && *c; c++)
		good = isdigit((unsigned char)*c) || strchr("*#", *c);
	if (good)
		td_span_cstr(td_span_str(text), route->prefix, sizeof(route->prefix));
	else
		cfg_fault(reader, setting,
			"the leading digits of a routing number (no '+'), \"=\" and all its "
			"digits, user@domain, at most %zu characters, \"urn:service:sos\" or \"\"",
			sizeof(route->prefix) - 1);
}
