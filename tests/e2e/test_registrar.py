# SPDX-License-Identifier: BSD-3-Clause
"""The registrar through real ports and the store: phones made here register, are refused, attack, and survive both daemons."""
import contextlib
import hashlib
import re
import signal
import sqlite3
import subprocess
import time

import pytest

from lab import BUILD, Lab, SIDES, until
from raw import Raw, arrived, socket_in

DOMAIN = "tandem.example"


def registrar(text, durability="async"):
    """Phones register on side a, where a carrier's peer has another address."""
    text = text.replace("media = {", f'registrar = {{ domains = [ "{DOMAIN}" ]; ping = "off"; }};\n    media = {{', 1)
    return text + f'\nlocation = {{ durability = "{durability}"; }};\n'


def digest(algorithm, *parts):
    return hashlib.new({"MD5": "md5", "SHA-256": "sha256"}[algorithm], ":".join(parts).encode()).hexdigest()


class Phone:
    """A user agent of one namespace and address: REGISTER with digest, byte by byte."""
    serial = 0

    def __init__(self, lab, user, password, ip="10.0.1.2", port=5080, algorithm="SHA-256", socket=None):
        Phone.serial += 1
        self.user, self.password, self.algorithm = user, password, algorithm
        self.ip, self.port, self.cseq, self.call_id = ip, port, 0, f"reg{Phone.serial}-{time.time_ns()}"
        self.nonce, self.nc = None, 0
        self.socket = socket or socket_in(lab.ns["a"], ip, port)

    def credentials(self, uri, method="REGISTER"):
        self.nc += 1
        nc, realm, a = f"{self.nc:08x}", DOMAIN, self.algorithm
        ha1, ha2 = digest(a, self.user, realm, self.password), digest(a, method, uri)
        response = digest(a, ha1, self.nonce, nc, "c0ffee", "auth", ha2)
        return (f'Authorization: Digest username="{self.user}", realm="{realm}", nonce="{self.nonce}", uri="{uri}", '
                f'response="{response}", algorithm={a}, cnonce="c0ffee", qop=auth, nc={nc}\r\n')

    def message(self, lines="", credentials="", aor=None):
        self.cseq += 1
        aor = aor or f"{self.user}@{DOMAIN}"
        return (f"REGISTER sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP {self.ip}:{self.port};branch=z9hG4bK{time.time_ns()};rport\r\n"
                f"Max-Forwards: 70\r\nFrom: <sip:{aor}>;tag=1\r\nTo: <sip:{aor}>\r\nCall-ID: {self.call_id}\r\n"
                f"CSeq: {self.cseq} REGISTER\r\n{lines}{credentials}Content-Length: 0\r\n\r\n")

    def send(self, text):
        self.socket.sendto(text.encode(), (SIDES["a"]["switch"], 5060))

    def receive(self, timeout=3):
        """The next message; what nobody waited for before it is passed over."""
        self.socket.settimeout(timeout)
        return self.socket.recv(65535).decode()

    def ask(self, text):
        self.last = text
        self.send(text)
        return self.receive()

    def contact(self, expires=600):
        return f"Contact: <sip:{self.user}@{self.ip}:{self.port}>;expires={expires}\r\n"

    def register(self, lines=None, aor=None):
        """Status and text of the final answer; a challenge of its algorithm is answered once, or twice where it is stale."""
        lines = self.contact() if lines is None else lines
        for _ in range(3):
            uri = f"sip:{DOMAIN}"
            answer = self.ask(self.message(lines, self.credentials(uri) if self.nonce else "", aor))
            status = int(answer.split()[1])
            if status != 401 or (self.nonce and "stale=true" not in answer):
                return status, answer
            found = re.search(rf'nonce="([^"]+)", algorithm={self.algorithm}', answer)
            if not found:
                return status, answer
            self.nonce, self.nc = found.group(1), 0
        return status, answer


def provision(lab, *users):
    for user in users:
        subprocess.run([BUILD / "tandemctl", "-c", lab.conf, "subscriber", "add", f"{user}@{DOMAIN}", "--password-stdin"],
                       input="secret\n", text=True, check=True, capture_output=True, timeout=30)


@pytest.fixture(params=[(1,), (1, 1, 1)], ids=["one worker", "three"])
def access(request):
    with Lab(workers=request.param, edit=registrar) as made:
        provision(made, "1001", "1002")
        yield made


