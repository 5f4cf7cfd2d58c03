// SPDX-License-Identifier: BSD-3-Clause
// Call detail records as they cross the journal (contract: tables cdr and cdr_attempt). Plain old
// data, little endian, no padding that is not named; text is NUL-terminated and cut at its size.
// Owner: the worker that owns the call.
//
// New fields go to the end: a journal may hold shorter records of an older version, whose missing
// fields read as zero.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define TD_CDR_ID_LEN 40      // "node-epoch-worker-sequence" and NUL
#define TD_CDR_TEXT_LEN 64    // numbers, trunk names, peers
#define TD_CDR_CALL_ID_LEN 128

enum td_released_by { TD_RELEASED_SWITCH, TD_RELEASED_A, TD_RELEASED_B };

// Microseconds since the epoch; 0 stands for NULL (never came).
struct td_cdr_side {
	uint64_t rtp_rx;
	uint64_t rtp_lost;
	uint64_t rtp_tx;
	double jitter_ms;
};

struct td_cdr {
	char id[TD_CDR_ID_LEN];
	char call_id_a[TD_CDR_CALL_ID_LEN];
	char call_id_b[TD_CDR_CALL_ID_LEN];
	char from_number[TD_CDR_TEXT_LEN];
	char to_number[TD_CDR_TEXT_LEN];
	char trunk_in[32];
	char trunk_out[32];
	char codec[24];
	uint64_t start_us, ring_us, answer_us, end_us;
	uint64_t duration_us; // monotonic
	uint16_t sip_code;
	uint16_t cause; // Q.850
	uint8_t released_by;
	uint8_t complete;
	uint8_t zero[2];
	struct td_cdr_side a, b;
	// Empty where the engine does not know.
	char plan[32];                     // dial plan of the ingress
	char route[TD_CDR_TEXT_LEN];       // what decided: the route's prefix, AoR or domain
	char rules[TD_CDR_TEXT_LEN];       // number rules that applied, with commas
	char asserted[TD_CDR_TEXT_LEN];    // the caller as we vouch for it
	char auth_user[TD_CDR_TEXT_LEN];   // who authenticated
	char user_agent[TD_CDR_TEXT_LEN];  // of the A side
};

#define TD_CDR_BYTES_MIN offsetof(struct td_cdr, plan) // of the first version

struct td_cdr_attempt {
	char cdr_id[TD_CDR_ID_LEN];
	char trunk[32];
	char peer[TD_CDR_TEXT_LEN];
	char call_id[TD_CDR_CALL_ID_LEN];
	uint64_t start_us, ring_us, end_us;
	uint16_t n; // from 1
	uint16_t sip_code;
	uint16_t cause;
	uint16_t zero;
};
