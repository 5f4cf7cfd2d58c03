# SPDX-License-Identifier: BSD-3-Clause
"""Messages that cross, never come or come too late; timers shortened by configuration (T1 = 50 ms)."""
import re
import time

import pytest

from conftest import SHAPES
from lab import Lab, until
from raw import Established, Raw, arrived, rtp, socket_in

T1_S = 0.05
TRUNKS = """
  { name = "rings"; realm = "east"; ring_timeout = 1; peers = ( { address = "10.0.2.4"; } ); },
  { name = "first"; realm = "east"; attempt_timeout = 1; peers = ( { address = "10.0.2.2"; } ); },
  { name = "heard"; realm = "east"; media_timeout = 1; peers = ( { address = "10.0.2.3"; } ); },
  { name = "friend"; realm = "east"; trust = "both"; peers = ( { address = "10.0.2.5"; } ); },
"""
ROUTES = """
  { from = [ "carrier-a" ]; prefix = "701"; to = ( { trunk = "rings"; } ); },
  { from = [ "carrier-a" ]; prefix = "702"; to = ( { trunk = "first"; priority = 1; }, { trunk = "carrier-b"; priority = 2; } ); },
  { from = [ "carrier-a" ]; prefix = "703"; to = ( { trunk = "heard"; } ); },
  { from = [ "carrier-a" ]; prefix = "704"; to = ( { trunk = "friend"; } ); },
"""


def edit(text):
    text = text.replace("ports = (\n", "sip = { t1 = 50; t2 = 400; t4 = 500; };\nports = (\n", 1)
    text = text.replace('name = "carrier-a"; realm = "west";', 'name = "carrier-a"; realm = "west"; trust = "both";')
    return text.replace("trunks = (\n", "trunks = (\n" + TRUNKS).replace("routes = (\n", "routes = (\n" + ROUTES)


@pytest.fixture(scope="module", params=["af_packet-1", "af_packet-3", "af_xdp-3", "tap-3"])
def quick(request):
    with Lab(**SHAPES[request.param], edit=edit) as running:
        yield running


@pytest.fixture
def a(quick):
    with Raw(quick, "a") as end:
        yield end


@pytest.fixture
def b(quick):
    with Raw(quick, "b") as end:
        yield end


@pytest.fixture(autouse=True)
def settled(quick):
    """Nothing is left after a test."""
    quick.before = len(quick.rows())
    yield
    quick.settle()


def cdr(quick):
    until(lambda: len(quick.rows()) > quick.before, what="a CDR")
    rows = quick.rows()[quick.before:]
    assert len(rows) == 1, rows
    return rows[0]


def call(a, number, headers="", body=None):
    """An INVITE that nobody has answered yet; returns its Call-ID and branch."""
    call_id = f"{time.monotonic_ns():x}@{a.ip}"
    uri = f"sip:{number}@{a.switch[0]}"
    branch = a.request("INVITE", call_id, f"<{uri}>", uri, body=a.sdp() if body is None else body, headers=headers)
    return call_id, branch, uri


def acked_failure(a, status, call_id, branch, uri):
    answer = a.expect(status)
    a.request("ACK", call_id, answer.get("to"), uri, branch=branch)
    return answer


def end(call):
    """BYE from A whatever was repeated before."""
    call.bye_from_a(cseq=99)
    call.b.reply(call.b.expect("BYE"), 200)
    until(lambda: call.a.expect(200).get("cseq").endswith("BYE"))


def test_no_answer(quick, a):
    with Raw(quick, "b", ip="10.0.2.4") as b:
        ids = call(a, "701")
        invite = b.expect("INVITE")
        b.reply(invite, 180, "Ringing")
        a.expect(180)
        cancel = b.expect("CANCEL")
        assert cancel.get("via") == invite.get("via") and cancel.get("cseq").split()[0] == invite.get("cseq").split()[0]
        b.reply(cancel, 200)
        b.reply(invite, 487, "Request Terminated")
        b.expect("ACK")
        acked_failure(a, 480, *ids)
    row = cdr(quick)
    assert (row["sip_code"], row["cause"], row["released_by"], row["answer_us"]) == (480, 19, "switch", None)
    assert row["ring_us"] is not None


