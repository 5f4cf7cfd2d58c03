#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""tandem-control and tandemctl between a store and a data plane that this test plays: subscribers, numbers and bindings get
there, in parts and whole, also when either side was away.

usage: test_provision.py TANDEM_CONTROL TANDEMCTL
"""
import hashlib
import importlib
import json
import pathlib
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CONTROL, TANDEMCTL = (str(pathlib.Path(p).resolve()) for p in sys.argv[1:3])
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="td_provision_"))
subprocess.run(["protoc", f"--proto_path={ROOT}/include", f"--python_out={FOLDER}", "tandem.proto"], check=True)
sys.path.insert(0, str(FOLDER))
pb = importlib.import_module("tandem_pb2")
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
from bindings import binding  # noqa: E402

CONFIG = """run_dir = "%(dir)s"; state_dir = "%(dir)s/state"; lcores = { workers = [ 0 ]; }; limits = { registrations = 1000; };
metrics = { enabled = false; };
ports = ( { name = "p"; device = "net_null0"; } );
realms = ( { name = "access"; port = "p"; addresses = [ "10.0.1.254/24" ]; sip = ( { } );
  registrar = { domains = [ "tandem.example" ]; }; } );
"""


def until(condition, what, timeout=10):
    end = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(0.02)
    return value


class Plane:
    """A data plane: says Hello, answers every request Done, keeps what it was sent."""

    def __init__(self, bench, generation=0, restored=False, plans=(), stages=False):
        self.bench, self.frames, self.refuse, self.hold = bench, [], set(), set()
        bench.listener.settimeout(5)
        self.s, _ = bench.listener.accept()
        self.s.settimeout(0.05)
        self.data = b""
        hello = pb.Frame(version=1)
        hello.hello.role, hello.hello.epoch, hello.hello.registrar = "dataplane", 1, True
        hello.hello.subscriber_generation, hello.hello.bindings_restored = generation, restored
        hello.hello.stages_plans = stages
        for name in plans:
            hello.hello.plans.add(name=name, generation=7, rows=1)
        self.send(hello)

    def send(self, frame):
        raw = frame.SerializeToString()
        self.s.sendall(struct.pack(">I", len(raw)) + raw)

    def turn(self):
        try:
            got = self.s.recv(1 << 20)
            self.data += got
        except TimeoutError:
            pass
        while len(self.data) >= 4 and len(self.data) >= 4 + (n := struct.unpack(">I", self.data[:4])[0]):
            frame = pb.Frame.FromString(self.data[4:4 + n])
            self.data = self.data[4 + n:]
            body = frame.WhichOneof("body")
            self.frames.append((body, frame))
            if frame.id and body not in self.hold:
                self.answer(body, frame.id)

    def answer(self, body, id):
        answer = pb.Frame(version=1, id=id)
        if body in self.refuse:
            answer.error.code, answer.error.text = 12, "no memory here"
        elif body == "status_request":
            answer.status.ports_ready = True
        else:
            answer.done.text = ""
        self.send(answer)

    def release(self, body):
        """Answers what was held back."""
        self.hold.discard(body)
        for held in [f for b, f in self.frames if b == body]:
            self.answer(body, held.id)

    def wait(self, body, what=None):
        def found():
            self.turn()
            return next((f for b, f in self.frames if b == body and (what is None or what(getattr(f, body)))), None)
        return getattr(until(found, body), body)

    def quiet(self, seconds=0.6):
        before = len([b for b, _ in self.frames if b.startswith(("subscriber", "binding"))])
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.turn()
        assert len([b for b, _ in self.frames if b.startswith(("subscriber", "binding"))]) == before, self.frames

    def close(self):
        self.s.close()


class Bench:
    made = []

    def __init__(self, name, more="", dataplane=True, config=CONFIG):
        """more: lines of the configuration; dataplane: somebody will play it."""
        Bench.made.append(self)
        self.dir = FOLDER / name
        (self.dir / "state").mkdir(parents=True)
        self.conf = self.dir / "x.conf"
        self.conf.write_text(config % {"dir": self.dir} + more)
        if not dataplane:
            self.start()
            return
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.dir / "dataplane.sock"))
        self.listener.listen(4)
        self.start()

    def start(self):
        (self.dir / "control.sock").unlink(missing_ok=True)  # of one that was killed
        self.log = open(self.dir / "log", "ab")
        self.p = subprocess.Popen([CONTROL, "-c", self.conf], stderr=self.log)
        until(lambda: self.p.poll() is not None or self.listens(), "the socket")
        assert self.p.poll() is None, (self.dir / "log").read_text()

    def listens(self):
        """A file may be of the run before."""
        with socket.socket(socket.AF_UNIX) as s:
            return s.connect_ex(str(self.dir / "control.sock")) == 0

    def stop(self, sig=signal.SIGTERM):
        self.p.send_signal(sig)
        self.p.wait(15)
        if sig == signal.SIGTERM:
            assert self.p.returncode == 0, (self.dir / "log").read_text()[-2000:]

    def begin(self, *args):
        return subprocess.Popen([TANDEMCTL, "-c", self.conf, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def ctl(self, *args, code=0, stdin="", plane=None):
        p = self.begin(*args)
        p.stdin.write(stdin)
        p.stdin.close()
        while p.poll() is None:
            plane.turn() if plane else time.sleep(0.01)
        out, err = p.stdout.read(), p.stderr.read()
        assert p.returncode == code, f"{args}: {p.returncode}\n{out}{err}\n{(self.dir / 'log').read_text()[-2000:]}"
        return out if code == 0 else err

    def add(self, aor, *args, password="secret", **kw):
        return self.ctl("subscriber", "add", aor, "--password-stdin", *args, stdin=password + "\n", **kw)


def unpack(entries):
    """AoRs of a bulk's entries (include/subscriber.h)."""
    aors = []
    while entries:
        size, aor_len = struct.unpack("<HB", entries[:3])
        aors.append(entries[72:72 + aor_len].decode())
        entries = entries[size:]
    return aors


