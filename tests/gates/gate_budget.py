#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Gate: instructions per packet, per parse and per whole call, counted by callgrind, against perf/budget.json, 2 % either way.

usage: gate_budget.py [--write]      --write: measure and write the budget (`make budget`)

Each program runs twice with different amounts of work, and the difference of the instructions is divided by that of the
work, so that start and end are in neither. Only the functions named here are counted: the far ends and the checks of the
benchmarks are not. A budget speaks of one compiler, build type and instruction set; another is skipped by name. A gate that
found a cheaper path fails too: what was won is kept by writing the budget.
"""
import concurrent.futures
import json
import re
import subprocess
import sys

import watched

BUDGET = watched.ROOT / "perf" / "budget.json"
TOLERANCE = 0.02
SIP_PARSE = ["perf/sip_parse", "tests/data/invite-1023.sip"]
PARSERS = ["td_msg_parse", "td_core_decode", "td_sdp_parse"]
# name: program, environment, functions counted, rounds of the two runs, what a unit is, where the units are read
FIGURES = {
    "sip_parse.index": (SIP_PARSE, {}, PARSERS[:1], (2, 6), "message", None),
    "sip_parse.core": (SIP_PARSE, {}, PARSERS[:2], (2, 6), "message", None),
    "sip_parse.sdp": (SIP_PARSE, {}, PARSERS, (2, 6), "message", None),
    "rtp_relay.1k": (["tests/gates/steady_rtp_relay"], {}, ["td_worker_turn"], (10, 40), "packet", "relayed"),
    # 50 rounds last 32 s in the programs' own time: transactions begin to end as fast as they come.
    "sip_call": (["tests/gates/steady_sip_call"], {"UP": 32}, ["td_worker_turn"], (54, 74), "call", "ended"),
}


def counted(name, rounds):
    """Instructions and units of one run."""
    program, env, functions, _, _, unit = FIGURES[name]
    out, err = watched.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
                            *[f"--toggle-collect={f}" for f in functions], watched.BUILD / program[0], *program[1:]],
                           {**env, "ONLY": name, "ROUNDS": rounds})
    collected = re.search(r"Collected : (\d+)", err)
    if not collected:
        raise watched.Failed(f"callgrind counted nothing: {err[-1000:]}")
    units = watched.report("turns", err)[unit] if unit else rounds * json.loads(out)["checked"]
    return int(collected.group(1)), units


def measure():
    """Figure → instructions per unit. Two runs at once: they count, nothing here is timed."""
    runs = [(name, rounds) for name in FIGURES for rounds in FIGURES[name][3]]
    runs.sort(key=lambda run: FIGURES[run[0]][5] is None)  # the long ones first
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = dict(zip(runs, pool.map(lambda run: counted(*run), runs)))
    measured = {}
    for name, (*_, (few, many), _, _) in FIGURES.items():
        (less, fewer), (more, units) = results[name, few], results[name, many]
        if units <= fewer or more <= less:
            raise watched.Failed(f"{name}: {more - less} instructions more for {units - fewer} units more")
        measured[name] = round((more - less) / (units - fewer), 1)
    return measured


def built_by():
    """What the budget depends on, read from the program itself and from the machine."""
    comment = subprocess.check_output(["readelf", "-p", ".comment", str(watched.BUILD / SIP_PARSE[0])], text=True)
    clang = re.search(r"clang version (\d+)", comment)
    gcc = re.search(r"GCC: .* (\d+)\.", comment)
    options = json.loads(subprocess.check_output(["meson", "introspect", "--buildoptions", str(watched.BUILD)], text=True))
    with open("/proc/cpuinfo") as f:
        avx2 = " avx2 " in f.read()
    return {
        "compiler": f"clang {clang[1]}" if clang else f"gcc {gcc[1]}" if gcc else "unknown",
        "buildtype": next(o["value"] for o in options if o["name"] == "buildtype"),
        "simd": "avx2" if avx2 else "without avx2",
    }


def faults(measured, budget):
    for name, value in measured.items():
        if name not in budget:
            yield name, f"{name} has no budget"
        elif abs(value - budget[name]) > TOLERANCE * budget[name]:
            yield name, f"{name}: {value} instructions, budget {budget[name]} ({(value / budget[name] - 1) * 100:+.1f} %)"


def compare(tap, budget):
    measured = measure()
    found = dict(faults(measured, budget))
    for name, value in measured.items():
        tap.line(name not in found, f"{name}: {value} instructions a {FIGURES[name][4]}",
                 [found[name], "`make budget` writes what is measured now"] if name in found else [])
    for change, words in ((0.95, "lower"), (1.05, "higher")):
        planted = {name: value * change for name, value in measured.items()}
        tap.line(len(dict(faults(measured, planted))) == len(FIGURES), f"a budget 5 % {words} than measured is found")


def write():
    budget = {"instructions": measure(), "for": built_by()}
    BUDGET.write_text(json.dumps(budget, indent=2) + "\n")
    print(BUDGET.read_text(), end="")
    return 0


def main():
    if sys.argv[1:] == ["--write"]:
        return write()
    tap = watched.Tap()
    try:
        budget, here = json.loads(BUDGET.read_text()), built_by()
        if here == budget["for"]:
            compare(tap, budget["instructions"])
        else:
            tap.line(True, f"skipped: the budget is for {' '.join(budget['for'].values())}, this is {' '.join(here.values())}")
    except (watched.Failed, OSError, ValueError, KeyError) as e:
        tap.line(False, "the instructions are counted", str(e).splitlines())
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
