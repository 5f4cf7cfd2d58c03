# SPDX-License-Identifier: BSD-3-Clause
"""Each limit and one more: the documented code and counter, and a call that runs beside it loses no packet."""
import json
import re
import time

import pytest

from lab import Lab, until
from raw import Established, Raw, Talking

TRUNKS = """
  { name = "one-in"; realm = "west"; max_calls = 1; peers = ( { address = "10.0.1.2"; } ); },
  { name = "slow-in"; realm = "west"; max_cps = 1; peers = ( { address = "10.0.1.3"; } ); },
  { name = "one-out"; realm = "east"; max_calls = 1; peers = ( { address = "10.0.2.2"; } ); },
  { name = "slow-out"; realm = "east"; max_cps = 1; peers = ( { address = "10.0.2.3"; } ); },
  { name = "first"; realm = "east"; peers = ( { address = "10.0.2.4"; } ); },
  { name = "second"; realm = "east"; peers = ( { address = "10.0.2.5"; } ); },
"""
GROUPS = """
emergency = { numbers = [ "112" ]; };
groups = ( { name = "small"; max_calls = 1; to = ( { trunk = "first"; } ); }, { name = "spare"; max_calls = 1; to = ( { trunk = "second"; } ); } );
route_limits = ( { name = "few"; max_calls = 1; }, { name = "burst"; max_cps = 1; cps_burst = 3; } );
"""
ROUTES = """
  { from = [ "carrier-a" ]; prefix = "801"; to = ( { trunk = "one-out"; } ); },
  { from = [ "carrier-a" ]; prefix = "802"; to = ( { trunk = "slow-out"; } ); },
  { from = [ "carrier-a" ]; prefix = "803"; to = ( { trunk = "small"; priority = 1; }, { trunk = "spare"; priority = 2; } ); },
  { from = [ "carrier-a" ]; prefix = "804"; limit = "few"; to = ( { trunk = "first"; } ); },
  { from = [ "carrier-a" ]; prefix = "805"; limit = "few"; to = ( { trunk = "second"; } ); },
  { from = [ "carrier-a" ]; prefix = "806"; limit = "burst"; to = ( { trunk = "first"; } ); },
  { from = [ "carrier-a", "one-in" ]; prefix = "urn:service:sos"; to = ( { trunk = "carrier-b"; } ); },
"""


def trunk_limits(text):
    text = text.replace("cps = 1000;", "cps = 1000; sip_message_bytes = 4096;")
    text = text.replace('name = "west"; port = "xa";', 'name = "west"; port = "xa"; unknown = "403";')
    # Whoever calls 80… finds no second route behind the full one.
    text = text.replace('from = [ "carrier-a" ]; prefix = "";', 'from = [ "carrier-a", "one-in", "slow-in" ]; prefix = "4";')
    return text.replace("trunks = (\n", GROUPS + "trunks = (\n" + TRUNKS).replace("routes = (\n", "routes = (\n" + ROUTES)


def few_calls(text):
    text = re.sub(r"calls = 4000; cps = 1000;", "calls = 4; cps = 20; quarantine_ms = 100;", text)
    return text.replace("ports = [ 16384, 65535 ]", "ports = [ 20000, 20009 ]")


@pytest.fixture(scope="module")
def limited():
    with Lab(workers=(1, 1, 1), edit=trunk_limits) as running:
        yield running


@pytest.fixture(scope="module")
def tight():
    with Lab(edit=few_calls) as running:
        yield running


@pytest.fixture
def switch(request):
    """The switch that the test names in its only marker."""
    return request.getfixturevalue(request.node.get_closest_marker("switch").args[0])


@pytest.fixture
def b(switch):
    with Raw(switch, "b", port=5060) as end:
        yield end


@pytest.fixture(autouse=True)
def running_call(switch, b):
    """A call with audio both ways that the test must not touch."""
    with Raw(switch, "a") as a:
        call = Talking(switch, a, b)
        until(lambda: call.sent > 5, what="audio")
        yield
        call.stop()
        call.end()
    switch.settle()


@pytest.fixture
def a(switch):
    with Raw(switch, "a", port=5070) as end:
        yield end


def refused(switch, a, status, counter, number="4420", retry_after=None, headers="", body=None, times=1):
    """One INVITE too many; as many targets were full."""
    before = switch.counters()[counter]
    uri = f"sip:{number}@{a.switch[0]}"
    call_id = f"refused-{switch.serial}@{a.ip}"
    switch.serial += 1
    branch = a.request("INVITE", call_id, f"<{uri}>", uri, body=a.sdp() if body is None else body, headers=headers)
    answer = a.expect(status)
    a.request("ACK", call_id, answer.get("to"), uri, branch=branch)
    assert switch.counters()[counter] == before + times
    if retry_after:
        assert answer.get("retry-after").isdigit()
    return answer


