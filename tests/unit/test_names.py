#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""tandem-control between a name server and a data plane that this test plays: host names of peers get there as addresses, follow
what the server says, and stand when it says nothing, nonsense, or too much.

usage: test_names.py TANDEM_CONTROL TANDEMCTL
"""
import contextlib
import ipaddress
import json
import socket
import struct
import subprocess
import sys
import threading
import time

from test_provision import CONTROL, Bench, Plane, until
from test_provision import main as run

A, CNAME, AAAA, SRV, NAPTR = 1, 5, 28, 33, 35
SERVFAIL, NXDOMAIN = 2, 3

CONFIG = """run_dir = "%%(dir)s"; state_dir = "%%(dir)s/state"; lcores = { workers = [ 0 ]; };
metrics = { enabled = false; };
dns = { servers = [ "127.0.0.1:%d" ]; timeout = 0.2; tries = 2; min_ttl = 1; };
ports = ( { name = "p"; device = "net_null0"; } );
realms = ( { name = "west"; port = "p"; addresses = [ "10.0.1.254/24" ]; sip = ( { } ); } );
trunks = ( %s );
"""
TRUNK = '{ name = "%s"; realm = "west"; peers = ( %s ); }'


def encoded(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


def a(address):
    ip = ipaddress.ip_address(address)
    return (A if ip.version == 4 else AAAA, ip.packed)


def srv(priority, weight, port, target):
    return (SRV, struct.pack(">HHH", priority, weight, port) + encoded(target))


def naptr(order, preference, flags, service, replacement):
    text = b"".join(bytes([len(t)]) + t.encode() for t in (flags, service, ""))
    return (NAPTR, struct.pack(">HH", order, preference) + text + encoded(replacement))


class Server:
    """zone: name → records; how: name → what it does instead of answering."""

    def __init__(self):
        self.zone, self.how, self.ttl, self.asked, self.over_tcp, self.away = {}, {}, 1, [], 0, False
        while True:
            self.udp, self.tcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()
            self.udp.bind(("127.0.0.1", 0))
            self.port = self.udp.getsockname()[1]
            self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                self.tcp.bind(("127.0.0.1", self.port))
                break
            except OSError:
                self.udp.close()
                self.tcp.close()
        self.tcp.listen(8)
        threading.Thread(target=self.serve_udp, daemon=True).start()
        threading.Thread(target=self.serve_tcp, daemon=True).start()

    def reply(self, query, tcp):
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        name, kind = ".".join(labels).lower(), struct.unpack(">H", query[at + 1:at + 3])[0]
        self.asked.append((time.monotonic(), name, kind))
        how = "silence" if self.away else self.how.get(name)
        if how == "silence":
            return None
        if how == "garbage":
            return query[:2] + b"\x81\x80\0\1\0\7\0\0\0\0" + b"\xc0\x0c\xff" * 9
        records = [r for r in self.zone.get(name, []) if r[0] in (kind, CNAME)]
        code = how if isinstance(how, int) else 0 if name in self.zone else NXDOMAIN
        truncated = how == "truncated" and not tcp
        if code or truncated:
            records = []
        question = query[12:at + 5]
        body = b"".join(encoded(name) + struct.pack(">HHIH", t, 1, self.ttl, len(d)) + d for t, d in records)
        return query[:2] + struct.pack(">HHHHH", 0x8180 | code | (0x200 if truncated else 0), 1, len(records), 0, 0) + question + body

    def serve_udp(self):
        while True:
            query, where = self.udp.recvfrom(4096)
            if (out := self.reply(query, False)) is not None:
                self.udp.sendto(out, where)

    def serve_tcp(self):
        while True:
            s, _ = self.tcp.accept()
            threading.Thread(target=self.serve_connection, args=(s,), daemon=True).start()

    def serve_connection(self, s):
        with s, contextlib.suppress(ConnectionError):
            while len(head := s.recv(2, socket.MSG_WAITALL)) == 2:
                self.over_tcp += 1
                out = self.reply(s.recv(struct.unpack(">H", head)[0], socket.MSG_WAITALL), True)
                if out is not None:
                    s.sendall(struct.pack(">H", len(out)) + out)

    def since(self, start, name, kind):
        return [t for t, n, k in self.asked if t >= start and (n, k) == (name, kind)]


def peers(policy, trunk):
    return [(str(ipaddress.ip_address(p.address.ip)), p.address.port) for t in policy.trunks if t.name == trunk for p in t.peers]


def with_peers(trunk, *addresses):
    return lambda policy: [ip for ip, _ in peers(policy, trunk)] == list(addresses)


def names(bench, plane=None):
    return {n["name"]: n for n in json.loads(bench.ctl("show", "dns", "--json", plane=plane))}


def alarms(bench, plane=None):
    return {x["name"]: x for x in json.loads(bench.ctl("alarms", "--json", plane=plane)) if x["name"].startswith("dns.")}


def bench_of(name, server, *trunks):
    return Bench(name, config=CONFIG % (server.port, ", ".join(trunks)))


def pushed(plane):
    return sum(body == "policy" for body, _ in plane.frames)


# --- tests ---

def a_carrier_by_srv_follows_its_records():
    server = Server()
    server.zone = {"carrier.test": [naptr(10, 10, "s", "SIP+D2U", "_sip._udp.c.test")],
                   "_sip._udp.c.test": [srv(20, 0, 5060, "t3.test"), srv(10, 30, 5061, "t2.test"), srv(10, 10, 5062, "T1.test")],
                   "t1.test": [a("10.0.1.1"), a("fd00::1")], "t2.test": [a("10.0.1.2")], "t3.test": [a("10.0.1.3")]}
    bench = bench_of("srv", server, TRUNK % ("a", '{ address = "Carrier.test"; }, { address = "10.0.1.9"; priority = 2; }'))
    plane = Plane(bench)
    policy = plane.wait("policy", with_peers("a", "10.0.1.1", "10.0.1.2", "10.0.1.3", "10.0.1.9"))
    trunk = policy.trunks[0]
    assert [p.address.port for p in trunk.peers] == [5062, 5061, 5060, 5060]
    assert [p.host for p in trunk.peers] == [1, 1, 1, 0] and trunk.hosts[0].name == "carrier.test" and trunk.hosts[0].port == 0
    assert trunk.peers[0].set == trunk.peers[1].set != trunk.peers[2].set
    assert 2.9 < trunk.peers[1].weight / trunk.peers[0].weight < 3.1
    shown = names(bench, plane)["carrier.test"]
    assert shown["state"] == "resolved" and shown["trunks"] == ["a"] and shown["records"][0] == {
        "address": "10.0.1.1:5062", "priority": 10, "weight": 10, "host": "t1.test"}, shown
    assert len(shown["records"]) == 4  # the realm has no IPv6, the name has

    # What comes again, in another order and for longer, is nothing new.
    count = pushed(plane)
    server.zone["_sip._udp.c.test"].reverse()
    server.ttl = 2
    start = time.monotonic()
    until(lambda: plane.turn() or len(server.since(start, "t2.test", A)) >= 2, "two more questions")
    assert pushed(plane) == count
    # One moves.
    watch = subprocess.Popen([sys.argv[2], "-c", bench.conf, "watch", "--kind", "dns", "--json", "--timeout", "20"],
                             stdout=subprocess.PIPE, text=True)
    time.sleep(0.3)
    server.zone["t2.test"] = [a("10.0.1.22")]
    plane.wait("policy", with_peers("a", "10.0.1.1", "10.0.1.22", "10.0.1.3", "10.0.1.9"))
    event = json.loads(watch.stdout.readline())
    watch.kill()
    assert (event["kind"], event["subject"], event["state"]) == ("dns", "carrier.test", "changed"), event
    # Disabled, it keeps its addresses.
    bench.ctl("trunk", "disable", "a", plane=plane)
    policy = plane.wait("policy", lambda p: not p.trunks[0].enabled)
    assert len(policy.trunks[0].peers) == 4
    bench.stop()


def a_port_asks_for_addresses_alone():
    server = Server()
    server.zone = {"c.test": [a("10.0.1.1"), a("10.0.1.2")], "_sip._udp.c.test": [srv(1, 1, 5060, "x.test")]}
    bench = bench_of("port", server, TRUNK % ("a", '{ address = "c.test"; port = 5070; }'))
    plane = Plane(bench)
    policy = plane.wait("policy", with_peers("a", "10.0.1.1", "10.0.1.2"))
    assert [p.address.port for p in policy.trunks[0].peers] == [5070, 5070]
    assert {k for _, _, k in server.asked} == {A, AAAA}
    bench.stop()


def nobody_waits_for_a_silent_server():
    server = Server()
    server.away = True
    server.zone = {"c.test": [a("10.0.1.1")]}
    bench = bench_of("silent", server, TRUNK % ("a", '{ address = "c.test"; }'), TRUNK % ("b", '{ address = "10.0.1.5"; }'))
    start = time.monotonic()
    plane = Plane(bench)
    policy = plane.wait("policy")
    assert time.monotonic() - start < 3 and peers(policy, "a") == [] and peers(policy, "b") == [("10.0.1.5", 5060)]
    alarm = until(lambda: alarms(bench, plane), "the alarm")["dns.unresolved"]
    assert alarm["severity"] == "critical" and alarm["subject"] == "c.test" and "503" in alarm["text"] and alarm["advice"], alarm
    assert names(bench, plane)["c.test"]["state"] == "unresolved"
    start, before = time.monotonic(), len(server.asked)
    until(lambda: plane.turn() or time.monotonic() > start + 3, "three seconds")
    assert len(server.asked) - before <= 16, server.asked  # pauses grow
    server.away = False
    bench.ctl("dns", "refresh", "C.test", plane=plane)
    plane.wait("policy", with_peers("a", "10.0.1.1"))
    until(lambda: not alarms(bench, plane), "the end of the alarm")
    assert "no trunk has a peer" in bench.ctl("dns", "refresh", "other.test", code=1)
    assert any(x["what"] == "dns refresh" and x["on"] == "C.test" for x in json.loads(bench.ctl("audit", "--json"))), bench.ctl("audit", "--json")
    bench.stop()


def the_old_answer_serves():
    """Whatever the server does, and over restarts; what it says at last is taken."""
    server = Server()
    zone = {"c.test": [a("10.0.1.1")], "d.test": [a("10.0.1.2")]}
    server.zone = dict(zone)
    bench = bench_of("old", server, TRUNK % ("a", '{ address = "c.test"; }, { address = "d.test"; port = 5061; }'))
    plane = Plane(bench)
    generation = plane.wait("policy", with_peers("a", "10.0.1.1", "10.0.1.2")).generation
    count = pushed(plane)
    for how in ("silence", "garbage", SERVFAIL, NXDOMAIN):
        server.how = {n: how for n in ("c.test", "d.test", "_sip._udp.c.test")}
        until(lambda: plane.turn() or names(bench, plane)["c.test"]["state"] == "stale", f"{how}", 15)
        alarm = until(lambda: alarms(bench, plane).get("dns.stale"), "the alarm")
        assert "has not resolved for" in alarm["text"] and alarm["severity"] == "warning", alarm
        assert names(bench, plane)["c.test"]["records"] and names(bench, plane)["c.test"]["error"]
        assert pushed(plane) == count, how
        server.how = {}
        for name in zone:
            bench.ctl("dns", "refresh", name, plane=plane)
        until(lambda: plane.turn() or not alarms(bench, plane), f"the end of the alarm after {how}")
    server.away = True
    plane.close()
    bench.stop()
    bench.start()
    plane = Plane(bench)
    policy = plane.wait("policy")
    assert policy.generation == generation and peers(policy, "a") == [("10.0.1.1", 5060), ("10.0.1.2", 5061)]
    assert names(bench, plane)["c.test"]["state"] == "stale"
    server.zone["c.test"] = [a("10.0.1.11")]
    server.away = False
    plane.wait("policy", with_peers("a", "10.0.1.11", "10.0.1.2"))
    bench.stop()


def answers_of_every_size():
    server = Server()
    server.ttl = 0
    server.zone = {"tcp.test": [a("10.0.1.1")], "huge.test": [a(f"10.0.1.{n}") for n in range(2, 202)],
                   "loop.test": [(CNAME, encoded("loop.test"))]}
    server.how = {"tcp.test": "truncated", "huge.test": "truncated"}
    bench = bench_of("size", server, *(TRUNK % (n, '{ address = "%s.test"; port = 5060; }' % n) for n in ("tcp", "huge", "loop")))
    plane = Plane(bench)
    policy = plane.wait("policy", lambda p: peers(p, "tcp") and peers(p, "huge"))
    assert peers(policy, "tcp") == [("10.0.1.1", 5060)] and len(peers(policy, "huge")) == 16 and peers(policy, "loop") == []
    assert server.over_tcp >= 2
    shown = names(bench, plane)
    assert shown["huge.test"]["left_out"] >= 112 and shown["loop.test"]["state"] == "unresolved", shown
    # A time to live of nothing is one of min_ttl.
    start = time.monotonic()
    until(lambda: plane.turn() or time.monotonic() > start + 3.2, "three seconds")
    assert len(server.since(start, "tcp.test", A)) <= 8, server.since(start, "tcp.test", A)  # each twice: UDP, then TCP
    bench.stop()


def many_names_are_few_alarms():
    """A name server that is away hides nothing else that is wrong."""
    server = Server()
    server.away = True
    server.zone = {f"n{n}.test": [a(f"10.0.1.{n + 1}")] for n in range(60)}
    bench = bench_of("many", server, *(TRUNK % (f"t{n}", '{ address = "n%d.test"; port = 5060; }' % n) for n in range(60)))
    plane = Plane(bench)
    until(lambda: plane.turn() or all(n["state"] == "unresolved" for n in names(bench, plane).values()), "sixty failures", 20)
    raised = [x["name"] for x in json.loads(bench.ctl("alarms", "--json", plane=plane))]
    assert raised.count("dns.unresolved") == 16 and raised.count("dns.many") == 1, raised
    server.away = False
    for name in server.zone:
        bench.ctl("dns", "refresh", name, plane=plane)
    plane.wait("policy", lambda p: all(t.peers for t in p.trunks))
    until(lambda: plane.turn() or not alarms(bench, plane), "the end of the alarms")
    assert pushed(plane) <= 8, pushed(plane)
    bench.stop()


def reload_changes_names():
    server = Server()
    server.zone = {"c.test": [a("10.0.1.1")], "d.test": [a("10.0.1.1"), a("10.0.1.2")]}
    bench = bench_of("reload", server, TRUNK % ("a", '{ address = "c.test"; }'))
    plane = Plane(bench)
    plane.wait("policy", with_peers("a", "10.0.1.1"))
    text = bench.conf.read_text()
    bench.conf.write_text(text.replace("trunks = (", "trunks = ( %s, " % (TRUNK % ("b", '{ address = "d.test"; }'))))
    assert "1 added" in bench.ctl("reload", plane=plane)
    plane.wait("policy", with_peers("b", "10.0.1.1", "10.0.1.2"))
    # Both have an address: the first of the file keeps it.
    alarm = until(lambda: alarms(bench, plane).get("dns.ambiguous"), "the alarm")
    assert alarm["subject"] == "a" and "10.0.1.1" in alarm["text"] and "trunk b" in alarm["text"], alarm
    bench.conf.write_text(text.replace("c.test", "e.test"))
    assert "hosts c.test → e.test" in bench.ctl("reload", plane=plane)
    until(lambda: set(names(bench, plane)) == {"e.test"}, "the names")
    plane.wait("policy", lambda p: len(p.trunks) == 1 and peers(p, "a") == [])
    assert set(alarms(bench, plane)) <= {"dns.unresolved"}
    # One that is refused is pushed again, and a later change is not held up by it.
    plane.refuse.add("policy")
    server.zone["e.test"] = [a("10.0.1.7")]
    bench.ctl("dns", "refresh", "e.test", plane=plane)
    plane.wait("policy", with_peers("a", "10.0.1.7"))
    plane.refuse.clear()
    until(lambda: plane.turn() or json.loads(bench.ctl("wait", "--json", "--timeout", "2", plane=plane))["ok"], "being in sync")
    bench.stop()
    # Faults of the file are found without a name server, names are not.
    server.away = True
    check = subprocess.run([CONTROL, "-c", bench.conf, "--check"], capture_output=True, text=True, timeout=2)
    assert check.returncode == 0, check.stderr


if __name__ == "__main__":
    sys.exit(run([a_carrier_by_srv_follows_its_records, a_port_asks_for_addresses_alone, nobody_waits_for_a_silent_server,
                  the_old_answer_serves, answers_of_every_size, many_names_are_few_alarms,
                  reload_changes_names]))
