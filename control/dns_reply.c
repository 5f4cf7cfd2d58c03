// SPDX-License-Identifier: BSD-3-Clause
#include "control/dns_reply.h"

#include "include/policy_conf.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <stdlib.h>

#define HEADER_BYTES 12
#define SOA_BYTES_MIN 22  // two names of the root, five numbers
#define ADDRESSES_MAX 128 // that c-ares is asked for: it keeps the server's order

// --- times to live ---

static uint32_t number_be(const uint8_t *p, size_t bytes)
{
	uint32_t n = 0;

	for (size_t i = 0; i < bytes; i++)
		n = n << 8 | p[i];
	return n;
}

// The place behind the name at that place; 0: there is none.
static size_t name_skip(const uint8_t *bytes, size_t len, size_t at)
{
	while (at < len) {
		uint8_t label = bytes[at];
		if (label >= 0xc0)
			return at + 2 <= len ? at + 2 : 0;
		if (label == 0)
			return at + 1;
		if (label > 63)
			return 0;
		at += 1u + label;
	}
	return 0;
}

struct record {
	uint32_t type, ttl_s;
	size_t data, len; // place and length of what it holds
};

// Takes the record at *at and moves on behind it. 0 or -EBADMSG.
static int record_read(const uint8_t *bytes, size_t len, size_t *at, struct record *out)
{
	size_t head = name_skip(bytes, len, *at);

	if (head == 0 || len - head < 10)
		return -EBADMSG;
	out->type = number_be(bytes + head, 2);
	out->ttl_s = number_be(bytes + head + 4, 4);
	if (out->ttl_s > INT32_MAX) // RFC 2181 §8
		out->ttl_s = 0;
	out->len = number_be(bytes + head + 8, 2);
	out->data = head + 10;
	if (len - out->data < out->len)
		return -EBADMSG;
	*at = out->data + out->len;
	return 0;
}

// RFC 2308 §5: the zone's SOA says for how long there is none, by its own TTL and its last number.
static uint32_t none_ttl_s(const uint8_t *bytes, const struct record *record)
{
	if (record->type != ns_t_soa || record->len < SOA_BYTES_MIN)
		return UINT32_MAX;
	uint32_t minimum_s = number_be(bytes + record->data + record->len - 4, 4);
	return minimum_s < record->ttl_s ? minimum_s : record->ttl_s;
}

// c-ares tells those of addresses alone. What there is none of has its time in the authority
// section. 0 or -EBADMSG.
static int ttl_read(const uint8_t *bytes, size_t len, bool none, uint32_t *least_s)
{
	struct record record;
	size_t at = HEADER_BYTES;

	*least_s = UINT32_MAX;
	if (len < HEADER_BYTES)
		return -EBADMSG;
	uint32_t questions = number_be(bytes + 4, 2), answers = number_be(bytes + 6, 2),
		 authorities = none ? number_be(bytes + 8, 2) : 0;
	for (uint32_t i = 0; i < questions; i++) {
		at = name_skip(bytes, len, at);
		if (at == 0 || len - at < 4)
			return -EBADMSG;
		at += 4;
	}
	for (uint32_t i = 0; i < answers + authorities; i++) {
		if (record_read(bytes, len, &at, &record) < 0)
			return -EBADMSG;
		uint32_t ttl_s = i < answers ? record.ttl_s : none_ttl_s(bytes, &record);
		*least_s = ttl_s < *least_s ? ttl_s : *least_s;
	}
	return 0;
}

uint32_t td_dns_none_ttl_s(const uint8_t *bytes, size_t len)
{
	uint32_t ttl_s;

	return ttl_read(bytes, len, true, &ttl_s) == 0 ? ttl_s : UINT32_MAX;
}

// --- lists that stay in order ---

// Puts the element where it belongs; the last one gives way where all places are taken.
static void list_insert(struct td_dns_reply *out, void *list, size_t bytes, const void *element,
	int (*compare)(const void *a, const void *b))
{
	char *first = list;
	uint16_t at = out->n;

	while (at > 0 && compare(first + (size_t)(at - 1) * bytes, element) > 0)
		at--;
	if (at > 0 && compare(first + (size_t)(at - 1) * bytes, element) == 0)
		return; // twice
	out->left_out += out->n == TD_DNS_ANSWERS_MAX;
	if (at == TD_DNS_ANSWERS_MAX)
		return;
	uint16_t behind = (uint16_t)(out->n - at - (out->n == TD_DNS_ANSWERS_MAX));
	memmove(first + (size_t)(at + 1) * bytes, first + at * bytes, behind * bytes);
	memcpy(first + at * bytes, element, bytes);
	out->n += out->n < TD_DNS_ANSWERS_MAX;
}

static int address_compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct td_sockaddr));
}

