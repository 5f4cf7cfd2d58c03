// SPDX-License-Identifier: BSD-3-Clause
// Q.850 causes, SIP status codes and their phrases (RFC 3261 §21, RFC 3398 §7.2.4.1 and §8.2.6.1,
// RFC 3326).
#include "sip/headers.h"

struct pair {
	uint16_t from, to;
};

// RFC 3398 §8.2.6.1. 487 and the 488 family are ours: a cancelled call was cleared normally, an
// offer that nobody can take is a bearer capability that is not there.
static const struct pair causes[] = {
	{ 400, 41 },
	{ 401, 21 },
	{ 402, 21 },
	{ 403, 21 },
	{ 404, 1 },
	{ 405, 63 },
	{ 406, 79 },
	{ 407, 21 },
	{ 408, 102 },
	{ 410, 22 },
	{ 413, 127 },
	{ 414, 127 },
	{ 415, 79 },
	{ 416, 127 },
	{ 420, 127 },
	{ 421, 127 },
	{ 423, 127 },
	{ 480, 18 },
	{ 481, 41 },
	{ 482, 25 },
	{ 483, 25 },
	{ 484, 28 },
	{ 485, 1 },
	{ 486, 17 },
	{ 487, 16 },
	{ 488, 65 },
	{ 500, 41 },
	{ 501, 79 },
	{ 502, 38 },
	{ 503, 41 },
	{ 504, 102 },
	{ 505, 127 },
	{ 513, 127 },
	{ 600, 17 },
	{ 603, 21 },
	{ 604, 1 },
	{ 606, 65 },
};

// RFC 3398 §7.2.4.1.
static const struct pair statuses[] = {
	{ 1, 404 },
	{ 2, 404 },
	{ 3, 404 },
	{ 16, 487 },
	{ 17, 486 },
	{ 18, 408 },
	{ 19, 480 },
	{ 20, 480 },
	{ 21, 403 },
	{ 22, 410 },
	{ 23, 410 },
	{ 26, 404 },
	{ 27, 502 },
	{ 28, 484 },
	{ 29, 501 },
	{ 31, 480 },
	{ 34, 503 },
	{ 38, 503 },
	{ 41, 503 },
	{ 42, 503 },
	{ 47, 503 },
	{ 55, 403 },
	{ 57, 403 },
	{ 58, 503 },
	{ 65, 488 },
	{ 70, 488 },
	{ 79, 501 },
	{ 87, 403 },
	{ 88, 503 },
	{ 102, 504 },
	{ 111, 500 },
	{ 127, 500 },
};

struct phrase {
	uint16_t status;
	struct td_span text;
};

#define P(status, literal)                                                                         \
	{                                                                                          \
		(status),                                                                          \
		{                                                                                  \
			(literal), sizeof(literal) - 1                                             \
		}                                                                                  \
	}
static const struct phrase phrases[] = {
	P(100, "Trying"),
	P(180, "Ringing"),
	P(181, "Call Is Being Forwarded"),
	P(182, "Queued"),
	P(183, "Session Progress"),
	P(199, "Early Dialog Terminated"),
	P(200, "OK"),
	P(202, "Accepted"),
	P(204, "No Notification"),
	P(300, "Multiple Choices"),
	P(301, "Moved Permanently"),
	P(302, "Moved Temporarily"),
	P(305, "Use Proxy"),
	P(380, "Alternative Service"),
	P(400, "Bad Request"),
	P(401, "Unauthorized"),
	P(402, "Payment Required"),
	P(403, "Forbidden"),
	P(404, "Not Found"),
	P(405, "Method Not Allowed"),
	P(406, "Not Acceptable"),
	P(407, "Proxy Authentication Required"),
	P(408, "Request Timeout"),
	P(410, "Gone"),
	P(412, "Conditional Request Failed"),
	P(413, "Request Entity Too Large"),
	P(414, "Request-URI Too Long"),
	P(415, "Unsupported Media Type"),
	P(416, "Unsupported URI Scheme"),
	P(417, "Unknown Resource-Priority"),
	P(420, "Bad Extension"),
	P(421, "Extension Required"),
	P(422, "Session Interval Too Small"),
	P(423, "Interval Too Brief"),
	P(424, "Bad Location Information"),
	P(428, "Use Identity Header"),
	P(429, "Provide Referrer Identity"),
	P(430, "Flow Failed"),
	P(433, "Anonymity Disallowed"),
	P(436, "Bad Identity Info"),
	P(437, "Unsupported Credential"),
	P(438, "Invalid Identity Header"),
	P(439, "First Hop Lacks Outbound Support"),
	P(440, "Max-Breadth Exceeded"),
	P(469, "Bad Info Package"),
	P(470, "Consent Needed"),
	P(480, "Temporarily Unavailable"),
	P(481, "Call/Transaction Does Not Exist"),
	P(482, "Loop Detected"),
	P(483, "Too Many Hops"),
	P(484, "Address Incomplete"),
	P(485, "Ambiguous"),
	P(486, "Busy Here"),
	P(487, "Request Terminated"),
	P(488, "Not Acceptable Here"),
	P(489, "Bad Event"),
	P(491, "Request Pending"),
	P(493, "Undecipherable"),
	P(494, "Security Agreement Required"),
	P(500, "Server Internal Error"),
	P(501, "Not Implemented"),
	P(502, "Bad Gateway"),
	P(503, "Service Unavailable"),
	P(504, "Server Time-out"),
	P(505, "Version Not Supported"),
	P(513, "Message Too Large"),
	P(555, "Push Notification Service Not Supported"),
	P(580, "Precondition Failure"),
	P(600, "Busy Everywhere"),
	P(603, "Decline"),
	P(604, "Does Not Exist Anywhere"),
	P(606, "Not Acceptable"),
	P(607, "Unwanted"),
	P(608, "Rejected"),
};
#undef P

