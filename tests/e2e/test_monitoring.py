# SPDX-License-Identifier: BSD-3-Clause
"""A real Prometheus scrapes a running switch with the configuration that is shipped; every query of the rules and of the
dashboard is asked of it, and names nothing that the switch does not export."""
import json
import re
import subprocess
import urllib.parse

import pytest

from lab import ROOT, Process, sh, until
from scenario import BASIC_UAC, BASIC_UAS

RULES = ROOT / "configs" / "prometheus" / "tandem-rules.yml"
DASHBOARD = ROOT / "configs" / "grafana" / "tandem.json"
# There only while something is wrong, or after the rules were evaluated over data of their own.
ABSENT_WHEN_WELL = {"tandem_alarm", "tandem_trunk_registered"}
# For a question at times, not for a wall.
NOT_DRAWN = {"tandem_build_info", "tandem_core_handoff_ratio", "tandem_journal_written_bytes_total"}


def rule_queries():
    """Every expression of the rules, as promtool's own parser has taken them, and the names that they record."""
    text = RULES.read_text()
    exprs = [e.replace("''", "'") for e in re.findall(r"^ +expr: '(.*)'$", text, re.M)]
    assert len(exprs) == text.count("expr:") > 20
    return exprs, set(re.findall(r"record: (\S+)", text))


def dashboard_queries():
    board = json.loads(DASHBOARD.read_text())
    exprs = [t["expr"] for p in board["panels"] for t in p.get("targets", [])] + [
        a["expr"] for a in board["annotations"]["list"]]
    assert len(exprs) > 40
    return [e.replace("$__rate_interval", "1m").replace("$instance", ".*") for e in exprs]


def names_in(expr):
    return {n for n in re.findall(r"\b(?:tandem|up)[a-z0-9_:]*\b", re.sub(r'"[^"]*"', "", expr)) if n.startswith("tandem")}


def test_promtool_takes_the_rules(tmp_path):
    sh("promtool", "check", "rules", RULES)
    sh("promtool", "check", "config", ROOT / "configs" / "prometheus" / "prometheus.yml")
    cases = tmp_path / "rules.test.yml"
    fires = [{"expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}}) > bool 0', "eval_time": "40m",
              "exp_samples": [{"labels": "{}", "value": 1}]} for name in re.findall(r"- alert: (\w+)", RULES.read_text())]
    cases.write_text((ROOT / "tests" / "data" / "tandem-rules.test.yml").read_text().replace("RULES", str(RULES)).replace(
        "EACH_FIRES", json.dumps(fires)))
    sh("promtool", "test", "rules", cases)


def test_every_alert_says_what_to_do():
    text = RULES.read_text()
    alerts = text.split("- alert: ")[1:]
    assert len(alerts) > 15
    for alert in alerts:
        for part in ("severity: ", "summary: ", "action: >-"):
            assert part in alert, (alert.split("\n")[0], part)


def test_every_metric_is_looked_at():
    """What nobody asks for, neither an alert nor a panel, is told nobody."""
    exported = set(re.findall(r'X\(\w+, "(\w+)"', (ROOT / "include" / "metrics.h").read_text()))
    asked = {re.sub(r"_(bucket|sum|count)$", "", n) for e in rule_queries()[0] + dashboard_queries() for n in names_in(e)}
    assert len(exported) > 50 and exported - asked <= NOT_DRAWN, exported - asked - NOT_DRAWN


@pytest.fixture
def prometheus(fresh):
    """A switch that carries calls, and Prometheus beside it; asks a query of its API."""
    lab = fresh(workers=(1, 1, 1))
    conf = lab.folder / "prometheus.yml"
    conf.write_text((ROOT / "configs" / "prometheus" / "prometheus.yml").read_text().replace("15s", "1s").replace(
        "tandem-rules.yml", str(RULES)))
    server = Process("prometheus", lab.in_ns("x", "prometheus", f"--config.file={conf}", f"--storage.tsdb.path={lab.folder}/tsdb",
                                             "--web.listen-address=127.0.0.1:9090"), lab.folder)
    lab.children.append(server)

    def api(path, **query):
        url = f"http://127.0.0.1:9090/api/v1/{path}?" + urllib.parse.urlencode(query)
        p = subprocess.run(lab.in_ns("x", "/usr/bin/python3", "-c", "import sys, urllib.request, urllib.error\n"
                                     "try: print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())\n"
                                     "except urllib.error.HTTPError as e: print(e.read().decode())\n"
                                     "except OSError: print('{}')", url), capture_output=True, text=True, timeout=30)
        return json.loads(p.stdout or "{}")

    lab.run_pair(BASIC_UAC, BASIC_UAS, calls=20, rate=10, uac_args=("-s", "442079460123"))
    until(lambda: [r for r in api("query", query='up{job="tandem"}').get("data", {}).get("result", [])
                   if r["value"][1] == "1"], 30, what=f"a scrape\n{server.text()[-2000:]}")
    yield lab, api


def test_every_query_is_answered(prometheus):
    lab, api = prometheus
    exprs, recorded = rule_queries()
    until(lambda: api("query", query="tandem_calls_answered_total")["data"]["result"][0]["value"][1] == "20", 20,
          what="twenty calls in Prometheus")
    names = set(api("label/__name__/values")["data"])
    assert {"tandem_core_busy_ratio", "tandem_sip_requests_total", "tandem_trunk_state"} <= names
    for expr in exprs + dashboard_queries():
        answer = api("query", query=expr)
        assert answer.get("status") == "success", f"{expr}: {answer}"
        unknown = names_in(expr) - names - recorded - ABSENT_WHEN_WELL
        assert not unknown, f"{expr}: no metric is called {unknown}"
    page = sh(*lab.in_ns("x", "/usr/bin/python3", "-c", "import urllib.request as r; "
                         "print(r.urlopen('http://127.0.0.1:9464/metrics', timeout=10).read().decode(), end='')"))
    assert sh("promtool", "check", "metrics", input=page) == ""
    rules = [r for g in api("rules")["data"]["groups"] for r in g["rules"]]
    assert len(rules) == len(exprs) and all(r["health"] in ("ok", "unknown") for r in rules), rules
    firing = [a["labels"]["alertname"] for a in api("alerts")["data"]["alerts"] if a["state"] == "firing"]
    assert firing == [], firing  # a switch that is well wakes nobody


def test_an_alert_fires(prometheus):
    lab, api = prometheus
    lab.dataplane.kill()
    until(lambda: [a for a in api("alerts")["data"]["alerts"] if a["labels"]["alertname"] == "TandemDataplaneLost"], 20,
          what="the alert")
    assert api("query", query="tandem_ready")["data"]["result"][0]["value"][1] == "0"
    # Who has no Prometheus asks for the alarms.
    until(lambda: [a["name"] for a in json.loads(lab.ctl("alarms", "--json"))] == ["dataplane.away"], 10, what="the alarm")
    sh("ip", "-n", lab.ns["a"], "link", "set", "a0", "down")
    lab.start_dataplane()
    until(lambda: [(a["name"], a["subject"]) for a in json.loads(lab.ctl("alarms", "--json"))] == [("port.down", "xa")], 20,
          what="the alarm of a port without carrier alone")
    sh("ip", "-n", lab.ns["a"], "link", "set", "a0", "up")
    until(lambda: json.loads(lab.ctl("alarms", "--json")) == [], 10, what="the end of all alarms")
