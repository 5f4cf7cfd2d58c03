# SPDX-License-Identifier: BSD-3-Clause
"""The wire of the load programs: SIPp on both sides of whatever stands between them, and what it cost whom.

The topology is the end-to-end tests' own (tests/e2e/lab.py): two namespaces with a host each, veth, the candidate between them.
SIPp, both daemons' main threads and the kernel's receive work share CPU 0, the candidate's workers have CPU 1.
"""
import contextlib
import csv
import os
import pathlib
import re
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from lab import BUILD, SIDES, Lab, Process, sh, until  # noqa: E402,F401
from scenario import PROVISIONALS, ack, bye, invite, pause, recv, reply, reply_again, sdp, uac, uas  # noqa: E402

GENERATOR_CPU, WORKER_CPU = 0, 1
TICKS = os.sysconf("SC_CLK_TCK")
SIPP_CALLS = 15000  # at once; a process may open 20,000 files


class Tandem(Lab):
    """The switch with two-carriers.conf at its own limits."""

    def __init__(self, device, poll="adaptive", workers=1, **kw):
        def limits(text):
            text, n = re.subn(r"calls = 4000; cps = 1000; registrations = \d+;",
                              "calls = 20000; cps = 10000; registrations = 0;", text)
            assert n == 1, "the limits of the lab's configuration stand elsewhere now"
            text = re.sub(r"max_cps = \d+", "max_cps = 10000", text)
            return text.replace('poll = "adaptive"', f'poll = "{poll}"')
        super().__init__(device=device, workers=(WORKER_CPU,) * workers, edit=limits, **kw)

    def processes(self):
        """Name → pids of what is measured beside SIPp."""
        return {"dataplane": [self.dataplane.p.pid], "control": [self.control.p.pid]}

    def busy(self):
        """Useful cycles of the busiest worker in its last second, 0 to 1."""
        return max(c["busy"] for c in self.show("cores") if c["role"] == "worker")

    def faults(self):
        """What the switch threw away by name, and what it sent again."""
        names = ("port.tx_full", "main.full", "handoff.full", "neigh.queue_full", "buf.empty", "sip.source_rate", "sip.limit_cps",
                 "sip.limit_calls", "sip.trunk_cps", "sip.trunk_calls", "sip.no_memory", "sip.no_transaction",
                 "sip.no_media_port", "journal.full", "sip.retransmission", "sip.retransmitted")
        counters = self.counters()
        found = {n: counters[n] for n in names if counters.get(n)}
        missed = sum(p["rx_missed"] for p in self.show("ports"))
        return {**found, **({"port.rx_missed": missed} if missed else {})}

    def check(self, completed):
        """Every completed call has its whole row, and nothing is left."""
        until(lambda: len(self.rows()) >= completed, 60, what=f"{completed} CDRs")
        self.settle()
        rows = [r for r in self.rows() if r["sip_code"] == 200]
        assert len(rows) == completed and all(r["complete"] for r in rows), f"{len(rows)} whole CDRs of {completed} calls"
        return len(rows)


def process_ticks(pids):
    """Ticks of processes in their own code and in the kernel, proc(5)."""
    fields = [pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split() for pid in pids]
    return sum(int(f[11]) for f in fields), sum(int(f[12]) for f in fields)


def cpu_ticks(cpu):
    """What a CPU did: name → ticks of proc(5)."""
    names = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    line = next(x for x in pathlib.Path("/proc/stat").read_text().splitlines() if x.startswith(f"cpu{cpu} "))
    return dict(zip(names, map(int, line.split()[1:])))


class Meter:
    """What processes and CPUs used between its making and read()."""

    def __init__(self, processes, cpus=(GENERATOR_CPU, WORKER_CPU)):
        self.processes, self.cpus = processes, cpus
        self.began, self.ticks, self.cpu = self.now()

    def now(self):
        return time.monotonic(), {n: process_ticks(p) for n, p in self.processes.items()}, {c: cpu_ticks(c) for c in self.cpus}

    def read(self):
        """(seconds, name → seconds of CPU in its own code and in the kernel, cpu → share of each kind)."""
        now, ticks, cpu = self.now()
        used = {n: tuple((ticks[n][i] - self.ticks[n][i]) / TICKS for i in (0, 1)) for n in ticks}
        shares = {}
        for c in self.cpus:
            spent = {k: cpu[c][k] - self.cpu[c][k] for k in cpu[c]}
            whole = sum(spent.values()) or 1
            shares[c] = {k: round(v / whole, 3) for k, v in spent.items() if v}
        return now - self.began, used, shares


