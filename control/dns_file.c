// SPDX-License-Identifier: BSD-3-Clause
#include "control/dns_file.h"

#include "control/state_file.h"
#include "include/policy_conf.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#define FILE_NAME "dns.state"
#define LINE_MAX_BYTES 512

static bool record_read(const char *line, struct td_dns_record *out)
{
	char address[TD_ADDR_STRLEN];

	static_assert(
		TD_HOST_LEN == 128 && TD_ADDR_STRLEN == 56, "the widths in the formats below");
	*out = (struct td_dns_record){ 0 };
	return sscanf(line, " record %" SCNu16 " %" SCNu16 " %" SCNu16 " %127s %55s",
		       &out->priority, &out->weight, &out->address.port, out->host, address) == 5 &&
	       td_host_is_name(td_span_str(out->host)) && out->address.port != 0 &&
	       td_ip_parse(td_span_str(address), &out->address) == 0;
}

static bool name_read(const char *line, struct td_dns_kept *out)
{
	memset(out, 0, sizeof(*out));
	return sscanf(line, "name %127s %" SCNu16 " %" SCNu64, out->name, &out->port,
		       &out->resolved_s) == 3 &&
	       td_host_is_name(td_span_str(out->name));
}

void td_dns_file_read(
	const char *state_dir, void (*take)(void *user, const struct td_dns_kept *kept), void *user)
{
	char path[PATH_MAX], line[LINE_MAX_BYTES];
	struct td_dns_kept kept = { .name = "" };

	snprintf(path, sizeof(path), "%s/" FILE_NAME, state_dir);
	FILE *file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		struct td_dns_record record;
		if (strncmp(line, "name ", 5) == 0) {
			if (kept.answer.n > 0)
				take(user, &kept);
			if (!name_read(line, &kept))
				kept.name[0] = '\0';
		} else if (kept.name[0] && kept.answer.n < TD_DNS_ANSWERS_MAX &&
			   record_read(line, &record)) {
			kept.answer.records[kept.answer.n++] = record;
		}
	}
	if (kept.answer.n > 0)
		take(user, &kept);
	if (file)
		fclose(file);
}

static void kept_print(FILE *file, const struct td_dns_kept *kept)
{
	char address[TD_ADDR_STRLEN];

	fprintf(file, "name %s %u %" PRIu64 "\n", kept->name, kept->port, kept->resolved_s);
	for (uint16_t i = 0; i < kept->answer.n; i++) {
		const struct td_dns_record *r = &kept->answer.records[i];
		td_ip_format(&r->address, false, address, sizeof(address));
		fprintf(file, "  record %u %u %u %s %s\n", r->priority, r->weight, r->address.port,
			r->host, address);
	}
}

struct kept_list {
	const struct td_dns_kept *(*next)(void *user, uint32_t k);
	void *user;
};

static void list_print(FILE *out, const void *what)
{
	const struct kept_list *list = what;
	const struct td_dns_kept *kept;

	for (uint32_t k = 0; (kept = list->next(list->user, k)); k++)
		kept_print(out, kept);
}

int td_dns_file_write(const char *state_dir,
	const struct td_dns_kept *(*next)(void *user, uint32_t k), void *user)
{
	return td_state_print(state_dir, FILE_NAME, list_print, &(struct kept_list){ next, user });
}
