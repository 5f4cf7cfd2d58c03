#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs every libFuzzer target of a build for some seconds: tests/fuzz/run.py BUILD SECONDS

New inputs stay in BUILD/corpus/NAME; a crash file is left in BUILD/crashes and named on the last line.
"""
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def main():
    build, seconds = pathlib.Path(sys.argv[1]).resolve(), int(sys.argv[2])
    targets = sorted(p for p in (build / "tests" / "fuzz").glob("fuzz_*") if p.is_file() and os.access(p, os.X_OK))
    if not targets:
        sys.exit(f"no fuzz targets in {build}: configure it with -Dfuzz=true and clang")
    crashes = build / "crashes"
    crashes.mkdir(exist_ok=True)
    bad = []
    for n, target in enumerate(targets, 1):
        corpus = build / "corpus" / target.name
        corpus.mkdir(parents=True, exist_ok=True)
        seeds = ROOT / "tests" / "fuzz" / "seeds" / target.name
        print(f"[{n}/{len(targets)}] {target.name} for {seconds} s", flush=True)
        # Entropic scheduling costs more than targets of many features do: they run five to ten times as often without.
        argv = [target, corpus, *([seeds] if seeds.is_dir() else []), f"-max_total_time={seconds}", "-max_len=16384", "-entropic=0",
                f"-artifact_prefix={crashes}/{target.name}-", "-print_final_stats=1", "-verbosity=0"]
        p = subprocess.run([str(a) for a in argv], capture_output=True, text=True, errors="replace")
        stats = [line for line in p.stderr.splitlines() if "number_of_executed_units" in line]
        print("    " + (stats[0].split(":")[-2] + stats[0].split(":")[-1] if stats else "no statistics"))
        if p.returncode != 0:
            bad.append(target.name)
            print("\n".join(p.stderr.splitlines()[-40:]))
    print(f"{len(targets) - len(bad)} passed, {len(bad)} failed" + (f"; see {crashes}" if bad else ""))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
