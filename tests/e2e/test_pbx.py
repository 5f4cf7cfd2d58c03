# SPDX-License-Identifier: BSD-3-Clause
"""A PBX that registers with us: Kamailio, which answers our challenges for the phone behind it and brings it its calls."""
import kamailio
import pytest
from lab import sh, until
from scenario import PROVISIONALS, ack, bye, invite, pause, recv, reply, reply_again, sdp, uac, uas
from test_phones import DOMAIN, md5_alone

PHONE = "10.0.1.2"
ANSWERS = uas(recv("INVITE"), reply(180), reply(200, body=sdp(), retrans=500), recv("ACK"), recv("BYE"), reply_again(200))


@pytest.fixture(params=[(1,), (1, 1, 1)], ids=["1", "3"])
def office(request, fresh):
    lab = fresh(base="registrar.conf", workers=request.param, edit=md5_alone)
    lab.subscriber(f"4001@{DOMAIN}", "wholesale", "4930555401")
    return lab


def registrations(lab):
    return lab.show("registrations")


def test_a_pbx_registers_calls_and_is_called(office):
    lab = office
    pbx = kamailio.pbx(lab, "4001", "wholesale", PHONE)
    (bound,) = until(lambda: registrations(lab), 20, what=f"the registration\n{pbx.process.text()[-1500:]}")
    assert bound["aor"] == f"4001@{DOMAIN}" and bound["received"] == "10.0.1.1:5060", bound

    # Out: the phone knows no password, the PBX answers for it; who calls is what the subscriber's numbers say.
    carrier = lab.sipp("b", ANSWERS, timeout=40)
    lab.wait_listening("b")
    caller = lab.sipp("a", uac(invite(), PROVISIONALS, recv(200), ack(), pause(300), bye(), recv(200)), "-s", "442079460123",
                      ip=PHONE, remote="10.0.1.1:5060", timeout=30)
    assert caller.wait(40) == 0, lab.sipp_error(caller) + lab.logs() + pbx.process.text()[-1500:]
    assert carrier.wait(15) == 0, lab.sipp_error(carrier)
    assert len(pbx.lines("PBX answers the challenge")) == 1
    (cdr,) = lab.cdrs(1)
    assert (cdr["sip_code"], cdr["auth_user"], cdr["asserted"]) == (200, f"4001@{DOMAIN}", "4930555401"), dict(cdr)

    # In: by its number, over the flow of its registration, to the phone behind it.
    phone = lab.sipp("a", ANSWERS, ip=PHONE, timeout=40)
    until(lambda: f"{PHONE}:5060" in sh(*lab.in_ns("a", "ss", "-Hlun")), what="the phone's socket")
    caller = lab.sipp("b", uac(invite(), PROVISIONALS, recv(200), ack(), pause(300), bye(), recv(200)), "-s", "4930555401",
                      timeout=30)
    assert caller.wait(40) == 0, lab.sipp_error(caller) + lab.logs() + pbx.process.text()[-1500:]
    assert phone.wait(15) == 0, lab.sipp_error(phone)
    pbx.wait_line("PBX called")
    lab.settle()
    for text in (lab.control.text(), lab.dataplane.text()):
        assert "wholesale" not in text


def test_it_refreshes_and_a_wrong_password_stays_outside(fresh):
    lab = fresh(base="registrar.conf", edit=lambda text: md5_alone(text).replace("min_expires = 60;", "min_expires = 10;"))
    lab.subscriber(f"4001@{DOMAIN}", "wholesale")
    pbx = kamailio.pbx(lab, "4001", "guessed", PHONE, expires=10)
    until(lambda: lab.counters()["auth.forbidden"] > 0, 20, what=f"a refused registration\n{pbx.process.text()[-1500:]}")
    assert not registrations(lab)
    pbx.process.kill()
    lab.counters()
    right = kamailio.pbx(lab, "4001", "wholesale", PHONE, expires=10)
    until(lambda: lab.counters()["reg.refreshed"] > 1, 60, what=f"refreshes\n{right.process.text()[-1500:]}")
    assert len(registrations(lab)) == 1
