// SPDX-License-Identifier: BSD-3-Clause
// control/config.h: what is taken, what is refused, and with which words.
#include "control/config.h"
#include "include/flow.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#define HEAD                                                                                       \
	"lcores = { workers = [ 0 ]; };\n"                                                         \
	"ports = ( { name = \"xa\"; device = \"net_tap0\"; } );\n"                                 \
	"realms = ( { name = \"west\"; port = \"xa\"; addresses = [ \"10.0.1.254/24\" ]; sip = ( " \
	"{ "                                                                                       \
	"} ); } );\n"
#define TRUNK                                                                                      \
	"trunks = ( { name = \"a\"; realm = \"west\"; peers = ( { address = \"10.0.1.1\"; } ); } " \
	");\n"

struct outcome {
	struct td_config *conf;
	struct td_faults faults;
	int rc;
};

static struct outcome load(const char *text, const char *const *sets, int n_sets)
{
	struct outcome o = { 0 };

	o.rc = td_config_load_text(text, "x.conf", sets, n_sets, &o.conf, &o.faults);
	return o;
}

static void release(struct outcome *o)
{
	td_config_free(o->conf);
	td_faults_free(&o->faults);
}

static bool told(const struct outcome *o, const char *words)
{
	for (uint32_t i = 0; i < o->faults.kept; i++)
		if (strstr(o->faults.texts[i], words))
			return true;
	for (uint32_t i = 0; i < o->faults.kept; i++)
		fprintf(stderr, "# told: %s\n", o->faults.texts[i]);
	return false;
}

// Exactly one fault, with these words.
static void refused(const char *text, const char *words)
{
	struct outcome o = load(text, NULL, 0);

	assert_int_equal(o.rc, -EINVAL);
	assert_null(o.conf);
	assert_true(told(&o, words));
	assert_int_equal(o.faults.n, 1);
	release(&o);
}

static void defaults_fill_what_is_not_said(void **state)
{
	struct outcome o = load(HEAD TRUNK, NULL, 0);

	assert_int_equal(o.rc, 0);
	assert_string_equal(o.conf->node, "tandem-1");
	assert_string_equal(o.conf->run_dir, "/run/tandem");
	assert_int_equal(o.conf->n_workers, 1);
	assert_int_equal(o.conf->poll, TD_POLL_ADAPTIVE);
	assert_int_equal(o.conf->t1_ms, 500);
	assert_int_equal(o.conf->quarantine_ms, 1000);
	assert_int_equal(o.conf->sip_message_bytes, 16384);
	const struct td_realm_conf *realm = &o.conf->realms[0];
	assert_int_equal(realm->media_port_min, 16384);
	assert_int_equal(realm->dscp_rtp, 46);
	assert_int_equal(realm->sip[0].port, 5060);
	assert_true(realm->addresses[0].media);
	const struct td_trunk_conf *trunk = &o.conf->policy.trunks[0];
	assert_true(trunk->enabled);
	assert_int_equal(trunk->attempt_timeout_ms, 5000);
	assert_int_equal(trunk->ring_timeout_ms, 180000);
	assert_int_equal(trunk->peers[0].address.port, 5060);
	assert_int_equal(trunk->peers[0].address.family, TD_IPV4);
	assert_int_equal(trunk->health.probe, TD_PROBE_NONE);
	assert_int_equal(trunk->health.interval_ms, 30000);
	assert_int_equal(trunk->health.down_after, 3);
	assert_int_equal(trunk->health.silent_after, 5);
	assert_int_equal(o.conf->policy.max_calls, 1000);
	assert_int_equal(o.conf->policy.drain_s, 30);
	assert_int_equal(o.conf->policy.subscribers_media_timeout_s, 300);
	release(&o);
}

static void metrics_are_served_on_the_loopback_unless_told_otherwise(void **state)
{
	struct outcome o = load(HEAD, NULL, 0);
	char where[TD_ADDR_STRLEN];

	td_sockaddr_format(&o.conf->metrics, where, sizeof(where));
	assert_string_equal(where, "127.0.0.1:9464");
	assert_true(o.conf->metrics_enabled);
	release(&o);
	o = load(HEAD "metrics = { address = \"::\"; port = 99; enabled = false; };", NULL, 0);
	assert_int_equal(o.rc, 0);
	td_sockaddr_format(&o.conf->metrics, where, sizeof(where));
	assert_string_equal(where, "[::]:99");
	assert_false(o.conf->metrics_enabled);
	release(&o);
	refused(HEAD "metrics = { address = \"localhost\"; };",
		"found \"localhost\", expected an IP address");
	refused(HEAD "metrics = { port = 0; };", "metrics.port: found 0");
}

static void every_reserved_key_is_taken(void **state)
{
	static const char text[] =
		"node = \"n\"; run_dir = \"/tmp/r\"; state_dir = \"/tmp/s\";\n"
		"lcores = { main = 0; workers = [ 0, 0, 0 ]; dsp = [ ]; poll = \"busy\"; };\n"
		"memory = { huge_mb = 0; };\n"
		"limits = { calls = 10; cps = 10; registrations = 5; source_cps = 7; "
		"sip_message_bytes = 9000; quarantine_ms = 50; drain_s = 3; };\n"
		"sip = { t1 = 100; t2 = 400; t4 = 500; };\n"
		"ports = ( { name = \"p\"; device = \"0000:01:00.0\"; rx_checksum = \"verify\"; "
		"punt = "
		"\"none\"; mtu = 1500; } );\n"
		"realms = ( { name = \"core\"; port = \"p\"; vlan = 7; mtu = 1400; addresses = [ "
		"\"10.0.1.254/24\", \"fd00::1/64\" ];\n"
		" advertise = \"203.0.113.9\"; gateways = [ \"10.0.1.1\", \"fe80::1\" ]; dscp = { "
		"sip = "
		"1; rtp = 2; };\n"
		" sip = ( { transport = \"udp\"; port = 5070; } ); media = { ports = [ 20000, "
		"20099 ]; "
		"source = \"learn-once\"; addresses = [ \"10.0.1.254\" ]; }; unknown = \"403\"; } "
		");\n"
		"trunks = ( { name = \"t\"; realm = \"core\"; enabled = false; trust = \"both\"; "
		"early = "
		"\"single\"; use_rn = true;\n"
		" peers = ( { address = \"10.0.1.1\"; port = 5061; weight = 7; transport = "
		"\"udp\"; priority = "
		"3; } "
		");\n"
		" sources = [ \"10.0.1.77/24\", \"10.2.0.5\" ]; media = { sources = [ "
		"\"10.9.0.0/16\" ]; "
		"};\n"
		" match = { listener = \"10.0.1.254:5070\"; tech_prefix = \"99\"; domain = "
		"\"x.example\"; "
		"source_port = 5099; };\n"
		" failover_codes = [ 404, 480 ]; max_calls = 9; max_cps = 8; attempt_timeout = "
		"1.5; "
		"ring_timeout = 20;\n"
		" max_duration = 60; media_timeout = 30;\n"
		" health = { probe = \"options\"; interval = 10; timeout = 1.5; down_after = 2; "
		"up_after = 4; "
		"return_s = 0; silent_after = 7; }; } );\n"
		"routes = ( { from = [ \"t\" ]; prefix = \"49\"; domain = \"d.example\"; to = ( { "
		"trunk = "
		"\"t\"; priority = 2; weight = 5; } ); } );\n";
	struct outcome o = load(text, NULL, 0);

	assert_int_equal(o.faults.n, 0);
	assert_int_equal(o.rc, 0);
	const struct td_realm_conf *realm = &o.conf->realms[0];
	assert_int_equal(realm->vlan, 7);
	assert_int_equal(realm->addresses[0].advertise.family, TD_IPV4);
	assert_int_equal(realm->addresses[1].advertise.family, 0);
	assert_true(realm->addresses[0].media);
	assert_false(realm->addresses[1].media);
	assert_int_equal(realm->n_gateways, 2);
	assert_int_equal(realm->unknown, TD_UNKNOWN_403);
	assert_int_equal(realm->media_source, TD_SOURCE_LEARN_ONCE);
	const struct td_trunk_conf *trunk = &o.conf->policy.trunks[0];
	assert_false(trunk->enabled);
	assert_int_equal(trunk->trust, TD_TRUST_BOTH);
	assert_true(trunk->early_single);
	assert_int_equal(trunk->attempt_timeout_ms, 1500);
	assert_int_equal(trunk->peers[0].weight, 7);
	assert_int_equal(trunk->n_sources, 2);
	assert_int_equal(trunk->sources[0].ip[3], 0); // host bits are cleared
	assert_int_equal(trunk->sources[1].len, 32);
	assert_string_equal(trunk->match.listener, "10.0.1.254:5070");
	assert_int_equal(trunk->failover_codes[1], 480);
	const struct td_health_conf health = { 10000, 1500, 0, TD_PROBE_OPTIONS, 2, 4, 7 };
	assert_memory_equal(&trunk->health, &health, sizeof(health));
	assert_int_equal(o.conf->policy.routes[0].to[0].weight, 5);
	release(&o);
}

