// SPDX-License-Identifier: BSD-3-Clause
// The switch's account at a trunk's provider. The password is read, hashed and forgotten: only HA1
// leaves this file, and no fault shows it.
#include "control/config_schema.h"

#include "sip/digest.h"

#include <errno.h>
#include <stdio.h>

struct account {
	char username[64], realm[64], password[128], password_file[256];
};

#define TEXT(k, record, field, ...)                                                                \
	{                                                                                          \
		.key = k, .kind = CFG_TEXT, .offset = offsetof(struct record, field),              \
		.size = sizeof(((struct record *)0)->field), __VA_ARGS__                           \
	}

static const struct cfg_field auth_fields[] = {
	TEXT("username", account, username, .required = true),
	TEXT("realm", account, realm, .required = true),
	TEXT("password", account, password),
	{ .key = "password_file",
		.kind = CFG_PATH,
		.offset = offsetof(struct account, password_file),
		.size = sizeof(((struct account *)0)->password_file) },
	{ .key = NULL },
};

static const struct cfg_field register_fields[] = {
	TEXT("user", td_register_conf, user),
	TEXT("domain", td_register_conf, domain),
	TEXT("contact", td_register_conf, contact),
	{ .key = "expires",
		.kind = CFG_SECONDS,
		.offset = offsetof(struct td_register_conf, expires_s),
		.size = sizeof(uint32_t),
		.scale = 1,
		.min = 30,
		.max = 86400,
		.preset = 600 },
	{ .key = NULL },
};

// The first line of a file that only its owner should read.
static bool password_from_file(
	struct cfg_reader *reader, config_setting_t *setting, struct account *account)
{
	FILE *file = fopen(account->password_file, "re");
	bool read = file && fgets(account->password, sizeof(account->password), file);
	bool whole = read && (strchr(account->password, '\n') || feof(file) ||
				     strlen(account->password) + 1 < sizeof(account->password));

	if (read && !whole)
		cfg_fault_text(reader, setting,
			"password_file \"%s\": a password has at most %zu "
			"characters",
			account->password_file, sizeof(account->password) - 2);
	else if (!read)
		cfg_fault_text(reader, setting, "password_file \"%s\": %s", account->password_file,
			file ? "it is empty" : strerror(errno));
	if (file)
		fclose(file);
	account->password[strcspn(account->password, "\r\n")] = '\0';
	return read;
}

// What stands between quotes in a header has none itself.
static bool can_be_quoted(const char *text)
{
	return strpbrk(text, "\"\\") == NULL;
}

static void account_keep(struct account *account, struct td_credentials *out)
{
	struct td_span user = td_span_str(account->username), realm = td_span_str(account->realm);
	struct td_span password = td_span_str(account->password);
	uint8_t ha1[TD_DIGEST_BYTES_MAX];

	memcpy(out->username, account->username, sizeof(out->username));
	memcpy(out->realm, account->realm, sizeof(out->realm));
	td_digest_ha1(TD_DIGEST_MD5, user, realm, password, ha1);
	memcpy(out->ha1_md5, ha1, sizeof(out->ha1_md5));
	td_digest_ha1(TD_DIGEST_SHA256, user, realm, password, ha1);
	memcpy(out->ha1_sha256, ha1, sizeof(out->ha1_sha256));
	explicit_bzero(ha1, sizeof(ha1));
}

void cfg_read_auth(struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	struct td_trunk_conf *trunk = record;
	struct account account = { 0 };
	uint32_t faults = reader->faults->n;

	if (!setting)
		return;
	if (!config_setting_is_group(setting)) {
		cfg_fault(reader, setting, "a group { username; realm; password; }");
		return;
	}
	cfg_read_fields(reader, setting, auth_fields, &account);
	if ((account.password[0] == '\0') == (account.password_file[0] == '\0'))
		cfg_fault_text(reader, setting, "give either password or password_file");
	else if (!can_be_quoted(account.username) || !can_be_quoted(account.realm))
		cfg_fault_text(reader, setting, "username and realm hold neither quotes nor \\");
	else if (account.password_file[0] != '\0')
		password_from_file(reader, setting, &account);
	if (reader->faults->n == faults)
		account_keep(&account, &trunk->credentials);
	explicit_bzero(&account, sizeof(account));
}

// Nothing that would have to be escaped in a URI.
static bool is_plain(const char *text)
{
	return text[strspn(text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				 "+-._~")] == '\0';
}

void cfg_read_register(struct cfg_reader *reader, config_setting_t *setting, void *record)
{
	struct td_trunk_conf *trunk = record;
	struct td_register_conf *reg = &trunk->registration;
	const struct td_credentials *auth = &trunk->credentials;

	if (!setting)
		return;
	if (!config_setting_is_group(setting)) {
		cfg_fault(reader, setting, "a group { user; domain; contact; expires; }");
		return;
	}
	cfg_read_fields(reader, setting, register_fields, reg);
	if (reg->user[0] == '\0')
		memcpy(reg->user, auth->username, sizeof(reg->user));
	if (reg->domain[0] == '\0')
		memcpy(reg->domain, auth->realm, sizeof(reg->domain));
	if (reg->contact[0] == '\0')
		memcpy(reg->contact, reg->user, sizeof(reg->contact));
	if (reg->user[0] == '\0' || reg->domain[0] == '\0')
		cfg_fault_text(reader, setting,
			"whom to register: give user and domain, or auth in front of it");
	else if (!is_plain(reg->user) || !is_plain(reg->contact) || !is_plain(reg->domain))
		cfg_fault_text(reader, setting,
			"user, domain and contact are made of letters, digits and +-._~");
	else if (trunk->n_peers == 0)
		cfg_fault_text(reader, setting, "where to register: the trunk has no peers");
}
