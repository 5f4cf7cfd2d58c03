// SPDX-License-Identifier: BSD-3-Clause
// A table of keys drives the reading of a configuration: kind, place, range and default of each key
// stand in one line (control/config_keys.c), and what is not in the table is a fault. Inside of the
// loader; nobody else includes this.
#pragma once

#include "control/config.h"

#include <libconfig.h>

enum cfg_kind {
	CFG_DIGITS,  // or nothing
	CFG_NAME,    // letters, digits, '-', '_', '.'
	CFG_TEXT,    // printable, without control characters
	CFG_PATH,    // absolute
	CFG_NUMBER,  // whole
	CFG_SECONDS, // whole or with a fraction, kept in units of 1/scale s
	CFG_BOOL,
	CFG_CHOICE, // one of words; its index is kept
	CFG_GROUP,  // keys of the same record, or of one inside it
	CFG_LIST,   // groups, one record each
	CFG_READ,   // read() knows
	CFG_LATER,  // reserved: known, and refused as not supported by this version
};

struct cfg_reader {
	config_t config;
	const char *name; // of the file, where libconfig has none
	struct td_faults *faults;
	struct td_config *conf;
	void *outer; // the record whose list is read
};

struct cfg_list;

struct cfg_field {
	const char *key;
	enum cfg_kind kind;
	bool required;
	uint32_t offset, size; // of the value in the record; text: its capacity
	int64_t min, max, preset;
	uint32_t scale;
	const char *text;         // preset of a text
	const char *const *words; // of a choice, to NULL; then words not supported yet, to NULL
	const struct cfg_field *group;
	const struct cfg_list *list;
	// Of a group whose values stand in another record than its list's; NULL: in that one.
	void *(*elsewhere)(struct cfg_reader *reader, void *record);
	// setting is NULL where the key is absent: the default is put in then.
	void (*read)(struct cfg_reader *reader, config_setting_t *setting, void *record);
	const char *expected; // what a required CFG_READ key would hold
};

struct cfg_list {
	const struct cfg_field *group;
	uint32_t max, element_bytes;
	uint32_t offset, count_offset, count_bytes;
	bool owned; // the record holds a pointer to the elements, not the elements
};

// Reads a group (NULL: all defaults) into record. Every key of the group that the table lacks is a
// fault.
void cfg_read_fields(struct cfg_reader *reader, config_setting_t *group,
	const struct cfg_field *fields, void *record);