static void limits_of_trunks_groups_and_routes(void **state)
{
	static const char text[] = HEAD "limits = { calls = 9; cps = 8; cps_burst = 7; };\n"
					"trunks = ( { name = \"t\"; realm = \"west\"; cps_burst = "
					"3; peers = ( { address = \"10.0.1.1\"; } ); } );\n"
					"groups = ( { name = \"g\"; max_calls = 10; max_cps = 11; "
					"cps_burst = 12; to = ( { trunk = \"t\"; } ); } );\n"
					"route_limits = ( { name = \"mobile\"; max_calls = 20; "
					"max_cps = 21; }, { name = \"open\"; } );\n"
					"routes = ( { from = [ \"t\" ]; prefix = \"491\"; limit = "
					"\"mobile\"; to = ( { trunk = \"g\"; } ); } );\n";
	struct outcome o = load(text, NULL, 0);

	assert_int_equal(o.rc, 0);
	const struct td_policy_conf *p = &o.conf->policy;
	assert_int_equal(p->cps_burst, 7);
	assert_int_equal(p->trunks[0].cps_burst, 3);
	assert_int_equal(p->groups[0].limit.max_calls, 10);
	assert_int_equal(p->groups[0].limit.max_cps, 11);
	assert_int_equal(p->groups[0].limit.cps_burst, 12);
	assert_int_equal(p->n_limits, 2);
	assert_int_equal(p->limits[0].limit.max_calls, 20);
	assert_int_equal(p->limits[0].limit.max_cps, 21);
	assert_int_equal(p->limits[1].limit.max_calls, 0); // counted, without a limit
	release(&o);
	refused(HEAD "route_limits = ( { name = \"x\"; max_calls = -1; } );",
		"route_limits[0].max_calls: found -1");
	refused(HEAD "route_limits = ( { max_calls = 1; } );", "name");
}

static void emergency_numbers(void **state)
{
	struct outcome o = load(HEAD "emergency = { numbers = [ \"112\", \"110\" ]; };", NULL, 0);

	assert_int_equal(o.rc, 0);
	assert_int_equal(o.conf->policy.n_emergency, 2);
	assert_string_equal(o.conf->policy.emergency[1], "110");
	release(&o);
	refused(HEAD "emergency = { numbers = [ \"+112\" ]; };",
		"found \"+112\", expected a number of 1 to 15 digits");
	refused(HEAD "emergency = { numbers = \"112\"; };", "emergency.numbers");
}

static void emergency_calls_have_a_prefix_of_their_own(void **state)
{
	static const char text[] = HEAD
		"trunks = ( { name = \"t\"; realm = \"west\"; peers = ( { address = \"10.0.1.1\"; "
		"} ); } );\n"
		"routes = ( { from = [ \"t\" ]; prefix = \"urn:service:sos\"; to = ( { trunk = "
		"\"t\"; } ); },\n"
		" { from = [ \"t\" ]; prefix = \"urn:service:x\"; to = ( { trunk = \"t\"; } ); },\n"
		" { from = [ \"t\" ]; prefix = \"4a\"; to = ( { trunk = \"t\"; } ); } );\n";
	struct outcome o = load(text, NULL, 0);

	assert_int_equal(o.faults.n, 2);
	assert_true(
		told(&o, "routes[1].prefix: found \"urn:service:x\", expected the leading digits"));
	assert_true(told(&o, "routes[2].prefix: found \"4a\""));
	release(&o);
}

static void every_fault_is_told_at_once(void **state)
{
	static const char text[] =
		HEAD "limits = {\n calls = \"many\";\n cps = 0;\n colour = 1;\n};\n"
		     "trunks = ( { name = \"a b\"; realm = \"north\"; peers = ( ); } );\n"
		     "routes = ( { from = [ \"x\" ]; prefix = \"+49\"; to = ( ); } );\n";
	struct outcome o = load(text, NULL, 0);

	assert_int_equal(o.rc, -EINVAL);
	assert_true(told(
		&o, "x.conf:5: limits.calls: found \"many\", expected a whole number from 1 to"));
	assert_true(told(&o, "x.conf:6: limits.cps: found 0, expected a whole number"));
	assert_true(told(
		&o, "x.conf:7: limits.colour: found an unknown key, expected one of calls, cps"));
	assert_true(told(&o, "x.conf:9: trunks[0].name: found \"a b\", expected a name"));
	assert_true(told(
		&o, "trunks[0].realm: found \"north\", expected the name of one of the realms"));
	assert_true(told(&o, "found neither peers nor sources"));
	assert_true(
		told(&o, "routes[0].from[0]: found \"x\", expected the name of one of the trunks"));
	assert_true(told(&o, "routes[0].prefix: found \"+49\""));
	assert_true(told(&o, "routes[0].to: found a list of 0, expected at least one target"));
	assert_int_equal(o.faults.n, 9);
	release(&o);
}