def test_registers_and_is_shown(access):
    lab = access
    phone = Phone(lab, "1001", "secret")
    status, text = phone.register()
    assert status == 200, text
    assert f"Contact: <sip:1001@10.0.1.2:5080>;expires=600" in text
    md5 = Phone(lab, "1001", "secret", ip="10.0.1.3", algorithm="MD5")
    assert md5.register()[0] == 200
    rows = until(lambda: [r for r in lab.show("registrations") if r["aor"] == f"1001@{DOMAIN}"] or None, what="registrations")
    until(lambda: len(lab.show("registrations")) == 2, what="both contacts")
    assert rows[0]["received"].startswith("10.0.1.")
    assert phone.register("Contact: *\r\nExpires: 0\r\n")[0] == 200
    until(lambda: len(lab.show("registrations")) == 0, what="no registration")


def test_attacks(access):
    lab = access
    alice = Phone(lab, "1001", "secret")
    assert alice.register()[0] == 200
    again = alice.ask(alice.last)
    assert again.startswith("SIP/2.0 200"), "a retransmission"
    # The same credentials under another branch and CSeq: a replay.
    replay = alice.last.replace("branch=z9hG4bK", "branch=z9hG4bKx")
    assert "stale=true" in alice.ask(replay)
    # A thief at another address with alice's nonce.
    thief = Phone(lab, "1001", "secret", ip="10.0.1.4")
    thief.nonce = alice.nonce
    assert "stale=true" in thief.ask(thief.message(thief.contact(), thief.credentials(f"sip:{DOMAIN}")))
    # Another subscriber binds nothing to alice's address.
    bob = Phone(lab, "1002", "secret", ip="10.0.1.3")
    assert bob.register()[0] == 200
    assert bob.register(bob.contact(), aor=f"1001@{DOMAIN}")[0] == 403
    # A guesser waits longer and longer; alice does not.
    guesser = Phone(lab, "1001", "wrong", ip="10.0.1.5", algorithm="MD5")
    statuses = [guesser.register()[0] for _ in range(5)]
    assert statuses[:3] == [403, 403, 403] and statuses[3] == 503, statuses
    assert alice.register()[0] == 200
    assert lab.counters()["auth.penalty"] > 0 and lab.counters()["auth.replayed"] > 0
    # Nobody's attempt bound anything, or took anything away.
    until(lambda: sorted((r["aor"], r["received"]) for r in lab.show("registrations")) == [
        (f"1001@{DOMAIN}", "10.0.1.2:5080"), (f"1002@{DOMAIN}", "10.0.1.3:5080")], what="each one's own phone alone")


def test_names_do_not_show(access):
    """Whoever is wrong by one algorithm is asked by the next, by the last it is refused: a subscriber as well as nobody."""
    lab = access
    for n, user in enumerate(("1001", "nobody")):
        guesser = Phone(lab, user, "wrong", ip=f"10.0.1.{5 + n}")
        status, text = guesser.register()
        assert status == 401 and "algorithm=MD5" in text and "SHA-256" not in text and "stale=true" in text, text
        guesser.algorithm = "MD5"
        guesser.nonce, guesser.nc = re.search(r'nonce="([^"]+)"', text).group(1), 0
        assert guesser.register()[0] == 403


def test_copies_from_elsewhere_are_replays(access):
    """Who listens behind the same NAT and repeats a REGISTER, as it is or with another contact, gets no calls by it."""
    lab = access
    alice = Phone(lab, "1001", "secret")
    assert alice.register()[0] == 200
    thief = Phone(lab, "1001", "secret", port=6666)
    assert "stale=true" in thief.ask(alice.last)
    assert "stale=true" in alice.ask(alice.last.replace(alice.contact(), thief.contact()))
    rows = until(lambda: lab.show("registrations") or None, what="registrations")
    assert [(r["contact"], r["received"]) for r in rows] == [("sip:1001@10.0.1.2:5080", "10.0.1.2:5080")]


def test_equal_contacts_are_one(access):
    """Two contacts that differ from one another and equal the one that is bound."""
    lab = access
    alice = Phone(lab, "1001", "secret")
    assert alice.register("Contact: <sip:1001@10.0.1.2>\r\n")[0] == 200
    status, text = alice.register("Contact: <sip:1001@10.0.1.2;a=1>;q=0.5, <sip:1001@10.0.1.2;a=2>;expires=0\r\n")
    assert status == 400 and "Contact Twice" in text, text
    assert alice.register("Contact: *\r\nExpires: 0\r\n")[0] == 200


