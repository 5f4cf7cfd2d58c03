// SPDX-License-Identifier: BSD-3-Clause
// RTCP compound packets: what must hold before one is passed on (RFC 3550 §6.1, App. A.2). Pure;
// any thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum td_rtcp_type {
	TD_RTCP_SR = 200,
	TD_RTCP_RR = 201,
	TD_RTCP_SDES = 202,
	TD_RTCP_BYE = 203,
	TD_RTCP_APP = 204,
};

// Is it a valid compound: version 2 throughout, begun by SR or RR, padding only in the last packet,
// each report as long as its count says, and the lengths together exactly len? Reduced size (RFC
// 5506) is not: nobody negotiates it here.
bool td_rtcp_valid(const uint8_t *data, uint32_t len);