static void required_keys_are_asked_for(void **state)
{
	struct outcome o = load("", NULL, 0);

	assert_int_equal(o.rc, -EINVAL);
	assert_true(told(&o, "lcores: found nothing, expected a group"));
	assert_true(told(&o, "ports: found nothing, expected a list"));
	assert_true(told(&o, "realms: found nothing, expected a list"));
	release(&o);
}

static void syntax_is_told_with_its_line(void **state)
{
	refused("node = \"a\";\nlimits = { calls = ; };\n", "x.conf:2: found a syntax error");
	refused("node = \"a\";\nnode = \"b\";\n", "x.conf:2: found a duplicate setting name");
}

static void a_store_is_a_url_whose_secret_stays(void **state)
{
	static const char *const sets[] = { "store=mysql://u:s3cret@h" };
	struct outcome o = load(HEAD, NULL, 0);

	assert_int_equal(o.rc, 0);
	assert_string_equal(o.conf->store, "sqlite:/var/lib/tandem/tandem.db");
	release(&o);
	o = load(HEAD "store = \"postgresql://u:s3cret@h/db\";", NULL, 0);
	assert_int_equal(o.rc, 0);
	assert_string_equal(o.conf->store, "postgresql://u:s3cret@h/db");
	release(&o);
	o = load(HEAD, sets, 1);
	assert_int_equal(o.rc, -EINVAL);
	assert_true(told(&o, "--set store: store: expected \"sqlite:\""));
	assert_false(told(&o, "s3cret"));
	release(&o);
	for (int i = 0; i < 3; i++) {
		static const char *const pieces[] = { "p@ss", "p/ss", "p?ss" };
		char text[4096];
		snprintf(text, sizeof(text), HEAD "store = \"postgresql://u:%s@h/db\";", pieces[i]);
		refused(text, "store: expected %40");
	}
	refused(HEAD "store = \"sqlite:x.db\";", "store: expected \"sqlite:\"");
	refused(HEAD "store = 5;", "store: expected \"sqlite:\"");
}

static void records_go_to_files_too(void **state)
{
	struct outcome o = load(HEAD "cdr = { csv = { path = \"/x/c.csv\"; rotate_s = 3600; keep = "
				     "5; }; interim_s = 900; };",
		NULL, 0);

	assert_int_equal(o.rc, 0);
	assert_string_equal(o.conf->cdr_csv.path, "/x/c.csv");
	assert_int_equal(o.conf->cdr_csv.rotate_mb, 100);
	assert_int_equal(o.conf->cdr_csv.rotate_s, 3600);
	assert_int_equal(o.conf->cdr_csv.keep, 5);
	assert_string_equal(o.conf->cdr_jsonl.path, "");
	assert_int_equal(o.conf->cdr_interim_s, 900);
	release(&o);
	refused(HEAD "cdr = { csv = { path = \"c.csv\"; }; };",
		"cdr.csv.path: found \"c.csv\", expected an absolute path");
	refused(HEAD "cdr = { jsonl = { path = \"/x\"; rotate_mb = 0; }; };",
		"cdr.jsonl.rotate_mb: found 0");
}

#define NAMED(peers) HEAD "trunks = ( { name = \"a\"; realm = \"west\"; peers = ( " peers " ); } );"

static void peers_may_be_names(void **state)
{
	struct outcome o = load(
		NAMED("{ address = \"SIP.Carrier.example\"; }, "
		      "{ address = \"sip.carrier.example\"; port = 5070; }, "
		      "{ address = \"10.0.1.9\"; }") "dns = { servers = [ \"192.0.2.53\", "
						     "\"[2001:db8::1]:5353\" ]; timeout = 0.5; };",
		NULL, 0);

	assert_int_equal(o.rc, 0);
	const struct td_trunk_conf *trunk = &o.conf->policy.trunks[0];
	assert_int_equal(trunk->n_hosts, 2);
	assert_string_equal(trunk->hosts[0].name, "sip.carrier.example");
	assert_int_equal(trunk->hosts[0].port, 0);
	assert_int_equal(trunk->hosts[1].port, 5070);
	assert_int_equal(trunk->peers[1].host, 2);
	assert_int_equal(trunk->peers[1].address.family, 0);
	assert_int_equal(trunk->peers[2].host, 0);
	assert_int_equal(trunk->peers[2].address.port, 5060);
	assert_int_equal(o.conf->dns.n_servers, 2);
	assert_int_equal(o.conf->dns.servers[0].port, 53);
	assert_int_equal(o.conf->dns.servers[1].port, 5353);
	assert_int_equal(o.conf->dns.timeout_ms, 500);
	assert_int_equal(o.conf->dns.min_ttl_s, 10);
	release(&o);
	static const char *const wrong[] = { "10.0.1.300", "a..example", ".example", "a.example.",
		"a_ b.example", "127.0.0.1", "host.9", "" };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char text[1024];
		snprintf(text, sizeof(text), NAMED("{ address = \"%s\"; }"), wrong[i]);
		refused(text, "expected a unicast IP address or a host name");
	}
	refused(NAMED("{ address = \"a.example\"; }, { address = \"A.example\"; }"),
		"found the host of peers[0] again");
	refused(NAMED("{ address = \"a\"; }, { address = \"b\"; }, { address = \"c\"; }, "
		      "{ address = \"d\"; }, { address = \"e\"; }"),
		"at most 4 of a trunk");
	refused(HEAD "dns = { servers = [ \"ns.example\" ]; };",
		"expected an IP address, with or without a port");
	refused(HEAD "dns = { servers = [ \"192.0.2.53:0\" ]; };",
		"expected an IP address, with or without a port");
	refused(HEAD "dns = { min_ttl = 60; max_ttl = 30; };", "found a min_ttl above max_ttl");
	refused(HEAD "dns = { timeout = 0; };", "expected at least 0.05 s");
}

static void what_later_versions_do_is_named(void **state)
{
	refused(HEAD "location = { share = \"redis://127.0.0.1\"; };",
		"location.share: found \"redis://127.0.0.1\", expected \"local\"");
	refused(HEAD "trunks = ( { name = \"a\"; realm = \"west\"; peers = ( { address = "
		     "\"10.0.1.1\"; } ); "
		     "media = { srtp = \"never\"; }; } );",
		"trunks[0].media.srtp: found a setting that is not supported");
	refused("lcores = { workers = [ 0 ]; dsp = [ 0 ]; };\nports = ( { name = \"xa\"; device = "
		"\"d\"; } );\n"
		"realms = ( { name = \"w\"; port = \"xa\"; addresses = [ \"10.0.1.254/24\" ]; sip "
		"= ( { } ); } );",
		"lcores.dsp: found DSP cores, which are not supported");
}

