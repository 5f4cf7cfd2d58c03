#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""An independent SIP and RTP peer: nothing of the switch, nothing but the standard library.

It writes headers in random order, in compact or long form, folded where that is legal; puts canaries into everything that
must not cross the switch; checks every RTP byte it receives; scans every byte that arrives for the other side's canaries.

usage: peer.py '{"role": "caller" | "callee", "ip": …, "switch": …, "calls": N, "packets": N, "seed": N, …}'
Prints "ready", works until its calls are done or "timeout_s" is over, prints one JSON report whose times are of
CLOCK_MONOTONIC. SIGTERM: no further call; a caller ends with the last one it has, a callee now.
"""
import contextlib
import hashlib
import heapq
import json
import random
import re
import selectors
import signal
import socket
import struct
import sys
import time

COMPACT = {"Via": "v", "From": "f", "To": "t", "Call-ID": "i", "Contact": "m", "Content-Type": "c", "Content-Length": "l",
           "Subject": "s", "Supported": "k"}
LONG = {v: k.lower() for k, v in COMPACT.items()}
RTP_HEADER = struct.Struct("!BBHII")


def payload(seed, call, direction, n, size=160):
    """The bytes of packet n of a call in one direction; nobody else's are the same."""
    block = hashlib.sha256(f"{seed}/{call}/{direction}/{n}".encode()).digest()
    return (block * (size // len(block) + 1))[:size]


class Message:
    """The few things a peer needs to know of a SIP message, found without a grammar."""

    def __init__(self, data):
        head, _, self.body = data.partition(b"\r\n\r\n")
        lines = re.sub(r"\r\n[ \t]+", " ", head.decode("utf-8", "replace")).split("\r\n")
        self.start = lines[0]
        self.headers = []
        for line in lines[1:]:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            self.headers.append((LONG.get(name, name), value.strip()))
        self.status = int(self.start.split()[1]) if self.start.startswith("SIP/2.0") else 0
        self.method = self.get("cseq").split()[-1] if self.status else self.start.split()[0]
        self.body = self.body.decode("utf-8", "replace")

    def get(self, name):
        return next((v for n, v in self.headers if n == name), "")

    def all(self, name):
        return [v for n, v in self.headers if n == name]

    def uri(self, name):
        value = self.get(name)
        inside = re.search(r"<([^>]+)>", value)
        return inside.group(1) if inside else value.split(";")[0].strip()

    def media(self):
        address = re.search(r"^c=IN IP[46] (\S+)", self.body, re.M)
        port = re.search(r"^m=audio (\d+)", self.body, re.M)
        return (address.group(1), int(port.group(1))) if address and port else None


class Call:
    def __init__(self, index):
        self.index = index
        self.state = "new"
        self.remote_media = None
        self.sent = self.received = self.wrong = 0
        self.seen = set()
        self.cseq = 1
        self.last = b""
        self.rtp = None
        self.entry = None


class Peer:
    def __init__(self, options):
        self.o = options
        self.caller = options["role"] == "caller"
        self.rng = random.Random(f"{options['seed']}/{options['role']}")
        self.mine = "a" if self.caller else "b"
        self.canary = f"canary-{self.mine}-{options['seed']}"
        self.foreign = [s.encode() for s in options["forbidden"]]
        family = socket.AF_INET6 if ":" in options["ip"] else socket.AF_INET
        self.family = family
        self.sip = socket.socket(family, socket.SOCK_DGRAM)
        self.sip.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.sip.bind((options["ip"], options.get("port", 5060)))
        self.sip.setblocking(False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.sip, selectors.EVENT_READ, None)
        self.calls = {}
        self.by_id = {}
        self.timers = []
        self.serial = 0
        self.faults = []
        self.leaks = []
        self.log = []
        self.ending = False

    # --- writing ----------------------------------------------------------------------------------------------------------

    def host(self):
        return f"[{self.o['ip']}]" if self.family == socket.AF_INET6 else self.o["ip"]

    def write(self, start, headers, body=""):
        """headers: (name, value); Via lines keep their order among themselves, all else is shuffled."""
        groups = [[h for h in headers if h[0] == "Via"], [h for h in headers if h[0] == "Record-Route"],
                  [h for h in headers if h[0] == "Route"]]
        rest = [[h] for h in headers if h[0] not in ("Via", "Record-Route", "Route")]
        blocks = [g for g in groups if g] + rest + [[("Content-Length", str(len(body.encode())))]]
        self.rng.shuffle(blocks)
        lines = [start]
        for name, value in (h for block in blocks for h in block):
            shown = COMPACT[name] if name in COMPACT and self.rng.random() < 0.4 else name
            if self.rng.random() < 0.2:
                shown = shown.upper() if self.rng.random() < 0.5 else shown.lower()
            gap = self.rng.choice([": ", ":", " : ", ":\t", ":\r\n "]) if name != "Content-Length" else ": "
            lines.append(shown + gap + value)
        return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()

    def canaries(self):
        c = self.canary
        return [("User-Agent", c), ("Organization", c), ("X-Canary", f"{c} {self.o['ip']}"), ("Warning", f'399 {c} "{c}"'),
                ("Call-Info", f"<http://{self.o['ip']}/{c}>"), ("Server", c), ("In-Reply-To", c)]

    def sdp(self, call, version=1):
        c, ip = self.canary, self.o["ip"]
        kind = "IP6" if self.family == socket.AF_INET6 else "IP4"
        port = call.rtp.getsockname()[1]
        return "".join(line + "\r\n" for line in (
            "v=0", f"o={c} {call.index + 77} {version} IN {kind} {ip}", f"s={c}", f"i={c}", f"e={c}@{ip}",
            f"c=IN {kind} {ip}", "t=0 0", f"a=tool:{c}", f"m=audio {port} RTP/AVP 8 101", "a=rtpmap:8 PCMA/8000",
            "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15", f"a=rtcp:{port + 1} IN {kind} {ip}",
            f"a=candidate:1 1 UDP 2130706431 {ip} {port} typ host", f"a=ice-ufrag:{c}", f"a=ice-pwd:{c}{c}",
            f"a=x-canary:{c}", "a=ptime:20", "a=sendrecv"))

    def send(self, data):
        self.send_from(self.sip, data, tuple(self.o["switch"]))

    def send_from(self, one, data, to):
        with contextlib.suppress(OSError):  # a tap that is gone takes its addresses along: a packet is lost
            one.sendto(data, to)

    def after(self, delay, what, *args):
        self.serial += 1
        heapq.heappush(self.timers, (time.monotonic() + delay, self.serial, what, args))

    def repeat(self, call, state, data, delay=0.5, until=None):
        """Sends now and again until the call leaves that state (Timer E or G by and large: T1 500 ms, T2 4 s, 64 × T1 in all)."""
        now = time.monotonic()
        until = until or now + 32
        if call.state != state or now > until:
            return
        self.send(data)
        self.after(delay, self.repeat, call, state, data, min(2 * delay, 4), until)

    # --- media --------------------------------------------------------------------------------------------------------------

    def open_rtp(self, call, before=None):
        """before: the same call of an earlier boot of the switch, whose port is taken over."""
        if before:
            before.state = "done"
            self.selector.unregister(before.rtp)
            before.rtp.close()
        call.rtp = socket.socket(self.family, socket.SOCK_DGRAM)
        call.rtp.bind((self.o["ip"], self.o.get("rtp_base", 20000) + 2 * call.index))
        call.rtp.setblocking(False)
        self.selector.register(call.rtp, selectors.EVENT_READ, call)

    def talk(self, call, n=0):
        if call.state != "up" or n >= self.o["packets"]:
            return
        header = RTP_HEADER.pack(0x80, 8 | (0x80 if n == 0 else 0), (call.index * 7 + n) & 0xffff, n * 160, 0x1000 + call.index)
        self.send_from(call.rtp, header + payload(self.o["seed"], call.index, self.mine, n), call.remote_media)
        call.sent += 1
        self.after(self.o.get("interval_s", 0.02), self.talk, call, n + 1)

    def hear(self, call):
        other = "b" if self.mine == "a" else "a"
        while True:
            try:
                data, source = call.rtp.recvfrom(2048)
            except BlockingIOError:
                return
            call.received += 1
            first, kind, sequence, stamp, ssrc = RTP_HEADER.unpack_from(data)
            n = stamp // 160
            good = (first == 0x80 and kind & 0x7f == 8 and ssrc == 0x1000 + call.index and source[0] == self.o["switch"][0]
                    and sequence == (call.index * 7 + n) & 0xffff and n not in call.seen
                    and data[12:] == payload(self.o["seed"], call.index, other, n))
            call.seen.add(n)
            if not good:
                call.wrong += 1

    # --- the caller ---------------------------------------------------------------------------------------------------------

    def start_call(self, index):
        if self.ending:
            return
        call = self.calls[index] = Call(index)
        self.open_rtp(call)
        call.id = f"{self.canary}-{index}-{self.rng.random()}@{self.o['ip']}"
        call.tag = f"{self.canary}{index}"
        call.number = f"{self.o['prefix']}{index:06d}"
        call.branch = f"z9hG4bK{self.canary}{index}"
        self.by_id[call.id] = call
        call.to = f"<sip:{call.number}@{self.o['switch'][0] if ':' not in self.o['switch'][0] else '[' + self.o['switch'][0] + ']'}>"
        call.sender = f'"{self.canary}" <sip:1555{index:06d}@{self.host()}>;tag={call.tag}'.replace(f'"{self.canary}" ', "")
        call.target = call.to[1:-1]
        call.routes = []
        call.state = "calling"
        data = self.write(f"INVITE {call.target} SIP/2.0", self.request_headers(call, "INVITE", 1, call.branch) + self.canaries()
                          + [("Record-Route", f"<sip:{self.host()}:5060;lr;{self.canary}>"), ("Content-Type", "application/sdp"),
                             ("Max-Forwards", "70")], self.sdp(call))
        self.repeat(call, "calling", data)
        self.after(40, self.give_up, call)

    def request_headers(self, call, method, cseq, branch):
        return [("Via", f"SIP/2.0/UDP {self.host()}:5060;rport;branch={branch}"),
                ("Via", f"SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK{self.canary}"),
                ("From", call.sender), ("To", call.to), ("Call-ID", call.id), ("CSeq", f"{cseq} {method}"),
                ("Contact", f"<sip:{self.canary}@{self.host()}:5060>")] + [("Route", r) for r in call.routes]

    def give_up(self, call):
        if call.state != "done":
            self.faults.append(f"call {call.index} is still {call.state} after 40 s")
            call.state = "done"

    def response(self, message):
        call = self.by_id.get(message.get("call-id"))
        if call is None:
            self.faults.append(f"a response with a Call-ID that is not ours: {message.start}")
            return
        if message.method == "INVITE" and message.status >= 200:
            self.final_of_invite(call, message)
        elif message.method == "BYE" and message.status >= 200 and call.state == "leaving":
            if message.status != 200:
                self.faults.append(f"BYE of call {call.index}: {message.start}")
            call.entry["ended_at"], call.entry["end_status"] = time.monotonic(), message.status
            self.finish(call)

    def final_of_invite(self, call, message):
        if message.status >= 300:
            if call.state == "calling":
                self.faults.append(f"call {call.index}: {message.start}")
                self.finish(call)
            call.to = message.get("to")
            self.send(self.write(f"ACK sip:{call.number}@{self.o['switch'][0]} SIP/2.0",
                                 self.request_headers(call, "ACK", 1, call.branch)[:1]
                                 + self.request_headers(call, "ACK", 1, call.branch)[2:] + [("Max-Forwards", "70")]))
            return
        if call.state == "calling":
            call.state = "up"
            call.to = message.get("to")
            call.target = message.uri("contact")
            call.routes = list(reversed([r for line in message.all("record-route") for r in re.split(r",\s*(?=<)", line)]))
            # Our own Record-Route comes back as our own proxy would see it: the next hop is the switch all the same.
            call.routes = []
            call.remote_media = message.media()
            if not call.remote_media:
                self.faults.append(f"call {call.index}: a 200 without media")
                call.remote_media = tuple(self.o["switch"])
            call.entry = {"call": call.index, "call_id": call.id, "status": message.status, "answered_at": time.monotonic()}
            self.log.append(call.entry)
            self.after(0.1, self.talk, call)
            self.after(0.6 + self.o["packets"] * self.o.get("interval_s", 0.02) + self.o.get("hold_s", 0), self.hang_up, call)
        self.serial += 1
        self.send(self.write(f"ACK {call.target} SIP/2.0",
                             self.request_headers(call, "ACK", 1, f"z9hG4bKack{self.canary}{self.serial}") + [("Max-Forwards", "70")]))

    def hang_up(self, call):
        if call.state != "up":
            return
        call.state = "leaving"
        call.entry["leaves_at"] = time.monotonic()
        data = self.write(f"BYE {call.target} SIP/2.0",
                          self.request_headers(call, "BYE", 2, f"z9hG4bKbye{self.canary}{call.index}") + self.canaries()
                          + [("Max-Forwards", "70")])
        self.repeat(call, "leaving", data)

    def finish(self, call):
        self.hear(call)
        call.state = "done"

    # --- the callee ---------------------------------------------------------------------------------------------------------

    def request(self, message):
        call = self.by_id.get(message.get("call-id"))
        if message.method == "INVITE" and call is None:
            self.answer(message)
        elif call is None:
            if message.method != "ACK":
                self.faults.append(f"an unexpected {message.method}")
        elif message.method == "INVITE" and call.state in ("ringing", "answered"):
            self.send(call.last)
        elif message.method == "ACK" and call.state == "answered":
            call.state = "up"
            self.after(0.1, self.talk, call)
        elif message.method == "BYE":
            self.hear(call)
            call.state = "done"
            call.entry.setdefault("ended_at", time.monotonic())
            self.send(self.reply(message, call, 200, "OK"))

    def answer(self, message):
        digits = re.sub(r"\D", "", message.start.split()[1].split("@")[0])
        call = Call(int(digits[-6:]))
        before = self.calls.get(call.index)
        if before:
            self.faults.append(f"call {call.index} came twice")
        self.calls[call.index] = self.by_id[message.get("call-id")] = call
        call.id, call.tag = message.get("call-id"), f"{self.canary}{call.index}"
        call.entry = {"call": call.index, "call_id": call.id, "status": 200}
        self.log.append(call.entry)
        self.open_rtp(call, before)
        call.remote_media = message.media()
        if call.remote_media is None:
            self.faults.append(f"call {call.index}: an INVITE without media")
            return
        call.state = "ringing"
        call.last = self.reply(message, call, 180, "Ringing")
        self.send(call.last)
        self.after(0.05, self.accept, message, call)

    def accept(self, message, call):
        call.state = "answered"
        call.entry["answered_at"] = time.monotonic()
        call.last = self.reply(message, call, 200, "OK", self.sdp(call))
        self.repeat(call, "answered", call.last)

    def reply(self, message, call, status, reason, body=""):
        to = message.get("to")
        if "tag=" not in to:
            to += f";tag={call.tag}"
        headers = [("Via", v) for v in message.all("via")] + [("From", message.get("from")), ("To", to),
            ("Call-ID", message.get("call-id")), ("CSeq", message.get("cseq")),
            ("Contact", f"<sip:{self.canary}@{self.host()}:5060>")] + self.canaries()
        if body:
            headers.append(("Content-Type", "application/sdp"))
        return self.write(f"SIP/2.0 {status} {reason}", headers, body)

    # --- the loop -----------------------------------------------------------------------------------------------------------

    def read_sip(self):
        while True:
            try:
                data, source = self.sip.recvfrom(65535)
            except BlockingIOError:
                return
            if source[0] != self.o["switch"][0]:
                self.faults.append(f"a message from {source}")
            for word in self.foreign:
                if word in data:
                    self.leaks.append(f"{word.decode()} in {data[:2000].decode(errors='replace')}")
            message = Message(data)
            if message.status:
                self.response(message)
            else:
                self.request(message)

    def done(self):
        return self.ending and not self.caller or len(self.calls) >= self.o["calls"] and all(c.state == "done" for c in self.calls.values())

    def told_to_end(self, *_):
        self.ending = True
        self.o["calls"] = min(self.o["calls"], len(self.calls))

    def run(self):
        signal.signal(signal.SIGTERM, self.told_to_end)
        print("ready", flush=True)
        if self.caller:
            for i in range(self.o["calls"]):
                self.after(i / self.o.get("rate", 200), self.start_call, i)
        end = time.monotonic() + self.o.get("timeout_s", 60)
        finished = None
        while time.monotonic() < end:
            if self.done():
                finished = finished or time.monotonic()
                if time.monotonic() - finished > 0.7:
                    break
            now = time.monotonic()
            while self.timers and self.timers[0][0] <= now:
                _, _, what, args = heapq.heappop(self.timers)
                what(*args)
            wait = min(0.05, max(0.0, self.timers[0][0] - time.monotonic())) if self.timers else 0.05
            for key, _ in self.selector.select(wait):
                self.read_sip() if key.data is None else self.hear(key.data)
        calls = self.calls.values()
        print(json.dumps({"calls": len(self.calls), "done": sum(c.state == "done" for c in calls),
                          "sent": sum(c.sent for c in calls), "received": sum(c.received for c in calls),
                          "wrong": sum(c.wrong for c in calls), "faults": self.faults[:20], "n_faults": len(self.faults),
                          "leaks": self.leaks[:3], "n_leaks": len(self.leaks), "log": self.log}))


if __name__ == "__main__":
    Peer(json.loads(sys.argv[1])).run()
