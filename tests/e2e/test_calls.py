# SPDX-License-Identifier: BSD-3-Clause
"""Calls as carriers make them, with SIPp on both sides."""
import pytest

from lab import SIDES, until
from raw import Established, Raw
from scenario import (BASIC_UAC, BASIC_UAS, PROVISIONALS, ack, ack_failure, bye, callee_request, cancel, expect, expect_body,
                      in_dialog, invite, pause, recv, recv_invite, reply, reply_again, sdp, uac, uas)

TO_A = ("-s", "4930555100")  # carrier-b reaches carrier-a by prefix 49
TO_B = ("-s", "442079460123")


def new_cdrs(lab, before, n):
    until(lambda: len(lab.rows()) >= before + n, 10, what=f"{n} new CDRs")
    rows = lab.rows()[before:]
    assert len(rows) == n, rows
    return rows


def test_basic_call_a_to_b(any_lab):
    before = len(any_lab.rows())
    any_lab.run_pair(BASIC_UAC, BASIC_UAS, uac_args=TO_B)
    (cdr,) = new_cdrs(any_lab, before, 1)
    assert cdr["sip_code"] == 200 and cdr["complete"] == 1 and cdr["released_by"] == "a"
    assert (cdr["trunk_in"], cdr["trunk_out"]) == ("carrier-a", "carrier-b")
    assert cdr["to_number"] == "442079460123" and cdr["codec"] == "PCMA"
    assert cdr["start_us"] <= cdr["ring_us"] <= cdr["answer_us"] <= cdr["end_us"]
    assert 250_000 < cdr["duration_us"] < 5_000_000
    any_lab.settle()


def test_basic_call_b_to_a(any_lab):
    before = len(any_lab.rows())
    any_lab.run_pair(BASIC_UAC, BASIC_UAS, frm="b", uac_args=TO_A)
    (cdr,) = new_cdrs(any_lab, before, 1)
    assert (cdr["trunk_in"], cdr["trunk_out"]) == ("carrier-b", "carrier-a")
    any_lab.settle()


def test_many_calls(any_lab):
    before = len(any_lab.rows())
    any_lab.run_pair(BASIC_UAC, BASIC_UAS, uac_args=TO_B, calls=200, rate=100)
    rows = new_cdrs(any_lab, before, 200)
    assert len({r["id"] for r in rows}) == 200 and all(r["sip_code"] == 200 for r in rows)
    any_lab.settle()


def test_no_route(lab):
    before = len(lab.rows())
    client = lab.sipp("b", uac(invite(), recv(100, optional=True), recv(404), ack_failure()), "-s", "33123456")
    assert client.wait(20) == 0, lab.sipp_error(client)
    (cdr,) = new_cdrs(lab, before, 1)
    assert cdr["sip_code"] == 404 and cdr["answer_us"] is None and cdr["trunk_out"] in (None, "")


def test_v6_to_v4(lab):
    lab.run_pair(BASIC_UAC, BASIC_UAS, uac_args=TO_B, v6_a=True)
    lab.settle()


def test_v4_to_v6(fresh):
    lab = fresh(edit=lambda t: t.replace('{ address = "10.0.2.1"; port = 5060; }', '{ address = "fd00:2::1"; port = 5060; }'))
    lab.run_pair(BASIC_UAC, BASIC_UAS, uac_args=TO_B, v6_b=True)
    lab.settle()


def test_early_media(lab):
    callee = uas(recv("INVITE"), reply(183, body=sdp()), pause(200), reply(200, retrans=500), recv("ACK"), recv("BYE"),
                 reply_again(200))
    caller = uac(invite(), recv(100, optional=True), recv(183, action=expect_body("m=audio [1-9]")),
                 recv(200, action=expect_body("m=audio [1-9]")), ack(), pause(100), bye(), recv(200))
    lab.run_pair(caller, callee, uac_args=TO_B)
    lab.settle()


def test_cancel_while_ringing(lab):
    before = len(lab.rows())
    callee = uas(recv("INVITE"), reply(180), recv("CANCEL"), reply(200, tag=False),
                 # The INVITE's 487 carries the INVITE's CSeq.
                 reply(487, headers="").replace("[last_CSeq:]", "CSeq: 1 INVITE").replace("[last_Via:]", "[last_Via:]"),
                 recv("ACK"))
    caller = uac(invite(), recv(100, optional=True), recv(180), cancel(3), recv(200), recv(487), ack_failure())
    client = lab.sipp("b", callee)
    lab.wait_listening("b")
    a = lab.sipp("a", caller, *TO_B)
    assert a.wait(20) == 0, lab.sipp_error(a) + lab.logs()
    client.kill()
    (cdr,) = new_cdrs(lab, before, 1)
    assert cdr["sip_code"] == 487 and cdr["released_by"] == "a"
    lab.settle()