@pytest.mark.switch("limited")
def test_calls_of_a_trunk_inbound(switch, b):
    with Raw(switch, "a", ip="10.0.1.2") as a:
        call = Established(a, b)
        refused(switch, a, 503, "sip.trunk_calls", retry_after=True)
        call.end()
        Established(a, b).end()


@pytest.mark.switch("limited")
def test_calls_of_a_trunk_outbound(switch, a):
    with Raw(switch, "b", ip="10.0.2.2") as out:
        call = Established(a, out, "801")
        refused(switch, a, 503, "sip.trunk_calls", "801")
        out.quiet(0.1)
        call.end()


def second_within_a_second(switch, a, b, number="4420", **kw):
    """The first INVITE of a second gets through, the next does not."""
    uri = f"sip:{number}@{a.switch[0]}"
    call_id = f"first-{a.ip}-{number}"
    branch = a.request("INVITE", call_id, f"<{uri}>", uri, body=a.sdp())
    invite = b.expect("INVITE")
    refused(switch, a, 503, "sip.trunk_cps", number, **kw)
    b.reply(invite, 486)
    b.expect("ACK")
    a.request("ACK", call_id, a.expect(486).get("to"), uri, branch=branch)


@pytest.mark.switch("limited")
def test_rate_of_a_trunk_inbound(switch, b):
    with Raw(switch, "a", ip="10.0.1.3") as a:
        second_within_a_second(switch, a, b, retry_after=True)


@pytest.mark.switch("limited")
def test_rate_of_a_trunk_outbound(switch, a):
    with Raw(switch, "b", ip="10.0.2.3") as out:
        second_within_a_second(switch, a, out, "802")


@pytest.mark.switch("limited")
def test_a_full_group_overflows_into_the_next(switch, a):
    """Whichever workers have the calls; a group that a reload limits otherwise keeps those that stand."""
    with Raw(switch, "b", ip="10.0.2.4") as first, Raw(switch, "b", ip="10.0.2.5") as second:
        calls = [Established(a, first, "803"), Established(a, second, "803")]
        refused(switch, a, 503, "sip.group_calls", "803", times=2)
        shown = {(row["kind"], row["name"]): row for row in json.loads(switch.ctl("show", "limits", "--json"))}
        assert shown["group", "small"].items() >= {"calls": 1, "max_calls": 1, "refused": 2}.items()  # one went on to spare
        assert shown["group", "spare"].items() >= {"calls": 1, "max_calls": 1, "refused": 1}.items()
        assert shown["trunk", "one-in"]["max_calls"] == 1 and ("trunk", "first") not in shown
        assert shown["switch", "switch"]["max_calls"] == 4000 and shown["switch", "switch"]["calls"] == 3
        good = switch.conf.read_text()
        switch.conf.write_text(good.replace('"small"; max_calls = 1;', '"small"; max_calls = 2;'))
        assert "~ small" in switch.ctl("reload")
        calls.append(Established(a, first, "803"))
        switch.conf.write_text(good)
        switch.ctl("reload")
        calls[0].end()
        refused(switch, a, 503, "sip.group_calls", "803", times=2)  # one still stands
        calls[2].end()
        calls[0] = Established(a, first, "803")
        for call in calls[:2]:
            call.end()
    until(lambda: [r["cause"] for r in switch.rows() if r["to_number"] == "803" and r["sip_code"] == 503] == [34, 34])


@pytest.mark.switch("limited")
def test_routes_share_a_limit(switch, a):
    with Raw(switch, "b", ip="10.0.2.4") as first, Raw(switch, "b", ip="10.0.2.5") as second:
        call = Established(a, first, "804")
        refused(switch, a, 503, "sip.route_calls", "805")
        second.quiet(0.1)
        call.end()
        Established(a, second, "805").end()
        for _ in range(3):
            Established(a, first, "806").end()
        refused(switch, a, 503, "sip.route_cps", "806")


