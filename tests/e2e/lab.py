# SPDX-License-Identifier: BSD-3-Clause
"""A switch between two namespaces: a (10.0.1.1, fd00:1::1) ── switch in x ── b (10.0.2.1, fd00:2::1).

Everything is made and removed here: namespaces, veth or tap ports, both daemons, SIPp. Names carry the test's pid, so
that two runs do not meet. Veth offloads stay as the kernel sets them.
"""
import contextlib
import ipaddress
import json
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build"))

SIDES = {
    "a": {"ip": "10.0.1.1", "ip6": "fd00:1::1", "switch": "10.0.1.254", "switch6": "fd00:1::fe", "port": "xa"},
    "b": {"ip": "10.0.2.1", "ip6": "fd00:2::1", "switch": "10.0.2.254", "switch6": "fd00:2::fe", "port": "xb"},
}
OTHER = {"a": "b", "b": "a"}


def sh(*argv, check=True, **kw):
    p = subprocess.run([str(a) for a in argv], capture_output=True, text=True, **kw)
    if check and p.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, argv))}: {p.returncode}\n{p.stdout}{p.stderr}")
    return p.stdout


def until(condition, timeout=10.0, every=0.05, what="condition"):
    """Polls until condition() is true and returns its value; an AssertionError names what never came."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"{what} did not come within {timeout} s"
        time.sleep(every)


class Process:
    """A child whose output is kept; stopped by its own pid."""

    def __init__(self, name, argv, folder, **kw):
        self.name = name
        self.log = pathlib.Path(folder) / f"{name}.log"
        self.out = open(self.log, "ab")
        self.p = subprocess.Popen([str(a) for a in argv], stdout=self.out, stderr=subprocess.STDOUT,
                                  stdin=subprocess.DEVNULL, start_new_session=True, **kw)

    def text(self):
        return self.log.read_text(errors="replace")

    def alive(self):
        return self.p.poll() is None

    def kill(self, sig=signal.SIGKILL, timeout=20):
        if self.alive():
            self.p.send_signal(sig)
        try:
            code = self.p.wait(timeout)
        except subprocess.TimeoutExpired:
            self.p.kill()
            code = self.p.wait()
        # What it has forked (Kamailio does) goes with it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.p.pid, signal.SIGKILL)
        self.out.close()
        return code

    def wait(self, timeout):
        try:
            return self.p.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within {timeout} s\n{self.text()[-3000:]}")


class Lab:
    made = 0

    def __init__(self, device="af_packet", workers=(1,), edit=None, env=None, base="two-carriers.conf"):
        """edit: function(text) → text over base, a file of configs/; env: what the daemons find beside the environment."""
        self.device, self.workers, self.edit, self.base = device, workers, edit, base
        self.env = {**os.environ, **(env or {})}
        Lab.made += 1
        self.tag = f"td{os.getpid()}n{Lab.made}"
        self.ns = {n: f"{self.tag}{n}" for n in "abx"}
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tandem-e2e-"))
        self.run_dir, self.state_dir = self.folder / "run", self.folder / "state"
        self.run_dir.mkdir()
        self.state_dir.mkdir()
        self.conf = self.folder / "tandem.conf"
        self.dataplane = self.control = None
        self.children = []
        self.serial = 0

    # --- life -------------------------------------------------------------------------------------------------------

    def __enter__(self):
        try:
            self._namespaces()
            self._write_config()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc):
        self.close()

    def _namespaces(self):
        for n in self.ns.values():
            sh("ip", "netns", "add", n)
            sh("ip", "-n", n, "link", "set", "lo", "up")
        for side, s in SIDES.items():
            if self.device != "tap":
                peer = f"{side}0"
                sh("ip", "-n", self.ns["x"], "link", "add", s["port"], "type", "veth", "peer", "name", peer,
                   "netns", self.ns[side])
                sh("ip", "-n", self.ns["x"], "link", "set", s["port"], "up")
                self._address(side, peer)
            # The namespace that holds only the switch's own ports needs no address of its own.
            sh("ip", "netns", "exec", self.ns["x"], "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
            # A tap takes its addresses along when the switch is killed; a peer makes sockets meanwhile.
            sh("ip", "netns", "exec", self.ns[side], "sysctl", "-qw", "net.ipv4.ip_nonlocal_bind=1")

    def _address(self, side, interface):
        s, ns = SIDES[side], self.ns[side]
        sh("ip", "-n", ns, "addr", "add", f"{s['ip']}/24", "dev", interface)
        sh("ip", "-n", ns, "addr", "add", f"{s['ip6']}/64", "dev", interface, "nodad")
        sh("ip", "-n", ns, "link", "set", interface, "up")
        # Further hosts of each side: failover targets, strangers, forged sources.
        for i in range(2, 8):
            base = ipaddress.ip_address(s["ip"])
            sh("ip", "-n", ns, "addr", "add", f"{base + i - 1}/24", "dev", interface)

    def _write_config(self):
        text = (ROOT / "configs" / self.base).read_text()
        vdev = {"af_packet": "net_af_packet{n},iface={port}", "af_xdp": "net_af_xdp{n},iface={port}",
                "tap": "net_tap{n},iface={port}"}[self.device]
        for n, side in enumerate("ab"):
            port = SIDES[side]["port"]
            text = text.replace(f"net_af_packet{n},iface={port}", vdev.format(n=n, port=port))
        text = text.replace('"/run/tandem"', f'"{self.run_dir}"').replace('"/var/lib/tandem"', f'"{self.state_dir}"')
        text = re.sub(r"workers = \[[^]]*\]", "workers = [ " + ", ".join(map(str, self.workers)) + " ]", text)
        text = text.replace("huge_mb = 512", "huge_mb = 0")
        text = re.sub(r"calls = 20000; cps = 5000; registrations = [0-9]+;",
                      "calls = 4000; cps = 1000; registrations = 1000;", text)
        if self.edit:
            text = self.edit(text)
        self.conf.write_text(text)

    def in_ns(self, name, *argv):
        return ["ip", "netns", "exec", self.ns[name], *argv]

    def start(self):
        self.start_control()
        self.start_dataplane()
        self.wait_ready()

    def start_control(self):
        self.control = Process("control", self.in_ns("x", BUILD / "tandem-control", "-c", self.conf), self.folder, env=self.env)

    def start_dataplane(self):
        self.dataplane = Process("dataplane", self.in_ns("x", BUILD / "tandem-dataplane", "-c", self.conf), self.folder,
                                 env=self.env)
        if self.device == "tap":
            self._move_taps()

    def _move_taps(self):
        """The kernel's end of each tap goes to its side's namespace as soon as the switch has made it."""
        for side, s in SIDES.items():
            until(lambda: s["port"] in sh("ip", "-n", self.ns["x"], "-br", "link"), 15, what=f"tap {s['port']}")
            time.sleep(0.3)
            sh("ip", "-n", self.ns["x"], "link", "set", s["port"], "netns", self.ns[side])
            self._address(side, s["port"])

    def wait_ready(self, timeout=30):
        p = subprocess.run([BUILD / "tandemctl", "-c", self.conf, "wait", "--timeout", str(timeout)],
                           capture_output=True, text=True)
        assert p.returncode == 0, f"not ready: {p.stdout}{p.stderr}\n{self.logs()}"
        # What the ports' own queues hold; af_xdp keeps what it sent until it sends again.
        self.buffers = max(c["buffers"] for c in self.show("cores")) + (4096 if self.device == "af_xdp" else 0)

    def close(self):
        for child in self.children + [self.control, self.dataplane]:
            if child:
                with contextlib.suppress(ProcessLookupError):
                    child.kill(signal.SIGKILL)
        for n in self.ns.values():
            sh("ip", "netns", "del", n, check=False)
        if not os.environ.get("KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)

    def logs(self):
        return "\n".join(f"--- {p.name}\n{p.text()[-4000:]}" for p in (self.control, self.dataplane) if p)

    def subscriber(self, aor, password, *numbers):
        """Provisions one as an operator does."""
        more = [w for n in numbers for w in ("--number", n)]
        p = subprocess.run([BUILD / "tandemctl", "-c", self.conf, "subscriber", "add", aor, "--password-stdin", *more],
                           input=password + "\n", capture_output=True, text=True, timeout=30)
        assert p.returncode == 0, f"subscriber add {aor}: {p.returncode}\n{p.stdout}{p.stderr}\n{self.logs()}"

    # --- the operator -----------------------------------------------------------------------------------------------

    def ctl(self, *args, code=0):
        p = subprocess.run([BUILD / "tandemctl", "-c", self.conf, *map(str, args)], capture_output=True, text=True,
                           timeout=60)
        assert p.returncode == code, f"tandemctl {args}: {p.returncode}\n{p.stdout}{p.stderr}\n{self.logs()}"
        return p.stdout

    def show(self, *args):
        return json.loads(self.ctl("show", *args, "--json"))

    def counters(self):
        return self.show("counters")

    def calls(self):
        return self.show("calls")

    def no_calls_left(self, timeout=10):
        until(lambda: not self.calls(), timeout, what="the end of all calls")

    def rows(self, table="cdr"):
        """Rows of the CDR database as dictionaries, in the order of their coming."""
        path = self.state_dir / "tandem.db"
        if not path.exists():
            return []
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as db:
            db.row_factory = sqlite3.Row
            try:
                return [dict(r) for r in db.execute(f"select * from {table} order by start_us")]
            except sqlite3.OperationalError:
                return []

    def cdrs(self, n, timeout=10):
        """Exactly n CDRs (waits for them, then a moment longer so that one too many shows)."""
        until(lambda: len(self.rows()) >= n, timeout, what=f"{n} CDRs")
        time.sleep(0.15)
        rows = self.rows()
        assert len(rows) == n, f"{len(rows)} CDRs instead of {n}"
        return rows

    # --- peers ------------------------------------------------------------------------------------------------------

    def sipp(self, side, scenario, *args, v6=False, remote=None, ip=None, port=5060, calls=1, rate=10, timeout=60,
             keys=None, media_port=None):
        """Starts SIPp in a side's namespace with a scenario's text (scenario.py)."""
        self.serial += 1
        s = SIDES[side]
        ip = ip or (s["ip6"] if v6 else s["ip"])
        name = f"sipp-{side}-{self.serial}"
        script = self.folder / f"{name}.xml"
        script.write_text(scenario)
        to = remote or (f"[{s['switch6']}]:5060" if v6 else f"{s['switch']}:5060")
        argv = ["sipp", to, "-sf", script, "-i", ip, "-p", port, "-m", calls, "-r", rate, "-nostdin", "-trace_err",
                "-error_file", self.folder / f"{name}.err", "-timeout", timeout, "-timeout_error", "-mi", ip]
        if media_port:
            argv += ["-mp", media_port]
        for key, value in (keys or {}).items():
            argv += ["-key", key, value]
        child = Process(name, self.in_ns(side, *argv, *args), self.folder, cwd=self.folder)
        self.children.append(child)
        return child

    def wait_listening(self, side, port=5060, timeout=10):
        until(lambda: f":{port} " in sh("ip", "netns", "exec", self.ns[side], "ss", "-Hlun"), timeout,
              what=f"a listener on {port} in {side}")

    def sipp_error(self, child):
        path = self.folder / f"{child.name}.err"
        return child.text()[-2500:] + (path.read_text(errors="replace")[-2500:] if path.exists() else "")

    def run_pair(self, uac, uas, frm="a", calls=1, rate=10, uac_args=(), uas_args=(), timeout=60, uas_may_stay=False, **kw):
        """uas answers on the other side, uac calls; both must end with success."""
        to = OTHER[frm]
        server = self.sipp(to, uas, *uas_args, calls=calls, timeout=timeout + 10, v6=kw.get("v6_b", False))
        self.wait_listening(to)
        client = self.sipp(frm, uac, *uac_args, calls=calls, rate=rate, timeout=timeout, v6=kw.get("v6_a", False),
                           keys=kw.get("keys"))
        code = client.wait(timeout + 15)
        assert code == 0, f"uac ended with {code}\n{self.sipp_error(client)}\n{self.logs()}"
        if not uas_may_stay:
            code = server.wait(15)
            assert code == 0, f"uas ended with {code}\n{self.sipp_error(server)}\n{self.logs()}"
        else:
            server.kill(signal.SIGKILL)
        return client, server

    # --- what must hold after every scenario --------------------------------------------------------------------------

    def settle(self):
        """No call, no leg, and nothing missing: on every core received = sent + dropped by name, every buffer is back, and the
        CDR of each call has come, so that the next test's are its own."""
        try:
            self.no_calls_left()
        except AssertionError:
            for call in self.calls():  # they are this test's failure and not the next one's
                self.ctl("hangup", call["id"])
            raise
        until(lambda: len(self.rows()) >= self.counters()["call.ended"], what="a CDR of every call")

        def unsettled():
            return [c for c in self.show("cores") if c["calls"] or c["legs"] or c["held"] or c["buffers"] > self.buffers]

        left = unsettled()
        end = time.monotonic() + 5
        while left and time.monotonic() < end:
            time.sleep(0.1)
            left = unsettled()
        assert not left, (left, f"{self.buffers} buffers at rest")
