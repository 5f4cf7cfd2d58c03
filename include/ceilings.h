// SPDX-License-Identifier: BSD-3-Clause
// Compile-time ceilings: every array that a configuration or a packet could fill is bounded here.
#pragma once

#define TD_NAME_LEN 32            // node, realm, port, trunk names, NUL included
#define TD_WORKERS_MAX 64
#define TD_PORTS_MAX 32
#define TD_REALMS_MAX 64
#define TD_REALM_ADDRS_MAX 8      // addresses of one realm, both families
#define TD_REALM_LISTENERS_MAX 8  // SIP transports × ports of one realm
#define TD_REALM_GATEWAYS_MAX 4
#define TD_TRUNKS_MAX 16384
#define TD_TRUNK_SLOTS (2 * TD_TRUNKS_MAX) // a reload may replace all while the old ones have calls
#define TD_PEERS_MAX 16           // egress targets of one trunk
#define TD_HOST_LEN 128           // host names, NUL included
#define TD_TRUNK_HOSTS_MAX 4      // host names among the peers of one trunk
#define TD_PROBES_MAX 65536       // peers of all trunks that are asked by OPTIONS
#define TD_FINDINGS_MAX 60        // in a row, until a peer is held to be down or up
#define TD_DNS_SERVERS_MAX 4
#define TD_DNS_ANSWERS_MAX 16     // of one question, and addresses of one name
#define TD_SOURCES_MAX 32         // ingress prefixes of one trunk
#define TD_ROUTE_TARGETS_MAX 16
#define TD_ROUTE_FROM_MAX 64
#define TD_ROUTES_MAX 65536
#define TD_GROUPS_MAX 4096        // of trunks
#define TD_WINDOWS_MAX 1024
#define TD_PERIODS_MAX 16         // of one window
#define TD_ZONE_STEPS_MAX 48      // summer and winter time of two dozen years
#define TD_FAILOVERS_MAX 1024
#define TD_EMERGENCY_MAX 16         // numbers that are emergency calls
#define TD_EMERGENCY_LEN 16         // of one, with its NUL
#define TD_LIMITS_MAX 4096        // that routes share
#define TD_RULES_MAX 1024         // number rules
#define TD_RULE_LIST_MAX 8        // of one list of a trunk
#define TD_RULE_MATCH_LEN 128     // a pattern, NUL included
#define TD_RULE_REPLACE_LEN 64
#define TD_CALLERS_MAX 16         // prefixes of callers that a trunk allows
#define TD_PLANS_MAX 64           // loaded dial plans
#define TD_STREAMS_MAX 4          // relayed m= lines of one call; more are answered with port 0
#define TD_ATTEMPTS_MAX 16        // B attempts of one call in its life
#define TD_CONTACTS_MAX 16         // bindings of one AoR
#define TD_SUBSCRIBER_LIMIT_MAX 10000000 // calls, and calls/s, of one; stores keep 31 bits
#define TD_REGISTRAR_DOMAINS_MAX 16 // of one realm
#define TD_SIP_MESSAGE_MAX 65535  // the largest value limits.sip_message_bytes may take
