# SPDX-License-Identifier: BSD-3-Clause
"""What a NOC engineer does while calls stand: look, limit, hang up, drain, reload, restart."""
import json
import re
import signal
import subprocess
import time

from lab import BUILD, ROOT, Process, sh, until
from scenario import (BASIC_UAC, BASIC_UAS, PROVISIONALS, ack, ack_failure, bye, expect, invite, pause, recv, reply, reply_again,
                      sdp, uac, uas)

TO_B = ("-s", "442079460123")
LONG_UAC = uac(invite(), PROVISIONALS, recv(200), ack(), pause(4000), bye(), recv(200))
ENDED_BY_SWITCH_UAC = uac(invite(), PROVISIONALS, recv(200), ack(), recv("BYE", timeout=30000), reply_again(200))
ENDED_BY_SWITCH_UAS = uas(recv("INVITE"), reply(200, body=sdp(), retrans=500), recv("ACK"), recv("BYE"), reply_again(200))


def standing_call(lab, caller=LONG_UAC, callee=BASIC_UAS, calls=1):
    server = lab.sipp("b", callee, calls=calls)
    lab.wait_listening("b")
    client = lab.sipp("a", caller, *TO_B, calls=calls)
    until(lambda: sum(c["state"] == "answered" for c in lab.calls()) == calls, 10, what="an answered call")
    return client, server


def finish(lab, client, server):
    assert client.wait(30) == 0, lab.sipp_error(client) + lab.logs()
    assert server.wait(30) == 0, lab.sipp_error(server) + lab.logs()
    lab.settle()


def test_show_calls(fresh):
    lab = fresh()
    client, server = standing_call(lab)
    (call,) = lab.calls()
    assert call["trunk_in"] == "carrier-a" and call["trunk_out"] == "carrier-b" and len(call["legs"]) == 2
    assert {leg["local"].rsplit(":", 1)[0] for leg in call["legs"]} == {"10.0.1.254", "10.0.2.254"}
    trunks = {t["name"]: t for t in lab.show("trunks")}
    assert trunks["carrier-a"]["calls"] == 1 and trunks["carrier-b"]["calls"] == 1 and trunks["carrier-a"]["state"] == "up"
    assert {c["role"] for c in lab.show("cores")} >= {"main", "worker"}
    assert {p["name"] for p in lab.show("ports")} == {"xa", "xb"}
    assert lab.show("call", call["id"])
    finish(lab, client, server)
    assert lab.cdrs(1)[0]["id"] == call["id"]
    lab.ctl("show", "call", "no-such-call", code=1)


def test_hangup(fresh):
    lab = fresh()
    client, server = standing_call(lab, ENDED_BY_SWITCH_UAC, ENDED_BY_SWITCH_UAS)
    lab.ctl("hangup", lab.calls()[0]["id"])
    finish(lab, client, server)
    assert lab.cdrs(1)[0]["released_by"] == "switch"
    lab.ctl("hangup", "no-such-call", code=1)


def test_trunk_limit_plus_one(fresh):
    lab = fresh(edit=lambda t: re.sub(r'(name = "carrier-b"; realm = "east"; )max_calls = 15000', r"\1max_calls = 2", t))
    server = lab.sipp("b", BASIC_UAS, calls=2)
    lab.wait_listening("b")
    first = lab.sipp("a", LONG_UAC, *TO_B, calls=2)
    until(lambda: len(lab.calls()) == 2, what="two calls")
    third = lab.sipp("a", uac(invite(), recv(100, optional=True), recv(503), ack_failure()), *TO_B, port=5070)
    assert third.wait(20) == 0, lab.sipp_error(third)
    finish(lab, first, server)
    assert sorted(r["sip_code"] for r in lab.cdrs(3)) == [200, 200, 503]


