# SPDX-License-Identifier: BSD-3-Clause
"""The daemons as processes: at rest, at their end, with a wrong configuration, with a clock that steps, from the quickstart."""
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import time

import pytest

from lab import BUILD, ROOT, Process, sh, until
from raw import Established, Raw

CLOCK_SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

// The wall clock, as many seconds ahead as the file says.
static long ahead(void)
{
	char text[24] = "";
	int fd = open(getenv("CLOCK_FILE"), O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (read(fd, text, sizeof(text) - 1) < 0)
			text[0] = 0;
		close(fd);
	}
	return atol(text);
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	static int (*real)(clockid_t, struct timespec *);
	if (!real)
		real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	int rc = real(id, ts);
	if (rc == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		ts->tv_sec += ahead();
	return rc;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec ts;
	int rc = clock_gettime(CLOCK_REALTIME, &ts);
	*tv = (struct timeval){ ts.tv_sec, ts.tv_nsec / 1000 };
	return rc;
}

time_t time(time_t *out)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	if (out)
		*out = ts.tv_sec;
	return ts.tv_sec;
}
"""


@pytest.mark.parametrize("step_s", [3600, -3600])
def test_clock_step_changes_no_duration(fresh, tmp_path, step_s):
    source, shim, offset = tmp_path / "clock.c", tmp_path / "clock.so", tmp_path / "offset"
    source.write_text(CLOCK_SHIM)
    sh("cc", "-shared", "-fPIC", "-O1", "-o", shim, source, "-ldl")
    offset.write_text("0")
    lab = fresh(env={"LD_PRELOAD": str(shim), "CLOCK_FILE": str(offset)})
    with Raw(lab, "a") as a, Raw(lab, "b") as b:
        began = time.monotonic()
        call = Established(a, b)
        offset.write_text(str(step_s))
        time.sleep(1.5)
        assert [c["state"] for c in lab.calls()] == ["answered"]
        call.end()
        took_us = (time.monotonic() - began) * 1e6
        after = Established(a, b)
        after.end()
    first, second = lab.cdrs(2) if step_s > 0 else reversed(lab.cdrs(2))
    assert 1_500_000 <= first["duration_us"] <= took_us
    assert second["duration_us"] < 2_000_000
    now_us = time.time() * 1e6
    assert abs(first["start_us"] - now_us) < 60e6
    # The dates of the next call are the clock's again.
    assert abs(second["start_us"] - now_us - step_s * 1e6) < 60e6
    lab.settle()


def ticks(pid):
    """Processor time of a process: utime + stime of proc(5)."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def daemons(lab):
    """Pids of both daemons themselves: `ip netns exec` becomes the program it starts."""
    return [lab.control.p.pid, lab.dataplane.p.pid]


@pytest.mark.parametrize("workers", [(1,), (1, 1, 1)], ids=["1", "3"])
def test_at_rest_both_take_less_than_a_twentieth_of_a_core(fresh, workers):
    lab = fresh(workers=workers)
    time.sleep(1)
    before = sum(ticks(pid) for pid in daemons(lab))
    time.sleep(3)
    used = (sum(ticks(pid) for pid in daemons(lab)) - before) / os.sysconf("SC_CLK_TCK")
    assert used / 3 < 0.05, f"{used / 3:.1%} of a core at rest"


def test_sigterm_drains_and_then_hangs_up(fresh):
    lab = fresh(edit=lambda t: t.replace("cps = 1000;", "cps = 1000; drain_s = 1;"))
    with Raw(lab, "a") as a, Raw(lab, "a", port=5070) as other, Raw(lab, "b") as b:
        Established(a, b)
        lab.dataplane.p.send_signal(signal.SIGTERM)
        until(lambda: "drain.end" in lab.dataplane.text(), what="the drain")
        uri = "sip:4420@10.0.1.254"
        branch = other.request("INVITE", "too-late", f"<{uri}>", uri, body=other.sdp())
        refused = other.expect(503)
        assert refused.get("retry-after").isdigit()
        other.request("ACK", "too-late", refused.get("to"), uri, branch=branch)
        other.request("OPTIONS", "still-there", "<sip:10.0.1.254>", "sip:10.0.1.254")
        other.expect(503)
        for end in (a, b):
            end.reply(end.expect("BYE"), 200)
    assert lab.dataplane.wait(10) == 0
    rows = {r["sip_code"]: r for r in lab.cdrs(2)}
    assert rows[200]["complete"] == 1 and rows[200]["released_by"] == "switch" and rows[503]["answer_us"] is None