# --- tests ---

def a_subscriber_reaches_the_data_plane():
    bench = Bench("add")
    plane = Plane(bench)
    bulk = plane.wait("subscriber_bulk")
    assert bulk.first and bulk.last and bulk.generation > 0 and not bulk.entries
    out = bench.add("sip:1001@Tandem.Example", "--number", "+49 30 555-100", "--number", "4930555199", "--display", "Ann",
                    "--max-calls", "2", "--max-cps", "3", "--cps-burst", "7", plane=plane)
    assert out == "done\n", out
    put = plane.wait("subscriber_put")
    s = put.subscriber
    assert put.generation == bulk.generation + 1
    assert s.aor == "1001@tandem.example" and list(s.numbers) == ["4930555100", "4930555199"] and s.max_calls == 2
    assert s.max_cps == 3 and s.cps_burst == 7
    assert s.ha1_md5 == hashlib.md5(b"1001:tandem.example:secret").digest()
    assert s.ha1_sha256 == hashlib.sha256(b"1001:tandem.example:secret").digest()
    assert "is there already" in bench.add("1001@tandem.example", code=1, plane=plane)
    assert "belongs to 1001@tandem.example" in bench.add("1002@tandem.example", "--number", "4930555100", code=1, plane=plane)
    out = bench.ctl("subscriber", "add", "1001@tandem.example", "--replace", "--plan", "gold", plane=plane)
    assert out.startswith("done; but no dial plan of that name is loaded (there are: subscribers)"), out
    again = plane.wait("subscriber_put", lambda b: b.generation == bulk.generation + 2).subscriber
    assert again.ha1_md5 == s.ha1_md5 and again.plan == "gold" and not again.numbers
    for wrong in ("1001", "@x", "a b@x", "1001@x;y=z", "1001@x:5060", "ren%E9@x"):
        assert "expected an AoR" in bench.add(wrong, code=1, plane=plane), wrong
    for wrong in ("Ren\udce9", "A\tB"):
        assert "no printable UTF-8" in bench.add("1003@tandem.example", "--display", wrong, code=1, plane=plane), wrong
    bench.add("ren%C3%A9@tandem.example", "--display", "René", plane=plane)
    assert plane.wait("subscriber_put", lambda b: b.subscriber.display == "René").subscriber.aor == "rené@tandem.example"
    bench.ctl("subscriber", "add", "x@y", code=2)
    bench.add("x@y", password="", code=2)
    bench.ctl("subscriber", "del", "1001@tandem.example", plane=plane)
    assert plane.wait("subscriber_delete").aor == "1001@tandem.example"
    assert "is not there" in bench.ctl("subscriber", "del", "1001@tandem.example", code=1, plane=plane)
    bench.stop()
    text = (bench.dir / "log").read_text() + (bench.dir / "state/audit.log").read_text()
    assert "secret" not in text and s.ha1_md5.hex() not in text
    assert b"secret" not in (bench.dir / "state/tandem.db").read_bytes()


