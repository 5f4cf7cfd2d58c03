#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Places calls with audio through the running quickstart switch, SIPp on both sides, and says what happened."""
import contextlib
import math
import pathlib
import sqlite3
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from run import BUILD, CONF, NAMESPACE, RUN_DIR, in_namespace  # noqa: E402

SECONDS = 4


def a_law(sample):
    """One 16-bit sample as G.711 A-law (ITU-T G.711, 13 segments)."""
    sign, magnitude = (0x80, sample) if sample >= 0 else (0, -sample - 1)
    magnitude = min(magnitude >> 3, 0xfff)
    exponent = max(0, magnitude.bit_length() - 5)
    mantissa = (magnitude >> max(exponent, 1)) & 0xf
    return (sign | exponent << 4 | mantissa) ^ 0x55


def tone(path):
    path.write_bytes(bytes(a_law(int(8000 * math.sin(2 * math.pi * 440 * n / 8000))) for n in range(8000 * SECONDS)))


def cdrs():
    with contextlib.closing(sqlite3.connect(f"file:{RUN_DIR}/state/tandem.db?mode=ro", uri=True, timeout=5)) as db:
        db.row_factory = sqlite3.Row
        return [dict(r) for r in db.execute("select * from cdr order by start_us")]


def sipp(folder, scenario, ip, remote, calls, *more):
    return subprocess.Popen(in_namespace("sipp", remote, "-sf", ROOT / "perf" / "sipp" / scenario, "-i", ip, "-mi", ip,
                                         "-m", calls, "-r", 5, "-nostdin", "-timeout", 60, *more),
                            cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)


def report(rows, took):
    answered = [r for r in rows if r["answer_us"]]
    setup = sorted((r["answer_us"] - r["start_us"]) / 1000 for r in answered)
    middle = f"{setup[len(setup) // 2]:.1f} ms" if setup else "-"
    total = {k: sum(r[k] or 0 for r in rows) for k in ("rtp_a_rx", "rtp_a_tx", "rtp_b_rx", "rtp_b_tx", "rtp_a_lost", "rtp_b_lost")}
    print(f"calls       {len(rows)} placed, {len(answered)} answered, in {took:.1f} s")
    print(f"set-up      median {middle}, worst {setup[-1]:.1f} ms" if setup else "set-up      -")
    print(f"RTP a → b   {total['rtp_a_rx']} in, {total['rtp_b_tx']} out, {total['rtp_a_lost']} lost")
    print(f"RTP b → a   {total['rtp_b_rx']} in, {total['rtp_a_tx']} out, {total['rtp_b_lost']} lost")
    print("\nid                              from → to                     code  seconds  a rx/tx      b rx/tx      codec")
    for r in rows[-20:]:
        print(f"{r['id']:<31} {r['from_number'] + ' → ' + r['to_number']:<29} {r['sip_code']:>4} "
              f"{(r['duration_us'] or 0) / 1e6:>8.2f}  {r['rtp_a_rx']:>5}/{r['rtp_a_tx']:<5}  {r['rtp_b_rx']:>5}/{r['rtp_b_tx']:<5}  {r['codec']}")
    return len(answered) == len(rows) and total["rtp_a_rx"] > 0 and total["rtp_b_rx"] > 0


def main():
    wanted = sys.argv[1] if len(sys.argv) > 1 else "10"
    calls = int(wanted) if wanted.isdecimal() else 0
    if not 1 <= calls <= 200:
        print(f"quickstart call: found {wanted}, expected a number of calls from 1 to 200", file=sys.stderr)
        sys.exit(2)
    ctl = BUILD / "tandemctl"
    if not ctl.exists() or subprocess.run([ctl, "-c", CONF, "wait", "--timeout", "2"], capture_output=True).returncode != 0:
        sys.exit("quickstart: no switch is running here; start one with './quickstart run' in another terminal")
    before = len(cdrs())
    print(f"placing {calls} calls of {SECONDS} s with audio, five a second …", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        tone(folder / "tone.al")
        began = time.monotonic()
        callee = sipp(folder, "callee.xml", "10.0.2.1", "10.0.2.254:5060", calls, "-rtp_echo", "-mp", 30000)
        time.sleep(0.5)
        caller = sipp(folder, "caller.xml", "10.0.1.1", "10.0.1.254:5060", calls, "-s", "442079460123", "-mp", 31000)
        code = caller.wait(90)
        callee.terminate()
        callee.wait(10)
        took = time.monotonic() - began
    deadline = time.monotonic() + 5
    while len(cdrs()) < before + calls and time.monotonic() < deadline:
        time.sleep(0.1)
    good = report(cdrs()[before:], took)
    sys.exit(0 if good and code == 0 else "quickstart: not every call went through; see the codes above")


if __name__ == "__main__":
    main()
