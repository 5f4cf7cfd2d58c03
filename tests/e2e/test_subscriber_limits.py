# SPDX-License-Identifier: BSD-3-Clause
"""The limit of a subscriber over its phones and the workers that take their calls."""
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor

from raw import Raw
from test_registrar import DOMAIN, Phone


class Caller(Phone):
    """A phone that calls: each INVITE has a Call-ID of its own, and so a worker of its own."""

    def invite(self, call_id, number="442079460123"):
        """The final or ringing answer to an INVITE whose challenge was answered."""
        uri = f"sip:{number}@{DOMAIN}"
        self.uri, self.call_id, self.branch = uri, call_id, f"z9hG4bK{call_id}"
        self.send(self.request("INVITE", 1, self.branch + "-1"))
        answer = self.final(1)
        assert answer.startswith("SIP/2.0 401"), answer
        self.send(self.request("ACK", 1, self.branch + "-1", to=answer))
        self.nonce, self.nc = re.search(r'nonce="([^"]+)", algorithm=SHA-256', answer).group(1), 0
        self.send(self.request("INVITE", 2, self.branch + "-2", credentials=self.credentials(uri, "INVITE")))
        answer = self.final(2)
        if not answer.startswith("SIP/2.0 18"):
            self.send(self.request("ACK", 2, self.branch + "-2", to=answer))
        return int(answer.split()[1])

    def cancel(self):
        self.send(self.request("CANCEL", 2, self.branch + "-2"))
        while not (answer := self.final(2)).startswith("SIP/2.0 487"):
            pass
        self.send(self.request("ACK", 2, self.branch + "-2", to=answer))

    def final(self, cseq):
        while True:
            answer = self.receive()
            if not answer.startswith("SIP/2.0 100") and f"CSeq: {cseq} " in answer:
                return answer

    def request(self, method, cseq, branch, credentials="", to=None):
        to = re.search(r"^To: (.*)\r$", to, re.M).group(1) if to else f"<{self.uri}>"
        return (f"{method} {self.uri} SIP/2.0\r\nVia: SIP/2.0/UDP {self.ip}:{self.port};branch={branch};rport\r\n"
                f"Max-Forwards: 70\r\nFrom: <sip:{self.user}@{DOMAIN}>;tag=1\r\nTo: {to}\r\nCall-ID: {self.call_id}\r\n"
                f"CSeq: {cseq} {method}\r\nContact: <sip:{self.user}@{self.ip}:{self.port}>\r\n{credentials}Content-Length: 0\r\n\r\n")


def rings(b):
    invite = b.expect("INVITE")
    b.reply(invite, 180)
    return invite


def test_calls_of_a_subscriber(fresh):
    """One limit, however many phones it has and workers take their calls; who changes it changes it at once."""
    lab = fresh(base="registrar.conf", workers=(1, 1, 1))
    lab.subscriber(f"1001@{DOMAIN}", "secret")
    lab.ctl("subscriber", "add", f"1001@{DOMAIN}", "--replace", "--max-calls=1")
    one, other = Caller(lab, "1001", "secret", ip="10.0.1.2"), Caller(lab, "1001", "secret", ip="10.0.1.3")
    with Raw(lab, "b", port=5060) as b:
        with ThreadPoolExecutor(1) as phone:
            ringing = phone.submit(one.invite, "sub-first")
            invite = rings(b)
            assert ringing.result() == 180
            assert [other.invite(f"sub-{i}") for i in range(8)] == [503] * 8
            assert lab.counters()["sip.subscriber_calls"] == 8
            summary = [r for r in json.loads(lab.ctl("show", "limits", "--json")) if r["kind"] == "subscribers"]
            assert (summary[0]["calls"], summary[0]["refused"]) == (1, 8)
            cancelled = phone.submit(one.cancel)
            b.reply(b.expect("CANCEL"), 200)
            b.reply(invite, 487)
            b.expect("ACK")
            cancelled.result()
            ringing = phone.submit(other.invite, "sub-room")
            invite = rings(b)
            assert ringing.result() == 180
            cancelled = phone.submit(other.cancel)
            b.reply(b.expect("CANCEL"), 200)
            b.reply(invite, 487)
            b.expect("ACK")
            cancelled.result()
    lab.settle()


def test_a_burst_of_a_subscriber(fresh):
    """Calls a second are refused beyond --cps-burst of them at once, and not before."""
    lab = fresh(base="registrar.conf", edit=lambda text: text.replace('prefix = "";', 'prefix = "44";'))
    lab.subscriber(f"1001@{DOMAIN}", "secret")
    lab.ctl("subscriber", "add", f"1001@{DOMAIN}", "--replace", "--max-cps=1", "--cps-burst=5")
    phone = Caller(lab, "1001", "secret")
    began, codes = time.monotonic(), []
    while not codes or codes[-1] != 503:
        codes.append(phone.invite(f"burst-{len(codes)}", number="999999"))  # nobody has a route for it
    took = time.monotonic() - began
    assert codes[:-1] == [404] * (len(codes) - 1)
    assert 5 <= len(codes) - 1 <= 6 + took, (codes, took)
    lab.settle()
