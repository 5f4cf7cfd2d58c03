#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Whole calls over a wire: SIPp → veth → the switch on one worker → veth → SIPp. One JSON object a line.

usage: perf/load/calls.py [--device af_xdp|af_packet|tap] [--rate CALLS_PER_SECOND] [--seconds N] [--hold MS] [--poll adaptive|busy]
Needs root and a quiet machine of two CPUs or more. Exits 1 when a call failed or a CDR is missing.
"""
import argparse
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from wire import Tandem, bottleneck, place_calls  # noqa: E402

METHOD = ("INVITE 180 200 ACK BYE 200 with SDP and media legs, SIPp both sides on CPU 0, one worker on CPU 1, default veth offloads; "
          "value: CPU of the data plane per call, user + system")


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0])
    parser.add_argument("--device", default="af_xdp", choices=("af_xdp", "af_packet", "tap"))
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--hold", type=int, default=0)
    parser.add_argument("--poll", default="adaptive", choices=("adaptive", "busy"))
    o = parser.parse_args()
    with Tandem(o.device, o.poll) as switch:
        r = place_calls(switch, o.rate, o.seconds, o.hold)
        r["dropped"] = switch.faults()
        try:
            checked, fault = switch.check(r["completed"]), None
        except AssertionError as e:
            checked, fault = 0, str(e)[:500]
    print(json.dumps({"name": f"load.calls.{o.device}", "unit": "us", "value": r["cpu_us_per_call"]["dataplane"],
                      "min": r["cpu_us_per_call"]["dataplane"], "n": r["completed"], "seed": 0, "checked": checked,
                      "yardstick": "perf/compare/kamailio.py on the same wire", "method": METHOD, "poll": o.poll,
                      "hold_ms": o.hold, **r, "bottleneck": bottleneck(r), **({"fault": fault} if fault else {})}), flush=True)
    return 0 if r["failed"] == 0 and r["completed"] == r["offered"] == o.rate * o.seconds and not fault else 1


if __name__ == "__main__":
    sys.exit(main())
