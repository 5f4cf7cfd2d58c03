// SPDX-License-Identifier: BSD-3-Clause
// Phones by the ten thousand behind one socket: registers them, then refreshes them at a steady
// rate and counts what was answered. SIPp writes a few thousand of these a second; this writes a
// burst a call.
//
// usage: register_phones SWITCH OWN PHONES RATE SECONDS CHALLENGED
// SWITCH and OWN are address:port. CHALLENGED 1: each registration begins without a nonce,
// REGISTER, 401, REGISTER, 200. Every 200 must name its phone's contact and CSeq. Prints one JSON
// object.
#include "tests/unit/digest_client.h"

#include "include/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#define BURST 64
#define MESSAGE 1500
#define RETRY_NS 500000000ull // T1
#define WAIT_S 10             // for the last answers
#define SLOTS_MS 20000        // of latencies

struct phone {
	char user[12], nonce[40];
	unsigned nc, cseq;
	uint64_t sent_ns, begun_ns; // 0: it waits for nothing
	uint8_t ha1[TD_SHA256_BYTES];
};

static struct phone *phones;
static unsigned n_phones, in_flight;
static bool challenged;
static int sock;
static char own[32];
static uint64_t n_sent, n_ok, n_challenges, n_again, n_bad, n_late;
static uint32_t latency[SLOTS_MS]; // tenths of a millisecond