def test_busy(lab):
    before = len(lab.rows())
    lab.run_pair(uac(invite(), recv(100, optional=True), recv(486), ack_failure()),
                 uas(recv("INVITE"), reply(486), recv("ACK")), uac_args=TO_B)
    (cdr,) = new_cdrs(lab, before, 1)
    assert cdr["sip_code"] == 486 and cdr["cause"] == 17
    lab.settle()


def test_callee_hangs_up(lab):
    before = len(lab.rows())
    lab.run_pair(uac(invite(), PROVISIONALS, recv(200), ack(), recv("BYE"), reply_again(200)),
                 uas(recv_invite(), reply(180), reply(200, body=sdp(), retrans=500), recv("ACK"), pause(300),
                     callee_request("BYE", 1), recv(200)), uac_args=TO_B)
    (cdr,) = new_cdrs(lab, before, 1)
    assert cdr["released_by"] == "b"
    lab.settle()


def test_hold_and_resume(lab):
    caller = uac(invite(), PROVISIONALS, recv(200), ack(), pause(200),
                 in_dialog("INVITE", 2, body=sdp(2, direction="sendonly")), recv(100, optional=True),
                 recv(200, action=expect_body("a=recvonly")), ack(2), pause(300),
                 in_dialog("INVITE", 3, body=sdp(3)), recv(100, optional=True), recv(200, action=expect_body("a=sendrecv")),
                 ack(3), pause(200), bye(4), recv(200))
    callee = uas(recv("INVITE"), reply(180), reply(200, body=sdp(), retrans=500), recv("ACK"),
                 recv("INVITE", action=expect_body("a=sendonly")), reply_again(200, body=sdp(2, direction="recvonly")),
                 recv("ACK"), recv("INVITE", action=expect_body("a=sendrecv")), reply_again(200, body=sdp(3)), recv("ACK"),
                 recv("BYE"), reply_again(200))
    lab.run_pair(caller, callee, uac_args=TO_B)
    lab.settle()


def test_failover_to_the_next_peer(fresh):
    lab = fresh(edit=lambda t: t.replace('peers = ( { address = "10.0.2.1"; port = 5060; } )',
                                         'peers = ( { address = "10.0.2.2"; port = 5060; }, { address = "10.0.2.1"; port = 5060; } )'))
    refuses = lab.sipp("b", uas(recv("INVITE"), reply(503), recv("ACK")), ip="10.0.2.2")
    lab.run_pair(BASIC_UAC, BASIC_UAS, uac_args=TO_B)
    assert refuses.wait(10) == 0, lab.sipp_error(refuses)
    (cdr,) = lab.cdrs(1)
    attempts = lab.rows("cdr_attempt")
    assert [a["sip_code"] for a in attempts] == [503, 200] and {a["cdr_id"] for a in attempts} == {cdr["id"]}
    assert attempts[0]["call_id"] != attempts[1]["call_id"] == cdr["call_id_b"]
    lab.settle()


def test_failover_when_a_peer_is_silent(fresh):
    lab = fresh(edit=lambda t: t.replace('max_cps = 5000;\n    peers = ( { address = "10.0.2.1"; port = 5060; } )',
                                         'max_cps = 5000; attempt_timeout = 1;\n    peers = ( { address = "10.0.2.3"; port = 5060; }, { address = "10.0.2.1"; port = 5060; } )'))
    lab.run_pair(BASIC_UAC, BASIC_UAS, uac_args=TO_B)
    lab.cdrs(1)
    assert [a["sip_code"] for a in lab.rows("cdr_attempt")] == [408, 200]
    lab.settle()


@pytest.mark.parametrize("family", ["ip", "ip6"])
def test_large_invite_arrives_whole(any_lab, family):
    """6 kB both ways: fragments in, fragments out."""
    with Raw(any_lab, "a", ip=SIDES["a"][family]) as a, Raw(any_lab, "b") as b:
        call = Established(a, b, headers="Subject: " + "s" * 5800)
        assert call.invite_at_b.get("subject") == "s" * 5800
        call.end()
    any_lab.settle()


def test_unknown_source_gets_silence(lab):
    before = lab.counters().get("sip.unknown_source", 0)
    client = lab.sipp("a", uac(invite(), recv(404, timeout=1500)), *TO_B, ip="10.0.1.5")
    assert client.wait(20) != 0
    assert lab.counters()["sip.unknown_source"] > before


def test_options_is_answered(lab):
    from scenario import _send
    options = _send("""OPTIONS sip:[remote_ip] SIP/2.0
        Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
        From: <sip:probe@[local_ip]>;tag=[call_number]
        To: <sip:[remote_ip]>
        Call-ID: [call_id]
        CSeq: 1 OPTIONS
        Max-Forwards: 70""", "", 500)
    client = lab.sipp("a", uac(options, recv(200, action=expect("Allow", "INVITE"))))
    assert client.wait(20) == 0, lab.sipp_error(client)
