# SPDX-License-Identifier: BSD-3-Clause
"""Dial plans whose home is the store: two nodes on one PostgreSQL, the server stopped, a node's disk lost, control killed in the
middle of commits, and an operator who changes one route of many, all while calls go where the plan says."""
import contextlib
import json
import pathlib
import random
import resource
import shutil
import sqlite3
import subprocess
import time

import pytest

import scenario as S
from lab import BUILD, Lab, until
from pg import Postgres

UAS = S.scenario(S.recv_invite(), S.reply(180), S.reply(200, body=S.sdp()), S.recv("ACK"), S.recv("BYE"), S.reply(200))


def planned(store, node):
    """carrier-a's calls go by the loaded plan alone."""
    def edit(text):
        text = text.replace('name = "carrier-a";', 'name = "carrier-a"; plan = "deck";').replace(
            'from = [ "carrier-a" ]; prefix = "";', 'from = [ "carrier-a" ]; prefix = "0000";')
        return text.replace('node = "tandem-1"', f'node = "{node}"') + (f'store = "{store}";\n' if store else "")
    return edit


@pytest.fixture(scope="module")
def pg():
    with contextlib.closing(Postgres()) as server:
        yield server


@pytest.fixture(scope="module")
def nodes(pg):
    with Lab(edit=planned(pg.url, "one")) as one, Lab(edit=planned(pg.url, "two")) as two:
        yield one, two


@pytest.fixture(scope="module")
def alone():
    with Lab(edit=planned(None, "alone")) as lab:
        yield lab


def file_of(lab, numbers, cost):
    path = lab.folder / "plan.csv"
    path.write_text("match,to,priority,weight,cost\n" + "".join(f"{n},carrier-b,1,100,{cost}\n" for n in numbers))
    return path


def load(lab, numbers, cost, code=0):
    return json.loads(lab.ctl("--json", "route", "load", file_of(lab, numbers, cost), "--plan", "deck", "--commit", code=code))


def cost_of(lab, number):
    """That of the target that the data plane takes; None: it has no route, or is not there yet."""
    p = subprocess.run([BUILD / "tandemctl", "-c", lab.conf, "--json", "route", "test", number, "--from", "carrier-a"],
                       capture_output=True, text=True, timeout=20)
    assert p.returncode in (0, 1, 3), (p.returncode, p.stderr)
    steps = json.loads(p.stdout).get("steps", []) if p.returncode != 3 else []
    return next((s["cost"] for s in steps if s["what"] == "target"), None)


def costs(lab, numbers, cost, timeout=20):
    until(lambda: {cost_of(lab, n) for n in numbers} == {cost}, timeout, what=f"{numbers} at {cost}")


def call(lab, number):
    lab.run_pair(S.scenario(S.invite(uri=f"sip:{number}@[remote_ip]:[remote_port]"), S.recv(100, optional=True),
                            S.recv(180, optional=True), S.recv(200), S.ack(), S.pause(50), S.bye(), S.recv(200)), UAS)


def alarm_names(lab):
    return {a["name"] for a in json.loads(lab.ctl("alarms", "--json"))}


def test_a_second_node_takes_it_by_itself(nodes, pg):
    one, two = nodes
    load(one, ["49", "48"], 0.1)
    costs(two, ["49301", "48301"], 0.1)
    call(two, "49301")
    load(two, ["49"], 0.2)
    costs(one, ["49301"], 0.2)
    assert cost_of(one, "48301") is None
    call(one, "49301")
    assert pg.ask("SELECT name, lines, parts FROM dial_plan") == [["deck", "1", "1"]]


def test_a_server_that_is_gone_changes_nothing(nodes, pg):
    one, two = nodes
    load(one, ["49"], 0.3)
    costs(two, ["49301"], 0.3)
    pg.kill()
    try:
        text = load(one, ["49"], 0.4, code=1)["text"]
        assert "nothing has changed" in text, text
        assert "nothing has changed" in json.loads(one.ctl("--json", "route", "remove", "deck", code=1))["text"]
        for lab in (one, two):
            costs(lab, ["49301"], 0.3)
            call(lab, "49301")
        # Both daemons start without it.
        two.control.kill()
        two.dataplane.kill()
        two.start_control()
        two.start_dataplane()
        costs(two, ["49301"], 0.3)
    finally:
        pg.start()
    until(lambda: "store.down" not in alarm_names(one) | alarm_names(two), 30, what="the store again")
    load(one, ["49"], 0.4)
    costs(two, ["49301"], 0.4)
    two.wait_ready()
    call(two, "49301")


def test_the_store_does_not_take_what_the_data_plane_refuses(nodes, pg):
    """It has no memory for it, on one of two nodes."""
    one, two = nodes
    load(one, ["49"], 0.1)
    costs(two, ["49301"], 0.1)
    version = version_of(one, pg)
    pid = one.dataplane.p.pid
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    size = int(status.split("VmSize:")[1].split()[0]) << 10
    free = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(pid, resource.RLIMIT_AS, (size + (1 << 20), resource.RLIM_INFINITY))
    try:
        text = load(one, [str(n) for n in range(4900000, 5000000)], 0.2, code=1)["text"]
        assert "nothing has changed" in text and "no memory for the image" in text, text
    finally:
        resource.prlimit(pid, resource.RLIMIT_AS, free)
    time.sleep(2)  # of looks at the store
    assert version_of(one, pg) == version
    for lab in (one, two):
        assert cost_of(lab, "49301") == 0.1 and "plan.refused" not in alarm_names(lab)
        call(lab, "49301")
    load(one, [str(n) for n in range(4900000, 5000000)], 0.2)
    costs(two, ["4930123"], 0.2)


