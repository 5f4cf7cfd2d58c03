# SPDX-License-Identifier: BSD-3-Clause
"""One UDP endpoint of a test inside a namespace: writes SIP by hand, reads with the peer's own reader."""
import contextlib
import ctypes
import os
import random
import socket
import struct
import threading
import time

from lab import SIDES
from peer import Message

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def inside(namespace):
    """Sockets made here live in that network namespace; this thread returns to its own."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        if LIBC.setns(there, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        yield
    finally:
        LIBC.setns(home, CLONE_NEWNET)
        os.close(home)
        os.close(there)


def family_of(ip):
    return socket.AF_INET6 if ":" in ip else socket.AF_INET


def socket_in(namespace, ip, port):
    """A bound UDP socket of a namespace."""
    with inside(namespace):
        s = socket.socket(family_of(ip), socket.SOCK_DGRAM)
        s.bind((ip, port))
        return s


def arrived(s, wait=0.0):
    """Every datagram that waits on a socket, and its source; the first may take that long to come."""
    got = []
    while True:
        s.settimeout(wait if not got else 0.05)
        try:
            got.append(s.recvfrom(65535))
        except (TimeoutError, BlockingIOError):
            return got


class Raw:
    def __init__(self, lab, side, port=5060, ip=None):
        self.side = side
        self.ip, self.port = ip or SIDES[side]["ip"], port
        v6 = ":" in self.ip
        self.host, self.kind = (f"[{self.ip}]", "IP6") if v6 else (self.ip, "IP4")
        self.switch = (SIDES[side]["switch6" if v6 else "switch"], 5060)
        self.switch_host = f"[{self.switch[0]}]" if v6 else self.switch[0]
        self.socket = socket_in(lab.ns[side], self.ip, port)
        self.tag = f"raw{random.randrange(1 << 30):x}"
        self.cseq = 0

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def send(self, text, body=""):
        lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
        self.send_bytes(("\r\n".join(lines) + f"\r\nContent-Length: {len(body)}\r\n\r\n" + body).encode())

    def send_bytes(self, data):
        self.socket.sendto(data, self.switch)

    def receive(self, timeout=5.0):
        """The next message, or None."""
        self.socket.settimeout(timeout)
        try:
            return Message(self.socket.recv(65535))
        except TimeoutError:
            return None

    def expect(self, what, timeout=6.0):
        """The next message of that status or method; others (retransmissions, provisionals) are passed over."""
        end = time.monotonic() + timeout
        seen = []
        while time.monotonic() < end:
            m = self.receive(max(0.05, end - time.monotonic()))
            if m is None:
                break
            seen.append(m.start)
            if m.status == what or not m.status and m.method == what:
                return m
        raise AssertionError(f"{what} did not come within {timeout} s; came: {seen}")

    def quiet(self, seconds=0.7):
        """Nothing may come."""
        m = self.receive(seconds)
        assert m is None, m.start

    def sdp(self, port=40000, direction="sendrecv", version=1):
        return (f"v=0\r\no=- 5 {version} IN {self.kind} {self.ip}\r\ns=-\r\nc=IN {self.kind} {self.ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n"
                f"a=rtpmap:8 PCMA/8000\r\na={direction}\r\n")

    def request(self, method, call_id, to, uri, cseq=1, body="", headers="", branch=None, tag=None, routes=()):
        branch = branch or f"z9hG4bK{random.randrange(1 << 60):x}"
        self.send(f"""{method} {uri} SIP/2.0
            Via: SIP/2.0/UDP {self.host}:{self.port};branch={branch}
            {"".join(f"Route: {r}" + chr(10) for r in routes)}
            From: <sip:raw@{self.host}>;tag={tag or self.tag}
            To: {to}
            Call-ID: {call_id}
            CSeq: {cseq} {method}
            Contact: <sip:raw@{self.host}:{self.port}>
            Max-Forwards: 70
            {"Content-Type: application/sdp" if body else ""}
            {headers}""", body)
        return branch

    def reply(self, request, status, reason="Answer", body="", headers="", tag=None):
        to = request.get("to")
        if "tag=" not in to and status > 100:
            to += f";tag={tag or self.tag}"
        vias = "\n".join(f"Via: {v}" for v in request.all("via"))
        self.send(f"""SIP/2.0 {status} {reason}
            {vias}
            From: {request.get("from")}
            To: {to}
            Call-ID: {request.get("call-id")}
            CSeq: {request.get("cseq")}
            Contact: <sip:raw@{self.host}:{self.port}>
            {"Content-Type: application/sdp" if body else ""}
            {headers}""", body)


class Established:
    """A call between two raw endpoints, a calls b."""

    def __init__(self, a, b, number="442079460123", headers="", b_headers="", call_id=None, tag=None, a_sdp=None, b_sdp=None):
        self.a, self.b = a, b
        self.call_id = call_id or f"{random.randrange(1 << 60):x}@{a.ip}"
        uri = f"sip:{number}@{a.switch_host}"
        a.request("INVITE", self.call_id, f"<{uri}>", uri, body=a_sdp or a.sdp(), headers=headers, tag=tag)
        self.invite_at_b = b.expect("INVITE")
        b.reply(self.invite_at_b, 200, "OK", b_sdp or b.sdp(), b_headers)
        self.ok_at_a = a.expect(200)
        self.target_of_a = self.ok_at_a.uri("contact")
        self.target_of_b = self.invite_at_b.uri("contact")
        a.request("ACK", self.call_id, self.ok_at_a.get("to"), self.target_of_a, tag=tag)
        self.ack_at_b = b.expect("ACK")

    def bye_from_a(self, cseq=2, tag=None, to=None):
        return self.a.request("BYE", self.call_id, to or self.ok_at_a.get("to"), self.target_of_a, cseq=cseq, tag=tag)

    def end(self, tag=None):
        self.bye_from_a(tag=tag)
        self.b.reply(self.b.expect("BYE"), 200, "OK")
        assert self.a.expect(200).get("cseq").endswith("BYE")

    def reinvite_from_a(self, body, cseq=2):
        """Sends it; returns its branch."""
        return self.a.request("INVITE", self.call_id, self.ok_at_a.get("to"), self.target_of_a, cseq=cseq, body=body)

    def reinvite_from_b(self, body, cseq=1):
        return self.b.request("INVITE", self.invite_at_b.get("call-id"), self.invite_at_b.get("from"), self.target_of_b,
                              cseq=cseq, body=body)

    def bye_from_b(self, cseq=1):
        return self.b.request("BYE", self.invite_at_b.get("call-id"), self.invite_at_b.get("from"), self.target_of_b, cseq=cseq)

    def ack_from_a(self, cseq, branch=None, body=""):
        self.a.request("ACK", self.call_id, self.ok_at_a.get("to"), self.target_of_a, cseq=cseq, branch=branch, body=body)

    def ack_from_b(self, cseq, branch=None):
        self.b.request("ACK", self.invite_at_b.get("call-id"), self.invite_at_b.get("from"), self.target_of_b, cseq=cseq,
                       branch=branch)

    def modify_from_a(self, offer, answer, cseq=2):
        """A whole re-INVITE of A that B accepts. Returns what B and A were told."""
        self.reinvite_from_a(offer, cseq)
        at_b = self.b.expect("INVITE")
        self.b.reply(at_b, 200, "OK", answer)
        ok = self.a.expect(200)
        self.ack_from_a(cseq)
        self.b.expect("ACK")
        return at_b, ok


def rtp(n, ssrc=0x5001, payload=b""):
    """Packet n of a stream of PCMA."""
    return struct.pack("!BBHII", 0x80, 8, n & 0xffff, n * 160, ssrc) + (payload or n.to_bytes(4, "big") * 40)


class Talking(Established):
    """An established call with audio both ways from another thread, every 20 ms, until stop() compares every packet."""

    def __init__(self, lab, a, b, port=41000, **kw):
        self.media = {side: socket_in(lab.ns[side], end.ip, port) for side, end in (("a", a), ("b", b))}
        super().__init__(a, b, a_sdp=a.sdp(port), b_sdp=b.sdp(port), **kw)
        self.to = {"a": self.ok_at_a.media(), "b": self.invite_at_b.media()}
        self.sent = 0
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._talk, daemon=True)
        self.thread.start()

    def _talk(self):
        while not self.stopped.wait(0.02):
            for ssrc, side in enumerate("ab"):
                self.media[side].sendto(rtp(self.sent, 0x5001 + ssrc), self.to[side])
            self.sent += 1

    def stop(self):
        """Ends the audio; every packet must have arrived once, in order and unchanged. Returns how many went each way."""
        self.stopped.set()
        self.thread.join()
        got = {side: arrived(s, 0.2) for side, s in self.media.items()}
        for s in self.media.values():
            s.close()
        for ssrc, side in enumerate("ba"):
            heard = [data for data, source in got[side] if source == self.to[side]]
            assert heard == [rtp(n, 0x5001 + ssrc) for n in range(self.sent)], f"{len(heard)} of {self.sent} came to {side}"
        return self.sent
