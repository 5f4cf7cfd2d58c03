# SPDX-License-Identifier: BSD-3-Clause
"""What an operator sees in figures: show stats, and what Prometheus scrapes."""
import json
import math
import re
import signal
import subprocess
import time

from lab import ROOT, Process, until
from scenario import BASIC_UAC, BASIC_UAS, ack_failure, invite, recv, uac

TO_B = ("-s", "442079460123")


def stats(lab):
    return {(row["name"], *sorted(row["labels"].items())): row.get("value", row.get("histogram")) for row in lab.show("stats")}


def test_show_stats(fresh):
    lab = fresh(workers=(1, 1, 1))
    lab.run_pair(BASIC_UAC, BASIC_UAS, calls=10, rate=20, uac_args=TO_B)
    refused = lab.sipp("b", uac(invite(), recv(100, optional=True), recv(404), ack_failure()), "-s", "339", calls=3)
    assert refused.wait(20) == 0, lab.sipp_error(refused)
    lab.settle()
    found = stats(lab)

    def messages(name, direction, method, **labels):
        return found[(f"tandem_sip_{name}_total", *sorted({"direction": direction, "method": method, **labels}.items()))]

    assert messages("requests", "in", "INVITE") == 13 and messages("requests", "out", "INVITE") == 10
    assert messages("requests", "out", "BYE") == 10 and messages("responses", "out", "BYE", **{"class": "2xx"}) == 10
    assert messages("responses", "out", "INVITE", **{"class": "2xx"}) == 10
    assert messages("responses", "out", "INVITE", **{"class": "4xx"}) == 3
    counters = lab.counters()
    for name, total in (("requests", "rx"), ("responses", "rx"), ("requests", "tx"), ("responses", "tx")):
        direction = "in" if total == "rx" else "out"
        cells = [v for k, v in found.items() if k[0] == f"tandem_sip_{name}_total" and ("direction", direction) in k]
        assert sum(cells) == counters[f"sip.{total}_{name}"], name
    assert found[("tandem_calls_offered_total",)] == 13 and found[("tandem_calls_answered_total",)] == 10
    assert found[("tandem_calls_ended_total", ("result", "answered"))] == 10
    assert found[("tandem_calls_ended_total", ("result", "client_error"))] == 3
    assert found[("tandem_calls",)] == 0 and found[("tandem_calls_limit",)] == 4000
    durations = found[("tandem_call_duration_seconds",)]
    assert durations["count"] == 10 and sum(b["count"] for b in durations["buckets"]) == 10 and 2 < durations["sum"] < 8
    assert found[("tandem_post_dial_delay_seconds",)]["count"] == 10
    assert found[("tandem_rtp_loss_ratio",)]["count"] == found[("tandem_rtp_jitter_seconds",)]["count"]
    pools = {dict(k[1:])["pool"] for k in found if k[0] == "tandem_pool_used"}
    assert {"calls", "buffers", "media_legs"} <= pools
    for key, used in found.items():
        if key[0] == "tandem_pool_used":
            assert used <= found[("tandem_pool_size", *key[1:])], key
    assert found[("tandem_journal_written_bytes_total",)] > 0 and found[("tandem_journal_failing",)] == 0
    assert "tandem_calls_offered_total" in lab.ctl("show", "stats")


def http(lab, path="/metrics"):
    """(status, text) of a page of the exporter, which listens on the loopback of the switch's namespace."""
    script = ("import sys, urllib.request, urllib.error\n"
              "try: r = urllib.request.urlopen('http://127.0.0.1:9464' + sys.argv[1], timeout=10)\n"
              "except urllib.error.HTTPError as e: r = e\n"
              "print(r.status); print(r.read().decode(), end='')")
    p = subprocess.run(lab.in_ns("x", "/usr/bin/python3", "-c", script, path), capture_output=True, text=True, timeout=30)
    assert p.returncode == 0, p.stderr
    status, text = p.stdout.split("\n", 1)
    return int(status), text


def samples(lab):
    """name{labels} → value of one scrape."""
    status, text = http(lab)
    assert status == 200, text
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            assert name not in found, f"{name} comes twice"
            found[name] = float(value)
    return found


