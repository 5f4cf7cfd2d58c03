# SPDX-License-Identifier: BSD-3-Clause
"""Carriers by host name: dnsmasq says where they are, calls go there, follow them, and go on when it is gone."""
import json
import time

import kamailio
import scenario as S
from lab import Process, sh, until

DNS = 'dns = { servers = [ "127.0.0.1:5353" ]; timeout = 0.3; min_ttl = 1; };\n'
PEER = '{ address = "10.0.2.1"; port = 5060; }'
ACCOUNT = """realm = "east"; auth = { username = "tandem"; realm = "provider.example"; password = "wholesale"; };
    register = { user = "4930555"; expires = 60; };"""


def named(peers, *edits):
    """carrier-b is where those peers are."""
    def edit(text):
        assert PEER in text
        text = DNS + text.replace(PEER, peers)
        for old, new in edits:
            assert old in text
            text = text.replace(old, new)
        return text
    return edit


def dnsmasq(lab, *records):
    child = Process(f"dnsmasq-{len(lab.children)}", lab.in_ns(
        "x", "dnsmasq", "--keep-in-foreground", "--port=5353", "--listen-address=127.0.0.1", "--bind-interfaces", "--no-resolv",
        "--no-hosts", "--conf-file=/dev/null", "--pid-file=", "--user=root", "--local=/test/", "--local-ttl=1", *records), lab.folder)
    lab.children.append(child)
    until(lambda: "127.0.0.1:5353 " in sh(*lab.in_ns("x", "ss", "-Hlun")), what="dnsmasq")
    return child


def carrier(first, second):
    return (f"--host-record=t1.carrier.test,{first}", f"--host-record=t2.carrier.test,{second}",
            "--srv-host=_sip._udp.carrier.test,t1.carrier.test,5060,10,1", "--srv-host=_sip._udp.carrier.test,t2.carrier.test,5070,20,1",
            "--naptr-record=carrier.test,10,10,s,SIP+D2U,,_sip._udp.carrier.test")


def addresses(lab):
    return [r["address"] for name in lab.show("dns") for r in name["records"]]


def alarms(lab):
    return {a["name"] for a in json.loads(lab.ctl("alarms", "--json"))}


CALLEE = S.uas(S.recv("INVITE", action=S.expect("To", "sip:442079460123@carrier.test>")), S.reply(180),
               S.reply(200, body=S.sdp(), retrans=500), S.recv("ACK"), S.recv("BYE"), S.reply_again(200))


def call(lab, ip, port=5060, callee=CALLEE):
    """From carrier-a, answered at that address of carrier-b."""
    far = lab.sipp("b", callee, ip=ip, port=port, timeout=30)
    until(lambda: f"{ip}:{port} " in sh(*lab.in_ns("b", "ss", "-Hlun")), what="the far end's socket")
    near = lab.sipp("a", S.BASIC_UAC, "-s", "442079460123", timeout=25)
    assert near.wait(30) == 0, lab.sipp_error(near) + lab.logs()
    assert far.wait(15) == 0, lab.sipp_error(far)


def test_calls_follow_a_carrier_by_srv(fresh):
    lab = fresh(edit=named('{ address = "carrier.test"; }'), workers=(1, 1, 1))
    server = dnsmasq(lab, *carrier("10.0.2.1", "10.0.2.2"))
    lab.ctl("dns", "refresh", "carrier.test")
    until(lambda: addresses(lab) == ["10.0.2.1:5060", "10.0.2.2:5070"], what="the addresses")
    lab.wait_ready()
    call(lab, "10.0.2.1")
    # Nobody is at the first one: the second of the same name is tried.
    call(lab, "10.0.2.2", 5070)
    # The first moves, without a word to the switch.
    server.kill()
    server = dnsmasq(lab, *carrier("10.0.2.3", "10.0.2.2"))
    until(lambda: addresses(lab) == ["10.0.2.3:5060", "10.0.2.2:5070"], what="the new address")
    time.sleep(1.2)  # pushed once a second at most
    call(lab, "10.0.2.3")
    # What comes from there is the carrier's; what comes from where it was is nobody's.
    near = lab.sipp("a", S.BASIC_UAS, timeout=30)
    lab.wait_listening("a")
    caller = lab.sipp("b", S.BASIC_UAC, "-s", "4930555100", ip="10.0.2.3", timeout=25)
    assert caller.wait(30) == 0, lab.sipp_error(caller) + lab.logs()
    assert near.wait(15) == 0, lab.sipp_error(near)
    before = lab.counters().get("sip.unknown_source", 0)
    stranger = lab.sipp("b", S.BASIC_UAC, "-s", "4930555100", ip="10.0.2.1", timeout=3)
    stranger.wait(20)
    assert lab.counters()["sip.unknown_source"] > before
    # Without the server the old answer serves, over restarts of both daemons too.
    server.kill()
    until(lambda: "dns.stale" in alarms(lab), 20, what="the alarm")
    call(lab, "10.0.2.3")
    for daemon in (lab.control, lab.dataplane):
        daemon.kill()
    lab.start()
    assert addresses(lab) == ["10.0.2.3:5060", "10.0.2.2:5070"] and lab.show("dns")[0]["state"] == "stale"
    call(lab, "10.0.2.3")
    lab.settle()


