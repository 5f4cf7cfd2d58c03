# SPDX-License-Identifier: BSD-3-Clause
"""A day of an operator in one run: phones register and talk, one calls out over the carrier and is called in by its number, a
route file is loaded, tested and committed under traffic, both daemons are killed in turn, and nothing acknowledged is lost."""
import json
import signal
import time

import pytest

from lab import until
from pg import Postgres
from phones import Phone
from scenario import PROVISIONALS, ack, bye, invite, pause, recv, reply, reply_again, sdp, uac, uas
from test_peer import start_peer
from test_phones import DOMAIN, md5_alone, registered, talk

PBX = '{ name = "pbx"; realm = "access"; plan = "deck"; max_calls = 100; max_cps = 100; peers = ( { address = "10.0.1.3"; } ); },'
HEADER = "match,to,priority,weight,cost\n"


@pytest.fixture
def url(request):
    """Where the switch keeps its things: a file of its own, or a server."""
    if request.param == "sqlite":
        yield "sqlite:"
        return
    server = Postgres()
    yield server.url
    server.close()


def configured(url):
    return lambda text: md5_alone(text).replace("trunks = (", f"trunks = ( {PBX}").replace('"sqlite:"', f'"{url}"')


def cdrs(lab):
    return json.loads(lab.ctl("cdr", "last", "2000", "--json"))


def out_over_the_carrier(lab, phone):
    steps = recv("INVITE"), reply(180), reply(200, body=sdp(), retrans=500), recv("ACK"), recv("BYE"), reply_again(200)
    carrier = lab.sipp("b", uas(*steps), timeout=40)
    lab.wait_listening("b")
    established = len(phone.said("CALL_ESTABLISHED"))
    phone.dial("442079460123")
    phone.wait_event("CALL_ESTABLISHED", established + 1)
    phone.hangup()
    assert carrier.wait(15) == 0, lab.sipp_error(carrier)


def in_by_number(lab, number):
    steps = invite(), PROVISIONALS, recv(200), ack(), pause(300), bye(), recv(200)
    caller = lab.sipp("b", uac(*steps), "-s", number, timeout=30)
    assert caller.wait(40) == 0, lab.sipp_error(caller) + lab.logs()


def load(lab, name, lines, *args):
    path = lab.folder / name
    path.write_text(HEADER + "".join(line + "\n" for line in lines))
    return json.loads(lab.ctl("--json", "route", "load", path, "--plan", "deck", *args))


def led_by(lab, number):
    """The lines of the plan that a call of the PBX to that number tries, in their order."""
    answer = json.loads(lab.ctl("--json", "route", "test", number, "--from", "pbx"))
    return [step["match"] for step in answer["steps"] if step["what"] == "match"]


def stopped(peer):
    peer.p.send_signal(signal.SIGTERM)
    assert peer.wait(30) == 0, peer.text()[-3000:]
    return json.loads(peer.text().splitlines()[-1])["log"]


def killed(lab, daemon):
    """Ends it with SIGKILL under traffic, starts it again; when that was."""
    time.sleep(1)
    getattr(lab, daemon).kill()
    at = time.monotonic()
    getattr(lab, f"start_{daemon}")()
    lab.wait_ready()
    return at


@pytest.mark.parametrize("url", ["sqlite", "postgresql"], indirect=True)
def test_a_day_of_an_operator(fresh, url):
    lab = fresh(base="registrar.conf", workers=(1, 1), edit=configured(url))
    lab.subscriber(f"1001@{DOMAIN}", "secret-1001", "4930555101")
    lab.subscriber(f"1002@{DOMAIN}", "secret-1002", "4930555102")
    a, b = Phone(lab, "1001", "secret-1001", hz=440), Phone(lab, "1002", "secret-1002", hz=1000)
    a.wait_registered()
    b.wait_registered()
    talk(lab, a, b, "1002")
    out_over_the_carrier(lab, a)
    in_by_number(lab, "4930555101")

    load(lab, "first.csv", ["49,carrier-b,1,100,0.02"], "--commit")
    options = {"calls": 100000, "packets": 3, "rate": 15, "hold_s": 0.5, "timeout_s": 150, "seed": 3}
    callee = start_peer(lab, "b", "callee", **options)
    caller = start_peer(lab, "a", "caller", ip="10.0.1.3", prefix="4930", **options)
    until(lambda: len(lab.calls()) > 5, what="calls of the PBX")
    staged = load(lab, "second.csv", ["49,carrier-b,1,100,0.02", "4930,carrier-b,1,100,0.01"])
    assert (staged["added"], staged["removed"], staged["committed"]) == (1, 0, False)
    assert led_by(lab, "4930000001") == ["49"]
    load(lab, "second.csv", ["49,carrier-b,1,100,0.02", "4930,carrier-b,1,100,0.01"], "--commit")
    assert led_by(lab, "4930000001") == ["4930", "49"]
    phones = {f"1001@{DOMAIN}", f"1002@{DOMAIN}"}
    assert registered(lab) == phones
    killed(lab, "control")
    assert registered(lab) == phones and led_by(lab, "4930000001") == ["4930", "49"]
    cut_at = killed(lab, "dataplane")
    assert registered(lab) == phones and led_by(lab, "4930000001") == ["4930", "49"]
    time.sleep(1)
    called, answered = stopped(caller), stopped(callee)

    lab.no_calls_left(60)
    wanted = {e["call_id"]: e for e in called}
    rows = until(lambda: (found := [r for r in cdrs(lab) if r["call_id_a"] in wanted]) and len(found) >= len(wanted) and found,
                 20, what="a record of every answered call")
    assert len(rows) == len(wanted) > 30, "a record for each answered call and no second one"
    assert {r["call_id_b"] for r in rows} <= {e["call_id"] for e in answered}
    for row in rows:
        entry = wanted[row["call_id_a"]]
        if entry.get("ended_at", cut_at) < cut_at - 0.3 or entry["answered_at"] > cut_at:
            assert row["complete"], (row, entry, cut_at)
    talk(lab, a, b, "4930555102")
    out_over_the_carrier(lab, a)
    in_by_number(lab, "4930555101")
    assert "secret-" not in lab.control.text() + lab.dataplane.text()
    assert json.loads(lab.ctl("alarms", "--json")) == []