static void values_of_each_kind_are_checked(void **state)
{
#define REALM(keys)                                                                                \
	"lcores = { workers = [ 0 ]; }; ports = ( { name = \"xa\"; device = \"d\"; } );\n"         \
	"realms = ( { name = \"west\"; port = \"xa\"; " keys " } );\n"
#define ADDRESSES "addresses = [ \"10.0.1.254/24\" ]; "
#define SIP "sip = ( { } ); "
	refused(REALM("addresses = [ \"10.0.1.254\" ]; " SIP),
		"addresses[0]: found \"10.0.1.254\"");
	refused(REALM("addresses = [ \"10.0.1.254/33\" ]; " SIP), "expected a unicast address");
	refused(REALM("addresses = [ \"224.0.0.1/24\" ]; " SIP), "expected a unicast address");
	refused(REALM("addresses = [ \"10.0.1.1/24\", \"10.0.1.1/24\" ]; " SIP),
		"each address of a realm once");
	refused(REALM(ADDRESSES "sip = ( ); "), "expected at least one listener");
	refused(REALM(ADDRESSES "sip = ( { transport = \"tls\"; } ); "),
		"found \"tls\", which is not supported");
	refused(REALM(ADDRESSES "sip = ( { transport = \"carrier\"; } ); "), "expected \"udp\"");
	refused(REALM(ADDRESSES "sip = ( { port = 70000; } ); "), "from 1 to 65535");
	refused(REALM(ADDRESSES "sip = ( { }, { } ); "), "expected each listener once");
	refused(REALM(ADDRESSES "sip = ( { port = 20000; } ); "),
		"expected one outside media.ports");
	refused(REALM(ADDRESSES SIP "media = { ports = [ 16385, 20000 ]; };"),
		"an even first port");
	refused(REALM(ADDRESSES SIP "media = { source = \"authenticated\"; };"),
		"not supported by this version");
	refused(REALM(ADDRESSES SIP "media = { addresses = [ \"10.0.1.1\" ]; };"),
		"one of the realm's addresses");
	refused(REALM(ADDRESSES SIP "gateways = [ \"10.0.2.1\" ];"), "a neighbour inside");
	refused(REALM(ADDRESSES SIP "gateways = [ \"10.0.1.1\", \"10.0.1.2\" ];"),
		"one gateway of each family");
	refused(REALM(ADDRESSES SIP "vlan = 4095;"), "from 1 to 4094");
	refused(REALM(ADDRESSES SIP "advertise = [ \"1.2.3.4\", \"1.2.3.5\" ];"),
		"one for each of the 1 addresses");
	refused(REALM("addresses = [ \"fd00::1/64\" ]; mtu = 1000; " SIP), "at least 1280");
	refused(REALM(ADDRESSES SIP) "run_dir = \"tmp\";", "an absolute path");
	refused(REALM(ADDRESSES SIP) "run_dir = "
				     "\"/"
				     "1234567890123456789012345678901234567890123456789012345678901"
				     "2345"
				     "67890123456789012345\";",
		"of at most 83 characters");
}

static void names_that_exist_once_are_held_to_it(void **state)
{
	refused("lcores = { workers = [ 0 ]; };\nports = ( { name = \"xa\"; device = \"d\"; },\n{ "
		"name = \"xa\"; device "
		"= \"e\"; } );\nrealms = ( { name = \"w\"; port = \"xa\"; " ADDRESSES SIP "} );",
		"x.conf:3: ports[1].name: found \"xa\", expected another name than ports[0]'s");
	refused("lcores = { workers = [ 0 ]; };\nports = ( { name = \"xa\"; device = \"d\"; } );\n"
		"realms = ( { name = \"w\"; port = \"xa\"; " ADDRESSES SIP
		"},\n{ name = \"e\"; port = \"xa\"; " ADDRESSES SIP "} );",
		"which is realm \"w\" already");
	refused(HEAD
		"trunks = ( { name = \"a\"; realm = \"west\"; peers = ( { address = \"10.0.1.1\"; "
		"} ); },\n"
		"{ name = \"a\"; realm = \"west\"; peers = ( { address = \"10.0.1.2\"; } ); } );",
		"another name than trunks[0]'s");
}

static void cpus_must_be_there(void **state)
{
	refused("lcores = { workers = [ 0, 1000 ]; };\nports = ( { name = \"xa\"; device = \"d\"; "
		"} );\n"
		"realms = ( { name = \"w\"; port = \"xa\"; " ADDRESSES SIP "} );",
		"lcores.workers[1]: found 1000, expected a CPU that this machine has");
}

static void ports_must_hold_the_calls(void **state)
{
#define SMALL                                                                                      \
	REALM(ADDRESSES SIP "media = { ports = [ 20000, 20009 ]; };")                              \
	"limits = { calls = %d; };\n" TRUNK
	char text[1024];

	snprintf(text, sizeof(text), SMALL, 6);
	refused(text,
		"found room for 5 calls over IPv4 (1 addresses, ports 20000 to 20009), expected 6");
	snprintf(text, sizeof(text), SMALL, 5);
	struct outcome o = load(text, NULL, 0);
	assert_int_equal(o.rc, 0);
	release(&o);
	// A route back into the same realm takes two legs there.
	snprintf(text, sizeof(text),
		REALM(ADDRESSES SIP
			"media = { ports = [ 20000, 20009 ]; };") "limits = { calls = %d; };\n"
								  "trunks = ( { name = \"a\"; "
								  "realm = \"west\"; peers = ( { "
								  "address = \"10.0.1.1\"; } ); "
								  "},\n"
								  "{ name = \"b\"; realm = "
								  "\"west\"; peers = ( { address = "
								  "\"10.0.1.2\"; } ); } );\n"
								  "routes = ( { from = [ \"a\" ]; "
								  "to = ( { trunk = \"b\"; } ); } "
								  ");\n",
		3);
	refused(text, "expected 6 as limits.calls");
}

// Phones and trunks of a group take ports as a trunk that a route names does.
static void ports_must_hold_phones_and_groups(void **state)
{
#define PHONES                                                                                     \
	REALM(ADDRESSES SIP                                                                        \
		"media = { ports = [ 20000, 20009 ]; }; registrar = { domains = [ \"d.example\" "  \
		"]; };")                                                                           \
	"limits = { calls = %d; registrations = 10; };\n"
	char text[1024];

	snprintf(text, sizeof(text), PHONES, 6);
	refused(text, "expected 6 as limits.calls and the trunks' max_calls (and phones");
	snprintf(text, sizeof(text), PHONES, 5);
	struct outcome o = load(text, NULL, 0);
	assert_int_equal(o.rc, 0);
	release(&o);
	// A phone that calls a trunk of its own side takes two; another side's does not.
	snprintf(text, sizeof(text),
		PHONES TRUNK
		"routes = ( { from = [ \"subscribers\" ]; to = ( { trunk = \"g\"; } "
		"); } );\ngroups = ( { name = \"g\"; to = ( { trunk = \"a\"; } ); } );",
		3);
	refused(text, "expected 6 as limits.calls");
	snprintf(text, sizeof(text),
		PHONES TRUNK "routes = ( { from = [ \"a\" ]; to = ( { registrar = true; } ); } );",
		3);
	refused(text, "expected 6 as limits.calls");
	snprintf(text, sizeof(text), PHONES TRUNK, 5);
	o = load(text, NULL, 0);
	assert_int_equal(o.rc, 0);
	release(&o);
}