def test_a_lost_disk_is_filled_again(nodes):
    one, two = nodes
    load(one, ["49", "47"], 0.5)
    costs(two, ["49301", "47301"], 0.5)
    # Control's part alone: the data plane goes on with what it has.
    two.control.kill()
    shutil.rmtree(two.state_dir / "routes")
    two.start_control()
    two.wait_ready()
    until(lambda: json.loads(two.ctl("--json", "route", "list")), 20, what="the plan")
    costs(two, ["49301", "47301"], 0.5)
    # All of it.
    two.control.kill()
    two.dataplane.kill()
    shutil.rmtree(two.state_dir)
    two.state_dir.mkdir()
    two.start()
    costs(two, ["49301", "47301"], 0.5)
    call(two, "49301")


def test_one_route_is_changed_without_a_file(nodes):
    one, two = nodes
    load(one, ["49"], 0.1)
    costs(two, ["49301"], 0.1)
    two.ctl("route", "add", "4930", "--plan", "deck", "--to", "carrier-b", "--cost", "0.7")
    assert cost_of(two, "49301") == 0.7, "in force when it is said to be"
    costs(one, ["49301"], 0.7)
    assert cost_of(one, "49401") == 0.1
    call(one, "49301")
    one.ctl("route", "add", "4930", "--plan", "deck", "--block", "603")
    one.ctl("route", "del", "4930", "--plan", "deck", "--to", "carrier-b")
    assert cost_of(one, "49301") is None
    one.ctl("route", "del", "4930", "--plan", "deck")
    costs(two, ["49301"], 0.1)


def ask(lab, *statements):
    """As somebody else changes a plan: the generation is counted up with it."""
    with contextlib.closing(sqlite3.connect(lab.state_dir / "tandem.db", timeout=10)) as db, db:
        for sql in (*statements, "UPDATE dial_plan_generation SET generation = generation + 1"):
            db.execute(sql)


def test_what_the_store_does_not_take_is_told(alone):
    load(alone, ["49"], 0.1)
    costs(alone, ["49301"], 0.1)
    ask(alone, "CREATE TRIGGER no_plan BEFORE INSERT ON dial_plan BEGIN SELECT RAISE(ABORT, 'no plan today'); END")
    try:
        assert "nothing has changed" in load(alone, ["49"], 0.2, code=1)["text"], "who asks is told"
        ask(alone, "DELETE FROM dial_plan", "DELETE FROM dial_plan_part")
        until(lambda: "plan.unstored" in alarm_names(alone), 20, what="the alarm")
        costs(alone, ["49301"], 0.1)
    finally:
        ask(alone, "DROP TRIGGER no_plan")
    load(alone, ["49"], 0.3)
    costs(alone, ["49301"], 0.3)
    assert "plan.unstored" not in alarm_names(alone)


def test_more_names_than_are_read_are_told(alone):
    load(alone, ["49"], 0.1)
    ask(alone, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4200) "
        "INSERT INTO dial_plan (name, version, checksum, lines, bytes, parts) SELECT 'gone' || i, 1, 0, 0, 0, 0 FROM n")
    until(lambda: "plan.names" in alarm_names(alone), 20, what="the alarm")
    costs(alone, ["49301"], 0.1)
    ask(alone, "DELETE FROM dial_plan WHERE parts = 0")
    until(lambda: "plan.names" not in alarm_names(alone), 20, what="its end")
    load(alone, ["49"], 0.2)
    costs(alone, ["49301"], 0.2)


def version_of(lab, pg):
    """pg: None, where the store is SQLite."""
    sql = "SELECT version FROM dial_plan WHERE name = 'deck'"
    if pg:
        return pg.ask(sql)[0][0]
    with contextlib.closing(sqlite3.connect(lab.state_dir / "tandem.db", timeout=5)) as db:
        return str(db.execute(sql).fetchone()[0])


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_control_is_killed_in_commits(request, store):
    """Old or new and never half, in the data plane at every moment and, once control is back, in the store too."""
    lab = request.getfixturevalue("nodes")[0] if store == "postgresql" else request.getfixturevalue("alone")
    server = request.getfixturevalue("pg") if store == "postgresql" else None
    rng = random.Random(5)
    numbers = [str(n) for n in range(4900000, 4940000)]
    sample = rng.sample(numbers, 8)
    load(lab, numbers, 0.1)
    old, came = 0.1, set()
    for turn in range(8):
        new = 0.2 if old == 0.1 else 0.1
        path = file_of(lab, numbers, new)
        asked = subprocess.Popen([BUILD / "tandemctl", "-c", lab.conf, "route", "load", path, "--plan", "deck", "--commit"],
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        time.sleep(rng.random() * 0.8)
        lab.control.kill()
        said, _ = asked.communicate(timeout=20)
        lab.start_control()
        lab.wait_ready()

        def in_sync():
            version = (lab.state_dir / "routes" / "deck.img.version").read_text().split()[1]
            return version == version_of(lab, server) and json.loads(lab.ctl("--json", "route", "list"))[0]["in_force"]
        until(in_sync, 20, what="the store's version")
        found = {cost_of(lab, n) for n in sample}
        assert len(found) == 1 and found <= {old, new}, f"turn {turn}: {found}"
        assert "committed" not in said.splitlines()[-1:] or found == {new}, "what was said to be committed is in force"
        came |= found
        (old,) = found
    assert came == {0.1, 0.2}, "kills came before and after"
