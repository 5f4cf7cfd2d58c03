# SPDX-License-Identifier: BSD-3-Clause
"""A store that is full, slow, wrong or torn: calls go on, the journal keeps what the store does not take, an alarm says what to
do, and when it is mended every call is there exactly once."""
import contextlib
import json
import random
import signal

import pytest

from lab import BUILD, Lab, Process, sh, until
from pg import Postgres
from test_peer import report, start_peer

CALLS, RATE = 400, 40


class LabOnTmpfs(Lab):
    """control's store lies on a tmpfs of so many kB in a mount namespace of control's own."""

    def __init__(self, kb, **kw):
        self.kb = kb
        super().__init__(edit=lambda text: text + f'store = "sqlite:{self.folder}/small/store.db";\n', **kw)

    def start_control(self):
        small = self.folder / "small"
        small.mkdir(exist_ok=True)
        argv = self.in_ns("x", BUILD / "tandem-control", "-c", self.conf)
        self.control = Process("control", ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                                           f'mount -t tmpfs -o size={self.kb}k small {small} && exec "$@"', "sh", *argv],
                               self.folder, env=self.env)

    def grow(self, kb):
        sh("nsenter", "-t", self.control.p.pid, "--mount", "mount", "-o", f"remount,size={kb}k", self.folder / "small")

    def ask(self, sql):
        script = ("import json, sqlite3, sys\n"
                  "db = sqlite3.connect(f'file:{sys.argv[1]}?mode=ro', uri=True, timeout=5)\n"
                  "print(json.dumps(db.execute(sys.argv[2]).fetchall()))")
        return json.loads(sh("nsenter", "-t", self.control.p.pid, "--mount", "/usr/bin/python3", "-c", script,
                             self.folder / "small" / "store.db", sql))


def alarms(lab):
    return {a["name"]: a for a in json.loads(lab.ctl("alarms", "--json"))}


def peers(lab, seed=11):
    options = {"calls": CALLS, "packets": 2, "rate": RATE, "hold_s": 0.2, "seed": seed}
    callee = start_peer(lab, "b", "callee", **options)
    return start_peer(lab, "a", "caller", **options), callee


def all_calls(lab, caller, callee):
    """Both ends had every call, whatever the store did meanwhile. Call-IDs of side a."""
    a, b = report(lab, caller, 120), report(lab, callee, 120)
    assert a["done"] == b["done"] == CALLS, (a["done"], b["done"])
    return {e["call_id"] for e in a["log"]}


def told(lab):
    alarm = until(lambda: alarms(lab).get("store.down"), 30, what="the alarm")
    assert alarm["severity"] == "critical" and alarm["advice"] and alarm["text"], alarm
    return alarm


def well(lab):
    until(lambda: "store.down" not in alarms(lab), 30, what="the end of the alarm")


def once(ask, calls):
    """Every call has one whole row, and nothing waits for an end."""
    def rows():
        found = [r[0] for r in ask("SELECT call_id_a FROM cdr WHERE complete = 1")]
        return len(found) >= CALLS and found
    found = until(rows, 30, what="all rows")
    assert sorted(found) == sorted(calls), (len(found), len(set(found)))
    assert int(ask("SELECT count(*) FROM cdr_open")[0][0]) == 0


def test_a_full_disk():
    with LabOnTmpfs(kb=700) as lab:
        caller, callee = peers(lab)
        alarm = told(lab)
        assert "full" in alarm["text"], alarm
        calls = all_calls(lab, caller, callee)
        assert len(lab.ask("SELECT id FROM cdr")) < CALLS, "the store was not full"
        assert lab.ctl("show", "calls") is not None and not lab.show("calls")
        lab.grow(65536)
        well(lab)
        once(lab.ask, calls)
        assert alarms(lab) == {}


FAULTS = {
    "a table is gone": ("ALTER TABLE cdr RENAME TO away", "ALTER TABLE away RENAME TO cdr"),
    "read-only": ("ALTER DATABASE postgres SET default_transaction_read_only = on",
                  "ALTER DATABASE postgres SET default_transaction_read_only = off"),
}
OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = 'postgres'"


@pytest.mark.parametrize("fault", [*FAULTS, "it stands still"])
def test_a_wrong_database(fresh, fault):
    with contextlib.closing(Postgres()) as server:
        lab = fresh(edit=lambda text: text + f'store = "{server.url}";\n')
        caller, callee = peers(lab)
        until(lambda: int(server.ask("SELECT count(*) FROM cdr")[0][0]) > 40, 20, what="the first rows")
        if fault in FAULTS:
            server.ask(FAULTS[fault][0])
            server.ask(OTHERS)
        else:
            server.pause()
        told(lab)
        calls = all_calls(lab, caller, callee)
        if fault in FAULTS:
            # Whoever mends a database that is read-only says so first.
            server.ask(f"BEGIN; SET TRANSACTION READ WRITE; {FAULTS[fault][1]}; COMMIT")
            server.ask(OTHERS)
        else:
            server.go_on()
        well(lab)
        once(server.ask, calls)
        assert alarms(lab) == {}


def test_a_torn_tail_of_the_journal(fresh):
    """What a power loss leaves behind the last good record is passed over; nothing before or after it is."""
    lab = fresh()
    seen, rng = set(), random.Random(7)
    for seed in (21, 22):
        caller, callee = peers(lab, seed)
        seen |= all_calls(lab, caller, callee)
        lab.settle()
        lab.control.kill(signal.SIGKILL)
        lab.dataplane.kill(signal.SIGKILL)
        newest = max((lab.state_dir / "journal").glob("*.tdj"))
        whole = newest.read_bytes()
        # The head of a record that holds, and bytes of nothing.
        newest.write_bytes(whole + whole[16:16 + 40] + rng.randbytes(rng.randrange(60, 500)))
        lab.start()
        until(lambda: "journal.skipped" in lab.control.text(), 10, what="a word about it")
    rows = lab.rows()
    assert sorted(r["call_id_a"] for r in rows) == sorted(seen) and all(r["complete"] for r in rows)
    assert alarms(lab) == {}
