# SPDX-License-Identifier: BSD-3-Clause
"""Call detail records in PostgreSQL, CSV and JSON lines while calls run: the database is killed, paused, brought back, and
both daemons die; every call that was answered is there once."""
import contextlib
import csv
import json
import shutil
import signal
import sqlite3
import time

import pytest

from lab import until
from pg import Postgres
from scenario import BASIC_UAC, BASIC_UAS
from test_peer import report, start_peer


@pytest.fixture
def postgres():
    server = Postgres()
    yield server
    server.close()


def with_store(lab_url, folder=None):
    extra = f'store = "{lab_url}";\n'
    if folder:
        extra += f'cdr = {{ csv = {{ path = "{folder}/cdr.csv"; }}; jsonl = {{ path = "{folder}/cdr.jsonl"; }}; interim_s = 1; }};\n'
    return lambda text: text + extra


def peers(lab, **options):
    callee = start_peer(lab, "b", "callee", **options)
    return start_peer(lab, "a", "caller", **options), callee


def alarms(lab):
    return {a["name"]: a for a in json.loads(lab.ctl("alarms", "--json"))}


def test_a_database_in_trouble_holds_up_no_call_and_loses_none(fresh, postgres):
    lab = fresh(edit=with_store(postgres.url))
    caller, callee = peers(lab, calls=600, packets=3, rate=40, hold_s=0.2, seed=3)
    time.sleep(2)
    postgres.kill()
    down = until(lambda: alarms(lab).get("store.down"), 15, what="the alarm")
    assert down["severity"] == "critical" and down["advice"]
    time.sleep(2)
    postgres.start()
    until(lambda: "store.down" not in alarms(lab), 20, what="the end of the alarm")
    postgres.pause()
    time.sleep(3)
    lab.ctl("show", "calls")  # control still answers
    postgres.go_on()
    a, b = report(lab, caller, 120), report(lab, callee, 120)
    assert a["done"] == b["done"] == 600
    answered = {e["call_id"] for e in a["log"]}
    count = until(lambda: [int(n) for n in postgres.ask("SELECT count(*), count(DISTINCT call_id_a) FROM cdr "
                                                        "WHERE complete = 1")[0]] == [600, 600], 20, what="600 rows")
    assert count and {r[0] for r in postgres.ask("SELECT call_id_a FROM cdr")} >= answered
    assert postgres.ask("SELECT count(*) FROM cdr_open") == [["0"]]
    assert not list((lab.state_dir).glob("tandem.db*"))
    one = postgres.ask("SELECT id, from_number FROM cdr LIMIT 1")[0]
    assert json.loads(lab.ctl("cdr", "show", one[0], "--json"))["from_number"] == one[1]
    assert len(json.loads(lab.ctl("cdr", "last", "7", "--json"))) == 7
    assert one[0] in {r["id"] for r in json.loads(lab.ctl("cdr", "find", one[1], "--limit", "1000", "--json"))}
    assert alarms(lab) == {}


def test_files_and_tables_tell_the_same_also_of_a_crash(fresh, postgres, tmp_path):
    lab = fresh(edit=with_store(postgres.url, tmp_path))
    caller, callee = peers(lab, calls=90, packets=3, rate=15, hold_s=2.5, seed=5, timeout_s=6)
    lines = tmp_path / "cdr.jsonl"
    until(lambda: lines.exists() and '"record":"call"' in lines.read_text() and len(lab.calls()) >= 15, 15,
          what="calls that ended and calls that last")
    for process in (lab.control, lab.dataplane, caller, callee):
        process.kill()
    lab.start_dataplane()
    lab.start_control()
    lab.wait_ready()

    def settled():
        rows = {r[0]: r[1] for r in postgres.ask("SELECT id, complete FROM cdr")}
        lines = [json.loads(line) for line in (tmp_path / "cdr.jsonl").read_text().splitlines()]
        table = [r for r in csv.DictReader((tmp_path / "cdr.csv").open())]
        final = {r["id"]: str(r["complete"]) for r in lines if r["record"] in ("call", "incomplete")}
        sheet = {r["id"]: r["complete"] for r in table if r["record"] in ("call", "incomplete")}
        return rows and rows == final == sheet and (rows, lines)

    rows, lines = until(settled, 20, what="three destinations that agree")
    cut = [r for r, complete in rows.items() if complete == "0"]
    assert cut and postgres.ask("SELECT count(*) FROM cdr WHERE complete = 0 AND duration_us >= 1000000")[0][0] != "0"
    assert any(r["record"] == "interim" for r in lines) and any(r["record"] == "attempt" for r in lines)
    attempts = {r[0] for r in postgres.ask("SELECT DISTINCT cdr_id FROM cdr_attempt")}
    assert attempts == {r["cdr_id"] for r in csv.DictReader((tmp_path / "cdr-attempts.csv").open())}
    assert alarms(lab) == {}


def test_a_wiped_state_dir_repeats_no_id(fresh, postgres):
    """A node that lost its disk, and is set up again beside the same store, gives new ids and counts on."""
    lab = fresh(edit=with_store(postgres.url))

    def ids():
        return [r[0] for r in postgres.ask("SELECT id FROM cdr")]

    for n in (5, 10):
        lab.run_pair(BASIC_UAC, BASIC_UAS, calls=5, rate=20, uac_args=("-s", "442079460123"))
        until(lambda: len(ids()) == n, 15, what=f"{n} different ids")
        lab.control.kill(signal.SIGTERM)
        lab.dataplane.kill(signal.SIGTERM)
        shutil.rmtree(lab.state_dir)
        lab.start()
    assert len({i.rsplit("-", 2)[0] for i in ids()}) == 2, ids()
    assert not alarms(lab)


class Sqlite:
    """The store that a switch has unless it is told otherwise."""

    def __init__(self, lab):
        self.path, self.copy = lab.state_dir / "tandem.db", lab.folder / "copy.db"

    def ask(self, sql):
        with contextlib.closing(sqlite3.connect(self.path, timeout=10)) as db:
            return [[str(v) for v in row] for row in db.execute(sql)]

    def _over(self, source, target):
        with contextlib.closing(sqlite3.connect(source)) as a, contextlib.closing(sqlite3.connect(target, timeout=10)) as b:
            a.backup(b)

    def backup(self):
        self._over(self.path, self.copy)

    def restore(self):
        self._over(self.copy, self.path)


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_restored_backup_is_written_on_from_there(fresh, request, engine):
    """An older copy of the database is put back under a switch that runs: the calls since come out of the journal again, and it is
    no reason for an alarm."""
    server = request.getfixturevalue("postgres") if engine == "postgresql" else None
    lab = fresh(edit=with_store(server.url)) if server else fresh()
    store = server or Sqlite(lab)

    def calls(n):
        lab.run_pair(BASIC_UAC, BASIC_UAS, calls=5, rate=20, uac_args=("-s", "442079460123"))
        return until(lambda: len(found := ids()) == n and found, 15, what=f"{n} rows")

    def ids():
        return sorted(r[0] for r in store.ask("SELECT id FROM cdr WHERE complete = 1"))

    before = calls(5)
    store.backup()
    later = calls(10)
    store.restore()
    until(lambda: ids() == later, 15, what="the calls since the copy")
    assert set(later) > set(before)
    assert len(calls(15)) == 15
    assert store.ask("SELECT count(*) FROM cdr_open") == [["0"]]
    assert len(store.ask("SELECT cdr_id FROM cdr_attempt")) == 15
    assert alarms(lab) == {}
    assert "journal.rewound" in lab.control.text() and "journal.gap" not in lab.control.text()