def test_switch_limit_plus_one_over_three_workers(fresh):
    """limits.calls is one limit however many workers share the calls, and a reload lowers it."""
    lab = fresh(workers=(1, 1, 1), edit=lambda t: t.replace("calls = 4000;", "calls = 5;"))
    server = lab.sipp("b", BASIC_UAS, calls=5)
    lab.wait_listening("b")
    first = lab.sipp("a", LONG_UAC, *TO_B, calls=5, rate=50)
    until(lambda: sum(c["state"] == "answered" for c in lab.calls()) == 5, what="five calls")
    refused_uac = uac(invite(), recv(100, optional=True), recv(503, action=expect("Retry-After", "[0-9]+")), ack_failure())
    sixth = lab.sipp("a", refused_uac, *TO_B, port=5070)
    assert sixth.wait(20) == 0, lab.sipp_error(sixth)
    assert lab.counters()["sip.limit_calls"] == 1
    finish(lab, first, server)
    lab.conf.write_text(lab.conf.read_text().replace("calls = 5;", "calls = 1;"))
    lab.ctl("reload")
    client, server = standing_call(lab)
    second = lab.sipp("a", refused_uac, *TO_B, port=5070)
    assert second.wait(20) == 0, lab.sipp_error(second)
    finish(lab, client, server)
    assert sorted(r["sip_code"] for r in lab.cdrs(8)) == [200] * 6 + [503] * 2


def test_drain(fresh):
    lab = fresh()
    client, server = standing_call(lab)
    lab.ctl("drain")
    refused = lab.sipp("a", uac(invite(), recv(100, optional=True), recv(503, action=expect("Retry-After", "[0-9]+")),
                                ack_failure()), *TO_B, port=5070)
    assert refused.wait(20) == 0, lab.sipp_error(refused)
    finish(lab, client, server)


def test_reload_in_mid_call(fresh):
    lab = fresh()
    client, server = standing_call(lab)
    lab.conf.write_text(lab.conf.read_text().replace('prefix = "49"', 'prefix = "33"'))
    lab.ctl("reload")
    probe = lab.sipp("b", uac(invite(), recv(100, optional=True), recv(404), ack_failure()), "-s", "4930555100", port=5070)
    assert probe.wait(20) == 0, lab.sipp_error(probe)
    assert [c["state"] for c in lab.calls()] == ["answered"]
    finish(lab, client, server)


def test_reload_refuses_a_bad_file(fresh):
    lab = fresh()
    good = lab.conf.read_text()
    lab.conf.write_text(good.replace('trunk = "carrier-b"', 'trunk = "carrier-z"'))
    lab.ctl("reload", code=1)
    lab.conf.write_text(good)
    lab.run_pair(BASIC_UAC, BASIC_UAS, uac_args=TO_B)
    lab.settle()


def test_control_restart_in_mid_call(fresh):
    lab = fresh()
    client, server = standing_call(lab)
    lab.control.kill(signal.SIGKILL)
    assert lab.dataplane.alive()
    lab.start_control()
    lab.wait_ready()
    assert [c["state"] for c in lab.calls()] == ["answered"]
    finish(lab, client, server)
    lab.cdrs(1)


def test_data_plane_alone_keeps_its_policy(fresh):
    lab = fresh()
    lab.control.kill(signal.SIGKILL)
    lab.dataplane.kill(signal.SIGTERM)
    lab.start_dataplane()
    until(lambda: (lab.run_dir / "dataplane.sock").exists(), what="the data plane")
    lab.run_pair(BASIC_UAC, BASIC_UAS, uac_args=TO_B)
    lab.start_control()
    lab.wait_ready()
    assert len(lab.cdrs(1)) == 1
    lab.settle()


def test_sigterm_ends_with_zero(fresh):
    lab = fresh(edit=lambda t: t.replace("cps = 1000;", "cps = 1000; drain_s = 2;"))
    assert lab.dataplane.kill(signal.SIGTERM) == 0
    assert lab.control.kill(signal.SIGTERM) == 0


def test_killed_data_plane_leaves_one_incomplete_cdr(fresh):
    lab = fresh()
    client, server = standing_call(lab)
    lab.dataplane.kill(signal.SIGKILL)
    lab.start_dataplane()
    lab.wait_ready()
    (cdr,) = lab.cdrs(1)
    assert cdr["complete"] == 0 and cdr["answer_us"] is not None
    client.kill()
    server.kill()


def test_end_waits_for_the_answer_to_its_bye(fresh):
    """A BYE that gets lost must be sent again: who still waits for an answer to one holds the end up."""
    lab = fresh(edit=lambda t: t.replace("cps = 1000;", "cps = 1000; drain_s = 1;"))
    slow_uas = uas(recv("INVITE"), reply(200, body=sdp(), retrans=500), recv("ACK"), recv("BYE"), pause(3000),
                   reply_again(200))
    client, server = standing_call(lab, ENDED_BY_SWITCH_UAC, slow_uas)
    begin = time.monotonic()
    assert lab.dataplane.kill(signal.SIGTERM) == 0
    assert time.monotonic() - begin > 3
    assert client.wait(10) == 0, lab.sipp_error(client)
    assert server.wait(10) == 0, lab.sipp_error(server)