static void fail(const char *what)
{
	fprintf(stderr, "register_phones: %s: %s\n", what, strerror(errno));
	exit(2);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// --- messages ---

static size_t credentials(struct phone *p, char *dst, size_t cap)
{
	char hex[TD_DIGEST_HEX_MAX], nc[9];

	if (p->nonce[0] == '\0')
		return 0;
	snprintf(nc, sizeof(nc), "%08x", p->nc);
	const struct td_digest_ask ask = { .method = TD_SPAN("REGISTER"),
		.uri = TD_SPAN("sip:tandem.example"),
		.nonce = td_span_str(p->nonce),
		.nc = td_span_str(nc),
		.cnonce = TD_SPAN("0a4f113b"),
		.qop = TD_SPAN("auth") };
	size_t n = td_digest_response(TD_DIGEST_SHA256, p->ha1, &ask, hex);
	return (size_t)snprintf(dst, cap,
		"Authorization: Digest username=\"%s\", realm=\"tandem.example\", nonce=\"%s\", "
		"uri=\"sip:tandem.example\", response=\"%.*s\", algorithm=SHA-256, "
		"cnonce=\"0a4f113b\", "
		"qop=auth, nc=%s\r\n",
		p->user, p->nonce, (int)n, hex, nc);
}

static size_t message_write(struct phone *p, char *dst)
{
	char line[512] = "";

	credentials(p, line, sizeof(line));
	return (size_t)snprintf(dst, MESSAGE,
		"REGISTER sip:tandem.example SIP/2.0\r\nVia: SIP/2.0/UDP "
		"%s;branch=z9hG4bK%s-%u;rport\r\n"
		"Max-Forwards: 70\r\nFrom: <sip:%s@tandem.example>;tag=f%s\r\nTo: "
		"<sip:%s@tandem.example>\r\n"
		"Call-ID: r%u-a84b4c76e66710\r\nCSeq: %u REGISTER\r\nContact: "
		"<sip:%s@%s>;expires=600\r\n%s"
		"User-Agent: Desk phone 3.1.4\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\n"
		"Content-Length: 0\r\n\r\n",
		own, p->user, p->cseq, p->user, p->user, p->user, (unsigned)(p - phones), p->cseq,
		p->user, own, line);
}

// --- out ---

static char out[BURST][MESSAGE];
static struct iovec out_iov[BURST];
static struct mmsghdr out_headers[BURST];
static unsigned n_out;

static void out_flush(void)
{
	for (unsigned at = 0; at < n_out;) {
		int n = sendmmsg(sock, out_headers + at, n_out - at, 0);
		if (n < 0 && errno != EAGAIN && errno != ENOBUFS)
			fail("send");
		at += n > 0 ? (unsigned)n : 0;
	}
	n_out = 0;
}

static void out_put(struct phone *p, uint64_t now)
{
	out_iov[n_out] = (struct iovec){ out[n_out], message_write(p, out[n_out]) };
	out_headers[n_out].msg_hdr = (struct msghdr){ .msg_iov = &out_iov[n_out], .msg_iovlen = 1 };
	p->sent_ns = now;
	n_sent++;
	if (++n_out == BURST)
		out_flush();
}

static void register_begin(struct phone *p, uint64_t now)
{
	if (challenged)
		p->nonce[0] = '\0';
	p->nc++;
	p->cseq++;
	p->begun_ns = now;
	in_flight++;
	out_put(p, now);
}

// --- in ---

static bool good(const struct phone *p, const char *text)
{
	char cseq[48], contact[64];

	snprintf(cseq, sizeof(cseq), "CSeq: %u REGISTER\r\n", p->cseq);
	snprintf(contact, sizeof(contact), "<sip:%s@%s>;expires=", p->user, own);
	return strstr(text, cseq) && strstr(text, contact);
}

static void challenge_take(struct phone *p, const char *text, uint64_t now)
{
	const char *nonce = strstr(text, "nonce=\"");

	if (!nonce) {
		n_bad++;
		return;
	}
	snprintf(p->nonce, sizeof(p->nonce), "%.*s", (int)strcspn(nonce + 7, "\""), nonce + 7);
	p->nc = 1;
	p->cseq++;
	n_challenges++;
	out_put(p, now);
}

static void answer_take(const char *text, uint64_t now)
{
	const char *id = strstr(text, "Call-ID: r");
	unsigned index = id ? (unsigned)strtoul(id + 10, NULL, 10) : n_phones;

	if (index >= n_phones) {
		n_bad++;
		return;
	}
	struct phone *p = &phones[index];
	char cseq[48];
	snprintf(cseq, sizeof(cseq), "CSeq: %u REGISTER\r\n", p->cseq);
	if (p->begun_ns == 0 || !strstr(text, cseq)) {
		n_late++; // to what was sent again
		return;
	}
	if (strncmp(text, "SIP/2.0 401", 11) == 0) {
		challenge_take(p, text, now);
		return;
	}
	if (strncmp(text, "SIP/2.0 200", 11) != 0 || !good(p, text)) {
		if (n_bad++ == 0)
			fprintf(stderr, "%s\n", text);
		return;
	}
	uint64_t tenths = (now - p->begun_ns) / 100000;
	latency[tenths < SLOTS_MS ? tenths : SLOTS_MS - 1]++;
	p->begun_ns = 0;
	in_flight--;
	n_ok++;
}

static bool in_take(void)
{
	static char in[BURST][MESSAGE + 1];
	static struct iovec iov[BURST];
	static struct mmsghdr headers[BURST];

	for (unsigned i = 0; i < BURST; i++) {
		iov[i] = (struct iovec){ in[i], MESSAGE };
		headers[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i], .msg_iovlen = 1 };
	}
	int n = recvmmsg(sock, headers, BURST, MSG_DONTWAIT, NULL);
	uint64_t now = now_ns();
	for (int i = 0; i < n; i++) {
		in[i][headers[i].msg_len] = '\0';
		answer_take(in[i], now);
	}
	return n > 0;
}

// What has no answer yet is sent again; a few of the phones a turn.
static void again(uint64_t now)
{
	static unsigned at;

	for (unsigned i = 0; i < 256 && i < n_phones; i++, at = (at + 1) % n_phones)
		if (phones[at].begun_ns != 0 && now - phones[at].sent_ns > RETRY_NS) {
			n_again++;
			out_put(&phones[at], now);
		}
}

// --- life ---

