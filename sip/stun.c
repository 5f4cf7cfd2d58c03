// SPDX-License-Identifier: BSD-3-Clause
// STUN binding requests on the SIP port (RFC 5626 §4.4.2, RFC 5389): the keep-alive of datagram
// flows, answered with the address that they came from. Nothing else of STUN is known here.
#include "sip/register_priv.h"

enum {
	HEADER = 20,
	COOKIE = 0x2112a442,
	BINDING_REQUEST = 0x0001,
	BINDING_SUCCESS = 0x0101,
	XOR_MAPPED_ADDRESS = 0x0020,
	FAMILY_IPV4 = 1,
	FAMILY_IPV6 = 2,
};

static uint16_t get16(const char *p)
{
	return (uint16_t)((uint8_t)p[0] << 8 | (uint8_t)p[1]);
}

static void put16(char *p, uint16_t v)
{
	p[0] = (char)(v >> 8);
	p[1] = (char)v;
}

static uint32_t get32(const char *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

// The two first bits of a STUN message are zero, which no SIP message begins with.
static bool is_stun(const char *data, uint32_t len)
{
	return len >= HEADER && ((uint8_t)data[0] & 0xc0) == 0 && get32(data + 4) == COOKIE;
}

// A binding request whose attributes may all be passed over.
static bool is_plain_request(const char *data, uint32_t len)
{
	uint32_t at = HEADER;

	if (get16(data) != BINDING_REQUEST || get16(data + 2) != len - HEADER)
		return false;
	while (at + 4 <= len) {
		if (get16(data + at) < 0x8000)
			return false;
		at += 4 + ((get16(data + at + 2) + 3u) & ~3u);
	}
	return at == len;
}

// The address and port that are seen, XORed with the cookie and the transaction (§15.2).
static uint32_t attribute_write(char *p, const struct td_sockaddr *seen, const char *cookie)
{
	uint32_t ip_len = (uint32_t)td_ip_len(seen->family);

	put16(p, XOR_MAPPED_ADDRESS);
	put16(p + 2, (uint16_t)(4 + ip_len));
	p[4] = 0;
	p[5] = seen->family == TD_IPV4 ? FAMILY_IPV4 : FAMILY_IPV6;
	put16(p + 6, (uint16_t)(seen->port ^ get16(cookie)));
	for (uint32_t i = 0; i < ip_len; i++)
		p[8 + i] = (char)(seen->ip[i] ^ (uint8_t)cookie[i]);
	return 8 + ip_len;
}

bool td_stun_rx(struct td_engine *e, const struct td_flow *flow, const char *data, uint32_t len)
{
	struct td_buf buf;

	if (!e->registrar || !is_stun(data, len) || flow->realm >= e->conf.n_realms ||
		e->conf.realms[flow->realm].registrar.n_domains == 0)
		return false;
	if (!is_plain_request(data, len) ||
		e->conf.ops->buf_get(e->conf.host, HEADER + 24, &buf) != 0) {
		td_engine_count(e, TD_C_SIP_BAD_MESSAGE);
		return true;
	}
	td_engine_count(e, TD_C_SIP_STUN);
	memcpy(buf.data, data, HEADER);
	uint32_t bytes = attribute_write(buf.data + HEADER, &flow->remote, data + 4);
	put16(buf.data, BINDING_SUCCESS);
	put16(buf.data + 2, (uint16_t)bytes);
	buf.len = HEADER + bytes;
	e->conf.ops->send(e->conf.host, flow, &buf);
	return true;
}
