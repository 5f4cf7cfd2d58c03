// SPDX-License-Identifier: BSD-3-Clause
// Rows of an answer, packed as frames one after the other: from what the store and control keep to
// the messages of tandem.proto. One owner at a time; what cannot be kept for want of memory sets
// failed.
#pragma once

#include "control/alarm.h"
#include "control/dns_names.h"
#include "include/binding.h"
#include "include/cdr.h"
#include "include/subscriber.h"

#include <tandem.pb-c.h>

#define TD_ROWS_ATTEMPTS_MAX 64

struct td_rows {
	uint64_t id; // of the request
	uint8_t *bytes;
	size_t len, cap;
	uint32_t n;
	bool failed;
};

void td_rows_clear(struct td_rows *rows); // keeps the memory and the id
void td_rows_free(struct td_rows *rows);

void td_rows_subscriber(struct td_rows *rows, const struct td_subscriber *s); // without its hashes
void td_rows_number(struct td_rows *rows, const char *number, const char *aor);
// A packed binding; one that does not hold is passed over.
void td_rows_registration(struct td_rows *rows, const uint8_t *record, size_t len, uint64_t now_s);
void td_rows_cdr(struct td_rows *rows, const struct td_cdr *cdr,
	const struct td_cdr_attempt *attempts, uint32_t n);
// settings: a line for each.
void td_rows_stored_trunk(struct td_rows *rows, struct td_span name, struct td_span settings);
void td_rows_alarm(struct td_rows *rows, const struct td_alarm *alarm);
// now_ms: the loop's clock. policy: names the trunks that have it.
void td_rows_dns_name(struct td_rows *rows, const struct td_dns_name *name, uint64_t now_ms,
	const struct td_policy_conf *policy);

// As it is pushed to the data plane, with its hashes: points into s. numbers has room for
// TD_SUBSCRIBER_NUMBERS_MAX.
void td_subscriber_to_pb(const struct td_subscriber *s, Tandem__Subscriber *out, char **numbers);