static void trunks_must_be_told_apart(void **state)
{
	struct outcome o;

	refused(HEAD
		"trunks = ( { name = \"a\"; realm = \"west\"; peers = ( { address = \"10.0.1.1\"; "
		"} ); },\n"
		"{ name = \"b\"; realm = \"west\"; peers = ( { address = \"10.0.1.1\"; } ); } );",
		"x.conf:4: trunks: ");
	o = load(HEAD "trunks = ( { name = \"a\"; realm = \"west\"; peers = ( { address = "
		      "\"10.0.1.1\"; } ); },\n"
		      "{ name = \"b\"; realm = \"west\"; peers = ( { address = \"10.0.1.1\"; } );\n"
		      "match = { tech_prefix = \"99\"; }; } );",
		NULL, 0);
	assert_int_equal(o.rc, 0);
	release(&o);
}

// An address of record has no port, so a domain with one would be nobody's.
static void domains_of_a_registrar_are_hosts(void **state)
{
	static const char *const good[] = { "tandem.example", "192.0.2.1", "[2001:db8::1]" };
	static const char *const bad[] = { "tandem.example:5060", "2001:db8::1", "[2001:db8::1",
		":5060", "sip:a", "a@b" };
	char text[512];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]) + sizeof(bad) / sizeof(bad[0]); i++) {
		bool is_good = i < sizeof(good) / sizeof(good[0]);
		const char *domain = is_good ? good[i] : bad[i - sizeof(good) / sizeof(good[0])];
		snprintf(text, sizeof(text),
			"lcores = { workers = [ 0 ]; };\nlimits = { registrations = 10; };\n"
			"ports = ( { name = \"xa\"; device = \"net_tap0\"; } );\n"
			"realms = ( { name = \"west\"; port = \"xa\"; addresses = [ "
			"\"10.0.1.254/24\" ]; sip = ( { } );"
			" registrar = { domains = [ \"%s\" ]; }; } );\n",
			domain);
		struct outcome o = load(text, NULL, 0);
		if ((o.rc == 0) != is_good)
			fail_msg("%s: %d", domain, o.rc);
		if (!is_good)
			assert_true(told(&o, "a domain name or an address"));
		release(&o);
	}
}

static void overrides_come_before_checks(void **state)
{
	static const char *const sets[] = { "limits.calls=7", "trunks.a.max_calls=5",
		"ports.0.device=net_null0", "lcores.workers=[0,0]", "lcores.poll=busy",
		"sip.t1=250", "realms.west.sip=({port=5080;})" };
	struct outcome o = load(HEAD TRUNK, sets, 7);

	assert_int_equal(o.rc, 0);
	assert_int_equal(o.conf->max_calls, 7);
	assert_int_equal(o.conf->policy.trunks[0].max_calls, 5);
	assert_string_equal(o.conf->ports[0].device, "net_null0");
	assert_int_equal(o.conf->n_workers, 2);
	assert_int_equal(o.conf->poll, TD_POLL_BUSY);
	assert_int_equal(o.conf->t1_ms, 250);
	assert_int_equal(o.conf->realms[0].sip[0].port, 5080);
	release(&o);
}

static void wrong_overrides_are_faults(void **state)
{
	static const char *const sets[] = { "limits.calls", "=3", "trunks.zz.max_calls=1",
		"limits.cps=few", "new.key=1", "lcores.workers.0=1", "bad key=1" };
	struct outcome o = load(HEAD TRUNK, sets, 7);

	assert_int_equal(o.rc, -EINVAL);
	assert_true(told(&o, "--set limits.calls: found no PATH=VALUE"));
	assert_true(told(&o, "--set =3: found no PATH=VALUE"));
	assert_true(told(&o, "--set trunks.zz.max_calls=1: found no such place"));
	assert_true(told(
		&o, "--set limits.cps=few: limits.cps: found \"few\", expected a whole number"));
	assert_true(told(&o, "--set new.key=1: new: found an unknown key"));
	assert_true(told(&o, "--set lcores.workers.0=1: found no such place"));
	assert_true(told(&o, "--set bad key=1: found no such place"));
	assert_int_equal(o.faults.n, 7);
	release(&o);
}

static void overrides_that_are_wrong_keep_their_secret(void **state)
{
	static const char *const sets[] = { "trunks.nobody.auth.password=s3cret",
		"trunks.[0].auth.password=s3cret", "stoore=postgresql://u:s3cret@h/db",
		"auth.password:s3cret" };
	struct outcome o = load(HEAD, sets, 3);

	assert_int_equal(o.rc, -EINVAL);
	assert_true(told(&o, "--set trunks.nobody.auth.password: "));
	assert_false(told(&o, "s3cret"));
	release(&o);
}

// libconfig ends the process over a folder: on a reload that would be tandem-control.
static void a_folder_is_not_included(void **state)
{
	struct td_faults faults = { 0 };
	struct td_config *conf = NULL;
	char path[] = "/tmp/td_config_XXXXXX", text[] = "  @include \"/tmp\"\n";
	int fd = mkstemp(path);

	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	assert_int_equal(td_config_load(path, NULL, 0, &conf, &faults), -EINVAL);
	assert_int_equal(faults.n, 1);
	assert_string_equal(faults.texts[0], "/tmp: is a directory, expected a configuration file");
	td_faults_free(&faults);
	close(fd);
	unlink(path);
}

static void files_that_cannot_be_read(void **state)
{
	struct td_faults faults = { 0 };
	struct td_config *conf = NULL;

	assert_int_equal(td_config_load("/", NULL, 0, &conf, &faults), -EINVAL);
	assert_int_equal(td_config_load("/nowhere/x.conf", NULL, 0, &conf, &faults), -EINVAL);
	assert_int_equal(faults.n, 2);
	assert_non_null(strstr(faults.texts[0], "is a directory"));
	assert_non_null(strstr(faults.texts[1], "No such file"));
	td_faults_free(&faults);
}

static void many_faults_are_counted_beyond_what_is_kept(void **state)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	fputs(HEAD, out);
	for (int i = 0; i < TD_FAULTS_MAX + 50; i++)
		fprintf(out, "unknown_%d = 1;\n", i);
	fclose(out);
	struct outcome o = load(text, NULL, 0);
	assert_int_equal(o.faults.n, TD_FAULTS_MAX + 50);
	assert_int_equal(o.faults.kept, TD_FAULTS_MAX);
	release(&o);
	free(text);
}