def test_call_end_is_one_line(fresh):
    lab = fresh()
    lab.run_pair(BASIC_UAC, BASIC_UAS, uac_args=TO_B)
    (cdr,) = lab.cdrs(1)
    lines = [line for line in lab.dataplane.text().splitlines() if " call.end " in line]
    assert len(lines) == 1 and f" id={cdr['id']} " in lines[0] and " code=200 " in lines[0]


def test_states_of_trunks(fresh):
    off = 'name = "carrier-b"; realm = "east"; '
    lab = fresh(edit=lambda t: t.replace(off, off + "enabled = false; "))

    def states():
        return {t["name"]: t["state"] for t in lab.show("trunks")}

    assert states() == {"carrier-a": "up", "carrier-b": "disabled"}
    lab.ctl("drain")
    assert states() == {"carrier-a": "draining", "carrier-b": "disabled"}
    lab.ctl("drain", "--off")
    sh("ip", "-n", lab.ns["a"], "link", "set", "a0", "down")
    until(lambda: states()["carrier-a"] == "down", what="the state of a port without carrier")
    lab.ctl("wait", "--timeout", "0.3", code=3)
    sh("ip", "-n", lab.ns["a"], "link", "set", "a0", "up")
    until(lambda: states()["carrier-a"] == "up", what="the carrier")
    lab.ctl("wait")


def test_wrong_machine_is_one_clear_line(tmp_path):
    """What is missing stands in the last line; 2 where the configuration is at fault, 1 where the machine is."""
    def start(*sets):
        sets = [f"run_dir={tmp_path}/run", f"state_dir={tmp_path}/state", "memory.huge_mb=0", *sets]
        argv = [BUILD / "tandem-dataplane", "-c", ROOT / "configs" / "two-carriers.conf"]
        for one in sets:
            argv += ["--set", one]
        p = subprocess.run(argv, capture_output=True, text=True, timeout=30)
        return p.returncode, p.stderr.splitlines()[-1]

    code, line = start("ports.xa.device=net_af_packet0,iface=notthere")
    assert code == 1 and "port xa" in line and "there is no interface notthere" in line, line
    code, line = start("lcores.workers=[1023]")
    assert code == 2 and "found 1023" in line and "a CPU that this machine has" in line, line
    code, line = start("limits.calls=90000000")
    assert code == 2


def test_watch_and_audit(fresh):
    lab = fresh()
    watch = Process("watch", [BUILD / "tandemctl", "-c", lab.conf, "watch", "--json", "--kind", "call", "--kind", "trunk", "--kind",
                              "audit", "--kind", "policy", "--kind", "dataplane"], lab.folder)
    lab.children.append(watch)
    time.sleep(0.5)

    def events(kind):
        return [e for e in map(json.loads, watch.text().splitlines()) if e["kind"] == kind]

    client, server = standing_call(lab, ENDED_BY_SWITCH_UAC, ENDED_BY_SWITCH_UAS)
    call = lab.calls()[0]["id"]
    lab.ctl("hangup", call)
    finish(lab, client, server)
    (ended,) = until(lambda: events("call"), what="the end of the call")
    assert ended["subject"] == call and ended["state"] == "answered"
    assert ended["details"]["trunk_out"] == "carrier-b" and ended["details"]["released_by"] == "switch"
    sh("ip", "-n", lab.ns["b"], "link", "set", "b0", "down")
    until(lambda: [e for e in events("trunk") if e["subject"] == "carrier-b" and e["state"] == "down"], what="the trunk's fall")
    sh("ip", "-n", lab.ns["b"], "link", "set", "b0", "up")
    until(lambda: [e for e in events("trunk") if e["subject"] == "carrier-b" and e["state"] == "up"], what="its return")
    lab.conf.write_text(lab.conf.read_text().replace("max_calls = 15000", "max_calls = 15001"))
    lab.ctl("reload", "--dry-run")
    lab.ctl("reload")
    lab.ctl("hangup", "no-such-call", code=1)
    lab.control.p.send_signal(signal.SIGHUP)
    until(lambda: len(events("audit")) == 4, what="four changes")
    rows = json.loads(lab.ctl("audit", "--json"))
    assert [(r["what"], r["on"], r["code"] == 0) for r in rows] == [
        ("hangup", call, True), ("reload", "", True), ("hangup", "no-such-call", False), ("reload", "", True)]
    assert [r["user"] for r in rows] == ["root", "root", "root", "SIGHUP"] and rows[0]["pid"] > 1
    assert len(json.loads(lab.ctl("audit", "--last", "2", "--json"))) == 2 and "no-such-call" in lab.ctl("audit")
    assert [e["state"] for e in events("policy")] == ["committed"]
    lab.dataplane.kill(signal.SIGKILL)
    until(lambda: [e["state"] for e in events("dataplane")] == ["lost"], what="the loss")
    assert lab.ctl("watch", "--timeout", "0.2") == ""
    lab.ctl("watch", "--kind", "weather", code=1)


