#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Gate: a worker in busy mode neither allocates nor enters the kernel, over a million relayed packets and ten thousand
whole calls with their CDRs. Shown to work with an allocation and a system call planted on the path.
"""
import re
import subprocess
import sys

import watched

PROGRAMS = {
    "rtp_relay": ({"ONLY": "rtp_relay.1k"}, "relayed", 1_000_000, "relayed packets"),
    "sip_call": ({"ROUNDS": 320}, "ended", 10_000, "whole calls"),
}
SHORT = {"ROUNDS": 2, "UP": 32}
NOTHING = {"allocations": 0, "jemalloc_bytes": 0, "system_calls": 0}


def places(text):
    """Who it was: each site of the report with its function and line."""
    for what, path, offset in re.findall(r"^quiet: (.* times) from (.*)\+(0x[0-9a-f]+)$", text, re.M):
        # The address is the one returned to; the call stands before it.
        found = subprocess.run(["addr2line", "-f", "-s", "-e", path, hex(int(offset, 16) - 1)], capture_output=True, text=True)
        yield f"{what} at {' '.join(found.stdout.split()) or path}"


def quiet(tap, name):
    env, unit, least, words = PROGRAMS[name]
    _, text = watched.run([watched.BUILD / "tests" / "gates" / f"quiet_{name}"], env)
    turns, found = watched.report("turns", text), watched.report("quiet", text)
    why = list(places(text))
    tap.line(turns[unit] >= least, f"{turns[unit]} {words} were watched")
    if name == "sip_call":
        tap.line(turns["records"] >= 2 * turns["ended"], f"{turns['records']} records of theirs in the journal")
    tap.line(found["allocations"] == 0 and found["jemalloc_bytes"] == 0, f"{words}: no allocation", why)
    tap.line(found["system_calls"] == 0, f"{words}: no system call", why)


def planted(tap, name, plant, kinds):
    _, text = watched.run([watched.BUILD / "tests" / "gates" / f"quiet_{name}"],
                          {**PROGRAMS[name][0], **SHORT, "QUIET_PLANT": plant})
    found = watched.report("quiet", text)
    tap.line({k for k in NOTHING if found[k]} == kinds and any("port_rx" in p or plant == "syscall" for p in places(text)),
             f"{name}: planted {plant} is found", [text])


def main():
    tap = watched.Tap()
    try:
        for name in PROGRAMS:
            quiet(tap, name)
            planted(tap, name, "malloc", {"allocations", "jemalloc_bytes"})
            planted(tap, name, "rte_malloc", {"allocations"})
            planted(tap, name, "syscall", {"system_calls"})
    except watched.Failed as e:
        tap.line(False, "the watched programs run", str(e).splitlines())
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