def test_a_name_is_given_to_another(access):
    """Phones of a subscriber that was deleted are not those of the next one of that name."""
    lab = access
    before = Phone(lab, "1001", "secret")
    assert before.register()[0] == 200
    until(lambda: len(lab.show("registrations")) == 1, what="the registration")
    lab.ctl("subscriber", "del", f"1001@{DOMAIN}")
    assert before.register()[0] in (401, 503)
    provision(lab, "1001")
    after = Phone(lab, "1001", "secret", ip="10.0.1.3")
    status, text = after.register()
    assert status == 200 and "10.0.1.3:5080" in text and "10.0.1.2:5080" not in text, text
    until(lambda: [r["contact"] for r in lab.show("registrations")] == ["sip:1001@10.0.1.3:5080"], what="one phone alone")

def invite(phone, number, call_id, credentials="", user=None):
    """An INVITE without a body; From names user, whoever that is."""
    phone.cseq += 1
    uri = f"sip:{number}@{SIDES['a']['switch']}"
    return (f"INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {phone.ip}:{phone.port};branch=z9hG4bK{time.time_ns()};rport\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:{user or phone.user}@{DOMAIN}>;tag=1\r\nTo: <{uri}>\r\nCall-ID: {call_id}\r\n"
            f"CSeq: {phone.cseq} INVITE\r\nContact: <sip:{phone.user}@{phone.ip}:{phone.port}>\r\n{credentials}"
            "Content-Length: 0\r\n\r\n"), uri


def proven_invite(phone, number, user=None):
    """An INVITE with the credentials that its challenge asked for."""
    call_id = f"call{time.time_ns()}"
    challenge = phone.ask(invite(phone, number, call_id, user=user)[0])
    assert challenge.startswith("SIP/2.0 401 "), challenge
    phone.nonce, phone.nc = re.search(rf'nonce="([^"]+)", algorithm={phone.algorithm}', challenge).group(1), 0
    _, uri = invite(phone, number, call_id)
    return invite(phone, number, call_id, phone.credentials(uri, "INVITE"), user)[0]


def call(phone, number, user=None):
    """Status of the final answer to an INVITE with the phone's credentials, and the INVITE that got it."""
    text = proven_invite(phone, number, user)
    answer = phone.ask(text)
    while answer.startswith("SIP/2.0 100 "):
        answer = phone.receive()
    return int(answer.split()[1]), text


def test_calls_prove_whose_they_are(access):
    """Without proof an INVITE leaves nothing; with it the caller is who the credentials say, whatever From says; a copy of it from
    another address or another port is no call."""
    lab = access
    lab.ctl("number", "add", "4930555101", f"1001@{DOMAIN}")
    lab.ctl("number", "add", "4930555102", f"1002@{DOMAIN}")
    stranger = Phone(lab, "1001", "wrong", ip="10.0.1.5", algorithm="MD5")
    for n in range(3):
        assert stranger.ask(invite(stranger, "442079460123", f"bare{n}")[0]).startswith("SIP/2.0 401 ")
    assert call(stranger, "442079460123")[0] == 403
    assert lab.rows() == [] and lab.counters()["call.ended"] == 0
    bob = Phone(lab, "1002", "secret", ip="10.0.1.3")
    status, text = call(bob, "442079460123", user="1001")
    assert status == 404, "no route is given to them here"
    (row,) = lab.cdrs(1)
    assert (row["auth_user"], row["asserted"]) == (f"1002@{DOMAIN}", "4930555102"), dict(row)
    for other in (Phone(lab, "1002", "", ip="10.0.1.4"), Phone(lab, "1002", "", ip="10.0.1.3", port=5081)):
        copied = text.replace("branch=z9hG4bK", "branch=z9hG4bKx")
        other.send(copied.replace(f":{bob.port};branch", f":{other.port};branch"))
        assert "stale=true" in other.receive()
    assert len(lab.rows()) == 1


@pytest.mark.parametrize("trust", ["none", "out"])
def test_who_calls_as_anonymous_stays_so(trust):
    """A subscriber whose From names nobody: only a trusted carrier learns the number, and that it is not to be shown."""
    def calling(text):
        text = registrar(text).replace('from = [ "carrier-a" ]', 'from = [ "carrier-a", "subscribers" ]')
        return text.replace('name = "carrier-b";', f'name = "carrier-b"; trust = "{trust}";')

    with Lab(edit=calling) as lab, Raw(lab, "b") as b:
        provision(lab, "1001")
        lab.ctl("number", "add", "4930555101", f"1001@{DOMAIN}")
        phone = Phone(lab, "1001", "secret")
        for user, shown in (("anonymous", False), ("1001", True)):
            phone.send(proven_invite(phone, "442079460123", user))
            at_b = b.expect("INVITE")
            b.reply(at_b, 486, "Busy Here")
            b.expect("ACK")
            arrived(phone.socket, 2)
            assert ("4930555101" in at_b.get("from")) == shown, at_b.get("from")
            assert ("anonymous@anonymous.invalid" in at_b.get("from")) != shown
            assert ("4930555101" in at_b.get("p-asserted-identity")) == (trust == "out")
            assert at_b.get("privacy") == ("" if shown else "id")
        assert {r["asserted"] for r in lab.cdrs(2)} == {"4930555101"}


