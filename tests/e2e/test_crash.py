# SPDX-License-Identifier: BSD-3-Clause
"""kill -9 at seeded instants: what the peers saw answered is in the database once, and nothing twice."""
import random
import time

import pytest

from lab import until
from test_peer import start_peer

RUNS = 10


def run_and_kill(lab, seed, victim):
    """A few calls, the victim killed at a random instant of them. Returns the caller's Call-IDs by call number."""
    rng = random.Random(seed)
    options = {"calls": 30, "packets": 3, "seed": seed, "rate": 60, "timeout_s": 3.5, "hold_s": rng.random() * 0.5}
    callee = start_peer(lab, "b", "callee", **options)
    caller = start_peer(lab, "a", "caller", **options)
    time.sleep(0.1 + rng.random() * 1.2)
    getattr(lab, victim).kill()
    getattr(lab, f"start_{victim}")()
    caller.wait(30)
    callee.wait(30)
    import json
    return {e["call_id"] for e in json.loads(caller.text().splitlines()[-1])["log"]}


@pytest.mark.parametrize("victim", ["dataplane", "control"])
def test_killed_at_seeded_instants(fresh, victim):
    lab = fresh()
    answered = set()
    for seed in range(100, 100 + RUNS):
        print(f"seed {seed}")
        answered |= run_and_kill(lab, seed, victim)
        lab.wait_ready()
    until(lambda: answered <= {r["call_id_a"] for r in lab.rows()}, 15, what="a CDR of every answered call")
    rows = lab.rows()
    assert len({r["id"] for r in rows}) == len(rows), "a CDR came twice"
    by_call = [r["call_id_a"] for r in rows if r["answer_us"]]
    assert len(set(by_call)) == len(by_call), "a call has two CDRs"
    incomplete = [r for r in rows if not r["complete"]]
    assert (len(incomplete) > 0) == (victim == "dataplane"), f"{len(incomplete)} incomplete"
    assert len(answered) > 0
