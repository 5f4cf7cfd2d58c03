// SPDX-License-Identifier: BSD-3-Clause
// What an operator asks of one subscriber, read and checked: which of its fields, and what they
// become. Any thread; never allocates. A password lives in it as its hashes only.
#pragma once

#include "include/subscriber.h"

#include <tandem.pb-c.h>

struct td_subscriber_edit {
	uint32_t fields;         // bit n: the n-th one of the table in subscriber_edit.c
	struct td_subscriber to; // the others of its fields say nothing
};

// Each of the two: NULL, or what is wrong. *edit is 0 before. The password in the message is wiped.
// Every field; of one that is replaced and got no password, all but that.
const char *td_subscriber_edit_add(
	struct td_subscriber_edit *edit, const Tandem__SubscriberAdd *add);
const char *td_subscriber_edit_set(
	struct td_subscriber_edit *edit, const Tandem__SubscriberSet *set);
bool td_subscriber_edit_password(const struct td_subscriber_edit *edit); // has one
bool td_subscriber_edit_plan(const struct td_subscriber_edit *edit);
void td_subscriber_edit_apply(
	const struct td_subscriber_edit *edit, struct td_subscriber *subscriber);
// "max_calls 3 → 5, password changed"; empty: they are the same.
#define TD_SUBSCRIBER_DIFFERENCE_LEN 1024 // more than all fields take
void td_subscriber_difference(const struct td_subscriber *before, const struct td_subscriber *after,
	char text[TD_SUBSCRIBER_DIFFERENCE_LEN]);

// "1001@Example.com", with or without "sip:": the AoR as it is kept. false: none.
bool td_aor_read(const char *text, char aor[TD_AOR_LEN]);
// "+49 30 555-100": digits. false: none.
bool td_number_read(const char *text, char number[TD_NUMBER_LEN]);
