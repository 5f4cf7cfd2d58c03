#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A dial plan of many lines is loaded and committed while calls are set up by it: how long, and whether a call failed. JSON lines.

usage: perf/load/plans.py [--lines N] [--rounds N] [--rate N] [--store sqlite|postgresql]
Needs root, a quiet machine and some 4 GB; postgresql: Debian's, started here. Exits 1 when a call failed or a plan is not whole.
"""
import argparse
import contextlib
import json
import random
import signal
import statistics
import subprocess
import sys
import time

from restore import cpu_s, peak_mb
from wire import BUILD, Lab, until
import scenario as S
from pg import Postgres

METHOD = ("route load --commit of a file of random numbers, from the command's start to its end: read, compiled, compared, stored in one "
          "transaction, in force in the data plane; calls by the plan over veth meanwhile; each round another plan in its place; median")


def planned(url):
    def edit(text):
        text = text.replace('name = "carrier-a";', 'name = "carrier-a"; plan = "deck";').replace(
            'from = [ "carrier-a" ]; prefix = "";', 'from = [ "carrier-a" ]; prefix = "0000";')
        return text + (f'store = "{url}";\n' if url else "")
    return edit


BLOCK = 100000  # farther apart than zlib looks back


def write(path, lines, seed):
    """Numbers of eleven digits at random, in blocks that differ by their first four: faster made than loaded."""
    rng = random.Random(seed)
    tails = rng.sample(range(10**7), BLOCK)
    block = [f"PPPP{tail:07},carrier-b,1,100,0.{rng.randrange(99999):05}\n" for tail in tails]
    heads = rng.sample(range(1000, 10000), -(-lines // BLOCK))
    with open(path, "w") as out:
        out.write("match,to,priority,weight,cost\n49,carrier-b,1,100,0.01\n")
        for n, head in enumerate(heads):
            out.write("".join(block[:lines - n * BLOCK]).replace("PPPP", str(head)))


def calls(lab, rate):
    """Calls without an end of their own; the two SIPp."""
    uas = S.scenario(S.recv_invite(), S.reply(180), S.reply(200, body=S.sdp()), S.recv("ACK"), S.recv("BYE"), S.reply(200))
    uac = S.scenario(S.invite(uri="sip:49301@[remote_ip]:[remote_port]"), S.recv(100, optional=True), S.recv(180, optional=True),
                     S.recv(200), S.ack(), S.pause(300), S.bye(), S.recv(200))
    server = lab.sipp("b", uas, calls=1000000, timeout=3600)
    lab.wait_listening("b")
    return server, lab.sipp("a", uac, calls=1000000, rate=rate, timeout=3600)


def load(lab, path):
    before, began = cpu_s(lab.control), time.monotonic()
    p = subprocess.run([BUILD / "tandemctl", "-c", lab.conf, "--json", "--timeout", "600", "route", "load", path, "--plan", "deck",
                        "--commit"], capture_output=True, text=True)
    took = time.monotonic() - began
    assert p.returncode == 0, p.stdout + p.stderr
    return {"s": took, "cpu_s": cpu_s(lab.control) - before, "rows": json.loads(p.stdout)["rows"]}


def measure(lab, o):
    path, loads = lab.folder / "plan.csv", []
    write(path, 0, 0)
    load(lab, path)  # what the first calls go by
    server, client = calls(lab, o.rate)
    until(lambda: lab.counters().get("call.ended", 0) > o.rate, 30, what="calls")
    for n in range(o.rounds):
        write(path, o.lines, n)
        loads.append(load(lab, path))
    client.kill(signal.SIGUSR1, timeout=30)  # begins no call more, and ends those that are up
    lab.no_calls_left(40)
    server.kill()
    codes = [row["sip_code"] for row in lab.rows()] if o.store == "sqlite" else \
        [int(row[0]) for row in o.pg.ask("SELECT sip_code FROM cdr")]
    failed = sum(code != 200 for code in codes)
    seconds = [one["s"] for one in loads]
    good = failed == 0 and len(codes) > 0 and all(one["rows"] == o.lines + 1 for one in loads)
    print(json.dumps({"name": "plan_commit", "unit": "s", "value": round(statistics.median(seconds), 2), "min": round(min(seconds), 2),
                      "n": o.rounds, "checked": o.lines, "store": o.store, "control_cpu_s": [round(one["cpu_s"], 1) for one in loads],
                      "control_peak_mb": peak_mb(lab.control), "calls": len(codes), "calls_failed": failed, "yardstick": 20,
                      "method": METHOD}), flush=True)
    return good


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--lines", type=int, default=10000000)
    p.add_argument("--rounds", type=int, default=2)
    p.add_argument("--rate", type=int, default=20)
    p.add_argument("--store", choices=["sqlite", "postgresql"], default="sqlite")
    o = p.parse_args()
    with contextlib.ExitStack() as stack:
        o.pg = stack.enter_context(contextlib.closing(Postgres())) if o.store == "postgresql" else None
        lab = stack.enter_context(Lab(edit=planned(o.pg.url if o.pg else None)))
        return 0 if measure(lab, o) else 1


if __name__ == "__main__":
    sys.exit(main())