# --- wrong configurations -------------------------------------------------------------------------------------------------


def example(tmp_path):
    text = (ROOT / "configs" / "two-carriers.conf").read_text()
    text = text.replace("/run/tandem", str(tmp_path / "run")).replace("/var/lib/tandem", str(tmp_path / "state"))
    return text.replace("huge_mb = 512", "huge_mb = 0").replace("calls = 20000; cps = 5000", "calls = 100; cps = 10")


def attempt(tmp_path, change, *args, program="tandem-dataplane"):
    """Runs a daemon on a changed example; returns its exit status and what it said."""
    conf = tmp_path / "t.conf"
    conf.write_text(change(example(tmp_path)))
    p = subprocess.run([BUILD / program, "-c", conf, *args], capture_output=True, text=True, timeout=30)
    return p.returncode, p.stdout + p.stderr


FAULTS = {
    "unknown key": (lambda t: t.replace("max_cps = 5000;", "max_cpz = 5000;", 1), "max_cpz", "unknown key"),
    "not there": (lambda t: t.replace('trunk = "carrier-b"', 'trunk = "carrier-z"', 1), "carrier-z", "trunk"),
    "out of range": (lambda t: t.replace("max_calls = 15000", "max_calls = -1", 1), "-1", "a whole number from 0"),
    "no such cpu": (lambda t: re.sub(r"workers = \[ 1 \]", "workers = [ 999 ]", t), "999", "CPU"),
    "no number": (lambda t: t.replace("port = 5060;", 'port = "sip";', 1), '"sip"', "a whole number from 1 to 65535"),
}


@pytest.mark.parametrize("program", ["tandem-dataplane", "tandem-control"])
@pytest.mark.parametrize("fault", FAULTS)
def test_check_names_the_fault(tmp_path, program, fault):
    change, found, expected = FAULTS[fault]
    good = example(tmp_path)
    line = next(n for n, (x, y) in enumerate(zip(good.splitlines(), change(good).splitlines()), 1) if x != y)
    for args in (["--check"], []):
        status, said = attempt(tmp_path, change, *args, program=program)
        assert status == 2 and said.startswith(f"{tmp_path}/t.conf:{line}: "), said
        assert found in said and expected in said and len(said.splitlines()) == 1, said


def test_check_finds_every_fault_and_takes_a_good_file(tmp_path):
    def many(text):
        for change, _, _ in FAULTS.values():
            text = change(text)
        return text
    status, said = attempt(tmp_path, many, "--check")
    assert status == 2 and len(said.splitlines()) >= len(FAULTS) and all(x.startswith(f"{tmp_path}/t.conf:") for x in said.splitlines())
    for program in ("tandem-dataplane", "tandem-control"):
        assert attempt(tmp_path, lambda t: t, "--check", program=program)[0] == 0


@pytest.mark.parametrize("change, word", [
    (lambda t: t.replace("net_af_packet0,iface=xa", "net_af_packet0,iface=nosuch0"), "xa"),
    (lambda t: t.replace("net_af_packet0,iface=xa", "0000:ff:1f.7"), "0000:ff:1f.7"),
], ids=["no interface", "no PCI device"])
def test_a_port_that_is_not_there_stops_the_start(tmp_path, change, word):
    status, said = attempt(tmp_path, change)
    about = [line for line in said.splitlines() if word in line and "level=error" in line or "start.failed" in line]
    assert status == 1 and len(about) == 1, said


def test_limits_that_the_ports_cannot_hold(tmp_path):
    status, said = attempt(tmp_path, lambda t: t.replace("16384, 65535", "20000, 20009"), "--check")
    assert status == 2 and "room for 5 calls" in said and "expected 100" in said, said


# --- the embedded default ---------------------------------------------------------------------------------------------------


def quickstart(folder):
    return Process("quickstart", [sys.executable, ROOT / "perf" / "quickstart" / "run.py"], folder,
                   env={**os.environ, "PYTHONUNBUFFERED": "1"})


