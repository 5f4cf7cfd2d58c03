#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Kamailio in the switch's place: the calls of perf/load/calls.py on the same wire. One JSON object a line.

usage: perf/compare/kamailio.py [--rate CALLS_PER_SECOND] [--seconds N] [--hold MS] [--children N]
Needs Debian's kamailio, root and a quiet machine. A transaction-stateful proxy with Record-Route, no media: less than the switch does.
Its memory allocator is tlsf, three times as fast as Debian's default.
"""
import argparse
import json
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "load"))
from wire import SIDES, WORKER_CPU, Lab, Process, bottleneck, place_calls, sh, until  # noqa: E402

CONFIG = """
debug=0
log_stderror=yes
children={children}
auto_aliases=no
mhomed=1
tcp_accept_no_cl=no
disable_tcp=yes
socket_workers={children}
listen=udp:10.0.1.254:5060
listen=udp:10.0.2.254:5060
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/"
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "rr.so"
loadmodule "maxfwd.so"
loadmodule "pv.so"
loadmodule "siputils.so"
loadmodule "textops.so"
modparam("rr", "enable_double_rr", 1)

request_route {{
	if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
	if (has_totag()) {{
		if (loose_route()) {{ t_relay(); exit; }}
		if (is_method("ACK") && t_check_trans()) {{ t_relay(); exit; }}
		if (!is_method("ACK")) sl_send_reply("404", "Not Here");
		exit;
	}}
	if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
	t_check_trans();
	record_route();
	$du = "sip:10.0.2.1:5060";
	if (!t_relay()) sl_reply_error();
}}
"""


class Kamailio(Lab):
    def __init__(self, children):
        super().__init__()
        self.children_wanted = children
        self.proxy = None

    def _write_config(self):
        self.conf.write_text(CONFIG.format(children=self.children_wanted))

    def start(self):
        for s in SIDES.values():
            sh("ip", "-n", self.ns["x"], "addr", "add", f"{s['switch']}/24", "dev", s["port"])
        argv = ["taskset", "-c", WORKER_CPU, "kamailio", "-f", self.conf, "-DD", "-E", "-x", "tlsf", "-X", "tlsf", "-m", 512, "-M", 16,
                "-Y", self.run_dir, "-w", self.folder]
        self.proxy = Process("kamailio", self.in_ns("x", *argv), self.folder)
        self.children.append(self.proxy)
        until(lambda: ":5060 " in sh("ip", "netns", "exec", self.ns["x"], "ss", "-Hlun") or not self.proxy.alive(), 15,
              what="Kamailio")
        assert self.proxy.alive(), self.proxy.text()

    def close(self):
        if self.proxy:
            self.proxy.kill(15)
        super().close()

    def pids(self):
        """All of its processes: it forks once more for each child."""
        family, queue = [], [self.proxy.p.pid]
        while queue:
            pid = queue.pop()
            family.append(pid)
            queue += map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return family

    def processes(self):
        return {"kamailio": self.pids()}

    def busy(self):
        return 0.0


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0])
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--hold", type=int, default=0)
    parser.add_argument("--children", type=int, default=1)
    o = parser.parse_args()
    if not shutil.which("kamailio"):
        sys.exit("kamailio.py: Kamailio is not installed: apt-get install kamailio (and stop the service that it starts)")
    with Kamailio(o.children) as proxy:
        r = place_calls(proxy, o.rate, o.seconds, o.hold)
    print(json.dumps({"name": "compare.kamailio", "unit": "us", "value": r["cpu_us_per_call"]["kamailio"],
                      "min": r["cpu_us_per_call"]["kamailio"], "n": r["completed"], "seed": 0, "checked": r["completed"],
                      "yardstick": "is one", "method": "stateful proxy with Record-Route, tlsf; the wire of perf/load/calls.py",
                      "hold_ms": o.hold, **r, "bottleneck": bottleneck(r)}), flush=True)
    return 0 if r["failed"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