def test_trunk_is_taken_out_of_service(fresh):
    lab = fresh()
    client, server = standing_call(lab)
    lab.ctl("trunk", "disable", "no-such-trunk", code=1)
    assert "go on" in lab.ctl("trunk", "disable", "carrier-b")
    states = {t["name"]: t["state"] for t in lab.show("trunks")}
    assert states == {"carrier-a": "up", "carrier-b": "draining"}
    refused = uac(invite(), recv(100, optional=True), recv(503), ack_failure())
    second = lab.sipp("a", refused, *TO_B, port=5070)
    assert second.wait(20) == 0, lab.sipp_error(second)
    lab.ctl("trunk", "drain", "carrier-b", "--timeout", "1.5", code=1)
    assert "no call left" in lab.ctl("trunk", "drain", "carrier-b")
    finish(lab, client, server)
    assert {t["name"]: t["state"] for t in lab.show("trunks")}["carrier-b"] == "disabled"
    lab.control.kill(signal.SIGKILL)  # what the operator said stands over a restart
    lab.start_control()
    lab.wait_ready()
    third = lab.sipp("a", refused, *TO_B, port=5071)
    assert third.wait(20) == 0, lab.sipp_error(third)
    assert "stays disabled" in lab.ctl("reload", "--dry-run")
    lab.ctl("trunk", "enable", "carrier-b")
    lab.run_pair(BASIC_UAC, BASIC_UAS, uac_args=TO_B)
    lab.settle()
    assert [(r["what"], r["on"]) for r in json.loads(lab.ctl("audit", "--json")) if r["what"].startswith("trunk ")] == [
        ("trunk disable", "no-such-trunk"), *[("trunk disable", "carrier-b")] * 3, ("trunk enable", "carrier-b")]


def test_a_trunk_is_added_while_a_call_stands(fresh):
    """A new carrier of the store calls in by its own address, also after both daemons were killed; a standing call stays."""
    lab = fresh()
    plan = lab.folder / "plan.csv"
    plan.write_text("match,to,priority,weight,cost\n49,carrier-a,,,\n")
    client, server = standing_call(lab)
    stranger = ("-s", "4930123")

    def calls_in(answered):
        callee = lab.sipp("a", BASIC_UAS, ip="10.0.1.3", port=5070, timeout=20)
        lab.wait_listening("a", 5070)
        caller = lab.sipp("b", BASIC_UAC, *stranger, ip="10.0.2.3", timeout=8)
        assert (caller.wait(30) == 0) == answered, lab.sipp_error(caller) + lab.logs()
        callee.kill(signal.SIGKILL)

    calls_in(False)
    lab.ctl("route", "load", plan, "--plan", "new", "--commit")
    lab.ctl("trunk", "add", "caller-in", "--realm", "west", "--peer", "10.0.1.3:5070")
    plan.write_text("match,to,priority,weight,cost\n49,caller-in,,,\n")
    lab.ctl("route", "load", plan, "--plan", "new", "--commit")
    assert "+ carrier-c" in lab.ctl("trunk", "add", "carrier-c", "--realm", "east", "--peer", "10.0.2.3", "--plan", "new")
    calls_in(True)
    finish(lab, client, server)
    lab.control.kill(signal.SIGKILL)
    lab.dataplane.kill(signal.SIGKILL)
    lab.start()
    assert {"carrier-c", "caller-in"} < {t["name"] for t in lab.show("trunks")}
    calls_in(True)
    lab.ctl("trunk", "del", "carrier-c")
    assert "carrier-c" not in {t["name"] for t in lab.show("trunks")}
    lab.settle()
