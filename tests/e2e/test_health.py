# SPDX-License-Identifier: BSD-3-Clause
"""Peers of a trunk that fall silent, refuse and come back: calls go past them, operators see it, and nobody has to do anything."""
import contextlib
import json
import signal
import threading
import time

import pytest

from lab import BUILD, Process, until
from raw import Raw

ADDRESSES = ("10.0.2.1", "10.0.2.2")
HEALTH = 'health = { probe = "options"; interval = 1; timeout = 1; down_after = 2; up_after = 2; return_s = 2; }; '
PEERS = 'peers = ( { address = "10.0.2.1"; port = 5060; }, { address = "10.0.2.2"; port = 5060; } );'


class Gateway(Raw):
    """A carrier's gateway that answers OPTIONS and is busy for every call; or does not."""

    def __init__(self, lab, ip):
        super().__init__(lab, "b", ip=ip)
        self.mode, self.calls, self.asked = "answers", [], 0
        self.ending = False
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while not self.ending:
            m = self.receive(0.1)
            if m is None or m.status or m.method == "ACK":
                continue
            if m.method == "INVITE":
                self.calls.append(m.get("call-id"))
            else:
                self.asked += 1
            if self.mode == "answers":
                self.reply(m, 486 if m.method == "INVITE" else 404)
            elif self.mode == "refuses":
                self.reply(m, 503)

    def close(self):
        self.ending = True
        self.thread.join()
        super().close()


@contextlib.contextmanager
def gateways(lab):
    made = [Gateway(lab, ip) for ip in ADDRESSES]
    try:
        yield made
    finally:
        for g in made:
            g.close()


def two_peers(health):
    def edit(text):
        return text.replace('peers = ( { address = "10.0.2.1"; port = 5060; } );', health + PEERS)
    return edit


def peers(lab):
    return {p["peer"].split(":")[0]: p for p in lab.show("peers") if p["trunk"] == "carrier-b"}


def state(lab, ip):
    return peers(lab)[ip]["state"]


def trunk(lab):
    return next(t for t in lab.show("trunks") if t["name"] == "carrier-b")


def call(lab, a, n):
    """The final status of a call, and how long it took."""
    begun = time.monotonic()
    uri = f"sip:4420{n:04d}@{a.switch_host}"
    call_id = f"health-{n}-{begun}"
    branch = a.request("INVITE", call_id, f"<{uri}>", uri, body=a.sdp())
    while True:
        m = a.receive(15)
        assert m is not None, "no answer"
        if m.get("call-id") == call_id and m.status >= 200:
            a.request("ACK", call_id, m.get("to"), uri, branch=branch)
            return m.status, time.monotonic() - begun


def names(lab):
    return {(x["name"], x["subject"]): x["text"] for x in json.loads(lab.ctl("alarms", "--json"))}


@pytest.fixture(params=[(1,), (1, 1, 1)], ids=["1 worker", "3 workers"])
def switch(request, fresh):
    return fresh(workers=request.param, edit=two_peers(HEALTH))


def test_calls_go_past_peers_that_are_not_there(switch):
    lab = switch
    watch = Process("watch", [BUILD / "tandemctl", "-c", lab.conf, "watch", "--json", "--kind", "trunk", "--kind", "alarm"], lab.folder)
    lab.children.append(watch)
    with gateways(lab) as (one, two), Raw(lab, "a") as a:
        until(lambda: all(p["code"] == 404 and p["rtt_ms"] > 0 for p in peers(lab).values()), 10, what="answers to OPTIONS")
        assert [p["state"] for p in peers(lab).values()] == ["up", "up"] and trunk(lab)["state"] == "up"
        assert call(lab, a, 1)[0] == 486 and len(one.calls) == 1 and not two.calls

        one.mode = "silent"  # 1 s until it is asked, 2 time-outs, 1 s between them
        until(lambda: state(lab, ADDRESSES[0]) == "down", 8, what="the first peer down")
        assert peers(lab)[ADDRESSES[0]]["code"] == 408 and trunk(lab)["state"] == "up" and trunk(lab)["peers_down"] == 1
        one.calls.clear()
        for n in range(10, 20):
            status, took = call(lab, a, n)
            assert status == 486 and took < 1
        assert not one.calls and len(two.calls) == 10
        # What is known of a peer outlives a reload.
        lab.conf.write_text(lab.conf.read_text().replace("max_calls = 15000; max_cps = 5000;", "max_calls = 14999; max_cps = 5000;"))
        lab.ctl("reload")
        assert state(lab, ADDRESSES[0]) == "down"
        assert "10.0.2.1" in lab.ctl("route", "test", "4420", "--from", "carrier-a")

        two.mode = "refuses"
        until(lambda: trunk(lab)["state"] == "down", 8, what="the trunk down")
        status, took = call(lab, a, 30)
        assert status == 503 and took < 1
        until(lambda: "10.0.2.1:5060" in names(lab).get(("trunk.down", "carrier-b"), ""), 10, what="the alarm")

        one.mode = "answers"
        until(lambda: state(lab, ADDRESSES[0]) in ("returning", "up"), 10, what="the first peer back")
        assert trunk(lab)["state"] == "up" and call(lab, a, 40)[0] == 486  # for want of another, whatever its share
        until(lambda: state(lab, ADDRESSES[0]) == "up", 10, what="all of its calls")
        two.mode = "answers"
        until(lambda: state(lab, ADDRESSES[1]) == "up", 15, what="the second peer up")
        one.calls.clear()
        assert call(lab, a, 50)[0] == 486 and len(one.calls) == 1
        until(lambda: names(lab) == {}, 10, what="the end of the alarm")
        lab.settle()
        time.sleep(1.5)  # a round of the collector
        watch.kill(signal.SIGINT)
    told = [json.loads(line) for line in watch.text().splitlines() if line.startswith("{")]
    states = [(e["subject"], e["state"]) for e in told if e["kind"] == "trunk"]
    for wanted in (("carrier-b", "peer_down"), ("carrier-b", "down"), ("carrier-b", "up"), ("carrier-b", "peer_up")):
        assert wanted in states, states
    assert [e["state"] for e in told if e["kind"] == "alarm" and e["subject"] == "trunk.down"] == ["raised", "cleared"]
    log = lab.dataplane.text()
    assert 'trunk.peer_down trunk=carrier-b peer=10.0.2.1:5060 why="OPTIONS is not answered"' in log, log[-2000:]
    assert 'trunk.peer_down trunk=carrier-b peer=10.0.2.2:5060 why="OPTIONS is refused"' in log


def test_silence_to_calls_is_noticed_without_probes(fresh):
    lab = fresh(edit=two_peers("attempt_timeout = 1; health = { silent_after = 2; interval = 4; return_s = 2; }; "))
    with gateways(lab) as (one, two), Raw(lab, "a") as a:
        one.mode = "silent"
        for n in range(2):
            status, took = call(lab, a, n)
            assert status == 486 and took > 0.9
        assert state(lab, ADDRESSES[0]) == "down" and not peers(lab)[ADDRESSES[0]]["probed"]
        assert not one.asked and not two.asked
        status, took = call(lab, a, 3)
        assert status == 486 and took < 0.9
        one.mode = "answers"
        until(lambda: state(lab, ADDRESSES[0]) == "up", 10, what="another chance")
        one.calls.clear()
        assert call(lab, a, 4)[0] == 486 and len(one.calls) == 1
    lab.settle()