def test_a_source_that_floods_is_held():
    """limits.source_cps: what is beyond it from one source is dropped before it is read, and nobody else's is."""
    def edit(text):
        return registrar(text).replace("cps = 1000;", "cps = 1000; source_cps = 20;")
    with Lab(edit=edit) as lab:
        provision(lab, "1001")
        alice, flooder = Phone(lab, "1001", "secret"), Phone(lab, "1002", "nothing", ip="10.0.1.6")
        for i in range(1000):
            flooder.send(flooder.message(flooder.contact()))
            if i % 250 == 0:
                status, text = alice.register()
                assert status == 200, text
        counters = until(lambda: lab.counters() if lab.counters()["sip.source_rate"] > 500 else None, what="the dropped flood")
        assert counters["auth.challenged"] < 500, counters["auth.challenged"]


def test_a_phone_moves_in_mid_call():
    """It hangs up from its new address, where nobody knows it, and proves who it is."""
    def calling(text):
        return registrar(text).replace('from = [ "carrier-a" ]', 'from = [ "carrier-a", "subscribers" ]')

    with Lab(workers=(1, 1, 1), edit=calling) as lab, Raw(lab, "a", 5090, "10.0.1.2") as phone, \
            Raw(lab, "a", 5090, "10.0.1.3") as moved, Raw(lab, "b") as b:
        provision(lab, "1001")
        keys = Phone(lab, "1001", "secret", ip="10.0.1.4")
        uri, call_id = f"sip:442079460123@{DOMAIN}", f"moves-{time.time_ns()}"

        def proof(challenge, uri, method):
            keys.nonce = re.search('nonce="([^"]+)"', challenge.get("www-authenticate")).group(1)
            keys.nc = 0
            return keys.credentials(uri, method)

        phone.request("INVITE", call_id, f"<{uri}>", uri, body=phone.sdp())
        lines = proof(phone.expect(401), uri, "INVITE")
        phone.request("INVITE", call_id, f"<{uri}>", uri, cseq=2, body=phone.sdp(), headers=lines)
        b.reply(b.expect("INVITE"), 200, "OK", b.sdp())
        ok = phone.expect(200)
        to, target = ok.get("to"), ok.uri("contact")
        phone.request("ACK", call_id, to, target, cseq=2)
        b.expect("ACK")
        moved.request("BYE", call_id, to, target, cseq=3, tag=phone.tag)
        lines = proof(moved.expect(401), target, "BYE")
        moved.request("BYE", call_id, to, target, cseq=4, tag=phone.tag, headers=lines)
        b.reply(b.expect("BYE"), 200, "OK")
        assert moved.expect(200).get("cseq") == "4 BYE"
        until(lambda: not lab.show("calls"), what="the end of the call")


def test_flows_of_a_phone_are_tried_in_turn():
    """A phone with two flows (RFC 5626) hears of a call over one of them at a time, and over the other when that one has failed;
    where it has answered, over no other."""
    def called(text):
        return registrar(text).replace('to = ( { trunk = "carrier-a"; priority = 1; weight = 100; } )', "to = ( { registrar = true; } )")

    uri = "sip:4930555101@10.0.2.254"
    with Lab(workers=(1, 1, 1), edit=called) as lab, Raw(lab, "a", 5091, "10.0.1.2") as old, \
            Raw(lab, "a", 5092, "10.0.1.2") as new, Raw(lab, "b") as b:
        provision(lab, "1001")
        lab.ctl("number", "add", "4930555101", f"1001@{DOMAIN}")
        for reg_id, flow in enumerate((old, new), 1):
            phone = Phone(lab, "1001", "secret", port=flow.port, socket=flow.socket)
            status, text = phone.register(f'{phone.contact().strip()};+sip.instance="<urn:uuid:1>";reg-id={reg_id}\r\n'
                                          "Supported: outbound, path\r\n")
            assert status == 200 and "Require: outbound" in text, text
        b.request("INVITE", "flow-fails", f"<{uri}>", uri, body=b.sdp())
        invite = new.expect("INVITE")
        old.quiet()
        new.reply(invite, 430, "Flow Failed")
        old.reply(old.expect("INVITE"), 200, "OK", old.sdp())
        ok = b.expect(200)
        b.request("ACK", "flow-fails", ok.get("to"), ok.uri("contact"))
        old.expect("ACK")
        b.request("BYE", "flow-fails", ok.get("to"), ok.uri("contact"), cseq=2)
        old.reply(old.expect("BYE"), 200, "OK")
        b.expect(200)

        b.request("INVITE", "flow-is-silent", f"<{uri}>", uri, body=b.sdp())
        old.reply(old.expect("INVITE", timeout=10), 486, "Busy Here")
        assert b.expect(486).get("call-id") == "flow-is-silent"

        arrived(new.socket)
        b.request("INVITE", "phone-is-busy", f"<{uri}>", uri, body=b.sdp())
        new.reply(new.expect("INVITE"), 486, "Busy Here")
        assert b.expect(486).get("call-id") == "phone-is-busy"
        assert lab.counters()["call.flow_failed"] == 2
        rows = lab.cdrs(3)
        assert [r["sip_code"] for r in rows] == [200, 486, 486]


