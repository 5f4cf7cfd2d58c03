# SPDX-License-Identifier: BSD-3-Clause
"""The Python client against the daemon: it sees and does what tandemctl does, from the schema alone."""
import errno
import json
import subprocess
import sys

import pytest

from lab import ROOT, until
from test_operator import ENDED_BY_SWITCH_UAC, ENDED_BY_SWITCH_UAS, finish, standing_call

sys.path.insert(0, str(ROOT / "control" / "client"))
from tandem_client import Refused, Tandem, pb  # noqa: E402

CLIENT = ROOT / "control" / "client" / "tandem_client.py"


def test_the_client_is_short():
    assert len(CLIENT.read_text().splitlines()) <= 200


def test_python_client(fresh):
    lab = fresh()
    path = lab.run_dir / "control.sock"
    client, server = standing_call(lab, ENDED_BY_SWITCH_UAC, ENDED_BY_SWITCH_UAS)
    with Tandem(path) as switch, Tandem(path) as watcher:
        status = switch.status()
        assert status.dataplane_connected and status.in_sync and status.ports_ready and not status.draining
        (call,) = switch.show("CALLS")
        assert call.trunk_out == "carrier-b" and len(call.legs) == 2 and lab.calls()[0]["id"] == call.id
        assert [c.id for c in switch.show("CALLS", key=call.id)] == [call.id] and switch.show("CALLS", key="none") == []
        assert [c.role for c in switch.show("CORES")] == [c["role"] for c in lab.show("cores")]
        assert {c.name for c in switch.show("COUNTERS", per_core=True)} == set(lab.counters())
        assert {t.name: t.state for t in switch.show("TRUNKS")} == {"carrier-a": "up", "carrier-b": "up"}
        assert len(switch.show("STATS")) == len(lab.show("stats"))
        events = watcher.watch("call", "audit")
        switch.hangup(call.id)
        found = [next(events), next(events)]
        assert {e.kind for e in found} == {"call", "audit"} and {e.state for e in found} == {"answered", "done"}
        details = {d.name: d.value for e in found if e.kind == "call" for d in e.details}
        assert details["trunk_in"] == "carrier-a" and details["code"] == "200"
        with pytest.raises(Refused) as refused:
            switch.hangup(call.id + "x")
        assert refused.value.code == errno.ENOENT and "no call" in refused.value.text
        with pytest.raises(Refused) as refused:
            switch.ask(hello=pb.Hello(role="stranger"))
        assert refused.value.code == errno.EOPNOTSUPP
        lab.conf.write_text(lab.conf.read_text().replace("max_calls = 15000", "max_calls = 15001"))
        assert "changed" in switch.reload(dry_run=True)
        assert switch.drain().count == 0 and switch.status().draining
        switch.drain(False)
        assert not switch.status().draining
        assert [a.what for a in switch.show("AUDIT")] == ["hangup", "hangup", "drain", "drain"]
        assert json.loads(lab.ctl("audit", "--json"))[-1]["on"] == "off"
    finish(lab, client, server)


def test_from_a_shell(fresh):
    lab = fresh()

    def run(*args):
        p = subprocess.run(["/usr/bin/python3", CLIENT, "-s", lab.run_dir / "control.sock", *args], capture_output=True, text=True,
                           timeout=30)
        return p.returncode, p.stdout + p.stderr

    code, text = run("show", "ports")
    assert code == 0 and 'name: "xa"' in text and 'name: "xb"' in text
    assert run("status")[0] == 0 and run("nonsense")[0] == 2
    code, text = run("hangup", "none")
    assert code == 1 and "no call" in text
    lab.control.kill()
    until(lambda: run("status")[0] == 3, what="the end of control")
