// SPDX-License-Identifier: BSD-3-Clause
// Any bytes as SDP: lines and sections must nest, and lie inside the input.
#include "sip/sdp.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct td_sdp sdp;

static void need(bool truth)
{
	if (!truth)
		abort();
}

static void check_media(const struct td_sdp_media *m, unsigned from)
{
	struct td_span name;
	uint32_t clock_hz;

	need(m->line == from && m->end > m->line && m->end <= sdp.n_lines &&
		sdp.lines[m->line].type == 'm');
	need(m->formats.len > 0 && m->proto.len > 0 && m->n_ports > 0);
	for (unsigned type = 0; type < 128; type++)
		if (td_sdp_codec(&sdp, m, type, &name, &clock_hz))
			need(name.len > 0 && clock_hz > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len > 70000 || td_sdp_parse(&sdp, (const char *)data, (uint32_t)len) != 0)
		return 0;
	for (unsigned i = 0; i < sdp.n_lines; i++)
		need(sdp.lines[i].off + sdp.lines[i].len <= sdp.len && sdp.lines[i].off >= 2);
	unsigned from = sdp.session_end;
	for (unsigned i = 0; i < sdp.n_media; i++) {
		check_media(&sdp.media[i], from);
		from = sdp.media[i].end;
	}
	need(from == sdp.n_lines);
	return 0;
}