def test_a_name_that_never_resolved_is_no_hang(fresh):
    lab = fresh(edit=named('{ address = "nowhere.test"; }'))
    began = time.monotonic()
    refused = lab.sipp("a", S.uac(S.invite(), S.recv(100, optional=True), S.recv(503), S.ack_failure()), "-s", "442079460123", timeout=10)
    assert refused.wait(15) == 0, lab.sipp_error(refused) + lab.logs()
    assert time.monotonic() - began < 3
    (cdr,) = lab.cdrs(1)
    assert cdr["sip_code"] == 503
    until(lambda: "dns.unresolved" in alarms(lab), what="the alarm")
    assert [t["state"] for t in lab.show("trunks") if t["name"] == "carrier-b"] == ["down"]
    steps = lab.ctl("route", "test", "442079460123", "--from", "carrier-a", code=1)
    assert "its host has no known address" in steps, steps
    # The server comes up with it.
    dnsmasq(lab, "--host-record=nowhere.test,10.0.2.1")
    lab.ctl("dns", "refresh", "nowhere.test")
    until(lambda: addresses(lab) == ["10.0.2.1:5060"], what="the address")
    time.sleep(1.2)
    call(lab, "10.0.2.1", callee=S.BASIC_UAS)
    lab.settle()


def test_a_provider_by_name(fresh):
    lab = fresh(edit=named('{ address = "sip.provider.test"; }', ('realm = "east"; max_calls', ACCOUNT + " max_calls")))
    provider = kamailio.provider(lab)
    dnsmasq(lab, "--host-record=sip.provider.test,10.0.2.1")
    lab.ctl("dns", "refresh", "sip.provider.test")
    provider.wait_line("PROVIDER registered tandem", timeout=30)
    far = lab.sipp("b", S.BASIC_UAS, ip="10.0.2.2", timeout=40)
    until(lambda: "10.0.2.2:5060" in sh(*lab.in_ns("b", "ss", "-Hlun")), what="the far end's socket")
    near = lab.sipp("a", S.BASIC_UAC, "-s", "442079460123", timeout=30)
    assert near.wait(40) == 0, lab.sipp_error(near) + lab.logs() + provider.process.text()[-1500:]
    assert far.wait(15) == 0, lab.sipp_error(far)
    assert provider.lines("PROVIDER authenticated")
    lab.settle()


NONE = """
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 5353))
soa = b"\\0" + struct.pack("!HHIH", 6, 1, 300, 22) + b"\\0\\0" + struct.pack("!5I", 1, 1, 1, 1, 7)
while True:
    query, peer = s.recvfrom(2048)
    end = query.index(b"\\0", 12) + 5
    s.sendto(query[:2] + b"\\x85\\x83" + struct.pack("!4H", 1, 0, 1, 0) + query[12:end] + soa, peer)
"""



def test_what_there_is_none_of_is_asked_again_when_its_zone_says_so(fresh):
    """RFC 2308: the SOA's minimum, 7 s here; the other servers of the file come into force by a reload."""
    lab = fresh(edit=named('{ address = "late.test"; }, { address = "late.test"; port = 5070; }'))
    server = Process("none", lab.in_ns("x", "/usr/bin/python3", "-c", NONE), lab.folder)
    lab.children.append(server)
    until(lambda: "127.0.0.1:5353 " in sh(*lab.in_ns("x", "ss", "-Hlun")), what="the name server")
    lab.ctl("dns", "refresh", "late.test")
    until(lambda: all(n["error"].startswith("there is no such name") for n in lab.show("dns")), what="the answers")
    assert all(n["next_s"] <= 7 for n in lab.show("dns")), lab.show("dns")
    # One name with two ports is two subjects: one that is well again leaves the other's alarm.
    def subjects():
        return sorted(a["subject"] for a in json.loads(lab.ctl("alarms", "--json")) if a["name"] == "dns.unresolved")
    until(lambda: subjects() == ["late.test", "late.test:5070"], what="both alarms")
    other = Process("other", lab.in_ns(
        "x", "dnsmasq", "--keep-in-foreground", "--port=5454", "--listen-address=127.0.0.1", "--bind-interfaces", "--no-resolv",
        "--no-hosts", "--conf-file=/dev/null", "--pid-file=", "--user=root", "--local=/test/", "--host-record=late.test,10.0.2.1",
        "--srv-host=_sip._udp.late.test"), lab.folder)
    lab.children.append(other)
    until(lambda: "127.0.0.1:5454 " in sh(*lab.in_ns("x", "ss", "-Hlun")), what="the other name server")
    lab.conf.write_text(lab.conf.read_text().replace("127.0.0.1:5353", "127.0.0.1:5454"))
    assert "dns: changed" in lab.ctl("reload", "--dry-run") and len(subjects()) == 2
    assert "restart" not in lab.ctl("reload")
    until(lambda: addresses(lab) == ["10.0.2.1:5070"] and subjects() == ["late.test"], 15, what="the answer of the other server")
    assert "nothing changed" in lab.ctl("reload")
    lab.settle()