def test_media_timeout_spares_a_held_call(quick, a):
    with Raw(quick, "b", ip="10.0.2.3") as b, socket_in(quick.ns["b"], "10.0.2.3", 40000) as media:
        c = Established(a, b, "703")
        target = c.invite_at_b.media()
        media.sendto(rtp(0), target)
        held, _ = c.modify_from_a(a.sdp(direction="sendonly", version=2), b.sdp(direction="recvonly", version=2), 2)
        assert "a=sendonly" in held.body
        b.quiet(2.6)
        resumed, _ = c.modify_from_a(a.sdp(version=3), b.sdp(version=3), 3)
        assert "a=sendrecv" in resumed.body
        for n in range(1, 10):
            media.sendto(rtp(n), target)
            time.sleep(0.2)
        assert [x["state"] for x in quick.calls()] == ["answered"]
        began = time.monotonic()
        for side in (b, a):
            bye = side.expect("BYE")
            side.reply(bye, 200)
        assert 0.5 < time.monotonic() - began < 4
    row = cdr(quick)
    assert (row["released_by"], row["rtp_b_rx"]) == ("switch", 10)
    assert quick.counters()["call.media_timeout"] >= 1


def test_glare(quick, a, b):
    c = Established(a, b)
    of_a = c.reinvite_from_a(a.sdp(version=2))
    at_b = b.expect("INVITE")
    of_b = c.reinvite_from_b(b.sdp(version=2))
    b.reply(at_b, 491, "Request Pending")
    seen = {}
    while len(seen) < 2:
        m = b.receive()
        seen[m.status or m.method] = m
    assert seen[491].get("cseq") == "1 INVITE" and seen["ACK"].get("cseq") == at_b.get("cseq").replace("INVITE", "ACK")
    c.ack_from_b(1, branch=of_b)
    a.expect(491)
    c.ack_from_a(2, branch=of_a)
    # Both try again, one after the other (RFC 3261 §14.1).
    c.modify_from_a(a.sdp(version=3), b.sdp(version=3), 3)
    # B has its ACK before A's has come: who is that quick is told to wait once more.
    for cseq in range(2, 9):
        of_b = c.reinvite_from_b(b.sdp(version=4), cseq=cseq)
        at_a = a.receive(0.5)
        if at_a:
            break
        b.expect(491)
        c.ack_from_b(cseq, branch=of_b)
    assert at_a.method == "INVITE" and not at_a.status
    a.reply(at_a, 200, "OK", a.sdp(version=4))
    b.expect(200)
    c.ack_from_b(cseq)
    a.expect("ACK")
    end(c)


def test_lost_ack(quick, a, b):
    ids = call(a, "4420")
    b.reply(b.expect("INVITE"), 200, "OK", b.sdp())
    first = a.expect(200)
    began, repeats = time.monotonic(), 0
    while True:
        m = a.receive(6)
        assert m is not None, "no BYE"
        if m.method == "BYE" and not m.status:
            break
        assert m.status == 200 and m.get("to") == first.get("to") and m.body == first.body
        repeats += 1
    assert 64 * T1_S * 0.9 < time.monotonic() - began < 64 * T1_S + 2
    assert 6 <= repeats <= 12, repeats
    a.reply(m, 200)
    b.expect("ACK")
    b.reply(b.expect("BYE"), 200)
    row = cdr(quick)
    assert (row["sip_code"], row["released_by"], row["call_id_a"]) == (200, "switch", ids[0])


def test_cancel_crosses_the_200(quick, a, b):
    call_id, branch, uri = call(a, "4420")
    b.reply(b.expect("INVITE"), 200, "OK", b.sdp())
    until(lambda: [c["state"] for c in quick.calls()] == ["answered"], what="the answer")
    # A has not seen it yet.
    a.request("CANCEL", call_id, f"<{uri}>", uri, branch=branch)
    ok = a.expect(200)
    to_cancel = a.expect(200) if ok.get("cseq").endswith("INVITE") else ok
    ok = ok if ok is not to_cancel else a.expect(200)
    a.request("ACK", call_id, ok.get("to"), ok.uri("contact"))
    b.expect("ACK")
    a.request("BYE", call_id, ok.get("to"), ok.uri("contact"), cseq=2)
    b.reply(b.expect("BYE"), 200)
    until(lambda: a.expect(200).get("cseq").endswith("BYE"))
    assert cdr(quick)["sip_code"] == 200


def test_answer_crosses_the_cancel(quick, a, b):
    call_id, branch, uri = call(a, "4420")
    invite = b.expect("INVITE")
    b.reply(invite, 180)
    a.expect(180)
    a.request("CANCEL", call_id, f"<{uri}>", uri, branch=branch)
    cancel = b.expect("CANCEL")
    # B had answered before the CANCEL reached it.
    b.reply(invite, 200, "OK", b.sdp())
    b.reply(cancel, 200)
    ack = b.expect("ACK")
    bye = b.expect("BYE")
    assert ack.get("to") == bye.get("to")
    b.reply(bye, 200)
    acked_failure(a, 487, call_id, branch, uri)
    row = cdr(quick)
    assert (row["sip_code"], row["released_by"], row["answer_us"]) == (487, "a", None)


