// SPDX-License-Identifier: BSD-3-Clause
// The configuration file as data. control/config.h reads it from libconfig text; both daemons'
// main.c hand it on. The data plane takes lcores, memory, limits, ports and realms from it, never
// policy (architecture §1).
#pragma once

#include "include/policy_conf.h"

#define TD_PATH_LEN 108 // sun_path
#define TD_STORE_URL_LEN 512

enum td_poll { TD_POLL_ADAPTIVE, TD_POLL_BUSY };
enum td_rx_checksum { TD_CHECKSUM_AUTO, TD_CHECKSUM_VERIFY, TD_CHECKSUM_TRUST };
enum td_media_source { TD_SOURCE_STRICT, TD_SOURCE_LEARN_ONCE, TD_SOURCE_AUTHENTICATED };
enum td_unknown { TD_UNKNOWN_DROP, TD_UNKNOWN_403 };

struct td_port_conf {
	char name[TD_NAME_LEN];
	char device[256];    // PCI address or DPDK virtual device string
	uint8_t rx_checksum; // enum td_rx_checksum
	bool punt_tap;
	uint16_t mtu;        // 0: the device's
};

struct td_listener_conf {
	uint8_t transport; // enum td_transport
	uint16_t port;
};

struct td_realm_address {
	struct td_sockaddr ip; // port 0
	struct td_sockaddr advertise; // 1:1 NAT address put into SIP and SDP; unset: ip itself
	uint8_t prefix_len;
	bool media; // RTP is relayed on it: all addresses unless media.addresses names some
};

enum td_digest_algorithm { TD_DIGEST_SHA256, TD_DIGEST_MD5, TD_DIGEST__COUNT };
enum td_ping { TD_PING_OFF, TD_PING_OPTIONS, TD_PING_CRLF };

// realms.registrar: who registers in this realm, and how.
struct td_registrar_conf {
	uint8_t n_domains; // 0: there is none
	uint8_t n_algorithms;
	uint8_t algorithms[TD_DIGEST__COUNT]; // enum td_digest_algorithm, as they are offered
	bool nonce_any_source; // nonce_source = "any": not bound to the address it was given to
	uint8_t ping;                // enum td_ping, of those behind NAT
	uint16_t max_contacts;       // of one AoR, 1 – TD_CONTACTS_MAX
	uint32_t min_expires_s, max_expires_s;
	uint32_t default_expires_s;  // where the REGISTER names none
	uint32_t nonce_lifetime_s;
	uint32_t ping_interval_s;
	uint32_t flow_timer_s;       // RFC 5626 §4.4; 0: none is told
	char domains[TD_REGISTRAR_DOMAINS_MAX][TD_HOST_LEN]; // lower case
	char service_route[256];     // value of Service-Route (RFC 3608), or empty
};

struct td_realm_conf {
	char name[TD_NAME_LEN];
	char port[TD_NAME_LEN];
	uint16_t vlan; // 0: untagged
	uint16_t mtu;  // 0: the port's
	uint8_t n_addresses, n_listeners, n_gateways;
	struct td_realm_address addresses[TD_REALM_ADDRS_MAX];
	struct td_sockaddr gateways[TD_REALM_GATEWAYS_MAX]; // default gateway of each family
	struct td_listener_conf sip[TD_REALM_LISTENERS_MAX];
	uint16_t media_port_min, media_port_max; // inclusive; RTP takes the even ones
	uint8_t media_source; // enum td_media_source
	uint8_t unknown;      // enum td_unknown
	uint8_t dscp_sip, dscp_rtp; // 0–63; defaults 24 (CS3) and 46 (EF)
	struct td_registrar_conf registrar;
};

// Whom control asks for host names.
struct td_dns_conf {
	uint8_t n_servers; // 0: those of /etc/resolv.conf
	struct td_sockaddr servers[TD_DNS_SERVERS_MAX];
	uint32_t timeout_ms, tries;    // of one server: the first time-out, how often
	uint32_t min_ttl_s, max_ttl_s; // what a time to live is raised and lowered to
};

// cdr.csv, cdr.jsonl: call detail records as lines of files.
struct td_cdr_file_conf {
	char path[TD_PATH_LEN]; // empty: none
	uint32_t rotate_mb, rotate_s, keep;
};

struct td_config {
	char node[TD_NAME_LEN];
	char run_dir[TD_PATH_LEN - 24];
	char state_dir[TD_PATH_LEN - 24];
	int main_cpu;
	uint16_t n_workers, n_dsp;
	int worker_cpus[TD_WORKERS_MAX]; // a CPU may repeat
	int dsp_cpus[TD_WORKERS_MAX];
	uint8_t poll; // enum td_poll
	uint32_t huge_mb; // 0: --no-huge
	uint32_t max_calls, max_cps, cps_burst, max_registrations;
	uint32_t sip_message_bytes;  // default 16384
	uint32_t quarantine_ms;      // default 1000
	uint32_t source_cps;         // default 0
	uint32_t drain_s;            // default 30
	uint8_t location_share;      // location.share: "local" alone so far
	bool location_sync;          // location.durability = "sync"
	uint32_t t1_ms, t2_ms, t4_ms; // sip = { t1, t2, t4 }: 500, 4000, 5000 (RFC 3261 §17.1.1.1)
	struct td_cdr_file_conf cdr_csv, cdr_jsonl;
	uint32_t cdr_interim_s; // records of calls that last, so often; 0: none
	char store[TD_STORE_URL_LEN]; // "sqlite:/PATH" or "postgresql://…"; may hold a password
	bool metrics_enabled;        // default true
	struct td_sockaddr metrics;  // where /metrics is served; default 127.0.0.1:9464
	struct td_dns_conf dns;
	uint8_t n_ports, n_realms;
	struct td_port_conf ports[TD_PORTS_MAX];
	struct td_realm_conf realms[TD_REALMS_MAX];
	struct td_policy_conf policy;
};
