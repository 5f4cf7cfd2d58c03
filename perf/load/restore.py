#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A killed data plane gets its subscribers and bindings back: how long until phones register and are called again. JSON lines.

usage: perf/load/restore.py [--subscribers N] [--bindings N] [--rounds N] [--workers N] [--cpus N]
Needs root, a quiet machine and some 4 GB. The store is SQLite. Exits 1 when something did not come back.
"""
import argparse
import contextlib
import json
import pathlib
import re
import signal
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from wire import BUILD, Lab, until  # noqa: E402
from bindings import binding  # noqa: E402

DOMAIN = "tandem.example"
METHOD = ("both daemons over veth without traffic, control and its SQLite store up; kill -9 of the data plane; value: from the start of the "
          "next one to the return of tandemctl wait (in sync: all subscribers, all bindings in their workers), median of the rounds")


def with_registrar(registrations):
    def edit(text):
        text = text.replace("media = {", f'registrar = {{ domains = [ "{DOMAIN}" ]; ping = "off"; }};\n    media = {{', 1)
        return re.sub(r"registrations = \d+;", f"registrations = {registrations};", text)
    return edit


def fill(path, subscribers, bindings):
    """Rows as control writes them; each subscriber has a number and both hashes."""
    now = int(time.time())
    with contextlib.closing(sqlite3.connect(path, timeout=30)) as db, db:
        node = db.execute("SELECT node FROM journal_reader").fetchone()
        db.executemany("INSERT INTO subscriber (aor, ha1_md5, ha1_sha256, plan, display, max_calls, max_cps, enabled) "
                       "VALUES (?, ?, ?, 'subscribers', '', 0, 0, 1)",
                       ((f"{n:07}@{DOMAIN}", bytes(16), bytes(32)) for n in range(subscribers)))
        db.executemany("INSERT INTO number VALUES (?, ?, 0)", ((f"4930{n:07}", f"{n:07}@{DOMAIN}") for n in range(subscribers)))
        db.execute("UPDATE subscriber_generation SET generation = generation + 1")
        rows = ((f"{n:07}@{DOMAIN}", f"sip:{n:07}@10.0.1.1:5062") for n in range(bindings))
        db.executemany("INSERT INTO binding VALUES (?, ?, ?, ?, ?, ?)",
                       ((node[0] if node else "", f"{aor} {contact}", now * 1000000, aor, now + 86400,
                         binding(aor, contact, now * 1000000, now + 86400, local="10.0.1.254:5060", realm="west"))
                        for aor, contact in rows))


def resident_mb(process):
    """Of the children of `ip netns exec`, which is the process itself after its exec."""
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{process.p.pid}/status").read_text()).group(1)) // 1024


def peak_mb(process):
    return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{process.p.pid}/status").read_text()).group(1)) // 1024


def cpu_s(process):
    fields = pathlib.Path(f"/proc/{process.p.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def restart(lab, o):
    lab.dataplane.kill(signal.SIGKILL)
    control_before, starts_before = cpu_s(lab.control), lab.dataplane.text().count("start.ready")
    began = time.monotonic()
    lab.start_dataplane()
    up = None
    while up is None:
        if lab.dataplane.text().count("start.ready") > starts_before:
            up = time.monotonic() - began
        time.sleep(0.01)
    subprocess.run([BUILD / "tandemctl", "-c", lab.conf, "wait", "--timeout", "60"], check=True, capture_output=True)
    took = time.monotonic() - began
    restored = lab.counters()["reg.restored"]
    n = int(re.findall(r"subscribers.in_force.* n=(\d+)", lab.dataplane.text())[-1])
    return {"s": took, "ready_s": up, "whole": restored == o.bindings and n == o.subscribers,
            "control_cpu_s": cpu_s(lab.control) - control_before, "dataplane_cpu_s": cpu_s(lab.dataplane)}


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0])
    parser.add_argument("--subscribers", type=int, default=1000000)
    parser.add_argument("--bindings", type=int, default=1000000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    o = parser.parse_args()
    with Lab(workers=(1,) * o.workers, edit=with_registrar(o.bindings + 1000)) as lab:
        empty = resident_mb(lab.dataplane)
        lab.dataplane.kill(signal.SIGTERM)
        fill(lab.state_dir / "tandem.db", o.subscribers, o.bindings)
        lab.start_dataplane()
        lab.wait_ready(120)
        rounds = [restart(lab, o) for _ in range(o.rounds)]
        memory = {"dataplane_mb": resident_mb(lab.dataplane), "dataplane_empty_mb": empty,
                  "control_mb": resident_mb(lab.control), "control_peak_mb": peak_mb(lab.control)}
        steps = re.findall(r"sync.done table=(\w+) rows=\d+ generation=\d+ ms=(\d+)", lab.control.text())[-2:]
    order = sorted(rounds, key=lambda r: r["s"])
    median = order[len(order) // 2]
    whole = sum(r["whole"] for r in rounds) * (o.subscribers + o.bindings)
    print(json.dumps({"name": "load.restore", "unit": "s", "value": round(median["s"], 2), "min": round(order[0]["s"], 2),
                      "n": o.rounds, "seed": 0, "checked": whole, "yardstick": "5 s", "method": METHOD,
                      "subscribers": o.subscribers, "bindings": o.bindings, "workers": o.workers,
                      **{k: round(median[k], 2) for k in ("ready_s", "control_cpu_s", "dataplane_cpu_s")},
                      "pushed_ms": {table: int(ms) for table, ms in steps}, **memory}), flush=True)
    return 0 if all(r["whole"] for r in rounds) else 1


if __name__ == "__main__":
    sys.exit(main())
