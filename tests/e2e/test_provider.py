# SPDX-License-Identifier: BSD-3-Clause
"""A provider that challenges us: Kamailio, with the switch as its registered customer."""
import json
import time

import kamailio
import pytest
from lab import sh, until
from scenario import BASIC_UAS, PROVISIONALS, ack, bye, in_dialog, invite, recv, reply, reply_again, sdp, uac, uas

ACCOUNT = """auth = { username = "tandem"; realm = "provider.example"; password = "%s"; };
    register = { user = "4930555"; expires = 60; };"""


def with_account(password="wholesale"):
    return lambda text: text.replace('{ name = "carrier-b"; realm = "east";',
                                     '{ name = "carrier-b"; realm = "east"; ' + ACCOUNT % password)


def registration(lab):
    return next(t for t in lab.show("trunks") if t["name"] == "carrier-b").get("registration")


def far_end(lab, scenario):
    """The phone behind the provider."""
    child = lab.sipp("b", scenario, ip="10.0.2.2", timeout=40)
    until(lambda: "10.0.2.2:5060" in sh(*lab.in_ns("b", "ss", "-Hlun")), what="the far end's socket")
    return child


@pytest.mark.parametrize("algorithm,workers", [("", (1,)), ("SHA-256", (1, 1, 1))], ids=["md5", "sha256-3"])
def test_calls_through_a_provider(fresh, algorithm, workers):
    lab = fresh(edit=with_account(), workers=workers)
    provider = kamailio.provider(lab, algorithm=algorithm, nonce_count=1)
    provider.wait_line("PROVIDER registered tandem")
    until(lambda: registration(lab) == "registered", what="the registration in show trunks")

    # A call with hold and resume: INVITE, re-INVITE and BYE are all challenged.
    caller = uac(invite(), PROVISIONALS, recv(200), ack(),
                 in_dialog("INVITE", 2, body=sdp(2, direction="sendonly")), recv(100, optional=True), recv(200), ack(2),
                 bye(3), recv(200))
    callee = uas(recv("INVITE"), reply(180), reply(200, body=sdp(), retrans=500), recv("ACK"),
                 recv("INVITE"), reply_again(200, body=sdp(2, direction="recvonly")), recv("ACK"),
                 recv("BYE"), reply_again(200))
    far = far_end(lab, callee)
    near = lab.sipp("a", caller, "-s", "442079460123", timeout=30)
    assert near.wait(40) == 0, lab.sipp_error(near) + lab.logs()
    assert far.wait(15) == 0, lab.sipp_error(far)
    (cdr,) = lab.cdrs(1)
    assert cdr["sip_code"] == 200 and cdr["complete"] == 1
    methods = [line.split()[-2] for line in provider.lines("PROVIDER authenticated")]
    assert methods.count("INVITE") >= 2 and methods.count("BYE") >= 1, methods
    assert lab.counters()["sip.challenge_answered"] >= 2
    for text in (lab.control.text(), lab.dataplane.text(), lab.ctl("show", "trunks", "--json")):
        assert "wholesale" not in text

    # And in the other direction: to where the switch has registered.
    near = lab.sipp("a", BASIC_UAS, timeout=40)
    lab.wait_listening("a")
    inbound = uac(invite(uri="sip:4930555@provider.example"), PROVISIONALS, recv(200), ack(), bye(), recv(200))
    caller = lab.sipp("b", inbound, "-s", "4930555", ip="10.0.2.2", remote="10.0.2.1:5060", timeout=30)
    assert caller.wait(40) == 0, lab.sipp_error(caller) + lab.logs() + provider.process.text()[-1500:]
    assert near.wait(15) == 0, lab.sipp_error(near)
    lab.settle()


def test_a_reload_takes_the_registration_back(fresh):
    lab = fresh(edit=with_account())
    provider = kamailio.provider(lab)
    until(lambda: registration(lab) == "registered", what="the registration in show trunks")
    assert not [line for line in provider.lines("PROVIDER registered") if " for 0 s" in line]
    text = lab.conf.read_text()
    lab.conf.write_text(text.replace('register = { user = "4930555"; expires = 60; };', ""))
    assert "~ carrier-b" in lab.ctl("reload")
    until(lambda: [line for line in provider.lines("PROVIDER registered tandem") if " for 0 s" in line],
          what="the farewell at the provider")
    assert registration(lab) in (None, "none", "")
    assert lab.counters().get("sip.left_registered", 0) == 0


def test_a_wrong_password_is_told_and_not_hammered(fresh):
    lab = fresh(edit=with_account("wrong"))
    provider = kamailio.provider(lab)
    until(lambda: registration(lab) == "failed", what="the failed registration")
    assert "trunk.registration_failed trunk=carrier-b sip_code=401" in lab.dataplane.text()
    (alarm,) = until(lambda: json.loads(lab.ctl("alarms", "--json")), what="the alarm")
    assert (alarm["name"], alarm["subject"]) == ("trunk.registration", "carrier-b") and "with 401" in alarm["text"], alarm
    page = sh(*lab.in_ns("x", "/usr/bin/python3", "-c", "import urllib.request as r; "
                         "print(r.urlopen('http://127.0.0.1:9464/metrics', timeout=10).read().decode())"))
    assert 'tandem_trunk_registered{trunk="carrier-b",realm="east"} 0\n' in page
    failures = lab.dataplane.text().count("trunk.registration_failed")
    time.sleep(3)
    assert lab.dataplane.text().count("trunk.registration_failed") <= failures + 1
    assert not provider.lines("PROVIDER registered")
    assert "wrong" not in lab.dataplane.text().replace("wrong_source", "")
