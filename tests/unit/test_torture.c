// SPDX-License-Identifier: BSD-3-Clause
// What the switch answers to each message of RFC 4475 and RFC 5118 when a known carrier sends it:
// the status that the section asks for, as far as a switch that knows no such call and no such user
// gets to it; 0: silence.
#include "tests/unit/data_file.h"
#include "tests/unit/fake_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct {
	const char *file;
	uint16_t status;
} expected[] = {
	{ "rfc4475/badaspec.dat", 400 },
	{ "rfc4475/badbranch.dat", 200 },
	{ "rfc4475/baddate.dat", 400 },
	{ "rfc4475/baddn.dat", 400 },
	{ "rfc4475/badinv01.dat", 0 },
	{ "rfc4475/badvers.dat", 505 },
	{ "rfc4475/bcast.dat", 0 },
	{ "rfc4475/bext01.dat", 420 },
	{ "rfc4475/bigcode.dat", 0 },
	{ "rfc4475/clerr.dat", 400 },
	{ "rfc4475/cparam01.dat", 405 },
	{ "rfc4475/cparam02.dat", 405 },
	{ "rfc4475/dblreq.dat", 405 },
	{ "rfc4475/esc01.dat", 404 },
	{ "rfc4475/esc02.dat", 405 },
	{ "rfc4475/escnull.dat", 405 },
	{ "rfc4475/escruri.dat", 400 },
	{ "rfc4475/insuf.dat", 400 },
	{ "rfc4475/intmeth.dat", 405 },
	{ "rfc4475/inv2543.dat", 400 },
	{ "rfc4475/invut.dat", 415 },
	{ "rfc4475/longreq.dat", 404 },
	{ "rfc4475/ltgtruri.dat", 400 },
	{ "rfc4475/lwsdisp.dat", 200 },
	{ "rfc4475/lwsruri.dat", 400 },
	{ "rfc4475/lwsstart.dat", 400 },
	{ "rfc4475/mcl01.dat", 400 },
	{ "rfc4475/mismatch01.dat", 400 },
	{ "rfc4475/mismatch02.dat", 400 },
	{ "rfc4475/mpart01.dat", 405 },
	{ "rfc4475/multi01.dat", 400 },
	{ "rfc4475/ncl.dat", 400 },
	{ "rfc4475/noreason.dat", 0 },
	{ "rfc4475/novelsc.dat", 416 },
	{ "rfc4475/quotbal.dat", 400 },
	{ "rfc4475/regaut01.dat", 405 },
	{ "rfc4475/regbadct.dat", 400 },
	{ "rfc4475/regescrt.dat", 405 },
	{ "rfc4475/scalar02.dat", 400 },
	{ "rfc4475/scalarlg.dat", 0 },
	{ "rfc4475/sdp01.dat", 404 },
	{ "rfc4475/semiuri.dat", 200 },
	{ "rfc4475/transports.dat", 200 },
	{ "rfc4475/trws.dat", 400 },
	{ "rfc4475/unkscm.dat", 416 },
	{ "rfc4475/unksm2.dat", 405 },
	{ "rfc4475/unreason.dat", 0 },
	{ "rfc4475/wsinv.dat", 481 },
	{ "rfc4475/zeromf.dat", 200 },
	{ "rfc5118/ipv4-mapped-ipv6", 404 },
	{ "rfc5118/ipv6-bad", 400 },
	{ "rfc5118/ipv6-bug-abnf-3-colons", 200 },
	{ "rfc5118/ipv6-correct-abnf-2-colons", 200 },
	{ "rfc5118/ipv6-good", 405 },
	{ "rfc5118/ipv6-in-sdp", 404 },
	{ "rfc5118/mult-ip-in-header", 481 },
	{ "rfc5118/mult-ip-in-sdp", 404 },
	{ "rfc5118/port-ambiguous", 405 },
	{ "rfc5118/port-unambiguous", 405 },
	{ "rfc5118/via-received-param-no-delim", 200 },
	{ "rfc5118/via-received-param-with-delim", 481 },
};

static void every_message_gets_its_answer(void **state)
{
	struct fake_host *host = test_malloc(sizeof(*host));
	struct td_engine_conf conf;

	fake_host_init(host, 1);
	fake_host_conf(host, &conf);
	struct td_engine *engine = td_engine_new(&conf);
	struct td_policy *policy = fake_policy(NULL);
	struct td_flow flow = fake_flow(host, FAKE_WEST, "10.0.1.1", 5060);

	assert_non_null(engine);
	td_engine_set_policy(engine, policy);
	for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
		struct td_span text = data_file(expected[i].file);
		assert_true(text.len > 0);
		fake_forget(host);
		td_engine_rx(engine, host->now_ns, &flow, text.ptr, text.len);
		const struct fake_sent *sent = fake_next(host);
		unsigned status = sent ? (unsigned)strtoul(sent->data + 8, NULL, 10) : 0;
		if (status != expected[i].status)
			print_error("%s: expected %u, got %u\n", expected[i].file,
				expected[i].status, status);
		assert_int_equal(status, expected[i].status);
		assert_null(fake_next(host));
		free((char *)(uintptr_t)text.ptr);
	}
	fake_forget(host);
	for (unsigned s = 0; s < 80; s++) {
		fake_advance(host, engine, 1000);
		fake_forget(host);
	}
	assert_int_equal(td_engine_busy(engine), 0);
	td_engine_free(engine);
	td_policy_free(policy);
	assert_int_equal(fake_host_fini(host), 0);
	test_free(host);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_message_gets_its_answer) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