static int srv_compare(const void *a, const void *b)
{
	const struct td_dns_srv *x = a, *y = b;

	if (x->priority != y->priority)
		return x->priority < y->priority ? -1 : 1;
	int order = strcmp(x->target, y->target);
	return order != 0 ? order : (x->port > y->port) - (x->port < y->port);
}

static int naptr_compare(const void *a, const void *b)
{
	const struct td_dns_naptr *x = a, *y = b;

	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	if (x->preference != y->preference)
		return x->preference < y->preference ? -1 : 1;
	return strcmp(x->replacement, y->replacement);
}

// --- records ---

static void address_add(struct td_dns_reply *out, const void *ip, uint8_t family)
{
	struct td_sockaddr a = { .family = family };

	memcpy(a.ip, ip, td_ip_len(family));
	if (td_ip_is_host(&a))
		list_insert(out, out->addresses, sizeof(a), &a, address_compare);
	else
		out->left_out++;
}

static int addresses4_read(const uint8_t *bytes, int len, struct td_dns_reply *out)
{
	struct ares_addrttl list[ADDRESSES_MAX];
	int n = ADDRESSES_MAX, rc = ares_parse_a_reply(bytes, len, NULL, list, &n);

	for (int i = 0; rc == ARES_SUCCESS && i < n; i++)
		address_add(out, &list[i].ipaddr, TD_IPV4);
	return rc;
}

static int addresses6_read(const uint8_t *bytes, int len, struct td_dns_reply *out)
{
	struct ares_addr6ttl list[ADDRESSES_MAX];
	int n = ADDRESSES_MAX, rc = ares_parse_aaaa_reply(bytes, len, NULL, list, &n);

	for (int i = 0; rc == ARES_SUCCESS && i < n; i++)
		address_add(out, &list[i].ip6addr, TD_IPV6);
	return rc;
}

// false: it is none that could be asked for.
static bool name_take(const char *text, char out[TD_HOST_LEN])
{
	struct td_span name = td_span_str(text);

	if (!td_host_is_name(name))
		return false;
	for (uint32_t i = 0; i < name.len; i++)
		out[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] | 0x20 : text[i]);
	out[name.len] = '\0';
	return true;
}

static int srv_read(const uint8_t *bytes, int len, struct td_dns_reply *out)
{
	struct ares_srv_reply *list = NULL;
	int rc = ares_parse_srv_reply(bytes, len, &list);

	for (const struct ares_srv_reply *r = list; r; r = r->next) {
		struct td_dns_srv srv = {
			.priority = r->priority, .weight = r->weight, .port = r->port
		};
		if (r->host[0] == '\0' || strcmp(r->host, ".") == 0)
			out->none = true;
		else if (r->port != 0 && name_take(r->host, srv.target))
			list_insert(out, out->srv, sizeof(srv), &srv, srv_compare);
		else
			out->left_out++;
	}
	ares_free_data(list);
	return rc;
}

static int naptr_read(const uint8_t *bytes, int len, struct td_dns_reply *out)
{
	struct ares_naptr_reply *list = NULL;
	int rc = ares_parse_naptr_reply(bytes, len, &list);

	for (const struct ares_naptr_reply *r = list; r; r = r->next) {
		struct td_dns_naptr naptr = { .order = r->order, .preference = r->preference };
		struct td_span service = td_span_str((const char *)r->service);
		// Other transports are discarded, as if they were not there (RFC 3263 §4.1).
		if (!td_span_ieq(service, TD_SPAN("SIP+D2U")))
			continue;
		// RFC 3263 §4.1 knows these alone: no regular expression, on to SRV records.
		if (td_span_ieq(td_span_str((const char *)r->flags), TD_SPAN("s")) &&
			name_take(r->replacement, naptr.replacement))
			list_insert(out, out->naptr, sizeof(naptr), &naptr, naptr_compare);
		else
			out->left_out++;
	}
	ares_free_data(list);
	return rc;
}

int td_dns_reply_read(
	enum td_dns_type type, const uint8_t *bytes, size_t len, struct td_dns_reply *out)
{
	static int (*const readers[])(const uint8_t *bytes, int len, struct td_dns_reply *out) = {
		[TD_DNS_A] = addresses4_read,
		[TD_DNS_AAAA] = addresses6_read,
		[TD_DNS_SRV] = srv_read,
		[TD_DNS_NAPTR] = naptr_read,
	};

	memset(out, 0, sizeof(*out));
	if (len > UINT16_MAX || ttl_read(bytes, len, false, &out->ttl_s) < 0)
		return -EBADMSG;
	int rc = readers[type](bytes, (int)len, out);
	bool addresses = type == TD_DNS_A || type == TD_DNS_AAAA;
	if (rc != ARES_ENODATA && !(rc == ARES_SUCCESS && addresses && out->n == 0))
		return rc == ARES_SUCCESS ? 0 : -EBADMSG;
	out->ttl_s = td_dns_none_ttl_s(bytes, len);
	return -ENOENT;
}
