#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A carrier's host name moves again and again beside 10,000 trunks, and a dial plan is committed: how long others wait. JSON lines.

usage: perf/load/names.py [--trunks N] [--rounds N]
Needs root, a quiet machine and some 2 GB. Exits 1 when an address did not come into force.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from wire import BUILD, ROOT, Lab, Process, until  # noqa: E402
sys.path.insert(0, str(ROOT / "control" / "client"))
from tandem_client import Tandem  # noqa: E402

METHOD = ("both daemons over veth without traffic; a client of each socket asks for a small table again and again, 1 ms after each answer; "
          "value: the longest it waited in a round, median of the rounds. dns: a host name of one trunk leads elsewhere, until the data "
          "plane has it; plan: a dial plan of one line is committed")

SERVER = r"""
import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 5353))
while True:
    query, peer = s.recvfrom(2048)
    end = query.index(b"\0", 12) + 5
    kind = struct.unpack("!H", query[end - 4:end - 2])[0]
    address = open(sys.argv[1]).read().strip()
    answer = b"\xc0\x0c" + struct.pack("!HHIH4s", 1, 1, 1, 4, socket.inet_aton(address)) if kind == 1 else b""
    s.sendto(query[:2] + b"\x85\x80" + struct.pack("!4H", 1, kind == 1, 0, 0) + query[12:end] + answer, peer)
"""


def crowded(n):
    """The two carriers' configuration with n trunks more, one of them by name."""
    def edit(text):
        more = [f'{{ name = "t{i:05}"; realm = "east"; plan = "deck"; max_calls = 100; '
                f'peers = ( {{ address = "10.{64 + i // 65536}.{i // 256 % 256}.{i % 256}"; port = 5060; }} ); }}' for i in range(n)]
        more.append('{ name = "moving"; realm = "east"; peers = ( { address = "moving.test"; port = 5060; } ); }')
        text = text.replace("trunks = (", "trunks = (\n  " + ",\n  ".join(more) + ",", 1)
        return 'dns = { servers = [ "127.0.0.1:5353" ]; min_ttl = 1; };\n' + text
    return edit


class Prober(threading.Thread):
    """Asks a daemon's socket without end; longest() is the longest wait since the last call of it."""

    def __init__(self, path, table):
        super().__init__(daemon=True)
        self.client, self.table, self.worst, self.ended = Tandem(path, timeout=60), table, 0.0, False
        self.start()

    def run(self):
        while not self.ended:
            began = time.monotonic()
            self.client.show(self.table)
            self.worst = max(self.worst, time.monotonic() - began)
            time.sleep(0.001)

    def longest_ms(self):
        worst, self.worst = self.worst, 0.0
        return worst * 1000


def move(lab, file, n):
    """The name leads elsewhere, and that is in force."""
    before = lab.control.text().count("policy.resolved")
    file.write_text(f"10.0.2.{100 + n % 100}")
    until(lambda: lab.control.text().count("policy.resolved") > before, 30, every=0.01, what="the new address")
    time.sleep(0.5)  # what follows behind it


def commit(lab, n):
    path = lab.folder / "plan.csv"
    path.write_text(f"match,to,cost\n49,carrier-b,0.{n + 1:02}\n")
    subprocess.run([BUILD / "tandemctl", "-c", lab.conf, "route", "load", path, "--plan", "deck", "--commit"], check=True,
                   capture_output=True)


def measure(what, probers, rounds, act):
    waits = {name: [] for name in probers}
    for n in range(rounds):
        for prober in probers.values():
            prober.longest_ms()
        act(n)
        for name, prober in probers.items():
            waits[name].append(prober.longest_ms())
    for name, all_ms in waits.items():
        print(json.dumps({"name": f"load.names.{what}.{name}", "unit": "ms", "value": round(statistics.median(all_ms), 1),
                          "min": round(min(all_ms), 1), "max": round(max(all_ms), 1), "n": rounds, "seed": 0, "checked": rounds,
                          "yardstick": None, "method": METHOD}), flush=True)


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0])
    parser.add_argument("--trunks", type=int, default=10000)
    parser.add_argument("--rounds", type=int, default=10)
    o = parser.parse_args()
    with Lab(edit=crowded(o.trunks)) as lab:
        file = lab.folder / "address"
        file.write_text("10.0.2.99")
        lab.children.append(Process("names", lab.in_ns("x", "/usr/bin/python3", "-c", SERVER, file), lab.folder))
        lab.ctl("dns", "refresh", "moving.test")
        until(lambda: "policy.resolved" in lab.control.text(), 30, what="the first address")
        probers = {"control": Prober(lab.run_dir / "control.sock", "AUDIT"),
                   "dataplane": Prober(lab.run_dir / "dataplane.sock", "PORTS")}
        measure("idle", probers, o.rounds, lambda n: time.sleep(1))
        measure("dns", probers, o.rounds, lambda n: move(lab, file, n))
        measure("plan", probers, o.rounds, lambda n: commit(lab, n))
        for prober in probers.values():
            prober.ended = True
            prober.join(10)
    return 0


if __name__ == "__main__":
    sys.exit(main())
