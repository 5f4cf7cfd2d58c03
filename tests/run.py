#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs the test suites and ends with `N passed, N failed`.

usage: tests/run.py [SUITE ...]      suites: lint unit fuzz sim gates e2e (default: all, in that order)

Each suite yields (name, passed, detail). A suite that yields nothing counts as one failure: a run that tested nothing
must never look green.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / os.environ.get("BUILD", "build")
sys.path.insert(0, str(ROOT / "tests" / "lint"))


def tap_results(name, text, status):
    """One result for each TAP line; a program that ended badly or printed no plan is a failure of its own."""
    found = re.findall(r"^(not ok|ok)\b[ \d-]*(.*)$", text, re.M)
    for verdict, label in found:
        yield f"{name}: {label.strip()}", verdict == "ok", text
    if status != 0 and not any(v == "not ok" for v, _ in found):
        yield f"{name}: ended with status {status}", False, text
    elif not found:
        yield f"{name}: printed no result", False, text


def run_program(name, argv, env=None, timeout=600):
    merged = {**os.environ, "CMOCKA_MESSAGE_OUTPUT": "TAP", **(env or {})}
    try:
        p = subprocess.run(argv, capture_output=True, text=True, errors="replace", timeout=timeout, env=merged, cwd=ROOT)
    except subprocess.TimeoutExpired as e:
        out = (e.stdout or b"").decode(errors="replace")
        yield f"{name}: no end within {timeout} s", False, out
        return
    yield from tap_results(name, p.stdout + "\n" + p.stderr, p.returncode)


def meson_tests(suite):
    """The tests that meson knows of one suite, run one after the other so that their lines can be counted."""
    info = json.loads(subprocess.check_output(["meson", "introspect", "--tests", str(BUILD)], text=True))
    for test in info:
        if any(s.split(":")[-1] == suite for s in test["suite"]):
            yield from run_program(test["name"], test["cmd"], test["env"], max(60, int(test["timeout"] or 60)))


def suite_lint():
    import house
    yield from house.check(ROOT)


def suite_e2e():
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        p = subprocess.run(["/usr/bin/python3", "-m", "pytest", "-q", "-x" if os.environ.get("FAILFAST") else "-q",
                            "--tb=short", "-p", "no:cacheprovider", f"--junitxml={report.name}", "tests/e2e"],
                           cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           env=dict(os.environ, BUILD=str(BUILD)))
        try:
            cases = ET.parse(report.name).getroot().iter("testcase")
        except ET.ParseError:
            yield "e2e: pytest gave no report", False, p.stdout
            return
        for case in cases:
            bad = case.find("failure") if case.find("failure") is not None else case.find("error")
            if case.find("skipped") is not None:
                yield f"e2e: {case.get('name')} skipped", False, case.find("skipped").get("message", "")
            else:
                yield f"e2e: {case.get('name')}", bad is None, bad.text if bad is not None else ""


def suite_gates():
    for gate in sorted((ROOT / "tests" / "gates").glob("gate_*.py")):
        yield from run_program(gate.stem, ["/usr/bin/python3", str(gate)], {"BUILD": str(BUILD)})


SUITES = {
    "lint": suite_lint,
    "unit": lambda: meson_tests("unit"),
    "fuzz": lambda: meson_tests("fuzz"),
    "sim": lambda: meson_tests("sim"),
    "gates": suite_gates,
    "e2e": suite_e2e,
}


def main():
    wanted = sys.argv[1:] or list(SUITES)
    for suite in wanted:
        if suite not in SUITES:
            print(f"tests/run.py: no suite '{suite}'; there are: {' '.join(SUITES)}", file=sys.stderr)
            return 2
    passed, failures = 0, []
    for suite in wanted:
        begin, here, bad = time.monotonic(), 0, 0
        print(f"-- {suite}", flush=True)
        for name, ok, detail in SUITES[suite]():
            here += 1
            if ok:
                passed += 1
                continue
            bad += 1
            failures.append(name)
            print(f"FAILED {name}\n" + "\n".join("    " + line for line in str(detail).splitlines()[-40:]), flush=True)
        if here == 0:
            failures.append(f"{suite}: no test ran")
        print(f"   {here - bad} passed, {bad} failed in {time.monotonic() - begin:.0f} s", flush=True)
    for name in failures:
        print(f"FAILED {name}")
    print(f"{passed} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
