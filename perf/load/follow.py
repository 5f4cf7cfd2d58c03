#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Two nodes on one PostgreSQL: how long until a subscriber that was changed at one is in force at the other, and what that
costs it. JSON lines.

usage: perf/load/follow.py [--subscribers N] [--rounds N]
Needs root, a quiet machine and some 4 GB. Exits 1 when something did not come.
"""
import argparse
import contextlib
import json
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from wire import BUILD, Lab, until  # noqa: E402
from pg import Postgres  # noqa: E402
from restore import DOMAIN, cpu_s, resident_mb, with_registrar  # noqa: E402

METHOD = ("two switches without traffic and one PostgreSQL on its Unix socket; value: from the start of tandemctl subscriber add "
          "--replace at one to the other control's word that its data plane has it, median of the rounds; CPU of the other node "
          "and of the server, for one change")

FILL = """
INSERT INTO subscriber (aor, ha1_md5, ha1_sha256, plan, display, max_calls, max_cps, enabled)
  SELECT lpad(n::text, 7, '0') || '@%(domain)s', decode(repeat('ab', 16), 'hex'), decode(repeat('cd', 32), 'hex'), 'subscribers',
  '', 0, 0, 1 FROM generate_series(0, %(n)d - 1) n;
INSERT INTO number (number, aor, place)
  SELECT '4930' || lpad(n::text, 7, '0'), lpad(n::text, 7, '0') || '@%(domain)s', 0 FROM generate_series(0, %(n)d - 1) n;
UPDATE subscriber_generation SET generation = generation + 1; ANALYZE;
"""


def node(server, name):
    edit = with_registrar(1000)
    return Lab(edit=lambda text: edit(text).replace('"tandem-1"', f'"{name}"') + f'store = "{server.url}";\n')


def server_cpu_s(server):
    return sum(cpu_s_of(pid) for pid in server._all())


def cpu_s_of(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def taken(lab):
    return sum(lab.control.text().count(f"{event} table=subscribers") for event in ("sync.followed", "sync.done"))


def change(one, two, server, number):
    before, cpu = taken(two), (cpu_s(two.control), cpu_s(two.dataplane), server_cpu_s(server))
    began = time.monotonic()
    subprocess.run([BUILD / "tandemctl", "-c", one.conf, "subscriber", "add", f"{number:07}@{DOMAIN}", "--replace",
                    "--number", f"4930{number:07}", "--display", f"n{began}"], check=True, capture_output=True)
    answered = time.monotonic() - began
    until(lambda: taken(two) > before, 120, every=0.005, what="the change")
    return {"s": time.monotonic() - began, "answered_s": answered, "control_cpu_s": cpu_s(two.control) - cpu[0],
            "dataplane_cpu_s": cpu_s(two.dataplane) - cpu[1], "server_cpu_s": server_cpu_s(server) - cpu[2]}


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0])
    parser.add_argument("--subscribers", type=int, default=1000000)
    parser.add_argument("--rounds", type=int, default=9)
    o = parser.parse_args()
    with contextlib.closing(Postgres()) as server, node(server, "one") as one, node(server, "two") as two:
        subprocess.run([server.bin / "psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", server.url, "-c",
                        FILL % {"n": o.subscribers, "domain": DOMAIN}], check=True, timeout=300)
        until(lambda: all(f"rows={o.subscribers} " in lab.control.text() for lab in (one, two)), 300, what="the whole table")
        rounds = [change(one, two, server, 7919 * (i + 1) % o.subscribers) for i in range(o.rounds)]
        whole = two.control.text().count("sync.done table=subscribers")
        memory = {"control_mb": resident_mb(two.control), "dataplane_mb": resident_mb(two.dataplane)}
    order = sorted(rounds, key=lambda r: r["s"])
    print(json.dumps({"name": "load.follow", "unit": "s", "value": round(order[len(order) // 2]["s"], 3),
                      "min": round(order[0]["s"], 3), "max": round(order[-1]["s"], 3), "n": o.rounds, "seed": 0, "checked": o.rounds,
                      "yardstick": "1 s", "method": METHOD, "subscribers": o.subscribers, "whole_tables": whole,
                      **{k: round(sum(r[k] for r in rounds) / o.rounds, 3) for k in rounds[0] if k != "s"}, **memory}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