def test_flood_does_not_touch_others(access):
    lab = access
    alice = Phone(lab, "1001", "secret")
    flooder = Phone(lab, "1002", "nothing", ip="10.0.1.6")
    for i in range(3000):
        flooder.send(flooder.message(flooder.contact()))
        if i % 500 == 0:
            status, text = alice.register()
            assert status == 200, text


def test_a_clock_that_was_set_back():
    """What an earlier boot changed by a clock that was ahead holds up no change that comes after it."""
    with Lab(edit=registrar) as lab:
        provision(lab, "1001")
        phone = Phone(lab, "1001", "secret")
        assert phone.register()[0] == 200
        until(lambda: lab.show("registrations"), what="the binding in the store")
        lab.dataplane.kill(signal.SIGKILL)
        ahead = int((time.time() + 3600) * 1000000)  # as that boot would have left it
        (lab.state_dir / "changed").write_text(f"{ahead}\n")
        with contextlib.closing(sqlite3.connect(lab.state_dir / "tandem.db", timeout=10)) as db, db:
            assert db.execute("UPDATE binding SET changed_us = ?", (ahead,)).rowcount == 1
        lab.start_dataplane()
        lab.wait_ready()
        assert phone.register(phone.contact(expires=0))[0] == 200
        until(lambda: not lab.show("registrations"), what="the end of the binding")
        assert phone.register()[0] == 200
        until(lambda: lab.show("registrations"), what="the binding again")
        lab.settle()


@pytest.mark.parametrize("durability", ["async", "sync"])
def test_bindings_survive_both_daemons(durability):
    with Lab(workers=(1, 1), edit=lambda t: registrar(t, durability)) as lab:
        provision(lab, "1001", "1002")
        phones = [Phone(lab, u, "secret", ip=ip) for u, ip in (("1001", "10.0.1.2"), ("1002", "10.0.1.3"))]
        for phone in phones:
            status, text = phone.register()
            assert status == 200, text
        lab.dataplane.kill(signal.SIGKILL)
        lab.control.kill(signal.SIGKILL)
        begun = time.monotonic()
        lab.start()
        until(lambda: lab.counters()["reg.restored"] == 2, 10, what="both bindings")
        assert time.monotonic() - begun < 15
        status, text = phones[0].register("")
        assert status == 200 and "10.0.1.2:5080" in text, text


def test_in_sync_means_that_phones_register():
    """A data plane that began anew is in sync when it has the subscribers again, all 20,000 of them, and not before."""
    with Lab(edit=registrar) as lab:
        provision(lab, "1001")
        with contextlib.closing(sqlite3.connect(lab.state_dir / "tandem.db", timeout=10)) as db, db:
            db.executemany("INSERT INTO subscriber (aor, ha1_md5, ha1_sha256, plan, display, max_calls, max_cps, enabled) "
                           "VALUES (?, NULL, NULL, 'subscribers', '', 0, 0, 1)",
                           [(f"s{n}@{DOMAIN}",) for n in range(20000)])
            db.execute("UPDATE subscriber_generation SET generation = generation + 1")
        for _ in range(3):
            lab.dataplane.kill(signal.SIGKILL)
            lab.start_dataplane()
            lab.wait_ready()
            assert "n=20001" in lab.dataplane.text(), lab.dataplane.text()
            status, text = Phone(lab, "1001", "secret").register()
            assert status == 200, text
            assert lab.counters()["reg.not_ready"] == 0