def test_the_ratio_is_of_the_last_minutes_whoever_restarts(fresh):
    """What ended before control, or before its connection, is not of the last five minutes."""
    lab = fresh()
    lab.run_pair(BASIC_UAC, BASIC_UAS, calls=5, rate=20, uac_args=TO_B)
    lab.settle()
    lab.control.kill(signal.SIGTERM)
    lab.start_control()
    lab.wait_ready()
    until(lambda: samples(lab).get('tandem_calls_ended_total{result="answered"}') == 5, what="a page with five calls")
    assert math.isnan(samples(lab)["tandem_answer_seizure_ratio"])


def test_metrics(fresh):
    lab = fresh(workers=(1, 1, 1))
    assert http(lab, "/healthz") == (200, "well\n")
    until(lambda: http(lab, "/readyz")[0] == 200, what="readiness")
    lab.run_pair(BASIC_UAC, BASIC_UAS, calls=10, rate=20, uac_args=TO_B)
    lab.settle()
    until(lambda: samples(lab)['tandem_calls_ended_total{result="answered"}'] == 10, what="a page with ten calls")
    found = samples(lab)
    for row in lab.show("stats"):
        labels = ",".join(f'{k}="{v}"' for k, v in row["labels"].items())
        if "value" in row and "used" not in row["name"] and "journal" not in row["name"]:
            assert found[row["name"] + (f"{{{labels}}}" if labels else "")] == row["value"], row
    cores = lab.show("cores")
    for core in cores:
        labels = f'{{core="{core["core"]}",role="{core["role"]}"}}'
        assert 0 <= found["tandem_core_busy_ratio" + labels] <= 1
        assert found["tandem_core_received_packets_total" + labels] <= core["rx_packets"]
    drops = sum(v for k, v in found.items() if k.startswith("tandem_dropped_packets_total"))
    assert drops <= sum(c["drops"] for c in cores)
    assert found['tandem_events_total{event="call.started"}'] == 10
    assert found['tandem_trunk_state{trunk="carrier-a",realm="west",state="up"}'] == 1
    assert found['tandem_trunk_state{trunk="carrier-a",realm="west",state="down"}'] == 0
    assert found['tandem_port_up{port="xa"}'] == 1 and found["tandem_ready"] == 1
    assert found["tandem_answer_seizure_ratio"] == 1
    until(lambda: samples(lab)['tandem_journal_unread_bytes{destination="store"}'] == 0, what="the journal read to its end")
    assert found['tandem_call_duration_seconds_bucket{le="+Inf"}'] == found["tandem_call_duration_seconds_count"] == 10
    names = {re.sub(r"_(bucket|sum|count)$", "", k.split("{")[0]) for k in found} | {k.split("{")[0] for k in found}
    declared = re.findall(r'^\tX\(\w+, "(\w+)"', (ROOT / "include" / "metrics.h").read_text(), re.M)
    missing = set(declared) - names
    assert len(declared) > 30 and missing <= {"tandem_alarm", "tandem_trunk_registered"}, missing  # no alarm, no account


def test_readiness_follows_the_switch(fresh):
    lab = fresh()
    until(lambda: http(lab, "/readyz")[0] == 200, what="readiness")
    lab.ctl("drain")
    until(lambda: http(lab, "/readyz") == (503, "draining: new calls get 503\n"), what="the drain")
    lab.ctl("drain", "--off")
    until(lambda: http(lab, "/readyz")[0] == 200, what="the end of the drain")
    lab.dataplane.kill(signal.SIGKILL)
    gone = (503, "tandem-dataplane is not connected: where it does not run, no call is carried\n")
    until(lambda: http(lab, "/readyz") == gone, what="the loss")
    until(lambda: samples(lab)["tandem_dataplane_connected"] == 0, what="the page")
    assert http(lab, "/healthz")[0] == 200  # a restart is no illness
    until(lambda: http(lab, "/healthz") == gone, what="the illness")
    lab.start_dataplane()
    lab.wait_ready()
    until(lambda: http(lab, "/readyz")[0] == 200 and http(lab, "/healthz")[0] == 200, what="readiness")