// RFC 7616 has no vector of HA1 alone; this is `printf 'tandem:provider.example:wholesale' |
// md5sum`.
static void an_account_is_hashed_and_forgotten(void **state)
{
	static const uint8_t md5[] = { 0x21, 0x5c, 0x50, 0x5f, 0x74, 0xee, 0x84, 0xca, 0xa5, 0x11,
		0x28, 0xa1, 0xa9, 0x2f, 0x35, 0xf8 };
	struct outcome o = load(HEAD "trunks = ( { name = \"a\"; realm = \"west\"; peers = ( { "
				     "address = \"10.0.1.1\"; } ); "
				     "auth = { username = \"tandem\"; realm = "
				     "\"provider.example\"; password = \"wholesale\"; }; "
				     "register = { expires = 300; }; } );\n",
		NULL, 0);

	assert_int_equal(o.rc, 0);
	const struct td_trunk_conf *trunk = &o.conf->policy.trunks[0];
	assert_string_equal(trunk->credentials.username, "tandem");
	assert_memory_equal(trunk->credentials.ha1_md5, md5, sizeof(md5));
	assert_string_equal(trunk->registration.user, "tandem");
	assert_string_equal(trunk->registration.domain, "provider.example");
	assert_string_equal(trunk->registration.contact, "tandem");
	assert_int_equal(trunk->registration.expires_s, 300);
	const char *bytes = (const char *)trunk;
	for (size_t i = 0; i + 9 <= sizeof(*trunk); i++)
		assert_memory_not_equal(bytes + i, "wholesale", 9);
	release(&o);
}

#define ACCOUNT(text)                                                                              \
	HEAD "trunks = ( { name = \"a\"; realm = \"west\"; peers = ( { address = \"10.0.1.1\"; } " \
	     ");\n" text "; } );\n"

static void faults_of_an_account_do_not_show_the_password(void **state)
{
	struct outcome o =
		load(ACCOUNT("auth = { username = \"u\"; realm = \"r\"; password = 987654321; }"),
			NULL, 0);

	assert_int_equal(o.rc, -EINVAL);
	for (uint32_t i = 0; i < o.faults.kept; i++)
		assert_null(strstr(o.faults.texts[i], "987654321"));
	assert_true(told(&o, "x.conf:5: trunks[0].auth.password"));
	release(&o);
	refused(ACCOUNT("auth = { username = \"u\"; realm = \"r\"; }"),
		"either password or password_file");
	refused(ACCOUNT("auth = { username = \"u\"; realm = \"r\"; password_file = "
			"\"/nowhere/secret\"; }"),
		"password_file \"/nowhere/secret\": No such file");
	refused(ACCOUNT("register = { expires = 300; }"), "whom to register");
	refused(ACCOUNT("register = { user = \"a b\"; domain = \"d\"; }"), "letters, digits");
}

// --- groups, windows, rules

static void routing_is_read(void **state)
{
	const char *text = HEAD TRUNK
		"\n"
		"groups = ( { name = \"g\"; to = ( { trunk = \"a\"; weight = 3; } ); } );\n"
		"windows = ( { name = \"office\"; zone = \"Europe/Berlin\"; periods = (\n"
		"  { days = \"mon-fri,sun\"; from = \"08:00\"; to = \"17:30\"; },\n"
		"  { dates = \"2026-12-24/2026-12-26\"; } ); } );\n"
		"failovers = ( { name = \"f\"; codes = [ 404 ]; classes = [ 4, 5 ]; "
		"attempt_timeout = 1.5; } );\n"
		"routes = ( { from = [ \"a\" ]; prefix = \"=4930\"; caller = \"33\"; window = "
		"\"office\";\n"
		"  failover = \"f\"; name = \"n\"; max_duration = 60; to = ( { trunk = \"g\"; cost "
		"= 0.5; } ); },\n"
		" { from = [ \"a\" ]; prefix = \"900\"; block = 603; } );\n";
	struct outcome o = load(text, NULL, 0);

	if (o.rc != 0)
		told(&o, "nothing");
	assert_int_equal(o.rc, 0);
	const struct td_policy_conf *p = &o.conf->policy;
	assert_int_equal(p->groups[0].members[0].weight, 3);
	const struct td_window_conf *w = &p->windows[0];
	assert_int_equal(w->n_periods, 2);
	assert_int_equal(w->periods[0].weekdays, 0x5f);
	assert_int_equal(w->periods[0].from_min, 480);
	assert_int_equal(w->periods[0].to_min, 1050);
	assert_int_equal(w->periods[1].first_day, 20811);
	assert_int_equal(w->periods[1].last_day, 20813);
	assert_true(w->n_steps > 2);
	assert_true(w->steps[0].offset_s == 3600 || w->steps[0].offset_s == 7200);
	assert_int_equal(p->failovers[0].classes, 0x30);
	assert_int_equal(p->failovers[0].attempt_timeout_ms, 1500);
	assert_string_equal(p->routes[0].prefix, "=4930");
	assert_int_equal(p->routes[0].to[0].cost, 500000);
	assert_int_equal(p->routes[1].block, 603);
	release(&o);
}

static void routing_is_refused(void **state)
{
	refused(HEAD "windows = ( { name = \"w\"; periods = ( { days = \"mon-x\"; } ); } );",
		"days such as");
	refused(HEAD "windows = ( { name = \"w\"; periods = ( { from = \"24:01\"; } ); } );",
		"a time of day");
	refused(HEAD "windows = ( { name = \"w\"; periods = ( { dates = \"2026-02-29\"; } ); } );",
		"a date such as");
	refused(HEAD
		"windows = ( { name = \"w\"; zone = \"../../etc/passwd\"; periods = ( { } ); } );",
		"a time zone");
	refused(HEAD "failovers = ( { name = \"f\"; codes = [ 200 ]; } );",
		"status codes from 300");
	refused(HEAD "failovers = ( { name = \"f\"; classes = [ 6 ]; } );", "classes 3, 4 and 5");
	refused(HEAD TRUNK "routes = ( { from = [ \"a\" ]; prefix = \"1\"; window = \"w\"; to = ( "
			   "{ trunk = \"a\"; } ); } );",
		"there is no window 'w'");
	refused(HEAD TRUNK "groups = ( { name = \"a\"; to = ( { trunk = \"a\"; } ); } );",
		"the name is taken");
	refused(HEAD TRUNK "routes = ( { from = [ \"a\" ]; prefix = \"1\"; block = 603; to = ( { "
			   "trunk = \"a\"; } ); } );",
		"targets in \"to\", or \"block\"");
}

// --- number rules

#define RULES                                                                                      \
	"rules = ( { name = \"e164\"; match = \"^00(.*)\"; replace = \"+\\\\1\"; }, "              \
	"{ name = \"cut\"; match = \"^9\"; replace = \"\"; last = true; } );\n"
#define NUMBERS_TRUNK(more)                                                                        \
	"trunks = ( { name = \"a\"; realm = \"west\"; peers = ( { address = \"10.0.1.1\"; } "      \
	"); " more " } );\n"