def quickstart_daemons():
    """Pids of what a quickstart started, found by the file that they were given."""
    found = []
    for line in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = line.read_bytes().split(b"\0")
            if words[0].rsplit(b"/", 1)[-1].startswith(b"tandem-") and str(ROOT / "configs" / "quickstart.conf").encode() in words:
                found.append(int(line.parent.name))
    return found


def nothing_left():
    return "tandem-quickstart" not in sh("ip", "netns", "list") and not pathlib.Path("/run/tandem-quickstart").exists() \
        and not quickstart_daemons()


def test_quickstart_runs_and_places_calls(tmp_path):
    runtime = set(pathlib.Path("/run/dpdk").glob("tandem-*"))
    started = quickstart(tmp_path)
    try:
        until(lambda: "The switch is ready" in started.text() or not started.alive(), 60, what="the quickstart switch")
        called = subprocess.run([sys.executable, ROOT / "perf" / "quickstart" / "call.py", "5"], capture_output=True, text=True,
                                timeout=120)
        assert called.returncode == 0, called.stdout + called.stderr + started.text()
        assert "5 placed, 5 answered" in called.stdout and re.search(r"RTP a → b +[1-9]\d+ in", called.stdout)
        assert re.search(r"worker .* [1-9]\d* calls, [1-9]\d* legs", started.text()), started.text()
    finally:
        code = started.kill(signal.SIGINT, timeout=30)
    assert code == 0, started.text()
    assert nothing_left() and not set(pathlib.Path("/run/dpdk").glob("tandem-*")) - runtime
    assert re.search(r"rx \d+ tx \d+ drops 0$", started.text(), re.M), "drops at rest:\n" + started.text()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGKILL])
def test_quickstart_ended_while_it_starts_leaves_nothing(tmp_path, number):
    started = quickstart(tmp_path)
    until(lambda: len(quickstart_daemons()) == 2, 20, what="both daemons")
    started.kill(number, timeout=30)
    until(lambda: not quickstart_daemons(), 15, what="the end of both daemons")
    if number == signal.SIGKILL:  # nobody was left to clean up: the next one does
        again = quickstart(tmp_path)
        until(lambda: again.text().count("The switch is ready") == 1, 60, what="the quickstart switch")
        assert again.kill(signal.SIGTERM, timeout=30) == 0
    assert nothing_left(), started.text()


def test_load_program_counts_every_call():
    p = subprocess.run([sys.executable, ROOT / "perf" / "load" / "calls.py", "--device", "af_packet", "--rate", "50", "--seconds", "2"],
                       capture_output=True, text=True, timeout=120, env={**os.environ, "BUILD": str(BUILD)})
    assert p.returncode == 0, p.stdout + p.stderr
    r = json.loads(p.stdout)
    assert r["offered"] == r["completed"] == r["checked"] == 100 and r["failed"] == 0, r
    assert r["cpu_us_per_call"]["dataplane"] > r["kernel_us_per_call"]["dataplane"] > 0 and r["bottleneck"], r


def test_systemd_is_told_while_all_is_well(tmp_path, fresh):
    """READY and WATCHDOG of both daemons; one that stands still is told of by its silence."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(path))
        notify.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        notify.settimeout(0.2)
        lab = fresh(workers=(1, 1), env={"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "900000"})
        heard = {}

        def listen(seconds):
            heard.clear()
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                try:
                    text, ancillary, _, _ = notify.recvmsg(4096, 256)
                except TimeoutError:
                    continue
                pid = struct.unpack("3i", ancillary[0][2])[0]
                heard.setdefault(pathlib.Path(f"/proc/{pid}/comm").read_text().strip(), []).extend(text.decode().split("\n"))

        listen(2)
        assert {n for n, texts in heard.items() if "READY=1" in texts} == {"tandem-control", "tandem-dataplan"}, heard
        listen(2)
        assert all(heard[n].count("WATCHDOG=1") >= 2 for n in ("tandem-control", "tandem-dataplan")), heard
        control = next(int(p) for p in sh("pgrep", "tandem-control").split()
                       if str(lab.conf) in pathlib.Path(f"/proc/{p}/cmdline").read_text())
        os.kill(control, signal.SIGSTOP)
        listen(0.3)
        listen(2)
        assert "tandem-control" not in heard and "WATCHDOG=1" in heard["tandem-dataplan"], heard
        os.kill(control, signal.SIGCONT)