def set_changes_what_is_named():
    bench = Bench("set")
    plane = Plane(bench)
    generation = plane.wait("subscriber_bulk", lambda b: b.last).generation
    aor = "1001@tandem.example"

    def change(*args, stdin="", code=0):
        nonlocal generation
        out = bench.ctl("subscriber", "set", "sip:1001@TANDEM.example", *args, stdin=stdin, code=code, plane=plane)
        if code:
            return out, None
        generation += 1
        return out, plane.wait("subscriber_put", lambda b: b.generation == generation).subscriber
    out = bench.ctl("subscriber", "set", aor, "--max-calls", "2", code=1, plane=plane)
    assert "is not there" in out, out
    bench.add(aor, "--number", "551", "--number", "552", "--display", "Ann", "--max-calls", "2", "--max-cps", "3", "--cps-burst", "7",
              plane=plane)
    generation += 1
    now = plane.wait("subscriber_put", lambda b: b.generation == generation).subscriber

    def expect(said, *args, stdin="", **fields):
        out, got = change(*args, stdin=stdin)
        assert out == f"done; {said}\n", out
        for name, value in fields.items():
            if name == "numbers":
                now.ClearField("numbers")
                now.numbers.extend(value)
            else:
                setattr(now, name, value)
        assert got == now, (args, got, now)
    expect("max_calls 2 → 5", "--max-calls", "5", max_calls=5)
    expect("password changed", "--password-stdin", stdin="other\n", ha1_md5=hashlib.md5(b"1001:tandem.example:other").digest(),
           ha1_sha256=hashlib.sha256(b"1001:tandem.example:other").digest())
    expect("numbers 551 552 → 66 553", "--number", "66", "--number", "+55-3", numbers=["66", "553"])
    expect("disabled no → yes, max_cps 3 → 0, cps_burst 7 → 1", "--disabled", "--max-cps", "0", "--cps-burst", "1", disabled=True,
           max_cps=0, cps_burst=1)
    expect("disabled yes → no, display Ann → Bo", "--enabled", "--display", "Bo", disabled=False, display="Bo")
    expect("numbers 66 553 → none, display Bo → none", "--number", "", "--display", "", numbers=[], display="")
    out, got = change("--plan", "gold")
    assert out.startswith("done; plan subscribers → gold; but no dial plan of that name is loaded"), out
    now.plan = "gold"
    expect("plan gold → subscribers", "--plan", "", plan="subscribers")
    assert change("--max-calls", "5") == ("done\n", now), "nothing differs"
    said = json.loads(bench.ctl("subscriber", "set", aor, "--json", "--max-calls", "6", plane=plane))
    assert said == {"ok": True, "text": "done; max_calls 5 → 6"}, said
    bench.add("1002@tandem.example", "--number", "77", plane=plane)
    generation += 2
    assert "number 77 belongs to 1002@tandem.example" in change("--number", "77", code=1)[0]
    assert "expected a number" in change("--number", "x", code=1)[0]
    assert "expected an option" in change(code=2)[0]
    assert "--disabled or --enabled" in change("--disabled", "--enabled", code=2)[0]
    assert "expected a password" in change("--password-stdin", code=2, stdin="\n")[0]
    change("--replace", code=2)
    audit = [r for r in json.loads(bench.ctl("audit", "--json")) if r["what"] == "subscriber set" and r["code"] == 0]
    assert [a["text"] for a in audit][:2] == ["done; max_calls 2 → 5", "done; password changed"], audit
    bench.stop()
    assert "other" not in (bench.dir / "log").read_text() + (bench.dir / "state/audit.log").read_text()


def two_nodes_set_two_fields_at_once():
    shared = f'store = "sqlite:{FOLDER}/both.db";\n'
    one, two = Bench("both1", shared, dataplane=False), Bench("both2", shared, dataplane=False)
    one.add("1001@tandem.example", "--number", "551")
    for n in range(1, 11):
        asked = [one.begin("subscriber", "set", "1001@tandem.example", "--max-calls", str(n)),
                 two.begin("subscriber", "set", "1001@tandem.example", "--max-cps", str(n)),
                 two.begin("number", "add", f"66{n % 5}", "1001@tandem.example")]
        assert [p.wait(20) for p in asked] == [0, 0, 0], [p.stderr.read() for p in asked]
        (row,) = json.loads(one.ctl("subscriber", "list", "--json"))
        assert (row["max_calls"], row["max_cps"]) == (n, n) and f"66{n % 5}" in row["numbers"] and "551" in row["numbers"], row
    one.stop()
    two.stop()