static void numbers_are_read(void **state)
{
	struct outcome o = load(
		HEAD RULES NUMBERS_TRUNK(
			"number = { country = \"49\"; national_prefix = \"0\"; "
			"international_prefix = \"00\"; format = \"national\"; "
			"accept = \"plain\"; bare_digits = 7; area = \"30\"; };"
			"caller_id = { in = { allowed = [ \"+4930\", \"44\" ]; default = "
			"\"+49301\"; }; out = { on_refused = \"anonymous\"; keep_name = true; "
			"privacy = \"strip\"; }; };"
			"rules = { in = { caller = [ \"e164\" ]; callee = [ \"cut\", \"e164\" ]; "
			"}; out = { callee = [ \"cut\" ]; }; };") "subscribers = { media_timeout = "
								  "60; number = { country = \"1\"; "
								  "}; rules = { out = { caller = [ "
								  "\"cut\" ]; }; }; };\n"
								  "plans = ( { name = \"gold\"; "
								  "rules = { callee = [ \"cut\", "
								  "\"e164\" ]; }; } );\n",
		NULL, 0);

	if (o.rc != 0)
		told(&o, "nothing");
	assert_int_equal(o.rc, 0);
	const struct td_policy_conf *p = &o.conf->policy;
	assert_int_equal(p->n_rules, 2);
	assert_string_equal(p->rules[0].match, "^00(.*)");
	assert_string_equal(p->rules[0].replace, "+\\1");
	assert_false(p->rules[0].last);
	assert_string_equal(p->rules[1].replace, "");
	assert_true(p->rules[1].last);
	const struct td_numbers_conf *n = &p->trunks[0].numbers;
	assert_string_equal(n->form.country, "49");
	assert_string_equal(n->form.area, "30");
	assert_string_equal(n->form.national, "0");
	assert_string_equal(n->form.international, "00");
	assert_int_equal(n->form.bare_digits, 7);
	assert_int_equal(n->form.accept, TD_NUMBER_DIGITS);
	assert_int_equal(n->form.format, TD_FORMAT_NATIONAL);
	assert_int_equal(n->in.caller.n, 1);
	assert_int_equal(n->in.callee.n, 2);
	assert_string_equal(n->in.callee.names[1], "e164");
	assert_int_equal(n->out.caller.n, 0);
	assert_string_equal(n->out.callee.names[0], "cut");
	assert_int_equal(n->caller_in.n_allowed, 2);
	assert_string_equal(n->caller_in.allowed[1], "44");
	assert_string_equal(n->caller_in.fallback, "+49301");
	assert_int_equal(n->caller_in.on_refused, TD_CALLER_DEFAULT);
	assert_int_equal(n->caller_out.on_refused, TD_CALLER_ANONYMOUS);
	assert_true(n->caller_out.keep_name && !n->caller_in.keep_name);
	assert_int_equal(n->caller_out.privacy, TD_PRIVACY_STRIP);
	assert_string_equal(p->subscribers.form.country, "1");
	assert_string_equal(p->subscribers.out.caller.names[0], "cut");
	assert_int_equal(p->subscribers_media_timeout_s, 60);
	assert_int_equal(p->n_plans, 1);
	assert_string_equal(p->plans[0].name, "gold");
	assert_int_equal(p->plans[0].rules.caller.n, 0);
	assert_string_equal(p->plans[0].rules.callee.names[1], "e164");
	release(&o);
}

#define REALMS_HEAD(says)                                                                          \
	"lcores = { workers = [ 0 ]; };\n"                                                         \
	"limits = { registrations = 100; };\n"                                                     \
	"ports = ( { name = \"xa\"; device = \"net_tap0\"; }, "                                    \
	"{ name = \"xb\"; device = \"net_tap1\"; } );\n"                                           \
	"realms = ( { name = \"west\"; port = \"xa\"; addresses = [ \"10.0.1.254/24\" ]; "         \
	"sip = ( { } ); registrar = { domains = [ \"tandem.example\" ]; }; " says " },\n"          \
	"{ name = \"east\"; port = \"xb\"; addresses = [ \"10.0.2.254/24\" ]; sip = ( { } ); "     \
	"} );\n"
#define REALM_SAYS                                                                                 \
	"number = { country = \"49\"; national_prefix = \"0\"; }; "                                \
	"rules = { in = { callee = [ \"e164\" ]; }; out = { callee = [ \"cut\" ]; }; }; "          \
	"caller_id = { out = { privacy = \"strip\"; }; };"

// Each part as a whole is the trunk's, or its realm's; what is said and empty is said.
static void numbers_of_a_realm(void **state)
{
	const char *text =
		REALMS_HEAD(REALM_SAYS) RULES
		"trunks = ( { name = \"a\"; realm = \"west\"; peers = ( { address = "
		"\"10.0.1.1\"; } ); }, "
		"{ name = \"b\"; realm = \"west\"; peers = ( { address = \"10.0.1.2\"; } ); "
		"number = { country = \"33\"; }; "
		"rules = { in = { caller = [ \"cut\" ]; callee = [ ]; }; }; "
		"caller_id = { out = { }; in = { default = \"+49301\"; }; }; }, "
		"{ name = \"c\"; realm = \"east\"; peers = ( { address = \"10.0.2.1\"; } ); } );\n"
		"subscribers = { number = { }; rules = { out = { callee = [ \"e164\" ]; }; }; };\n";
	struct outcome o = load(text, NULL, 0);

	if (o.rc != 0)
		told(&o, "nothing");
	assert_int_equal(o.rc, 0);
	const struct td_policy_conf *p = &o.conf->policy;
	const struct td_numbers_conf *a = &p->trunks[0].numbers, *b = &p->trunks[1].numbers,
				     *c = &p->trunks[2].numbers;
	assert_string_equal(a->form.country, "49");
	assert_string_equal(a->in.callee.names[0], "e164");
	assert_string_equal(a->out.callee.names[0], "cut");
	assert_int_equal(a->caller_out.privacy, TD_PRIVACY_STRIP);
	assert_int_equal(a->from_realm, 1 << TD_PART_FORM | 1 << TD_PART_IN_CALLEE |
						1 << TD_PART_OUT_CALLEE | 1 << TD_PART_SHOWN_OUT);
	assert_string_equal(b->form.country, "33");
	assert_string_equal(b->form.national, "");
	assert_string_equal(b->in.caller.names[0], "cut");
	assert_int_equal(b->in.callee.n, 0);
	assert_string_equal(b->out.callee.names[0], "cut");
	assert_int_equal(b->caller_out.privacy, TD_PRIVACY_HONOUR);
	assert_string_equal(b->caller_in.fallback, "+49301");
	assert_int_equal(b->from_realm, 1 << TD_PART_OUT_CALLEE);
	assert_int_equal(c->form.country[0], 0);
	assert_int_equal(c->from_realm, 0);
	assert_int_equal(p->n_realms, 1);
	const struct td_numbers_conf *phones = &p->realms[0].subscribers;
	assert_string_equal(p->realms[0].realm, "west");
	assert_string_equal(phones->form.country, "");
	assert_string_equal(phones->in.callee.names[0], "e164");
	assert_string_equal(phones->out.callee.names[0], "e164");
	assert_int_equal(phones->from_realm, 1 << TD_PART_IN_CALLEE | 1 << TD_PART_SHOWN_OUT);
	assert_int_equal(p->subscribers.from_realm, 0);
	assert_int_equal(p->subscribers.in.callee.n, 0);
	release(&o);
	refused(REALMS_HEAD("rules = { in = { callee = [ \"gone\" ]; }; };"),
		"realms[0].rules.in.callee[0]: found \"gone\"");
	refused(REALMS_HEAD("number = { national_prefix = \"0\"; };"),
		"realms[0].number: found no country");
}

