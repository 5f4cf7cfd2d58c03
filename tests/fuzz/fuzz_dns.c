// SPDX-License-Identifier: BSD-3-Clause
// An answer of a name server: the type that was asked for, then the packet.
#include "control/dns_reply.h"
#include "include/policy_conf.h"

#include <ares.h>

static void names_hold(const struct td_dns_reply *reply, enum td_dns_type type)
{
	for (uint16_t i = 0; i < reply->n; i++) {
		if (type == TD_DNS_SRV)
			assert(td_host_is_name(td_span_str(reply->srv[i].target)) &&
				reply->srv[i].port != 0);
		else if (type == TD_DNS_NAPTR)
			assert(td_host_is_name(td_span_str(reply->naptr[i].replacement)));
		else
			assert(td_ip_is_host(&reply->addresses[i]) &&
				reply->addresses[i].port == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct td_dns_reply reply;

	if (size < 1)
		return 0;
	enum td_dns_type type = (enum td_dns_type)(data[0] % 4);
	uint32_t none_s = td_dns_none_ttl_s(data + 1, size - 1);
	assert(none_s <= INT32_MAX || none_s == UINT32_MAX);
	if (td_dns_reply_read(type, data + 1, size - 1, &reply) < 0)
		return 0;
	assert(reply.n <= TD_DNS_ANSWERS_MAX);
	assert(reply.ttl_s <= INT32_MAX || reply.ttl_s == UINT32_MAX);
	names_hold(&reply, type);
	return 0;
}