def lists_show_what_is_there():
    bench = Bench("list")
    plane = Plane(bench)
    plane.wait("subscriber_bulk")
    for i in range(3):
        bench.add(f"100{i}@tandem.example", "--number", f"55{i}", plane=plane)
    bench.ctl("number", "add", "+66 1", "1001@tandem.example", plane=plane)
    assert list(plane.wait("subscriber_put", lambda b: len(b.subscriber.numbers) == 2).subscriber.numbers) == ["551", "661"]
    rows = json.loads(bench.ctl("subscriber", "list", "--json"))
    assert [r["aor"] for r in rows] == [f"100{i}@tandem.example" for i in range(3)]
    assert rows[1] == {"aor": "1001@tandem.example", "numbers": ["551", "661"], "plan": "subscribers", "display": "",
                       "max_calls": 0, "max_cps": 0, "cps_burst": 0, "enabled": True}
    assert json.loads(bench.ctl("subscriber", "show", "1001@tandem.example", "--json")) == rows[1]
    assert json.loads(bench.ctl("subscriber", "show", "sip:1001@Tandem.EXAMPLE", "--json")) == rows[1], "as add takes it"
    bench.ctl("subscriber", "show", "nobody@tandem.example", code=1)
    with sqlite3.connect(bench.dir / "state/tandem.db", timeout=5) as db:
        db.executemany("INSERT INTO cdr (id, from_number, to_number, complete) VALUES (?, ?, ?, 1)",
                       [("x-1", "+4930555", "sipp"), ("x-2", "4930666", "+4930555")])
    for number, ids in (("+4930555", ["x-1", "x-2"]), ("4930555", ["x-1", "x-2"]), ("+49 (30) 555", ["x-1", "x-2"]),
                        ("+49-30-666", ["x-2"]), ("sipp", ["x-1"]), ("4930", [])):
        assert sorted(r["id"] for r in json.loads(bench.ctl("cdr", "find", number, "--json"))) == ids, number
    assert {(r["number"], r["aor"][:4]) for r in json.loads(bench.ctl("number", "list", "--json"))} == \
        {("550", "1000"), ("551", "1001"), ("661", "1001"), ("552", "1002")}
    bench.ctl("number", "del", "551", plane=plane)
    assert "nobody's" in bench.ctl("number", "del", "551", code=1, plane=plane)
    assert json.loads(bench.ctl("subscriber", "show", "1001@tandem.example", "--json"))["numbers"] == ["661"]
    out = bench.add("1009@elsewhere.example", plane=plane)
    assert "no registrar of this switch has that domain (realms.registrar.domains: tandem.example)" in out, out
    assert [r["on"] for r in json.loads(bench.ctl("audit", "--last", "4", "--json"))] == [
        "+66 1 1001@tandem.example", "551", "551", "1009@elsewhere.example"]
    assert json.loads(bench.ctl("alarms", "--json")) == []
    for path in (bench.dir / "state").iterdir():
        assert path.stat().st_mode & 0o007 == 0, f"{path.name} is for everybody to read"
    bench.stop()


def what_changed_meanwhile_comes_whole():
    bench = Bench("whole")
    out = bench.add("1001@tandem.example")
    assert "when it is back" in out, out
    for i in range(2, 40):
        bench.add(f"{1000 + i}@tandem.example")
    plane = Plane(bench)
    bulk = plane.wait("subscriber_bulk", lambda b: b.last)
    assert len(unpack(bulk.entries)) == 39 and bulk.first
    plane.wait("binding_bulk", lambda b: b.last)  # on a busy machine it comes later
    plane.quiet()
    plane.close()
    plane = Plane(bench, generation=bulk.generation, restored=True)
    plane.quiet()  # it has all of it
    bench.stop()
    bench.start()
    plane.close()
    plane = Plane(bench, generation=bulk.generation, restored=True)
    plane.quiet()
    # A script changes the store, and tells nobody what.
    with sqlite3.connect(bench.dir / "state/tandem.db", timeout=5) as db:
        db.execute("UPDATE subscriber_generation SET generation = generation + 1")
    assert plane.wait("subscriber_bulk").generation == bulk.generation + 1
    bench.stop()


def what_another_node_changed_comes_one_by_one():
    shared = f'store = "sqlite:{FOLDER}/changes.db";\n'
    one = Bench("changes1", shared, dataplane=False)
    two = Bench("changes2", shared)
    plane = Plane(two, restored=True)
    generation = plane.wait("subscriber_bulk", lambda b: b.last).generation
    plane.frames.clear()
    one.add("1001@tandem.example", "--number", "551")
    put = plane.wait("subscriber_put")
    assert put.subscriber.aor == "1001@tandem.example" and list(put.subscriber.numbers) == ["551"]
    assert put.subscriber.ha1_md5 and put.generation == generation + 1
    # While it was away: several, of one some, and one that came and went.
    plane.close()
    plane = Plane(two, generation=generation + 1, restored=True)
    plane.turn()
    two.stop()
    plane.close()
    for i in range(2, 7):
        one.add(f"{1000 + i}@tandem.example")
    one.ctl("number", "add", "552", "1001@tandem.example")
    one.ctl("subscriber", "del", "1003@tandem.example")
    two.start()
    plane = Plane(two, generation=generation + 1, restored=True)
    plane.wait("subscriber_put", lambda b: list(b.subscriber.numbers) == ["551", "552"])
    gone = plane.wait("subscriber_delete")
    assert gone.aor == "1003@tandem.example" and gone.generation == generation + 8
    puts = [f.subscriber_put for b, f in plane.frames if b == "subscriber_put"]
    assert [p.subscriber.aor[:4] for p in puts] == ["1002", "1004", "1005", "1006", "1001"]
    assert not any(p.generation for p in puts), "only the last one names the generation"
    # Its own change comes behind those of others, and its asker hears when it is there.
    plane.hold = {"subscriber_put"}
    one.add("1007@tandem.example")
    plane.wait("subscriber_put", lambda b: b.subscriber.aor[:4] == "1007")
    asked = subprocess.Popen([TANDEMCTL, "-c", two.conf, "number", "add", "553", "1002@tandem.example"], text=True,
                             stdout=subprocess.PIPE)
    until(lambda: "553" in str(json.loads(two.ctl("number", "list", "--json", plane=plane))), "the number")
    assert asked.poll() is None
    plane.release("subscriber_put")
    put = plane.wait("subscriber_put", lambda b: list(b.subscriber.numbers) == ["553"])
    while asked.poll() is None:
        plane.turn()
    assert asked.stdout.read() == "done\n" and put.generation == generation + 10
    # What the data plane refuses brings the whole table.
    plane.refuse.add("subscriber_put")
    plane.frames.clear()
    one.add("1008@tandem.example")
    assert len(unpack(plane.wait("subscriber_bulk", lambda b: b.last).entries)) == 7
    plane.refuse.clear()
    # As does a log that does not reach back.
    with sqlite3.connect(FOLDER / "changes.db", timeout=5) as db:
        db.execute("DELETE FROM subscriber_change")
        db.execute("UPDATE subscriber_generation SET generation = generation + 1")
    plane.frames.clear()
    assert plane.wait("subscriber_bulk", lambda b: b.last).generation == generation + 12
    plane.quiet()
    one.stop()
    two.stop()