def test_late_answer_of_a_given_up_attempt(quick, a, b):
    with Raw(quick, "b", ip="10.0.2.2") as slow:
        call_id, _, _ = call(a, "702")
        late = slow.expect("INVITE")  # nothing is said: a 100 would keep the attempt going
        b.reply(b.expect("INVITE"), 200, "OK", b.sdp())
        ok = a.expect(200)
        a.request("ACK", call_id, ok.get("to"), ok.uri("contact"))
        b.expect("ACK")
        slow.reply(late, 200, "OK", slow.sdp())
        slow.expect("ACK")
        slow.reply(slow.expect("BYE"), 200)
        b.quiet(0.2)
        assert [c["state"] for c in quick.calls()] == ["answered"]
        a.request("BYE", call_id, ok.get("to"), ok.uri("contact"), cseq=2)
        b.reply(b.expect("BYE"), 200)
        a.expect(200)
    row = cdr(quick)
    assert [x["sip_code"] for x in quick.rows("cdr_attempt") if x["cdr_id"] == row["id"]] == [408, 200]


@pytest.mark.parametrize("status", [486, 603])
def test_no_failover_after(quick, a, b, status):
    with Raw(quick, "b", ip="10.0.2.2") as first:
        ids = call(a, "702")
        first.reply(first.expect("INVITE"), status)
        first.expect("ACK")
        acked_failure(a, status, *ids)
        b.quiet(0.3)
    assert cdr(quick)["sip_code"] == status


def test_delayed_offer(quick, a, b):
    call_id, _, _ = call(a, "4420", body="")
    invite = b.expect("INVITE")
    assert invite.body == ""
    b.reply(invite, 200, "OK", b.sdp(42000))
    ok = a.expect(200)
    assert ok.media()[0] == a.switch[0]
    a.request("ACK", call_id, ok.get("to"), ok.uri("contact"), body=a.sdp(42000))
    ack = b.expect("ACK")
    assert ack.media()[0] == b.switch[0]
    with socket_in(quick.ns["a"], a.ip, 42000) as at_a, socket_in(quick.ns["b"], b.ip, 42000) as at_b:
        at_a.sendto(rtp(1), ok.media())
        at_b.sendto(rtp(2), ack.media())
        assert [x[0] for x in arrived(at_b, 2)] == [rtp(1)]
        assert [x[0] for x in arrived(at_a, 2)] == [rtp(2)]
    a.request("BYE", call_id, ok.get("to"), ok.uri("contact"), cseq=2)
    b.reply(b.expect("BYE"), 200)
    a.expect(200)


def test_bye_during_a_reinvite(quick, a, b):
    c = Established(a, b)
    branch = c.reinvite_from_a(a.sdp(version=2))
    at_b = b.expect("INVITE")
    c.bye_from_b()
    bye = a.expect("BYE")
    a.reply(bye, 200)
    seen = {m.get("cseq").split()[1]: m for m in (b.expect(200),)}
    assert "BYE" in seen
    b.reply(at_b, 487, "Request Terminated")
    b.expect("ACK")
    answer = next(m for m in iter(lambda: a.receive(3), None) if m.status >= 300)
    assert answer.get("cseq") == "2 INVITE"
    c.ack_from_a(2, branch=branch)
    assert cdr(quick)["released_by"] == "b"


def test_identity_goes_to_friends_alone(quick, a, b):
    headers = f'P-Asserted-Identity: "Ann" <sip:15551@{a.ip}>, <tel:+15551>\nPrivacy: id'
    with Raw(quick, "b", ip="10.0.2.5") as friend:
        for number, end, trusted in (("704", friend, True), ("4420", b, False)):
            ids = call(a, number, headers)
            invite = end.expect("INVITE")
            identity = invite.get("p-asserted-identity")
            if trusted:
                assert "15551" in identity and a.ip not in identity and "raw" in invite.get("from")
            else:
                assert identity == "" and "anonymous" in invite.get("from").lower() and "raw" not in invite.get("from")
            assert re.search("id", invite.get("privacy"))
            end.reply(invite, 486)
            end.expect("ACK")
            acked_failure(a, 486, *ids)
