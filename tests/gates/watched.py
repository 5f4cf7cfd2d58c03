# SPDX-License-Identifier: BSD-3-Clause
"""What both gates that run programs share: where these lie, how they run, what they report."""
import json
import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / os.environ.get("BUILD", "build")


# valgrind goes through `rep stosb` byte by byte: pools of gigabytes took minutes to clear.
TUNABLES = "glibc.cpu.x86_rep_stosb_threshold=0x4000000000000000"


class Failed(Exception):
    """The program ended badly; its words are the message."""


def once(argv, env):
    """Runs a program and returns (standard output, standard error)."""
    try:
        p = subprocess.run([str(a) for a in argv], capture_output=True, text=True, errors="replace", env=env, cwd=ROOT,
                           timeout=240)
    except (OSError, subprocess.TimeoutExpired) as e:
        raise Failed(str(e)) from e
    if p.returncode != 0:
        raise Failed(f"{' '.join(map(str, argv))} ended with {p.returncode}: {p.stdout[-500:]} {p.stderr[-1500:]}")
    return p.stdout, p.stderr


def run(argv, env):
    """The same with a fixed seed and without hugepages: the same work each time. A machine that stands still for longer than
    SIP's timers ends calls of it; so a program that could not do its work has a second try, and what it finds has none."""
    merged = {**os.environ, "SEED": "1", "NO_HUGE": "1", "GLIBC_TUNABLES": TUNABLES,
              **{k: str(v) for k, v in env.items()}}
    try:
        return once(argv, merged)
    except Failed as e:
        print(f"# once more: {str(e).splitlines()[0]}", flush=True)
        return once(argv, merged)


def report(kind, text):
    """The object of the line `KIND: {...}`."""
    found = re.search(rf"^{kind}: (\{{.*\}})$", text, re.M)
    if not found:
        raise Failed(f"no line of '{kind}' in: {text[-1500:]}")
    return json.loads(found.group(1))


class Tap:
    """Counts the lines and knows whether one was bad."""

    def __init__(self):
        self.n = self.bad = 0

    def line(self, good, name, why=()):
        self.n += 1
        self.bad += not good
        for note in why:
            print(f"# {note}")
        print(f"{'ok' if good else 'not ok'} {self.n} - {name}", flush=True)

    def end(self):
        print(f"1..{self.n}")
        return 1 if self.bad else 0
