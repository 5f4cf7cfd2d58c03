# SPDX-License-Identifier: BSD-3-Clause
"""Phones at the registrar: baresip phones call each other by AoR and by number, out over the carrier and in from it, with
audio that is told apart by its tone."""
import pytest
from lab import until
from phones import Phone
from scenario import BASIC_UAC, PROVISIONALS, ack, bye, invite, pause, recv, reply, reply_again, sdp, uac, uas

DOMAIN = "tandem.example"


def md5_alone(text):
    """These phones know MD5 alone, and stop where any of the challenges is another one."""
    return text.replace('domains = [ "tandem.example" ];', 'domains = [ "tandem.example" ]; algorithms = [ "MD5" ];')


@pytest.fixture(params=[(1,), (1, 1, 1)], ids=["1", "3"])
def office(request, fresh):
    lab = fresh(base="registrar.conf", workers=request.param, edit=md5_alone)
    lab.subscriber(f"1001@{DOMAIN}", "secret-1001", "4930555101")
    lab.subscriber(f"1002@{DOMAIN}", "secret-1002", "4930555102")
    return lab


def registered(lab):
    return {r["aor"] for r in lab.show("registrations")}


def talk(lab, one, other, dial):
    """one dials; both must hear the other's tone and not their own."""
    calls, closed = [len(phone.said("CALL_ESTABLISHED")) for phone in (one, other)], len(other.said("CALL_CLOSED"))
    recordings = [phone.recordings() for phone in (one, other)]
    one.dial(dial)
    for phone, n, before in zip((one, other), calls, recordings):
        phone.wait_event("CALL_ESTABLISHED", n + 1)
        until(lambda: phone.recordings() != before, what=f"a recording at {phone.user}")
    until(lambda: one.heard(other.hz) > 0.8, 15, every=0.5, what=f"the tone of {other.user} at {one.user}")
    until(lambda: other.heard(one.hz) > 0.8, 15, every=0.5, what=f"the tone of {one.user} at {other.user}")
    assert one.heard(one.hz) < 0.1 and other.heard(other.hz) < 0.1
    one.hangup()
    other.wait_event("CALL_CLOSED", closed + 1)


def test_phones_call_each_other(office):
    lab = office
    a, b = Phone(lab, "1001", "secret-1001", hz=440), Phone(lab, "1002", "secret-1002", hz=1000)
    a.wait_registered()
    b.wait_registered()
    until(lambda: registered(lab) == {f"1001@{DOMAIN}", f"1002@{DOMAIN}"}, what="both in show registrations")
    talk(lab, a, b, "1002")
    (cdr,) = lab.cdrs(1)
    assert cdr["sip_code"] == 200 and cdr["to_number"] == "1002"
    assert (cdr["auth_user"], cdr["asserted"]) == (f"1001@{DOMAIN}", "4930555101"), dict(cdr)
    assert cdr["rtp_a_rx"] > 10 and cdr["rtp_b_rx"] > 10
    for text in (lab.control.text(), lab.dataplane.text()):
        assert "secret" not in text
    lab.settle()


def test_out_to_the_carrier_and_in_by_number(office):
    lab = office
    phone = Phone(lab, "1001", "secret-1001", hz=440)
    phone.wait_registered()
    carrier = lab.sipp("b", uas(recv("INVITE"), reply(180), reply(200, body=sdp(), retrans=500), recv("ACK"), recv("BYE"),
                                reply_again(200)), "-trace_msg", "-message_file", lab.folder / "carrier.msg", timeout=40)
    lab.wait_listening("b")
    phone.dial("442079460123")
    phone.wait_event("CALL_ESTABLISHED")
    phone.hangup()
    assert carrier.wait(15) == 0, lab.sipp_error(carrier)
    seen = (lab.folder / "carrier.msg").read_text()
    assert "4930555101" in seen.split("INVITE", 1)[1].split("From:", 1)[1].split("\n", 1)[0]
    assert "10.0.1.1" not in seen and "secret" not in seen

    caller = lab.sipp("b", uac(invite(), PROVISIONALS, recv(200), ack(), pause(300), bye(), recv(200)), "-s", "4930555101",
                      timeout=30)
    assert caller.wait(40) == 0, lab.sipp_error(caller) + lab.logs()
    lab.settle()
    rows = lab.cdrs(2)
    assert [r["sip_code"] for r in rows] == [200, 200]


def test_who_is_not_there(office):
    """Provisioned but not registered is 480; nobody's number is 404; a phone with a wrong password stays outside."""
    lab = office
    for number, status in (("4930555102", 480), ("4930555999", 404)):
        steps = (invite(), recv(100, optional=True), recv(status))
        caller = lab.sipp("b", uac(*steps), "-s", number, timeout=20)
        assert caller.wait(30) == 0, lab.sipp_error(caller) + lab.logs()
    intruder = Phone(lab, "1001", "wrong", hz=440)
    until(lambda: lab.counters()["auth.forbidden"] > 0, what="the refused registration")
    assert not registered(lab)
    assert "200 OK" not in intruder.text()