class Sipp:
    """One SIPp, pinned, with its statistics."""

    def __init__(self, lab, side, name, scenario, *args):
        script = lab.folder / f"{name}.xml"
        script.write_text(scenario)
        self.stats = lab.folder / f"{name}.csv"
        ip, switch = SIDES[side]["ip"], SIDES[side]["switch"]
        argv = ["taskset", "-c", GENERATOR_CPU, "sipp", f"{switch}:5060", "-sf", script, "-i", ip, "-mi", ip, "-p", 5060,
                "-nostdin", "-buff_size", 4194304, "-l", SIPP_CALLS, "-trace_stat", "-stf", self.stats, "-fd", 1,
                "-trace_err", "-error_file", lab.folder / f"{name}.err", *args]
        self.child = Process(name, lab.in_ns(side, *argv), lab.folder, cwd=lab.folder)
        lab.children.append(self.child)

    def numbers(self):
        with open(self.stats, newline="") as f:
            rows = list(csv.DictReader(f, delimiter=";"))
        last = rows[-1] if rows else {}
        take = lambda key: int(last.get(key) or 0)  # noqa: E731
        return {"offered": take("TotalCallCreated"), "completed": take("SuccessfulCall(C)"), "failed": take("FailedCall(C)"),
                "retransmissions": take("Retransmissions(C)")}


def caller(hold_ms):
    return uac(invite(), PROVISIONALS, recv(200), ack(), *([pause(hold_ms)] if hold_ms else []), bye(), recv(200))


CALLEE = uas(recv("INVITE"), reply(180), reply(200, body=sdp(), retrans=500), recv("ACK"), recv("BYE"), reply_again(200))


def place_calls(lab, rate, seconds, hold_ms):
    """Places rate × seconds calls from a to b. Returns what SIPp and the kernel say about it."""
    calls = rate * seconds
    limit_s = seconds + hold_ms / 1000 + 40
    callee = Sipp(lab, "b", "callee", CALLEE, "-m", calls, "-timeout", limit_s + 5)
    lab.wait_listening("b")
    client = Sipp(lab, "a", "caller", caller(hold_ms), "-s", "442079460123", "-m", calls, "-r", rate, "-timeout", limit_s)
    processes = {**lab.processes(), "sipp_caller": [client.child.p.pid], "sipp_callee": [callee.child.p.pid]}
    time.sleep(min(1.0, seconds / 4))
    steady, busy = Meter(processes), []
    end = time.monotonic() + max(1.0, seconds - 2)
    while True:
        time.sleep(0.5)
        busy.append(lab.busy())
        took_s, used, cpus = steady.read()
        if time.monotonic() > end or not client.child.alive():
            break
    with contextlib.suppress(AssertionError):  # a SIPp that waits for a lost message for ever is ended
        client.child.wait(limit_s + 20)
    numbers = client.numbers()
    numbers["failed"] = numbers["offered"] - numbers["completed"]
    callee.child.kill(15)
    numbers["retransmissions"] += callee.numbers()["retransmissions"]
    carried = rate * took_s
    return {**numbers, "calls_per_second": rate, "seconds": seconds, "busy": round(sorted(busy)[len(busy) // 2], 3),
            "cpu_us_per_call": {n: round(sum(s) / carried * 1e6, 1) for n, s in used.items()},
            "kernel_us_per_call": {n: round(s[1] / carried * 1e6, 1) for n, s in used.items()},
            "process_cores": {n: round(sum(s) / took_s, 3) for n, s in used.items()},
            "cpus": {str(c): share for c, share in cpus.items()}}


def bottleneck(r):
    """Who had nothing left, or nobody."""
    full = [f"CPU {c} ({max(share, key=lambda k: share[k] if k != 'idle' else 0)})" for c, share in r["cpus"].items()
            if share.get("idle", 0) < 0.05]
    if r["busy"] > 0.9:
        return f"the worker: {r['busy']:.0%} busy"
    if full:
        most = max(r["process_cores"], key=r["process_cores"].get)
        return f"{' and '.join(full)}; most of it {most}, {r['process_cores'][most]:.2f} of a core"
    return "none: everybody had time left"
