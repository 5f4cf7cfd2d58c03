# SPDX-License-Identifier: BSD-3-Clause
"""A subscriber changed while his calls are up: what is new counts for the next call, and nothing else has changed."""
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor

from lab import BUILD
from raw import Raw
from test_registrar import DOMAIN
from test_subscriber_limits import Caller, rings

PLANS = """
rules = ( { name = "desk"; match = "^44(.*)9$"; replace = "44\\\\1"; } );
plans = ( { name = "office"; rules = { callee = [ "desk" ]; }; } );
"""


def test_changed_with_a_call_up(fresh):
    lab = fresh(base="registrar.conf", edit=lambda text: text + PLANS)
    for user, number in (("1001", "4930555101"), ("1002", "4930555102"), ("1003", "4930555103")):
        lab.subscriber(f"{user}@{DOMAIN}", "secret", number)
    aor = f"1001@{DOMAIN}"
    lab.ctl("subscriber", "set", aor, "--max-calls", "1", "--display", "Ann")
    one, other = Caller(lab, "1001", "secret", ip="10.0.1.2"), Caller(lab, "1001", "secret", ip="10.0.1.3")
    with Raw(lab, "b", port=5060) as b, ThreadPoolExecutor(1) as phone:
        ringing = phone.submit(one.invite, "set-first")
        invite = rings(b)
        assert ringing.result() == 180 and other.invite("set-full") == 503
        assert lab.ctl("subscriber", "set", aor, "--max-calls", "2") == "done; max_calls 1 → 2\n"
        assert "plan subscribers → office" in lab.ctl("subscriber", "set", aor, "--plan", "office")
        steps = json.loads(lab.ctl("--json", "route", "test", "4420799", "--from", aor))["steps"]
        assert ("desk", "office", "442079") in [(s["name"], s["plan"], s["after"]) for s in steps], steps
        ringing = phone.submit(other.invite, "set-room", "4420799")
        second = rings(b)
        assert second.start.startswith("INVITE sip:442079@") and second.uri("from").startswith("sip:+4930555101@")
        assert second.get("from").startswith('"Ann"')
        assert ringing.result() == 180 and len(lab.calls()) == 2
        said = subprocess.run([BUILD / "tandemctl", "-c", lab.conf, "subscriber", "set", aor, "--password-stdin", "--max-calls", "0"],
                              input="other\n", capture_output=True, text=True, timeout=30)
        assert said.returncode == 0 and said.stdout == "done; password changed, max_calls 2 → 0\n", said
        third = Caller(lab, "1001", "secret", ip="10.0.1.4")
        assert third.invite("set-old") in (401, 403), "the old password"
        assert len(lab.calls()) == 2, "those that are up go on"
        third = Caller(lab, "1001", "other", ip="10.0.1.5")
        ringing = phone.submit(third.invite, "set-new")
        last = rings(b)
        assert ringing.result() == 180
        for caller, rung in ((one, invite), (other, second), (third, last)):
            cancelled = phone.submit(caller.cancel)
            b.reply(b.expect("CANCEL"), 200)
            b.reply(rung, 487)
            b.expect("ACK")
            cancelled.result()
    rows = {r["aor"]: r for r in json.loads(lab.ctl("subscriber", "list", "--json"))}
    assert (rows[aor]["display"], rows[aor]["numbers"], rows[aor]["max_calls"]) == ("Ann", ["4930555101"], 0)
    assert rows[f"1002@{DOMAIN}"]["max_calls"] == 0 and len(rows) == 3
    lab.settle()