static uint16_t pair_find(const struct pair *pairs, size_t n, uint16_t from)
{
	for (size_t i = 0; i < n; i++)
		if (pairs[i].from == from)
			return pairs[i].to;
	return 0;
}

uint16_t td_cause_of_status(uint16_t status)
{
	size_t n = sizeof(causes) / sizeof(causes[0]);

	if (status < 300)
		return 16;
	uint16_t cause = pair_find(causes, n, status);
	// An unknown code stands for the x00 of its class (RFC 3261 §8.1.3.2); there is none for
	// redirections.
	if (cause == 0)
		cause = pair_find(causes, n, (uint16_t)(status / 100 * 100));
	return cause != 0 ? cause : 31;
}

uint16_t td_status_of_cause(uint16_t cause)
{
	uint16_t status = pair_find(statuses, sizeof(statuses) / sizeof(statuses[0]), cause);

	return status != 0 ? status : 500;
}

// "Q.850;cause=16;text=\"…\"" → 16; 0: another protocol or no cause of 1–127.
static uint16_t cause_of_entry(struct td_span entry)
{
	uint32_t n = 0, cause;
	struct td_span value;

	while (n < entry.len && entry.ptr[n] != ';' && entry.ptr[n] != ' ' && entry.ptr[n] != '\t')
		n++;
	if (!td_span_ieq(td_span(entry.ptr, n), TD_SPAN("Q.850")))
		return 0;
	while (n < entry.len && entry.ptr[n] != ';')
		n++;
	if (n == entry.len)
		return 0;
	struct td_span params = td_span(entry.ptr + n + 1, entry.len - n - 1);
	if (!td_param_get(params, TD_SPAN("cause"), &value) ||
		td_number_decode(value, 127, &cause) < 0)
		return 0;
	return (uint16_t)cause;
}

uint16_t td_cause_of_reason(const struct td_msg *msg)
{
	for (uint8_t i = msg->first[TD_H_REASON]; i != 0xff; i = msg->headers[i].next) {
		struct td_span rest = td_msg_value(msg, &msg->headers[i]), entry;
		while (td_list_next(&rest, &entry)) {
			uint16_t cause = cause_of_entry(entry);
			if (cause != 0)
				return cause;
		}
	}
	return 0;
}

// Which of them is a status's, from 1.
static uint8_t phrase_of[700];

// Written here only, before any thread exists.
__attribute__((constructor)) static void phrases_place(void)
{
	for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
		phrase_of[phrases[i].status] = (uint8_t)(i + 1);
}

struct td_span td_status_reason(uint16_t status)
{
	if (status < sizeof(phrase_of) && phrase_of[status] != 0)
		return phrases[phrase_of[status] - 1].text;
	static const struct td_span classes[] = { { "Trying", 6 }, { "OK", 2 },
		{ "Redirected", 10 }, { "Bad Request", 11 }, { "Server Error", 12 },
		{ "Declined", 8 } };
	return status >= 100 && status < 700 ? classes[status / 100 - 1] : TD_SPAN("Unknown");
}
