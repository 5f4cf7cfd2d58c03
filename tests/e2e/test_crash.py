# SPDX-License-Identifier: BSD-3-Clause
"""kill -9 at seeded instants of a running traffic: what the peers saw answered is in the database once, and nothing twice."""
import json
import random
import signal
import time

import pytest

from conftest import SHAPES
from lab import until
from test_peer import start_peer

KILLS = 20
# Who was told something just before the kill may have been told it by a switch that did not live to write or send the rest.
CLOSE_S = 0.3


def killed_under_traffic(lab, victim, kills, seed):
    """Calls all the while, the victim killed again and again. Returns the caller's and the callee's log, and when it was killed."""
    rng = random.Random(seed)
    options = {"calls": 100000, "packets": 3, "seed": seed, "rate": 40, "timeout_s": 120}
    callee = start_peer(lab, "b", "callee", **options)
    caller = start_peer(lab, "a", "caller", **options)
    times = []
    time.sleep(1)
    for _ in range(kills):
        time.sleep(rng.random() * 0.8)
        times.append(time.monotonic())
        getattr(lab, victim).kill()
        getattr(lab, f"start_{victim}")()
        # Every third time it is killed while it starts: what the one before it left is still being read.
        if rng.random() < 0.67:
            lab.wait_ready()
    lab.wait_ready()
    time.sleep(0.5)
    logs = []
    for peer, patience in ((caller, 20), (callee, 5)):
        peer.p.send_signal(signal.SIGTERM)
        assert peer.wait(patience) == 0, peer.text()[-3000:]
        logs.append(json.loads(peer.text().splitlines()[-1])["log"])
    return *logs, times


@pytest.mark.parametrize("shape, victim, kills", [
    ("af_packet-1", "dataplane", KILLS), ("af_packet-1", "control", KILLS),
    ("af_packet-3", "dataplane", 4), ("af_xdp-3", "dataplane", 4), ("tap-1", "dataplane", 4)])
def test_killed_at_seeded_instants(fresh, shape, victim, kills):
    lab = fresh(**SHAPES[shape])
    caller, callee, times = killed_under_traffic(lab, victim, kills, seed=100)
    answered = [e for e in caller if e["answered_at"] < times[-1]]
    until(lambda: {e["call_id"] for e in answered} <= {r["call_id_a"] for r in lab.rows() if r["answer_us"]}, 20,
          what="a CDR of every answered call")
    lab.no_calls_left(60)
    rows = [r for r in lab.rows() if r["answer_us"]]
    ids = [r["id"] for r in lab.rows()]
    assert len(set(ids)) == len(ids), "a CDR came twice"
    by_b = {r["call_id_b"]: r for r in rows}
    assert len(by_b) == len(rows), "a call has two CDRs"
    assert set(by_b) <= {e["call_id"] for e in callee if "answered_at" in e}, "a CDR of a call that nobody answered"
    by_a = {r["call_id_a"]: r for r in rows}

    if victim == "control":
        assert set(by_a) == {e["call_id"] for e in caller} and all(r["complete"] for r in rows)
        assert set(by_b) == {e["call_id"] for e in callee if "answered_at" in e}
        return
    whole = cut = 0
    for e in caller:
        row, begin, leaves, end = by_a[e["call_id"]], e["answered_at"], e.get("leaves_at"), e.get("ended_at")
        if any(begin < t and (leaves is None or leaves > t) for t in times):
            assert row["complete"] == 0, (e, row, times)
            cut += 1
        elif end and not any(begin - CLOSE_S < t < end + CLOSE_S for t in times):
            assert row["complete"] == 1, (e, row, times)
            whole += 1
    assert whole > kills and cut > kills, (whole, cut)
