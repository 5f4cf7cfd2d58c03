# SPDX-License-Identifier: BSD-3-Clause
"""The independent peer on both sides: every RTP byte compared, every SIP byte scanned for what must not cross."""
import json
import pathlib

import pytest

from lab import OTHER, SIDES, Process, sh, until

PEER = pathlib.Path(__file__).parent / "peer.py"
ADDRESSES = {"a": ["10.0.1.", "fd00:1:"], "b": ["10.0.2.", "fd00:2:"]}
# The caller's second Via and every canary of the other peer; its own Via comes back to the caller, as it must.
CANARIES = {"caller": ["canary-b"], "callee": ["canary-a", "192.0.2.7"]}


def start_peer(lab, side, role, **options):
    s = SIDES[side]
    forbidden = ADDRESSES[OTHER[side]] + CANARIES[role]
    o = {"role": role, "ip": s["ip"], "switch": [s["switch"], 5060], "forbidden": forbidden, "seed": 1, "calls": 1,
         "packets": 20, "timeout_s": 60, "prefix": "4420" if side == "a" else "4930", **options}
    p = Process(f"peer-{side}", lab.in_ns(side, "/usr/bin/python3", PEER, json.dumps(o)), lab.folder)
    lab.children.append(p)
    until(lambda: "ready" in p.text(), 10, what="the peer")
    return p


def report(lab, peer, timeout=90):
    assert peer.wait(timeout) == 0, peer.text()[-3000:]
    r = json.loads(peer.text().splitlines()[-1])
    assert r["n_leaks"] == 0, r["leaks"][0]
    assert r["n_faults"] == 0, (r["n_faults"], r["faults"], lab.logs())
    return r


def run_peers(lab, frm="a", **options):
    callee = start_peer(lab, OTHER[frm], "callee", **options)
    caller = start_peer(lab, frm, "caller", **options)
    return report(lab, caller), report(lab, callee)


@pytest.mark.parametrize("frm", ["a", "b"])
def test_every_byte_crosses_and_nothing_leaks(lab, frm):
    before = len(lab.rows())
    a, b = run_peers(lab, frm, calls=20, packets=50, seed=7)
    for one, other in ((a, b), (b, a)):
        assert one["calls"] == one["done"] == 20
        assert one["wrong"] == 0 and one["received"] == other["sent"] == 20 * 50
    until(lambda: len(lab.rows()) == before + 20, what="20 CDRs")
    for row in lab.rows()[before:]:
        assert (row["rtp_a_rx"], row["rtp_a_tx"], row["rtp_b_rx"], row["rtp_b_tx"]) == (50, 50, 50, 50)
        assert row["rtp_a_lost"] == 0 and row["rtp_b_lost"] == 0
    lab.settle()


def test_two_thousand_calls_at_once(lab):
    before = len(lab.rows())
    options = {"calls": 2000, "packets": 10, "interval_s": 0.5, "hold_s": 9, "rate": 200, "seed": 11, "timeout_s": 100}
    callee = start_peer(lab, "b", "callee", **options)
    caller = start_peer(lab, "a", "caller", **options)
    until(lambda: sum(c["calls"] for c in lab.show("cores")) == 2000, 60, every=0.2, what="2000 calls at once")
    assert len(lab.calls()) == 2000
    workers = [c for c in lab.show("cores") if c["role"] == "worker"]
    assert all(c["calls"] > 2000 / len(workers) / 2 for c in workers), workers
    a, b = report(lab, caller), report(lab, callee)
    assert a["done"] == b["done"] == 2000
    assert a["wrong"] == 0 and b["wrong"] == 0
    assert a["received"] == b["sent"] == b["received"] == a["sent"] == 20000
    until(lambda: len(lab.rows()) == before + 2000, 20, what="2000 CDRs")
    assert {r["call_id_a"] for r in lab.rows()[before:]} == {entry["call_id"] for entry in a["log"]}
    lab.settle()


def test_tshark_finds_no_malformed_frame(lab):
    capture = lab.folder / "b.pcap"
    shark = Process("tshark", lab.in_ns("b", "tshark", "-q", "-i", "b0", "-w", capture), lab.folder)
    lab.children.append(shark)
    until(lambda: capture.exists() and "Capturing" in shark.text(), 20, what="tshark")
    run_peers(lab, calls=10, packets=10, seed=13)
    until(lambda: capture.stat().st_size > 1000, 10, what="captured frames")
    shark.kill(2)
    bad = sh("tshark", "-r", capture, "-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-Y",
             "ip.src == 10.0.2.254 && (_ws.malformed || udp.checksum.status == 0 || ip.checksum.status == 0)", check=False)
    assert bad.strip() == "", bad
    seen = sh("tshark", "-r", capture, "-Y", "sip && ip.src == 10.0.2.254").splitlines()
    assert len(seen) >= 30
