#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs the benchmarks that meson knows (`benchmark()` in perf/meson.build) and passes on their JSON lines.

usage: perf/bench.py [NAME]     NAME: a line's name ("sip_parse.core") or a program's ("sip_parse"); default: all
Nothing but JSON goes to standard output; what a program says goes to standard error. SEED, DATA and ONLY reach the programs
as environment. Exits 1 when a program failed, printed a line without the contract's fields, or NAME matched nothing.
"""
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / os.environ.get("BUILD", "build")
FIELDS = ("name", "unit", "value", "min", "n", "seed", "checked", "yardstick", "method")


def main():
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    known = json.loads(subprocess.check_output(["meson", "introspect", "--benchmarks", str(BUILD)], text=True))
    printed, bad = 0, False
    for benchmark in known:
        # A program's lines are named after it; "call_memory" is its own program.
        if only and only.split(".")[0] != benchmark["name"]:
            continue
        p = subprocess.run(benchmark["cmd"], stdout=subprocess.PIPE, text=True, cwd=ROOT,
                           env=dict(os.environ, **benchmark["env"], **({"ONLY": only} if only else {})))
        bad |= p.returncode != 0
        for line in p.stdout.splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                print(line, file=sys.stderr)
                continue
            missing = [f for f in FIELDS if f not in row]
            if missing:
                print(f"bench: {benchmark['name']}: no {', '.join(missing)} in {line}", file=sys.stderr)
                bad = True
            if not only or row.get("name") == only or row.get("name", "").split(".")[0] == only:
                print(json.dumps(row), flush=True)
                printed += 1
    if printed == 0:
        print(f"bench: nothing matched '{only}'; there are: {', '.join(b['name'] for b in known)}", file=sys.stderr)
    return 1 if bad or printed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