static void numbers_are_refused(void **state)
{
	refused(HEAD "rules = (\n{ name = \"a\"; match = \"^00(\"; replace = \"\"; } );",
		"x.conf:5: rules[0].match: found \"^00(\": the pattern is wrong at character 5");
	refused(HEAD "rules = ( { name = \"a\"; match = \"1\"; replace = \"\\\\1\"; } );",
		"group \\1");
	refused(HEAD "rules = ( { name = \"a\"; match = \"\"; replace = \"\"; } );",
		"a pattern of 1 to");
	refused(HEAD "rules = ( { name = \"a\"; match = \"1\"; } );", "what that becomes");
	refused(HEAD RULES NUMBERS_TRUNK("rules = { in = { caller = [ \"gone\" ]; }; };"),
		"trunks[0].rules.in.caller[0]: found \"gone\"");
	refused(HEAD RULES NUMBERS_TRUNK("rules = { in = { caller = \"cut\"; }; };"),
		"an array of at most 8");
	refused(HEAD NUMBERS_TRUNK("number = { national_prefix = \"0\"; };"), "found no country");
	refused(HEAD NUMBERS_TRUNK("number = { country = \"4a\"; };"), "at most 3 digits");
	refused(HEAD NUMBERS_TRUNK("caller_id = { in = { allowed = [ \"+49x\" ]; on_refused = "
				   "\"reject\"; }; };"),
		"how a number begins");
	refused(HEAD NUMBERS_TRUNK("caller_id = { in = { default = \"bob\"; }; };"),
		"a number, such as");
	refused(HEAD NUMBERS_TRUNK("caller_id = { in = { allowed = [ \"49\" ]; }; };"),
		"no default for the others");
	refused(HEAD NUMBERS_TRUNK("caller_id = { in = { privacy = \"pass\"; }; };"),
		"unknown key");
	refused(HEAD NUMBERS_TRUNK("number = { country = \"49\"; format = \"international\"; };"),
		"international_prefix");
	refused(HEAD "subscribers = { rules = { out = { callee = [ \"gone\" ]; }; }; };",
		"subscribers.rules.out.callee[0]");
	refused(HEAD RULES
		"plans = ( { name = \"gold\"; rules = { caller = [ \"cut\",\n\"gone\" ]; "
		"}; } );",
		"x.conf:6: plans[0].rules.caller[1]: found \"gone\"");
	refused(HEAD "plans = ( { name = \"gold\"; }, { name = \"gold\"; } );",
		"found plan gold again");
	refused(HEAD "plans = ( { name = \"gold\"; rules = { in = { }; }; } );", "unknown key");
	refused(HEAD TRUNK "rules = ( { name = \"a\"; match = \"1\"; replace = \"\"; }, { name = "
			   "\"a\"; match = \"1\"; replace = \"\"; } );",
		"two rules are named 'a'");
}

// Every list within its ceiling, and all of them together longer than the frame that takes them to
// the data plane.
static void what_no_frame_holds_is_refused(void **state)
{
	const int n_from = 64, n_to = 16, n_routes = 6400;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	fputs(HEAD "trunks = ( ", out);
	for (int i = 0; i < n_from; i++)
		fprintf(out,
			"%s{ name = \"carrier-of-a-very-long-name-%02d\"; realm = \"west\"; "
			"peers = ( { address = \"10.0.1.%d\"; } ); }",
			i ? ", " : "", i, i + 1);
	fputs(" ); routes = ( ", out);
	for (int r = 0; r < n_routes; r++) {
		fprintf(out, "%s{ prefix = \"%d\"; from = [ ", r ? ", " : "", r);
		for (int i = 0; i < n_from; i++)
			fprintf(out, "%s\"carrier-of-a-very-long-name-%02d\"", i ? "," : "", i);
		fputs(" ]; to = ( ", out);
		for (int i = 0; i < n_to; i++)
			fprintf(out, "%s{ trunk = \"carrier-of-a-very-long-name-%02d\"; }",
				i ? "," : "", i);
		fputs(" ); }", out);
	}
	fputs(" );", out);
	fclose(out);
	refused(text, "expected at most 15");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_fill_what_is_not_said),
		cmocka_unit_test(metrics_are_served_on_the_loopback_unless_told_otherwise),
		cmocka_unit_test(every_reserved_key_is_taken),
		cmocka_unit_test(limits_of_trunks_groups_and_routes),
		cmocka_unit_test(emergency_numbers),
		cmocka_unit_test(emergency_calls_have_a_prefix_of_their_own),
		cmocka_unit_test(routing_is_read),
		cmocka_unit_test(routing_is_refused),
		cmocka_unit_test(numbers_are_read),
		cmocka_unit_test(numbers_of_a_realm),
		cmocka_unit_test(numbers_are_refused),
		cmocka_unit_test(every_fault_is_told_at_once),
		cmocka_unit_test(required_keys_are_asked_for),
		cmocka_unit_test(syntax_is_told_with_its_line),
		cmocka_unit_test(overrides_that_are_wrong_keep_their_secret),
		cmocka_unit_test(a_folder_is_not_included),
		cmocka_unit_test(a_store_is_a_url_whose_secret_stays),
		cmocka_unit_test(records_go_to_files_too),
		cmocka_unit_test(peers_may_be_names),
		cmocka_unit_test(what_later_versions_do_is_named),
		cmocka_unit_test(values_of_each_kind_are_checked),
		cmocka_unit_test(names_that_exist_once_are_held_to_it),
		cmocka_unit_test(cpus_must_be_there),
		cmocka_unit_test(ports_must_hold_the_calls),
		cmocka_unit_test(ports_must_hold_phones_and_groups),
		cmocka_unit_test(trunks_must_be_told_apart),
		cmocka_unit_test(domains_of_a_registrar_are_hosts),
		cmocka_unit_test(overrides_come_before_checks),
		cmocka_unit_test(wrong_overrides_are_faults),
		cmocka_unit_test(files_that_cannot_be_read),
		cmocka_unit_test(many_faults_are_counted_beyond_what_is_kept),
		cmocka_unit_test(an_account_is_hashed_and_forgotten),
		cmocka_unit_test(faults_of_an_account_do_not_show_the_password),
		cmocka_unit_test(what_no_frame_holds_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