// Begins n registrations at that rate, one phone after the other; true: all were answered.
static bool registrations(uint64_t n, double rate)
{
	uint64_t begun = now_ns(), begin = 0, end = 0;
	unsigned next = 0;

	while (begin < n || in_flight > 0) {
		uint64_t now = now_ns();
		uint64_t due = (uint64_t)((double)(now - begun) * rate / 1e9);
		if (begin == n && end == 0)
			end = now;
		if (end > 0 && now - end > WAIT_S * 1000000000ull)
			return false;
		for (unsigned i = 0; i < BURST && begin < n && begin < due;
			i++, next = (next + 1) % n_phones) {
			if (phones[next].begun_ns != 0)
				break; // it is all of them that wait
			register_begin(&phones[next], now);
			begin++;
		}
		again(now);
		out_flush();
		while (in_take())
			;
		out_flush();
		if (begin >= due || begin == n)
			nanosleep(&(struct timespec){ 0, 200000 }, NULL);
	}
	return true;
}

static void address_take(const char *text, struct sockaddr_in *out_address)
{
	char ip[32];
	size_t n = strcspn(text, ":");

	snprintf(ip, sizeof(ip), "%.*s", (int)n, text);
	*out_address = (struct sockaddr_in){ .sin_family = AF_INET };
	out_address->sin_port = htons((uint16_t)strtoul(text + n + 1, NULL, 10));
	if (inet_pton(AF_INET, ip, &out_address->sin_addr) != 1)
		fail(text);
}

static void socket_make(const char *to, const char *from)
{
	struct sockaddr_in a;
	int bytes = 64 << 20;

	sock = socket(AF_INET, SOCK_DGRAM, 0);
	address_take(from, &a);
	if (sock < 0 || bind(sock, (struct sockaddr *)&a, sizeof(a)) < 0)
		fail("socket");
	address_take(to, &a);
	if (connect(sock, (struct sockaddr *)&a, sizeof(a)) < 0)
		fail("connect");
	if (setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0 ||
		setsockopt(sock, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0)
		fail("buffers");
}

static double quantile_ms(double q)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < SLOTS_MS; i++)
		if ((sum += latency[i]) >= (uint64_t)(q * (double)n_ok))
			return (i + 1) / 10.0;
	return SLOTS_MS / 10.0;
}

int main(int argc, char **argv)
{
	if (argc != 7) {
		fprintf(stderr,
			"usage: register_phones SWITCH OWN PHONES RATE SECONDS CHALLENGED\n");
		return 2;
	}
	double rate = strtod(argv[4], NULL), seconds = strtod(argv[5], NULL);
	n_phones = (unsigned)strtoul(argv[3], NULL, 10);
	phones = calloc(n_phones, sizeof(*phones));
	if (!phones || n_phones == 0)
		fail("phones");
	for (unsigned i = 0; i < n_phones; i++) {
		snprintf(phones[i].user, sizeof(phones[i].user), "%07u", i);
		td_digest_ha1(TD_DIGEST_SHA256, td_span_str(phones[i].user),
			TD_SPAN("tandem.example"), TD_SPAN("secret"), phones[i].ha1);
	}
	snprintf(own, sizeof(own), "%s", argv[2]);
	socket_make(argv[1], argv[2]);
	bool whole = registrations(n_phones, rate < 10000 ? rate : 10000);
	printf("{\"bound\": %u}\n", n_phones - in_flight);
	fflush(stdout);
	n_sent = n_ok = n_challenges = n_again = n_late = 0;
	memset(latency, 0, sizeof(latency));
	challenged = argv[6][0] == '1';
	uint64_t begun = now_ns();
	whole = whole && registrations((uint64_t)(rate * seconds), rate);
	double took = (double)(now_ns() - begun) / 1e9;
	printf("{\"sent\": %llu, \"ok\": %llu, \"challenges\": %llu, \"retransmissions\": %llu, "
	       "\"bad\": %llu, "
	       "\"late\": %llu, \"unanswered\": %u, \"seconds\": %.3f, \"p50_ms\": %.1f, "
	       "\"p99_ms\": %.1f}\n",
		(unsigned long long)n_sent, (unsigned long long)n_ok,
		(unsigned long long)n_challenges, (unsigned long long)n_again,
		(unsigned long long)n_bad, (unsigned long long)n_late, in_flight, took,
		quantile_ms(0.5), quantile_ms(0.99));
	return whole && n_bad == 0 ? 0 : 1;
}