def wait_waits_for_subscribers_and_bindings():
    bench = Bench("wait")
    bench.add("1001@tandem.example")
    plane = Plane(bench)
    plane.hold = {"subscriber_bulk", "binding_bulk"}
    plane.wait("subscriber_bulk")

    def waits(code, timeout=1):
        p = subprocess.Popen([TANDEMCTL, "-c", bench.conf, "wait", "--timeout", str(timeout)], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
        while p.poll() is None:
            plane.turn()
        out = p.stdout.read()
        assert p.returncode == code, (p.returncode, out)
        return out

    def waits_for(what):  # a busy control has not read yet what was sent before it was asked
        until(lambda: f"has not taken the {what}" in waits(3), f"a wait for the {what}", 30)
    waits_for("subscribers")
    plane.release("subscriber_bulk")
    plane.wait("binding_bulk")
    waits_for("registrations")
    plane.release("binding_bulk")
    waits(0, 30)
    plane.close()
    plane = Plane(bench)  # begins anew: so does the wait
    plane.hold = {"subscriber_bulk"}
    plane.wait("subscriber_bulk")
    waits_for("subscribers")
    bench.stop()


def a_refused_change_is_told_and_sent_again():
    bench = Bench("refused")
    plane = Plane(bench)
    plane.wait("subscriber_bulk")
    plane.refuse.add("subscriber_put")
    plane.frames.clear()
    assert "stored; no memory here" in bench.add("1001@tandem.example", plane=plane)
    assert unpack(plane.wait("subscriber_bulk").entries) == ["1001@tandem.example"]
    bench.stop()


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def journal(bench, payloads):
    sequence = 1 << 32
    with open(bench.dir / f"state/journal/{sequence:016x}.tdj", "ab") as f:
        if f.tell() == 0:
            f.write(struct.pack("<IIQ", 0x4c4a4454, 1, sequence))
        for payload in payloads:
            crc = crc32c(struct.pack("<HI", 5, 1) + payload)
            f.write(struct.pack("<IIHHI", len(payload), crc, 5, 0, 1) + payload)


def trunks(bench):
    """name → settings of the trunks in the store."""
    return {t["name"]: t["settings"] for t in json.loads(bench.ctl("trunk", "list", "--json"))}


FILE_TRUNK = 'trunks = ( { name = "file"; realm = "access"; peers = ( { address = "10.0.1.1"; } ); } );\n'


def trunks_of_the_store_join_those_of_the_file():
    bench = Bench("trunks", FILE_TRUNK)
    plane = Plane(bench)

    def pushed(*names):
        return plane.wait("policy", lambda p: sorted(t.name for t in p.trunks) == sorted(names))
    pushed("file")
    out = bench.ctl("trunk", "add", "one", "--realm", "access", "--peer", "10.0.1.7:5070", "--peer", "10.0.1.8", "--max-calls",
                    "7", "--max-cps", "3", "--set", 'trust="in"', plane=plane)
    assert "1 added" in out and "+ one" in out, out
    one = next(t for t in pushed("file", "one").trunks if t.name == "one")
    assert [(p.address.ip, p.address.port) for p in one.peers] == [(bytes([10, 0, 1, 7]), 5070), (bytes([10, 0, 1, 8]), 5060)]
    assert one.max_calls == 7 and one.max_cps == 3 and one.enabled
    assert "there already" in bench.ctl("trunk", "add", "one", "--realm", "access", "--peer", "10.0.1.9", code=1, plane=plane)
    assert "configuration file" in bench.ctl("trunk", "add", "file", "--realm", "access", "--peer", "10.0.1.9", code=1)
    assert "configuration file" in bench.ctl("trunk", "del", "file", code=1)
    assert "not in the store" in bench.ctl("trunk", "del", "two", code=1)
    for wrong, words in ((["--realm", "nowhere", "--peer", "10.0.1.9"], "stored trunk two: trunks[2].realm"),
                         (["--realm", "access", "--peer", "10.0.1.7:99999"], "peers[0].port"),
                         (["--realm", "access", "--peer", "10.0.1.9", "--max-calls", "many"], "max_calls"),
                         (["--realm", "access", "--peer", "10.0.1.7"], "ambig"),
                         (["--realm", "access", "--peer", "10.0.1.9", "--set", "auth={ password = \"x\"; }"], "account"),
                         (["--realm", "access", "--peer", "10.0.1.9", "--set", "no_such_key=1"], "no_such_key")):
        text = bench.ctl("trunk", "add", "two", *wrong, code=1, plane=plane)
        assert words in text, (wrong, text)
    assert "~ one" in bench.ctl("trunk", "set", "one", "--max-calls", "9", "--max-cps", "", plane=plane)
    assert trunks(bench) == {"one": ['realm="access"', 'peers=( { address = "10.0.1.7"; port = 5070; }, { address = "10.0.1.8"; } )',
                                     'trust="in"', "max_calls=9"]}
    plane.wait("policy", lambda p: any(t.name == "one" and t.max_calls == 9 and t.max_cps == 0 for t in p.trunks))
    # Over a restart, also where the store cannot be read.
    bench.stop(signal.SIGKILL)
    plane.close()
    db = bench.dir / "state/tandem.db"
    db.rename(bench.dir / "aside")
    db.mkdir()
    bench.start()
    plane = Plane(bench)
    pushed("file", "one")
    db.rmdir()
    (bench.dir / "aside").rename(db)
    # The file takes the name: its trunk holds, and what is in the store waits.
    bench.conf.write_text(bench.conf.read_text().replace('name = "file"', 'name = "one"'))
    bench.ctl("reload", plane=plane)
    assert pushed("one").trunks[0].peers[0].address.ip == bytes([10, 0, 1, 1])
    bench.conf.write_text(bench.conf.read_text().replace('name = "one"', 'name = "file"'))
    bench.ctl("reload", plane=plane)
    # A route of the file that names it keeps it.
    text = bench.conf.read_text()
    bench.conf.write_text(text + 'routes = ( { from = [ "file" ]; to = ( { trunk = "one"; } ); } );\n')
    bench.ctl("reload", plane=plane)
    assert "routes[0].to" in until(lambda: bench.ctl("trunk", "del", "one", code=1, plane=plane), "the refusal")
    bench.conf.write_text(text)
    bench.ctl("reload", plane=plane)
    plane.frames.clear()
    assert "- one" in bench.ctl("trunk", "del", "one", plane=plane) and trunks(bench) == {}
    pushed("file")
    audit = json.loads(bench.ctl("audit", "--json"))
    assert [a["on"] for a in audit if a["what"] in ("trunk add", "trunk set") and a["code"] == 0] == ["one", "one"]
    assert [a["on"] for a in audit if a["what"] == "trunk del" and a["code"] == 0] == ["one"]
    bench.stop()


def one_reason_is_enough():
    bench = Bench("none", config=CONFIG.replace('registrar = { domains = [ "tandem.example" ]; };', ""), dataplane=False)
    said = bench.add("1001@tandem.example")
    assert "no realm of the switch has a registrar" in said and "that domain" not in said, said
    bench.stop()


def what_a_try_stored_unheard_is_done():
    """A try that fails, and what it was for is in the store all the same when the next one comes."""
    bench = Bench("unheard")
    plane = Plane(bench)
    db = bench.dir / "state/tandem.db"

    def by_hand(sql):
        with sqlite3.connect(db, timeout=5) as connection:
            connection.executescript(f"BEGIN; {sql}; COMMIT")

    def heard_late(table, sql, *args):
        by_hand(f"CREATE TRIGGER lost BEFORE UPDATE ON {table}_generation BEGIN SELECT RAISE(FAIL, 'lost'); END")
        p = bench.begin(*args)
        p.stdin.write("secret\n")
        p.stdin.close()
        p.stdin = None
        time.sleep(0.4)
        by_hand(f"DROP TRIGGER lost; {sql}; UPDATE {table}_generation SET generation = generation + 1")
        until(lambda: plane.turn() or p.poll() is not None, "the answer")
        return p.returncode, "".join(p.communicate())
    setting = ["one", "--realm", "access", "--peer", "10.0.1.7"]
    bench.ctl("trunk", "add", *setting, plane=plane)
    by_hand("CREATE TABLE kept_trunk AS SELECT * FROM trunk")
    bench.ctl("trunk", "del", "one", plane=plane)
    put = "INSERT INTO trunk SELECT * FROM kept_trunk"
    code, said = heard_late("trunk", put, "trunk", "add", *setting)
    assert code == 0 and "there already" not in said, said
    code, said = heard_late("trunk", "DELETE FROM trunk", "trunk", "del", "one")
    assert code == 0, said
    # Another's is not ours.
    code, said = heard_late("trunk", put, "trunk", "add", *setting[:3], "--peer", "10.0.1.8")
    assert code == 1 and "there already" in said, said
    # Subscribers: their data plane follows by the log.
    aor, numbers = "1001@tandem.example", ["--number", "4930555100"]
    bench.add(aor, *numbers, plane=plane)
    by_hand("CREATE TABLE kept AS SELECT * FROM subscriber; CREATE TABLE kept_number AS SELECT * FROM number")
    bench.ctl("subscriber", "del", aor, plane=plane)
    logged = f"INSERT INTO subscriber_change SELECT generation + 1, '{aor}' FROM subscriber_generation"
    put = f"INSERT INTO subscriber SELECT * FROM kept; INSERT INTO number SELECT * FROM kept_number; {logged}"
    gone = f"DELETE FROM subscriber; DELETE FROM number; {logged}"
    add = ["subscriber", "add", aor, "--password-stdin"]
    plane.frames.clear()
    code, said = heard_late("subscriber", put, *add, *numbers)
    assert code == 0 and "stored" in said, said
    assert plane.wait("subscriber_put").subscriber.aor == aor
    code, said = heard_late("subscriber", f"DELETE FROM number; {logged}", "number", "del", "4930555100")
    assert code == 0, said
    code, said = heard_late("subscriber", gone, "subscriber", "del", aor)
    assert code == 0, said
    assert plane.wait("subscriber_delete").aor == aor
    code, said = heard_late("subscriber", put, *add)
    assert code == 1 and "there already" in said, said
    bench.stop()
    plane.close()


def another_node_takes_the_trunks_of_the_store():
    shared = f'store = "sqlite:{FOLDER}/shared.db";\n'
    one = Bench("node1", shared + FILE_TRUNK, dataplane=False)
    two = Bench("node2", shared + FILE_TRUNK)
    plane = Plane(two)
    one.ctl("trunk", "add", "x", "--realm", "access", "--peer", "10.0.1.7")
    plane.wait("policy", lambda p: "x" in [t.name for t in p.trunks])
    # What does not fit a node stays out there, and is told.
    two.conf.write_text(two.conf.read_text().replace('"10.0.1.1"', '"10.0.1.9"'))
    two.ctl("reload", plane=plane)
    one.ctl("trunk", "add", "y", "--realm", "access", "--peer", "10.0.1.9")

    def refused():
        plane.turn()
        return [a for a in json.loads(two.ctl("alarms", "--json")) if a["name"] == "trunks.refused"]
    alarm = until(refused, "the alarm")[0]
    assert "ambig" in alarm["text"] and "trunk set" in alarm["advice"], alarm
    # Nor does it keep the node from starting again.
    two.stop()
    plane.close()
    two.start()
    plane = Plane(two)
    until(refused, "the alarm again")
    one.ctl("trunk", "del", "y")
    until(lambda: not refused(), "the end of the alarm")
    one.ctl("trunk", "del", "x")
    plane.frames.clear()
    plane.wait("policy", lambda p: [t.name for t in p.trunks] == ["file"])
    one.stop()
    two.stop()


def bindings_outlive_both_daemons():
    bench = Bench("bindings")
    plane = Plane(bench)
    plane.wait("binding_bulk", lambda b: b.last)
    now = int(time.time())
    journal(bench, [binding("1001@tandem.example", "sip:1001@10.0.1.1:5062", 5, now + 600),
                    binding("1002@tandem.example", "sip:1002@10.0.1.1:5062", 6, now + 600),
                    binding("1003@tandem.example", "sip:1003@10.0.1.1:5062", 7, now - 5)])
    rows = until(lambda: json.loads(bench.ctl("show", "registrations", "--json")), "registrations")
    assert [r["aor"] for r in rows] == ["1001@tandem.example", "1002@tandem.example"]
    assert rows[0]["contact"] == "sip:1001@10.0.1.1:5062" and rows[0]["received"] == "10.0.1.1:5062", rows
    assert 590 <= rows[0]["expires_s"] <= 600 and rows[0]["user_agent"] == "Phone" and rows[0]["path"] == ""
    assert [r["contact"] for r in json.loads(bench.ctl("show", "registrations", "1002@tandem.example", "--json"))] == \
        ["sip:1002@10.0.1.1:5062"]
    bench.stop(signal.SIGKILL)
    plane.close()
    # What a killed data plane journaled last is read before the bindings go back.
    journal(bench, [binding("1002@tandem.example", "sip:1002@10.0.1.1:5062", 8, 0, op=2),
                    binding("1004@tandem.example", "sip:1004@10.0.1.1:5062", 9, now + 600)])
    bench.start()
    plane = Plane(bench)
    bulk = plane.wait("binding_bulk", lambda b: b.last)
    assert b"1001@tandem.example" in bulk.records and b"1004@tandem.example" in bulk.records
    assert b"1002@tandem.example" not in bulk.records and b"1003@tandem.example" not in bulk.records
    plane.quiet()
    bench.stop()


def a_wrong_store_stops_nothing_and_says_so():
    bench = Bench("wrong")
    bench.stop()
    with sqlite3.connect(bench.dir / "state/tandem.db", timeout=5) as db:
        ((version,),) = db.execute("SELECT version FROM schema_version").fetchall()
        db.execute("UPDATE schema_version SET version = 99")
    bench.start()
    alarm = until(lambda: json.loads(bench.ctl("alarms", "--json")), "an alarm")[0]
    assert alarm["name"] == "store.down" and alarm["severity"] == "critical" and alarm["advice"], alarm
    assert "schema version 99" in alarm["text"] and alarm["since_us"] > 1e15
    assert "schema version 99" in bench.ctl("subscriber", "list", code=1)
    assert "schema version 99" in bench.add("1001@tandem.example", code=1)
    with sqlite3.connect(bench.dir / "state/tandem.db", timeout=5) as db:
        db.execute("UPDATE schema_version SET version = ?", (version,))
    until(lambda: "store.down" not in [a["name"] for a in json.loads(bench.ctl("alarms", "--json"))], "the end of the alarm", 15)
    bench.stop()


def a_server_that_does_not_answer_is_told_in_time():
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and says nothing
        bench = Bench("silent")
        bench.stop()
        port = silent.getsockname()[1]
        bench.conf.write_text(bench.conf.read_text() + f'store = "postgresql://u@127.0.0.1:{port}/db";\n')
        bench.start()
        begin = time.monotonic()
        asked = [subprocess.Popen([TANDEMCTL, "-c", bench.conf, "number", "list"], stderr=subprocess.PIPE, text=True)
                 for _ in range(3)]
        for p in asked:
            assert p.wait(30) == 1 and "does not answer" in p.stderr.read()
        assert time.monotonic() - begin < 15, "one patience for all of them"
        bench.stop()


def limits_that_a_store_cannot_keep_are_refused():
    """tandemctl refuses them itself; others speak the protocol too, and PostgreSQL's INTEGER has 31 bits."""
    bench = Bench("limits", dataplane=False)
    for field in ("max_calls", "max_cps", "cps_burst"):
        asked = pb.Frame(version=1, id=7)
        asked.subscriber_add.aor, asked.subscriber_add.password = "1001@tandem.example", "secret"
        setattr(asked.subscriber_add, field, 1 << 31)
        raw = asked.SerializeToString()
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(bench.dir / "control.sock"))
            s.sendall(struct.pack(">I", len(raw)) + raw)
            s.settimeout(10)
            answer = pb.Frame.FromString(s.recv(4096)[4:])
        assert "at most 10000000" in answer.error.text, answer
    assert json.loads(bench.ctl("subscriber", "list", "--json")) == []
    bench.stop()


def main(tests=None):
    tests = tests or [a_subscriber_reaches_the_data_plane, set_changes_what_is_named, two_nodes_set_two_fields_at_once,
             lists_show_what_is_there, what_changed_meanwhile_comes_whole,
             what_another_node_changed_comes_one_by_one, wait_waits_for_subscribers_and_bindings, trunks_of_the_store_join_those_of_the_file,
             what_a_try_stored_unheard_is_done, one_reason_is_enough, another_node_takes_the_trunks_of_the_store,
             a_refused_change_is_told_and_sent_again, bindings_outlive_both_daemons, a_wrong_store_stops_nothing_and_says_so,
             a_server_that_does_not_answer_is_told_in_time, limits_that_a_store_cannot_keep_are_refused]
    print(f"1..{len(tests)}")
    bad = 0
    for n, test in enumerate(tests, 1):
        try:
            test()
            print(f"ok {n} - {test.__name__}", flush=True)
        except Exception:
            bad += 1
            print(f"not ok {n} - {test.__name__}\n" + "".join("# " + line + "\n" for line in traceback.format_exc().splitlines()),
                  flush=True)
    for bench in Bench.made:
        bench.p.kill()
    shutil.rmtree(FOLDER, ignore_errors=True)
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
