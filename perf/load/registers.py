#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Registrations over a wire: phones → veth → the switch on one worker → journal → control → SQLite. One JSON object.

usage: perf/load/registers.py [--device af_xdp|af_packet|tap] [--rate PER_SECOND] [--seconds N] [--phones N] [--challenge] [--sync]
Each registration is a REGISTER with SHA-256 under the nonce that the phone has; with --challenge it has none: REGISTER, 401,
REGISTER, 200. Needs root and a quiet machine of two CPUs or more. Exits 1 when a registration was lost, sent twice, or is not in
the store.
"""
import argparse
import contextlib
import hashlib
import json
import pathlib
import re
import sqlite3
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from wire import BUILD, GENERATOR_CPU, SIDES, WORKER_CPU, Lab, Meter, Process, until  # noqa: E402

DOMAIN = "tandem.example"
METHOD = ("REGISTER with SHA-256 by perf/load/register_phones on CPU 0, one worker on CPU 1, default veth offloads, journalled and stored in "
          "SQLite; value: registrations answered with 200 per second")


def with_registrar(phones, sync):
    def edit(text):
        text = text.replace("media = {", f'registrar = {{ domains = [ "{DOMAIN}" ]; ping = "off"; }};\n    media = {{', 1)
        text, n = re.subn(r"registrations = \d+;", f"registrations = {phones + 1000};", text)
        assert n == 1, "the limits of the lab's configuration stand elsewhere now"
        return text + f'\nlocation = {{ durability = "{"sync" if sync else "async"}"; }};\n'
    return edit


def provision(path, phones):
    """Rows as control writes them."""
    with contextlib.closing(sqlite3.connect(path, timeout=30)) as db, db:
        db.executemany("INSERT INTO subscriber (aor, ha1_md5, ha1_sha256, plan, display, max_calls, max_cps, enabled) "
                       "VALUES (?, NULL, ?, 'subscribers', '', 0, 0, 1)",
                       ((f"{n:07}@{DOMAIN}", hashlib.sha256(f"{n:07}:{DOMAIN}:secret".encode()).digest()) for n in range(phones)))
        db.execute("UPDATE subscriber_generation SET generation = generation + 1")


def stored(lab):
    """Bindings in the store, and the newest change of one there, in seconds since the epoch."""
    with contextlib.closing(sqlite3.connect(f"file:{lab.state_dir}/tandem.db?mode=ro", uri=True, timeout=30)) as db:
        n, newest = db.execute("SELECT count(*), max(changed_us) FROM binding").fetchone()
    return n, (newest or 0) / 1e6


def load(lab, o):
    switch, own = SIDES["a"]["switch"], SIDES["a"]["ip"]
    argv = ["taskset", "-c", GENERATOR_CPU, BUILD / "perf" / "register_phones", f"{switch}:5060", f"{own}:5080", o.phones, o.rate,
            o.seconds, int(o.challenge)]
    child = Process("phones", lab.in_ns("a", *argv), lab.folder)
    lab.children.append(child)
    until(lambda: '"bound"' in child.text() or not child.alive(), o.phones / 2000 + 60, what="the first registration of each phone")
    processes = {"dataplane": [lab.dataplane.p.pid], "control": [lab.control.p.pid], "phones": [child.p.pid]}
    meter, busy, lag = Meter(processes), [], []
    for _ in range(max(1, o.seconds - 2)):
        time.sleep(1)
        busy.append(max(c["busy"] for c in lab.show("cores") if c["role"] == "worker"))
        lag.append(time.time() - stored(lab)[1])
    took, used, cpus = meter.read()
    with contextlib.suppress(AssertionError):
        child.wait(o.seconds + 60)
    lines = [json.loads(line) for line in child.text().splitlines() if line.startswith("{")]
    assert len(lines) == 2 and lines[-1]["seconds"] > 0, f"not all phones were registered\n{child.text()}\n{faults(lab)}"
    return {**lines[-1], "exit": child.p.returncode, "busy": round(sorted(busy)[len(busy) // 2], 3),
            "store_lag_s": round(max(lag), 2), "process_cores": {n: round(sum(s) / took, 3) for n, s in used.items()},
            "kernel_cores": {n: round(s[1] / took, 3) for n, s in used.items()},
            "cpus": {str(c): share for c, share in cpus.items()}}


def faults(lab):
    counters = lab.counters()
    names = ("port.tx_full", "handoff.full", "buf.empty", "sip.source_rate", "journal.full", "reg.no_room", "reg.refused",
             "auth.stale", "auth.replayed", "auth.repeated")
    found = {n: counters[n] for n in names if counters.get(n)}
    missed = sum(p["rx_missed"] for p in lab.show("ports"))
    return {**found, **({"port.rx_missed": missed} if missed else {})}


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0])
    parser.add_argument("--device", default="af_xdp", choices=("af_xdp", "af_packet", "tap"))
    parser.add_argument("--rate", type=int, default=30000)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--phones", type=int, default=30000)
    parser.add_argument("--challenge", action="store_true")
    parser.add_argument("--sync", action="store_true")
    o = parser.parse_args()
    with Lab(device=o.device, workers=(WORKER_CPU,), edit=with_registrar(o.phones, o.sync)) as lab:
        lab.dataplane.kill(signal.SIGTERM)
        provision(lab.state_dir / "tandem.db", o.phones)
        lab.start_dataplane()
        lab.wait_ready(60)
        r = load(lab, o)
        ended = time.time()
        fault = None
        with contextlib.suppress(AssertionError):
            until(lambda: stored(lab)[1] >= ended - 2 or time.time() - ended > 60, 70, what="the last change in the store")
        drained = time.time() - ended
        n, newest = stored(lab)
        if n != o.phones or newest < ended - 15:
            fault = f"{n} of {o.phones} bindings in the store, the newest {ended - newest:.1f} s old"
        r["dropped"] = faults(lab)
    good = r["exit"] == 0 and r["retransmissions"] == 0 and r["unanswered"] == 0 and r["ok"] == o.rate * o.seconds and not fault
    print(json.dumps({"name": f"load.registers.{o.device}", "unit": "1/s", "value": round(r["ok"] / r["seconds"]),
                      "min": round(r["ok"] / r["seconds"]), "n": r["ok"], "seed": 0, "checked": r["ok"],
                      "yardstick": "30000/s without loss", "method": METHOD, "rate": o.rate, "phones": o.phones,
                      "challenged": o.challenge, "durability": "sync" if o.sync else "async", "drained_s": round(drained, 2), **r,
                      **({"fault": fault} if fault else {})}), flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