@pytest.mark.switch("limited")
def test_rate_of_the_switch(switch, a, b):
    """limits.cps is one, however many workers share the calls; emergency calls do not ask."""
    good = switch.conf.read_text()
    switch.conf.write_text(good.replace("cps = 1000;", "cps = 3;"))
    switch.ctl("reload")
    before, rows, n = switch.counters()["sip.limit_cps"], len(switch.rows()), 12
    uri, began, outcome = f"sip:4420@{a.switch[0]}", time.monotonic(), {}
    branches = {f"rate-{i}": a.request("INVITE", f"rate-{i}", f"<{uri}>", uri, body=a.sdp()) for i in range(n)}
    while len(outcome) < n:
        invite = b.receive(0.01)
        if invite and invite.method == "INVITE":
            b.reply(invite, 486)
        answer = a.receive(0.01)
        if answer and answer.status >= 300:
            call_id = answer.get("call-id")
            a.request("ACK", call_id, answer.get("to"), uri, branch=branches[call_id])
            assert answer.status == 486 or answer.get("retry-after").isdigit()
            outcome[call_id] = answer.status
        assert time.monotonic() - began < 10, outcome
    passed = list(outcome.values()).count(486)
    assert 3 <= passed <= 3 + 3 * (time.monotonic() - began) and passed < n
    assert list(outcome.values()).count(503) == n - passed == switch.counters()["sip.limit_cps"] - before
    emergency(a, b)
    switch.conf.write_text(good)
    switch.ctl("reload")
    until(lambda: len(switch.rows()) == rows + n + 1, what="a row of each")
    assert sorted(r["sip_code"] for r in switch.rows()[rows:]) == sorted([*outcome.values(), 486])


@pytest.mark.switch("limited")
def test_flood_of_one_source(switch, a, b):
    good = switch.conf.read_text()
    switch.conf.write_text(good.replace("sip_message_bytes = 4096;", "sip_message_bytes = 4096; source_cps = 10;"))
    switch.ctl("reload")
    before = switch.counters()["sip.source_rate"]
    with Raw(switch, "a", ip="10.0.1.2") as flood:
        uri = f"sip:{flood.switch[0]}"
        began = time.monotonic()
        for n in range(300):
            flood.request("OPTIONS", f"flood-{n}", f"<{uri}>", uri)
        # One limit, however many workers hear the source: a second's worth at once, then its rate.
        passed = 10 + 10 * (time.monotonic() - began) + 1
        Established(a, b).end()
    until(lambda: switch.counters()["sip.source_rate"] >= before + 300 - passed, 3, what="dropped requests")
    switch.conf.write_text(good)
    switch.ctl("reload")


@pytest.mark.switch("limited")
def test_message_too_big(switch, a):
    refused(switch, a, 513, "sip.too_big", headers="Subject: " + "s" * 4500)


@pytest.mark.switch("limited")
def test_strangers(switch, b):
    before = switch.counters()["sip.unknown_source"]
    for side, ip in (("a", "10.0.1.7"), ("b", "10.0.2.7")):
        with Raw(switch, side, ip=ip) as stranger:
            uri = f"sip:4420@{stranger.switch[0]}"
            stranger.request("INVITE", f"stranger-{side}", f"<{uri}>", uri, body=stranger.sdp())
            # The realm says which: west tells them, east does not.
            stranger.expect(403) if side == "a" else stranger.quiet(0.4)
    assert switch.counters()["sip.unknown_source"] == before + 2


def emergency(a, b, number=None):
    uri = f"sip:{number}@{a.switch[0]}" if number else "urn:service:sos"
    call_id = f"sos-{a.ip}-{a.port}-{number}"
    branch = a.request("INVITE", call_id, f"<{uri}>", uri, body=a.sdp())
    invite = b.expect("INVITE")
    assert invite.start.split()[1] == (f"sip:{number}@{b.ip}:{b.port}" if number else uri)
    b.reply(invite, 486)
    b.expect("ACK")
    a.request("ACK", call_id, a.expect(486).get("to"), uri, branch=branch)


@pytest.mark.switch("limited")
def test_emergency_calls_pass_drain_and_limits(switch, a, b):
    switch.ctl("drain")
    refused(switch, a, 503, "sip.draining", retry_after=True)
    emergency(a, b)
    emergency(a, b, "112")
    switch.ctl("drain", "--off")
    assert "carrier-b" in switch.ctl("route", "test", "112", "--from", "one-in")
    with Raw(switch, "a", ip="10.0.1.2") as full:
        call = Established(full, b)
        emergency(full, b)
        call.end()


TWO_STREAMS = "m=video 43000 RTP/AVP 31\r\na=rtpmap:31 H261/90000\r\n"


@pytest.mark.switch("tight")
def test_media_ports_run_out(switch, a, b):
    calls = [Established(a, b, a_sdp=a.sdp() + TWO_STREAMS, b_sdp=b.sdp() + TWO_STREAMS) for _ in range(2)]
    refused(switch, a, 503, "sip.no_media_port")
    b.quiet(0.1)
    for call in calls:
        call.end()


@pytest.mark.switch("tight")
def test_calls_of_the_switch(switch, a, b):
    calls = [Established(a, b) for _ in range(3)]
    refused(switch, a, 503, "sip.no_memory", retry_after=True)
    for call in calls:
        call.end()
    Established(a, b).end()
