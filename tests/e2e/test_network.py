# SPDX-License-Identifier: BSD-3-Clause
"""What lies below SIP: media and its sources, RTCP, echoes, neighbours."""
import os
import re
import socket
import struct
import time

import pytest

from lab import Lab, SIDES, sh, until
from raw import Established, Raw, Talking, arrived, family_of, inside, rtp, socket_in

def learning_east(text):
    head, east = text.split('name = "east"', 1)
    return head + 'name = "east"' + east.replace('source = "strict"', 'source = "learn-once"', 1)


@pytest.fixture(scope="module", params=[(1,), (1, 1, 1)], ids=["1", "3"])
def lab(request):
    with Lab(workers=request.param, edit=learning_east) as running:
        yield running


@pytest.fixture
def ends(lab):
    with Raw(lab, "a") as a, Raw(lab, "b") as b:
        yield a, b
    lab.settle()


def counted(lab, name, before, n):
    until(lambda: lab.counters()[name] >= before[name] + n, 3, what=f"{n} more {name}")
    assert lab.counters()[name] == before[name] + n


def test_malformed_and_foreign_rtp(lab, ends):
    a, b = ends
    call = Talking(lab, a, b)
    before = lab.counters()
    stray = socket_in(lab.ns["a"], "10.0.1.3", 41000)
    with stray, socket_in(lab.ns["a"], a.ip, 41008) as other_port:
        for n in range(5):
            stray.sendto(rtp(n, ssrc=9), call.to["a"])  # strict: another address
            other_port.sendto(bytes((0x40,)) + rtp(n)[1:], call.to["a"])  # version 1
            other_port.sendto(rtp(n)[:11], call.to["a"])
            other_port.sendto(bytes((0x8f,)) + rtp(n)[1:14], call.to["a"])  # 15 CSRCs that are not there
        stray.sendto(rtp(0), (call.to["a"][0], call.to["a"][1] + 400))  # no call has that port
        counted(lab, "rtp.wrong_source", before, 5)
        counted(lab, "rtp.bad_version", before, 5)
        counted(lab, "rtp.bad_length", before, 10)
        counted(lab, "rtp.no_leg", before, 1)
    call.stop()
    call.end()


def test_learn_once(lab, ends):
    a, b = ends
    before = lab.counters()
    with socket_in(lab.ns["a"], a.ip, 40000) as at_a, socket_in(lab.ns["b"], "10.0.2.4", 47000) as behind_nat, \
            socket_in(lab.ns["b"], "10.0.2.5", 47000) as thief:
        call = Established(a, b)
        to_a, to_b = call.ok_at_a.media(), call.invite_at_b.media()
        behind_nat.sendto(rtp(1), to_b)
        assert [x[0] for x in arrived(at_a, 2)] == [rtp(1)]
        at_a.sendto(rtp(2), to_a)
        assert [x[0] for x in arrived(behind_nat, 2)] == [rtp(2)]
        thief.sendto(rtp(3), to_b)
        counted(lab, "rtp.wrong_source", before, 1)
        at_a.sendto(rtp(4), to_a)
        assert [x[0] for x in arrived(behind_nat, 2)] == [rtp(4)]
        assert arrived(thief, 0.1) == [] and arrived(at_a, 0.1) == []
        # A new offer opens the window again.
        call.modify_from_a(a.sdp(version=2), b.sdp(version=2))
        thief.sendto(rtp(5), to_b)
        assert [x[0] for x in arrived(at_a, 2)] == [rtp(5)]
        call.bye_from_a(cseq=3)
        b.reply(b.expect("BYE"), 200)
        a.expect(200)


def test_rtcp_goes_along(lab, ends):
    a, b = ends
    before = lab.counters()
    report = struct.pack("!BBHIIIIII", 0x80, 200, 6, 0x5001, 1, 2, 3, 4, 5) + struct.pack("!BBHIBB", 0x81, 202, 3, 0x5001, 1, 4) + \
        b"abcd\0\0"
    with socket_in(lab.ns["a"], a.ip, 40001) as at_a, socket_in(lab.ns["b"], b.ip, 40001) as at_b:
        call = Established(a, b)
        to_a, to_b = call.ok_at_a.media(), call.invite_at_b.media()
        at_a.sendto(report, (to_a[0], to_a[1] + 1))
        at_b.sendto(report, (to_b[0], to_b[1] + 1))
        assert arrived(at_b, 2) == [(report, (to_b[0], to_b[1] + 1))]
        assert arrived(at_a, 2) == [(report, (to_a[0], to_a[1] + 1))]
        at_a.sendto(report[:7], (to_a[0], to_a[1] + 1))
        counted(lab, "rtcp.bad", before, 1)
        counted(lab, "rtcp.relayed", before, 2)
        call.end()


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xffff) + (total >> 16)
    return ~(total + (total >> 16)) & 0xffff


