# SPDX-License-Identifier: BSD-3-Clause
"""Who a message belongs to: tokens, route sets, realms; and what is no message at all."""
import random
import re

import pytest

from raw import Established, Raw


@pytest.fixture
def ends(lab):
    with Raw(lab, "a") as a, Raw(lab, "b") as b:
        yield a, b
    lab.settle()


def routes(message):
    """Route values in their order; one line may carry several (RFC 3261 §7.3.1)."""
    return [r for line in message.all("route") for r in re.split(r",\s*(?=<)", line)]


def with_tag(to, change):
    return re.sub(r"(tag=)([^;]+)", lambda m: m.group(1) + change(m.group(2)), to)


def test_wrong_tag_gets_481_and_touches_nothing(lab, ends):
    a, b = ends
    call = Established(a, b)
    flipped = with_tag(call.ok_at_a.get("to"), lambda t: ("A" if t[0] != "A" else "B") + t[1:])
    foreign = with_tag(call.ok_at_a.get("to"), lambda t: "".join(random.Random(5).choices("ABCDEFGHabcdefgh01234567-_", k=32)))
    for n, to in enumerate((flipped, foreign, "<sip:x@10.0.1.254>;tag=none")):
        call.bye_from_a(cseq=10 + n, to=to)
        a.expect(481)
    b.quiet(0.3)
    assert [c["state"] for c in lab.calls()] == ["answered"]
    call.end()


def test_tag_of_an_earlier_boot_gets_481(fresh):
    lab = fresh()
    with Raw(lab, "a") as a, Raw(lab, "b") as b:
        old = Established(a, b)
        lab.dataplane.kill()
        lab.start_dataplane()
        lab.wait_ready()
        old.bye_from_a()
        a.expect(481)
        new = Established(a, b)
        old.bye_from_a(cseq=3)
        a.expect(481)
        assert [c["state"] for c in lab.calls()] == ["answered"]
        new.end()
    lab.settle()


def test_two_record_routes_on_each_side(ends):
    a, b = ends
    ra = [f"<sip:{a.ip}:5060;lr;hop=1>", "<sip:10.0.1.2;lr;hop=2>"]
    rb = ["<sip:10.0.2.2;lr;hop=3>", f"<sip:{b.ip}:5060;lr;hop=4>"]
    rr = lambda routes: "\n".join(f"Record-Route: {r}" for r in routes)  # noqa: E731
    # The switch is the last to see A's Record-Routes, and the first to see B's reversed.
    for who in ("a", "b"):
        call = Established(a, b, headers=rr(ra), b_headers=rr(rb))
        if who == "a":
            call.bye_from_a()
            bye = b.expect("BYE")
            assert bye.start.split()[1] == f"sip:raw@{b.ip}:5060"
            assert routes(bye) == list(reversed(rb))
            b.reply(bye, 200)
            a.expect(200)
        else:
            b.request("BYE", call.invite_at_b.get("call-id"), call.invite_at_b.get("from"), call.target_of_b, cseq=1)
            bye = a.expect("BYE")
            assert bye.start.split()[1] == f"sip:raw@{a.ip}:5060"
            assert routes(bye) == ra
            a.reply(bye, 200)
            b.expect(200)


def test_same_address_call_id_and_tag_in_two_realms(lab, ends):
    a, b = ends
    with Raw(lab, "a", port=5070) as a2, Raw(lab, "b", port=5070) as b2:
        call_id, tag, branch = "same-in-both-realms", "sametag", "z9hG4bKsame"
        for caller, number in ((a2, "442079460123"), (b2, "4930555100")):
            uri = f"sip:{number}@{caller.switch[0]}"
            caller.request("INVITE", call_id, f"<{uri}>", uri, body=caller.sdp(), tag=tag, branch=branch)
        at_b, at_a = b.expect("INVITE"), a.expect("INVITE")
        b.reply(at_b, 200, "OK", b.sdp())
        a.reply(at_a, 200, "OK", a.sdp())
        oks = [a2.expect(200), b2.expect(200)]
        assert len(lab.calls()) == 2
        for caller, ok, callee in ((a2, oks[0], b), (b2, oks[1], a)):
            caller.request("ACK", call_id, ok.get("to"), ok.uri("contact"), tag=tag)
            callee.expect("ACK")
        for caller, ok, callee in ((a2, oks[0], b), (b2, oks[1], a)):
            caller.request("BYE", call_id, ok.get("to"), ok.uri("contact"), cseq=2, tag=tag)
            callee.reply(callee.expect("BYE"), 200)
            caller.expect(200)


def test_methods_that_are_refused(ends):
    a, b = ends
    uri = f"sip:1@{a.switch[0]}"
    for method in ("REFER", "SUBSCRIBE", "MESSAGE", "PUBLISH", "FROBNICATE"):
        a.request(method, f"refused-{method}", f"<{uri}>", uri)
        assert "INVITE" in a.expect(405).get("allow")
    branch = a.request("INVITE", "needs-foo", f"<{uri}>", uri, body=a.sdp(), headers="Require: foo")
    refused = a.expect(420)
    assert refused.get("unsupported") == "foo"
    a.request("ACK", "needs-foo", refused.get("to"), uri, branch=branch)
    a.request("CANCEL", "no-such-invite", f"<{uri}>", uri)
    a.expect(481)
    b.quiet(0.3)


