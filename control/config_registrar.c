// SPDX-License-Identifier: BSD-3-Clause
// realms.registrar: who registers, and by which hashes.
#include "control/config_schema.h"

#include "sip/uri.h"

#include <ctype.h>
#include <stdio.h>

// As in an address of record: a host, without a port.
static bool is_domain(const char *text)
{
	char address[TD_HOST_LEN + 4];
	struct td_uri uri;
	int len = snprintf(address, sizeof(address), "sip:%s", text);

	return (size_t)len < sizeof(address) && td_uri_parse(td_span_str(address), &uri) == 0 &&
	       uri.host.len == strlen(text);
}

static int length_of(
	struct cfg_reader *reader, config_setting_t *setting, int max, const char *what)
{
	if (!setting)
		return 0;
	int n = config_setting_is_array(setting) || config_setting_is_list(setting)
			? config_setting_length(setting)
			: 0;
	if (n >= 1 && n <= max)
		return n;
	cfg_fault(reader, setting, "an array of 1 to %d %s", max, what);
	return 0;
}

void cfg_read_registrar_domains(struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	struct td_registrar_conf *conf = &((struct td_realm_conf *)record)->registrar;
	int n = length_of(reader, setting, TD_REGISTRAR_DOMAINS_MAX, "domains");

	conf->n_domains = 0;
	for (int i = 0; i < n; i++) {
		const char *text = config_setting_get_string_elem(setting, i);
		if (!text || !is_domain(text)) {
			cfg_fault(reader, config_setting_get_elem(setting, (unsigned int)i),
				"a domain name or an address");
			continue;
		}
		char *dst = conf->domains[conf->n_domains++];
		for (size_t c = 0; text[c]; c++)
			dst[c] = (char)tolower((unsigned char)text[c]);
	}
}

void cfg_read_registrar_algorithms(
	struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	static const char *const names[TD_DIGEST__COUNT] = { "SHA-256", "MD5" };
	struct td_registrar_conf *conf = &((struct td_realm_conf *)record)->registrar;
	int n = length_of(reader, setting, TD_DIGEST__COUNT, "algorithms");

	conf->n_algorithms = 2;
	conf->algorithms[0] = TD_DIGEST_SHA256;
	conf->algorithms[1] = TD_DIGEST_MD5;
	if (n == 0)
		return;
	conf->n_algorithms = 0;
	for (int i = 0; i < n; i++) {
		const char *text = config_setting_get_string_elem(setting, i);
		uint8_t a = 0;
		while (a < TD_DIGEST__COUNT && (!text || strcmp(text, names[a]) != 0))
			a++;
		if (a == TD_DIGEST__COUNT || (i == 1 && conf->algorithms[0] == a))
			cfg_fault(reader, config_setting_get_elem(setting, (unsigned int)i),
				"\"SHA-256\" or \"MD5\", each once");
		else
			conf->algorithms[conf->n_algorithms++] = a;
	}
}

// What only the whole can tell.
void cfg_registrar_check(struct cfg_reader *reader)
{
	const struct td_config *conf = reader->conf;
	char path[64];

	for (uint8_t i = 0; i < conf->n_realms; i++) {
		const struct td_registrar_conf *r = &conf->realms[i].registrar;
		snprintf(path, sizeof(path), "realms.[%u].registrar", i);
		const config_setting_t *at = config_lookup(&reader->config, path);
		if (!at || r->n_domains == 0)
			continue;
		if (conf->max_registrations == 0)
			cfg_fault_text(reader, at,
				"found a registrar, expected limits.registrations of at least 1");
		if (r->min_expires_s > r->max_expires_s || r->default_expires_s < r->min_expires_s)
			cfg_fault_text(reader, at,
				"found min_expires %u, default_expires %u, max_expires %u, "
				"expected them in this order",
				r->min_expires_s, r->default_expires_s, r->max_expires_s);
	}
}