def echo(lab, side, ip, size=56):
    """One ICMP or ICMPv6 echo to the switch; returns whether its answer carried the same bytes."""
    with inside(lab.ns[side]):
        v6 = family_of(ip) == socket.AF_INET6
        s = socket.socket(family_of(ip), socket.SOCK_RAW, socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP)
    body = struct.pack("!HH", os.getpid() & 0xffff, size) + os.urandom(size)
    request, answer = (128, 129) if v6 else (8, 0)
    data = struct.pack("!BBH", request, 0, 0) + body
    if not v6:  # the kernel does it for ICMPv6
        data = struct.pack("!BBH", request, 0, checksum(data)) + body
    with s:
        s.sendto(data, (ip, 0))
        end = time.monotonic() + 3
        while time.monotonic() < end:
            s.settimeout(max(0.01, end - time.monotonic()))
            try:
                got = s.recv(2048)
            except TimeoutError:
                break
            got = got if v6 else got[20:]
            if got[0] == answer and got[4:] == body:
                return True
    return False


@pytest.mark.parametrize("family", ["switch", "switch6"])
def test_echo(lab, family):
    for side in "ab":
        assert echo(lab, side, SIDES[side][family]) and echo(lab, side, SIDES[side][family], 1000)
    lab.settle()


def test_neighbour_is_resolved_both_ways(lab):
    for side in "ab":
        sh("ip", "-n", lab.ns[side], "neigh", "flush", "all")
        for family in ("switch", "switch6"):
            assert echo(lab, side, SIDES[side][family])
        entries = sh("ip", "-n", lab.ns[side], "neigh")
        for family in ("switch", "switch6"):
            assert re.search(rf"^{SIDES[side][family]} .*lladdr", entries, re.M), entries
    assert not echo(lab, "a", "10.0.1.253")  # nobody's address: the switch does not answer for it
    lab.settle()


def solicitation(n):
    """A frame of a host that nobody has: fd00:1::1:n asks for the switch's address (RFC 4861 §4.3)."""
    mac = b"\x02\x5f" + n.to_bytes(4, "big")
    source, target = (socket.inet_pton(socket.AF_INET6, ip) for ip in (f"fd00:1::1:{n:x}", SIDES["a"]["switch6"]))
    group = socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:0")[:13] + target[13:]
    body = struct.pack("!BBHI", 135, 0, 0, 0) + target + b"\x01\x01" + mac
    check = checksum(source + group + struct.pack("!II", len(body), 58) + body)
    body = body[:2] + struct.pack("!H", check) + body[4:]
    ip = struct.pack("!IHBB", 6 << 28, len(body), 58, 255) + source + group
    return b"\x33\x33\xff" + target[13:] + mac + b"\x86\xdd" + ip + body


def test_invented_neighbours_touch_no_call(lab, ends):
    a, b = ends
    before = lab.counters()
    call = Talking(lab, a, b)
    with inside(lab.ns["a"]):
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        s.bind(("a0", 0))
    with s:
        for n in range(10000):
            s.send(solicitation(n))
            if n % 50 == 0:
                time.sleep(0.005)

    def seen():
        now = lab.counters()
        return sum(now[name] - before[name] for name in ("neigh.consumed", "main.full"))

    until(lambda: seen() >= 10000, 5, what="10,000 solicitations")
    assert lab.counters()["neigh.consumed"] - before["neigh.consumed"] >= 5000
    call.stop()
    call.end()
    Established(a, b).end()  # nobody else's place was taken
    for side in "ab":
        sh("ip", "-n", lab.ns[side], "neigh", "flush", "all")
        assert echo(lab, side, SIDES[side]["switch"]) and echo(lab, side, SIDES[side]["switch6"])


def test_neighbour_goes_and_comes_back_as_another(lab, ends):
    a, b = ends
    sh("ip", "-n", lab.ns["b"], "link", "set", "b0", "down")
    call_id, uri = f"nobody-{time.monotonic_ns()}", f"sip:4420@{a.switch[0]}"
    branch = a.request("INVITE", call_id, f"<{uri}>", uri, body=a.sdp())
    time.sleep(0.3)
    a.request("CANCEL", call_id, f"<{uri}>", uri, branch=branch)
    answer = a.expect(487)
    a.request("ACK", call_id, answer.get("to"), uri, branch=branch)
    sh("ip", "-n", lab.ns["b"], "link", "set", "b0", "address", "02:00:00:00:0b:%02x" % (time.monotonic_ns() & 0xff))
    sh("ip", "-n", lab.ns["b"], "link", "set", "b0", "up")
    sh("ip", "-n", lab.ns["b"], "addr", "replace", f"{SIDES['b']['ip6']}/64", "dev", "b0", "nodad")
    until(lambda: echo(lab, "b", SIDES["b"]["switch"]), what="an echo from the new neighbour")
    lab.no_calls_left()
    while b.receive(0.3):
        pass  # what had waited of the first call
    Established(a, b).end()