@pytest.mark.parametrize("fault, status", [
    ("Content-Length: 5\nContent-Length: 7", 400), ("CSeq: 1 BYE", 400), ("Max-Forwards: 0", 483), ("Content-Length: -1", 400)])
def test_bad_messages_are_refused_by_name(lab, ends, fault, status):
    a, b = ends
    name = fault.split(":")[0]
    lines = {"Via": f"SIP/2.0/UDP {a.ip}:5060;branch=z9hG4bK{random.randrange(1 << 40):x}", "From": f"<sip:x@{a.ip}>;tag=1",
             "To": "<sip:442@10.0.1.254>", "Call-ID": f"bad-{random.randrange(1 << 40)}", "CSeq": "1 INVITE", "Max-Forwards": "70",
             "Contact": f"<sip:x@{a.ip}>"}
    ack = dict(lines, CSeq="1 ACK")
    lines.pop(name, None)
    text = "INVITE sip:442@10.0.1.254 SIP/2.0\n" + "\n".join(f"{k}: {v}" for k, v in lines.items()) + f"\n{fault}\n\n"
    a.send_bytes(text.replace("\n", "\r\n").encode())
    answer = a.expect(status)
    assert len(answer.start.split(None, 2)[2]) > 3
    ack["To"] = answer.get("to")  # or it would come again
    text = "ACK sip:442@10.0.1.254 SIP/2.0\n" + "\n".join(f"{k}: {v}" for k, v in ack.items()) + "\n\n"
    a.send_bytes(text.replace("\n", "\r\n").encode())
    b.quiet(0.3)


def test_garbage_is_counted_and_harmless(lab, ends):
    a, b = ends
    before = lab.counters()
    rng = random.Random(3)
    for n in range(50):
        a.send_bytes(bytes(rng.randrange(256) for _ in range(rng.randrange(1, 600))))
    a.quiet(0.5)
    b.quiet(0.2)
    after = lab.counters()
    assert after["sip.bad_message"] >= before["sip.bad_message"] + 40
    Established(a, b).end()


def test_bye_ends_one_of_two_early_dialogs(ends):
    a, b = ends
    uri = f"sip:442079460123@{a.switch_host}"
    call_id = f"early-{random.randrange(1 << 60):x}"
    a.request("INVITE", call_id, f"<{uri}>", uri, body=a.sdp())
    invite = b.expect("INVITE")
    b.reply(invite, 183, body=b.sdp(), tag="one")
    one = a.expect(183)
    b.reply(invite, 180, tag="two")
    two = a.expect(180)
    a.request("INFO", call_id, one.get("to"), one.uri("contact"), cseq=2)
    info = b.expect("INFO")
    assert "tag=one" in info.get("to")
    b.reply(info, 200)
    a.expect(200)
    a.request("BYE", call_id, two.get("to"), two.uri("contact"), cseq=2)
    assert a.expect(200).get("cseq").endswith("BYE")
    bye = b.expect("BYE")
    assert "tag=two" in bye.get("to")
    b.reply(bye, 200)
    b.reply(invite, 200, "OK", b.sdp(), tag="one")
    b.expect("ACK")
    ok = a.expect(200)
    assert ok.get("to") == one.get("to")
    a.request("ACK", call_id, ok.get("to"), ok.uri("contact"))
    a.request("BYE", call_id, ok.get("to"), ok.uri("contact"), cseq=3)
    b.reply(b.expect("BYE"), 200)
    a.expect(200)


def test_session_description_in_a_body_of_several_parts(ends):
    a, b = ends
    uri = f"sip:442079460123@{a.switch_host}"
    call_id = f"parts-{random.randrange(1 << 60):x}"
    body = ("--cut\r\nContent-Type: application/ISUP\r\nContent-Disposition: signal;handling=optional\r\n\r\ncanary\r\n"
            f"--cut\r\nContent-Type: application/sdp\r\n\r\n{a.sdp()}\r\n--cut--\r\n")
    a.send(f"""INVITE {uri} SIP/2.0
        Via: SIP/2.0/UDP {a.host}:{a.port};branch=z9hG4bK{call_id}
        From: <sip:raw@{a.host}>;tag={a.tag}
        To: <{uri}>
        Call-ID: {call_id}
        CSeq: 1 INVITE
        Contact: <sip:raw@{a.host}:{a.port}>
        Content-Type: multipart/mixed; boundary=cut""", body)
    invite = b.expect("INVITE")
    assert invite.get("content-type") == "application/sdp"
    b.reply(invite, 486)
    b.expect("ACK")
    busy = a.expect(486)
    a.request("ACK", call_id, busy.get("to"), uri, branch=f"z9hG4bK{call_id}")


def test_an_invite_that_cannot_be_read_has_its_record(fresh):
    lab = fresh()
    with Raw(lab, "a") as a:
        lab.wait_ready()
        a.request("INVITE", "unread@a", "<sip:442079460123@10.0.1.254>", "sip:442079460123@10.0.1.254",
                  headers="Call-ID: twice@a", branch="z9hG4bKunread")
        refused = a.expect(400)
        a.request("ACK", "unread@a", refused.get("to"), "sip:442079460123@10.0.1.254", branch="z9hG4bKunread")
        [cdr] = lab.cdrs(1)
        assert (cdr["sip_code"], cdr["released_by"], cdr["complete"]) == (400, "switch", 1)