// "FILE:LINE: KEY: found <setting as it stands>, expected <format>".
void cfg_fault(struct cfg_reader *reader, const config_setting_t *setting, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
// "FILE:LINE: KEY: <format>", for what is not about one value.
void cfg_fault_text(struct cfg_reader *reader, const config_setting_t *setting, const char *format,
	...) __attribute__((format(printf, 3, 4)));

extern const struct cfg_field cfg_top[]; // config_keys.c

// config_values.c: what the generic kinds cannot hold.
void cfg_read_store(struct cfg_reader *reader, config_setting_t *setting, void *record);
void cfg_read_workers(struct cfg_reader *reader, config_setting_t *setting, void *record);
void cfg_read_dsp(struct cfg_reader *reader, config_setting_t *setting, void *record);
void cfg_read_realm_addresses(struct cfg_reader *reader, config_setting_t *setting, void *record);
void cfg_read_realm_advertise(struct cfg_reader *reader, config_setting_t *setting, void *record);
void cfg_read_realm_gateways(struct cfg_reader *reader, config_setting_t *setting, void *record);
void cfg_read_media_ports(struct cfg_reader *reader, config_setting_t *setting, void *record);
void cfg_read_media_addresses(struct cfg_reader *reader, config_setting_t *setting, void *record);
void cfg_read_dns_servers(struct cfg_reader *reader, config_setting_t *setting, void *record);
void cfg_read_metrics_address(
	struct cfg_reader *reader, config_setting_t *setting, void *record);
void cfg_read_peer_address(struct cfg_reader *reader, config_setting_t *setting, void *record);
void cfg_read_sources(struct cfg_reader *reader, config_setting_t *setting, void *record);
void cfg_read_media_sources(struct cfg_reader *reader, config_setting_t *setting, void *record);
void cfg_read_emergency_numbers(
	struct cfg_reader *reader, config_setting_t *setting, void *record);
void cfg_read_failover_codes(struct cfg_reader *reader, config_setting_t *setting, void *record);
void cfg_read_listener_match(struct cfg_reader *reader, config_setting_t *setting, void *record);
// config_account.c: the account at a provider.
void cfg_read_auth(struct cfg_reader *reader, config_setting_t *setting, void *record);
void cfg_read_register(struct cfg_reader *reader, config_setting_t *setting, void *record);
void cfg_read_registrar_domains(struct cfg_reader *reader, config_setting_t *setting, void *record);
void cfg_read_registrar_algorithms(
	struct cfg_reader *reader, config_setting_t *setting, void *record);
void cfg_read_route_from(struct cfg_reader *reader, config_setting_t *setting, void *record);
void cfg_read_route_prefix(struct cfg_reader *reader, config_setting_t *setting, void *record);

// config_numbers.c: rules and their lists, forms of numbers.
void cfg_read_rules_of_caller(struct cfg_reader *reader, config_setting_t *setting, void *record);
void cfg_read_rules_of_callee(struct cfg_reader *reader, config_setting_t *setting, void *record);
void cfg_read_rule_match(struct cfg_reader *reader, config_setting_t *setting, void *record);
void cfg_read_rule_replace(struct cfg_reader *reader, config_setting_t *setting, void *record);
void cfg_read_callers(struct cfg_reader *reader, config_setting_t *setting, void *record);
void cfg_read_caller_default(struct cfg_reader *reader, config_setting_t *setting, void *record);
void cfg_numbers_check(struct cfg_reader *reader);
// config_realm_numbers.c: what realms say of numbers. begin: before anything is read; false: no
// memory. fill: of a file that is right so far.
bool cfg_realm_numbers_begin(struct cfg_reader *reader);
void *cfg_realm_numbers(struct cfg_reader *reader, void *record);
void cfg_realm_numbers_fill(struct cfg_reader *reader);
// config_registrar.c: realms.registrar.
void cfg_registrar_check(struct cfg_reader *reader);
// config_routing.c: groups, windows, failover rules.
void cfg_read_weekdays(struct cfg_reader *reader, config_setting_t *setting, void *record);
void cfg_read_from_minute(struct cfg_reader *reader, config_setting_t *setting, void *record);
void cfg_read_to_minute(struct cfg_reader *reader, config_setting_t *setting, void *record);
void cfg_read_dates(struct cfg_reader *reader, config_setting_t *setting, void *record);
void cfg_read_zone(struct cfg_reader *reader, config_setting_t *setting, void *record);
void cfg_read_failover_rule_codes(
	struct cfg_reader *reader, config_setting_t *setting, void *record);
void cfg_read_failover_rule_classes(
	struct cfg_reader *reader, config_setting_t *setting, void *record);

// config_stored.c: adds the trunks of the store whose names the file has not.
void cfg_stored_add(struct cfg_reader *reader, const struct td_stored_trunk *list, uint32_t n);
// config_set.c: replaces parent's key by the value that text spells; where: what faults of it are
// placed at, and lives as long as the reader. false: no such key can be, or memory is out.
bool cfg_value_put(
	config_setting_t *parent, const char *key, const char *text, const char *where);
// config_set.c: one --set override.
// How much of it may be shown: a value may be a password, or a URL that holds one.
int cfg_set_shown(const char *set);
void cfg_apply_set(struct cfg_reader *reader, const char *set);
// config_cross.c: what only the whole can tell.
void cfg_cross_check(struct cfg_reader *reader);
// config_policy.c: of a file that is right so far.
void cfg_policy_check(struct cfg_reader *reader);