def test_a_data_plane_that_hangs_is_told(fresh):
    """It is connected, and does not answer: nothing says well for more than some seconds, and no question waits."""
    lab = fresh()

    def alarms():
        return [a["name"] for a in json.loads(lab.ctl("alarms", "--json"))]

    until(lambda: http(lab, "/readyz")[0] == 200, what="readiness")
    lab.dataplane.p.send_signal(signal.SIGSTOP)
    begin = time.monotonic()
    until(lambda: http(lab, "/healthz")[0] == http(lab, "/readyz")[0] == 503, 8, what="the illness")
    assert "does not answer" in http(lab, "/healthz")[1]
    until(lambda: alarms() == ["dataplane.silent"], what="the alarm")
    until(lambda: samples(lab)["tandem_dataplane_connected"] == 0, 4, what="the page")
    while time.monotonic() < begin + 14:  # whatever it tries meanwhile, it does not say well
        assert http(lab, "/healthz")[0] == http(lab, "/readyz")[0] == 503
        time.sleep(0.5)
    asked = time.monotonic()
    assert "does not answer" in lab.ctl("show", "trunks", "--json", code=1)
    assert lab.ctl("status", code=1).startswith("tandem-dataplane is there, but does not answer")
    lab.ctl("drain", code=1)  # and it does not come true later, when it goes on
    assert time.monotonic() - asked < 6
    lab.dataplane.p.send_signal(signal.SIGCONT)
    until(lambda: http(lab, "/readyz")[0] == http(lab, "/healthz")[0] == 200, what="its return")
    until(lambda: alarms() == [], what="the end of the alarm")
    lab.run_pair(BASIC_UAC, BASIC_UAS, uac_args=TO_B)


def test_scrapers_disturb_nobody(fresh):
    """Forty that begin a request and never end it, and ten that ask as fast as they can."""
    lab = fresh()
    hold = ("import socket, time\n"
            "held = [socket.create_connection(('127.0.0.1', 9464)) for _ in range(40)]\n"
            "for s in held: s.send(b'GET /metr')\n"
            "print('held', flush=True); time.sleep(30)")
    fast = ("import urllib.request, time\n"
            "end = time.time() + 4\n"
            "while time.time() < end:\n"
            "  try: urllib.request.urlopen('http://127.0.0.1:9464/metrics', timeout=1).read()\n"
            "  except OSError: pass")
    lab.children.append(Process("hold", lab.in_ns("x", "/usr/bin/python3", "-c", hold), lab.folder))
    until(lambda: "held" in lab.children[-1].text(), what="held connections")
    for i in range(10):
        lab.children.append(Process(f"fast{i}", lab.in_ns("x", "/usr/bin/python3", "-c", fast), lab.folder))
    begin = time.monotonic()
    lab.run_pair(BASIC_UAC, BASIC_UAS, calls=5, rate=5, uac_args=TO_B)
    assert len(lab.show("cores")) == 2
    lab.settle()
    assert time.monotonic() - begin < 15
    until(lambda: http(lab, "/healthz")[0] == 200, 25, what="room for a scraper again")


def test_a_port_that_is_taken_stops_nothing(fresh):
    lab = fresh(edit=lambda t: t + 'metrics = { address = "192.0.2.1"; };\n')
    assert "metrics.failed" in lab.control.text()
    lab.run_pair(BASIC_UAC, BASIC_UAS, uac_args=TO_B)


def test_a_port_that_comes_free_is_taken(fresh):
    lab = fresh()

    def alarms():
        return [a["name"] for a in json.loads(lab.ctl("alarms", "--json"))]

    lab.control.kill(signal.SIGTERM)
    hold = "import socket, time; s = socket.create_server(('127.0.0.1', 9464)); print('held', flush=True); time.sleep(60)"
    holder = Process("holder", lab.in_ns("x", "/usr/bin/python3", "-c", hold), lab.folder)
    lab.children.append(holder)
    until(lambda: "held" in holder.text(), what="the port held")
    lab.start_control()
    lab.wait_ready()
    until(lambda: alarms() == ["metrics.failed"], what="the alarm")
    holder.kill()
    until(lambda: alarms() == [], 15, what="the end of the alarm")
    assert http(lab, "/healthz") == (200, "well\n")
