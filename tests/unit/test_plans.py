#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Dial plans between tandem-control and the store, without a data plane: a second node takes them, a wiped node gets them
back, what cannot be stored changes nothing, and a kill at any moment leaves the old plan or the new one.

usage: test_plans.py TANDEM_CONTROL TANDEMCTL
"""
import contextlib
import json
import random
import shutil
import signal
import socket
import sqlite3
import struct
import sys
import time

from test_provision import CONFIG, FOLDER, Bench, Plane, main, pb, until

CARRIERS = """trunks = (
  { name = "a"; realm = "access"; peers = ( { address = "10.0.1.1"; } ); },
  { name = "b"; realm = "access"; peers = ( { address = "10.0.1.2"; } ); } );
"""
HEADER = "match,to,priority\n"


def bench(name, db=None, config=CONFIG, **kw):
    return Bench(name, (f'store = "sqlite:{FOLDER}/{db}";\n' if db else "") + CARRIERS, config=config, dataplane=False, **kw)


def write(node, lines, name="routes.csv"):
    path = node.dir / name
    path.write_text(HEADER + "".join(line + "\n" for line in lines))
    return path


def load(node, *lines, plan="deck", code=0):
    said = node.ctl("--json", "route", "load", str(write(node, lines)), "--plan", plan, "--commit", code=code)
    return json.loads(said) if code == 0 else said


def plans(node):
    return {p["plan"]: p for p in json.loads(node.ctl("--json", "route", "list"))}


def dump(node, plan="deck"):
    out, err = node.begin("route", "dump", "--plan", plan).communicate(timeout=20)  # more than a pipe holds
    assert not err, err
    return [line.split(",")[:2] for line in out.splitlines()[1:]]


def has(node, *expected, plan="deck", timeout=10):
    until(lambda: plan in plans(node) and dump(node, plan) == [list(e) for e in expected], f"{expected} on {node.dir.name}", timeout)


def alarms(node, name):
    return [a for a in json.loads(node.ctl("alarms", "--json")) if a["name"] == name]


def rows(db, sql):
    """None: there is no such table yet."""
    with contextlib.suppress(sqlite3.OperationalError), sqlite3.connect(f"file:{db}?mode=rw", uri=True, timeout=5) as connection:
        return connection.execute(sql).fetchall()


def routes_dir(node):
    return node.dir / "state/routes"


# --- tests ---

def another_node_takes_what_is_committed_and_what_is_removed():
    one, two = bench("two-1", "two.db"), bench("two-2", "two.db")
    load(one, "49,a,1", "=4930,b,2")
    has(two, ("49", "a"), ("=4930", "b"))
    assert plans(two)["deck"]["generation"] == plans(one)["deck"]["generation"], "the same lines are the same image"
    load(two, "49,b,1")
    has(one, ("49", "b"))
    assert rows(FOLDER / "two.db", "SELECT name, parts FROM dial_plan") == [("deck", 1)]
    one.ctl("route", "remove", "deck")
    until(lambda: plans(two) == {}, "the removal")
    assert list(routes_dir(two).iterdir()) == [], "no file of it is left"
    assert rows(FOLDER / "two.db", "SELECT count(*) FROM dial_plan_part") == [(0,)]
    audit = [(a["what"], a["on"], a["code"]) for a in json.loads(one.ctl("audit", "--json"))]
    assert audit == [("route load", "deck", 0), ("route remove", "deck", 0)], audit
    one.stop()
    two.stop()


def a_wiped_node_gets_its_plan_back():
    node = bench("wiped", "wiped.db")
    load(node, "49,a,1")
    before = plans(node)["deck"]
    node.stop()
    shutil.rmtree(node.dir / "state")
    routes_dir(node).mkdir(parents=True)
    (routes_dir(node) / "deck.img.new").write_bytes(b"what a crash left")
    node.start()
    has(node, ("49", "a"))
    assert plans(node)["deck"] == before
    assert sorted(p.name for p in routes_dir(node).iterdir()) == ["deck.img", "deck.img.version"]
    # A start needs no store.
    node.stop(signal.SIGKILL)
    (FOLDER / "wiped.db").rename(FOLDER / "wiped.aside")
    (FOLDER / "wiped.db").mkdir()
    node.start()
    assert plans(node)["deck"] == before
    node.stop()


def a_file_under_another_name_is_told_and_left_alone():
    node = bench("renamed", "renamed.db")
    load(node, "49,a,1")
    before = plans(node)["deck"]
    node.stop()
    shutil.copy(routes_dir(node) / "deck.img", routes_dir(node) / "spare.img")
    (routes_dir(node) / "deck.img").rename(routes_dir(node) / "deck-old.img")
    node.start()
    has(node, ("49", "a"))
    assert plans(node) == {"deck": before}, "the store gave it back"
    names = {p.name for p in routes_dir(node).iterdir()}
    assert names == {"deck.img", "deck.img.version", "deck-old.img", "spare.img"}, names
    log = (node.dir / "log").read_text()
    for name in ("spare", "deck-old"):
        assert f"plan.not_taken path={routes_dir(node)}/{name}.img" in log, log
    node.stop()


def without_the_store_nothing_changes_and_it_is_said():
    node = bench("down", "down.db")
    load(node, "49,a,1")
    node.stop()
    (FOLDER / "down.db").rename(FOLDER / "down.aside")
    (FOLDER / "down.db").mkdir()
    node.start()
    text = load(node, "48,b,1", code=1)
    assert "nothing has changed" in text and "store" in text, text
    text = node.ctl("route", "remove", "deck", code=1)
    assert "nothing has changed" in text and "store" in text, text
    has(node, ("49", "a"))
    # What a file would change is still told.
    said = json.loads(node.ctl("--json", "route", "load", str(write(node, ["48,b,1"])), "--plan", "deck"))
    assert (said["added"], said["removed"], said["committed"]) == (1, 1, False)
    assert sorted(p.name for p in routes_dir(node).iterdir()) == ["deck.img", "deck.img.version"], "nothing lies aside"
    audit = [(a["what"], a["on"], a["code"] != 0) for a in json.loads(node.ctl("audit", "--json"))]
    assert audit == [("route load", "deck", False), ("route load", "deck", True), ("route remove", "deck", True)], audit
    node.stop()
    (FOLDER / "down.db").rmdir()
    (FOLDER / "down.aside").rename(FOLDER / "down.db")
    node.start()
    until(lambda: load(node, "48,b,1")["committed"], "the store")
    has(node, ("48", "b"))
    node.stop()


def a_node_that_cannot_take_it_keeps_its_own_and_says_so():
    one, two = bench("unfit-1", "unfit.db"), bench("unfit-2", "unfit.db")
    load(one, "49,a,1")
    has(two, ("49", "a"))
    text = two.conf.read_text()
    two.conf.write_text(text.replace('name = "b"', 'name = "c"'))
    two.ctl("reload")
    load(one, "49,b,1")
    alarm = until(lambda: alarms(two, "plan.behind"), "the alarm")[0]
    assert alarm["subject"] == "deck" and "line 2" in alarm["text"] and '"b"' in alarm["text"] and alarm["advice"], alarm
    has(two, ("49", "a"))
    # As soon as it fits, it is taken.
    two.conf.write_text(text)
    two.ctl("reload")
    has(two, ("49", "b"))
    until(lambda: not alarms(two, "plan.behind"), "the end of the alarm")
    # What is damaged in the store is not taken either.
    with sqlite3.connect(FOLDER / "unfit.db", timeout=5) as db:
        db.execute("UPDATE dial_plan_part SET packed = x'00'")
        db.execute("UPDATE dial_plan SET version = version + 1")
        db.execute("UPDATE dial_plan_part SET version = version + 1")
        db.execute("UPDATE dial_plan_generation SET generation = generation + 1")
    assert "damaged" in until(lambda: alarms(two, "plan.behind"), "the alarm")[0]["text"]
    has(two, ("49", "b"))
    load(one, "47,a,1")
    has(two, ("47", "a"))
    until(lambda: not alarms(two, "plan.behind"), "the end of the alarm")
    # A name that no node would have given it leads out of the folder.
    with sqlite3.connect(FOLDER / "unfit.db", timeout=5) as db:
        for table, columns in (("dial_plan_part", "version, place, packed"), ("dial_plan", "version, checksum, lines, bytes, parts")):
            db.execute(f"INSERT INTO {table} (name, {columns}) SELECT '../evil', {columns} FROM {table}")
        db.execute("UPDATE dial_plan_generation SET generation = generation + 1")
    load(one, "46,a,1")
    has(two, ("46", "a"))
    time.sleep(1)
    assert list(plans(two)) == ["deck"] and not (two.dir / "state/evil.img").exists()
    one.stop()
    two.stop()


def what_a_store_claims_is_not_believed():
    """Names that are paths, parts that are not there, and more of them than anybody can hold."""
    one, two = bench("claims-1", "claims.db"), bench("claims-2", "claims.db")
    load(one, "49,a,1")
    has(two, ("49", "a"))
    claims = [("../escaped", 1, 10, 1), ("/tmp/escaped", 1, 10, 1), (".hidden", 1, 10, 1), ("", 1, 10, 1), ("x" * 200, 1, 10, 1),
              ("lacks", 1, 10, 3), ("endless", 1, 10, 4000000000), ("negative", 1, -1, -1), ("none", 1, 0, 0)]
    with sqlite3.connect(FOLDER / "claims.db", timeout=5) as db:
        db.executemany("INSERT INTO dial_plan (name, version, checksum, lines, bytes, parts) VALUES (?, ?, 0, 1, ?, ?)", claims)
        db.executemany("INSERT INTO dial_plan_part VALUES (?, 1, 0, ?)", [(name, b"x" * 20) for name, *_ in claims])
        db.execute("UPDATE dial_plan_generation SET generation = generation + 1")
    until(lambda: {"endless", "negative", "lacks"} <= {a["subject"] for a in alarms(two, "plan.behind")}, "the alarms", 20)
    load(one, "48,b,1")
    has(two, ("48", "b"))
    assert set(plans(two)) == {"deck"}
    assert sorted(p.name for p in routes_dir(two).iterdir()) == ["deck.img", "deck.img.version"]
    assert not list(two.dir.glob("**/*escaped*"))
    one.stop()
    two.stop()


def two_changes_at_once_are_not_mixed():
    one, two = bench("race-1", "race.db"), bench("race-2", "race.db")
    load(one, "49,a,1")
    has(two, ("49", "a"))
    # What was staged before somebody else's change does not undo it.
    ask = json.loads(one.ctl("--json", "route", "load", str(write(one, ["48,a,1"])), "--plan", "deck"))
    load(two, "47,b,1")
    has(one, ("47", "b"))
    text = commit(one, ask["generation"])
    assert "somebody else changed plan deck" in text, text
    has(one, ("47", "b"))
    has(two, ("47", "b"))
    one.stop()
    two.stop()


def commit(node, generation):
    """What tandemctl asks where a terminal said yes; the words of the refusal."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(node.dir / "control.sock"))
        frame = pb.Frame(version=1, id=7)
        frame.route_commit.plan, frame.route_commit.generation = "deck", int(generation, 16)
        raw = frame.SerializeToString()
        s.sendall(struct.pack(">I", len(raw)) + raw)
        s.settimeout(10)
        data = b""
        while True:
            data += s.recv(65536)
            while len(data) >= 4 and len(data) >= 4 + (n := struct.unpack(">I", data[:4])[0]):
                answer = pb.Frame.FromString(data[4:4 + n])
                data = data[4 + n:]
                if answer.WhichOneof("body") in ("done", "error"):
                    return answer.error.text


def plans_from_before_go_into_the_store():
    """A node of an older version had its plans in state_dir alone."""
    one, two = bench("before-1", "x1.db"), bench("before-2", "x2.db")
    load(one, "49,a,1", "1001@tandem.example,b,1", "123456789012345678901,b,3")
    load(two, "49,a,1", "123456789012345678901,b,3", "1001@tandem.example,b,1")
    load(two, "48,a,1", plan="own")
    for node in (one, two):
        node.stop()
        for path in routes_dir(node).glob("*.version"):
            path.unlink()
        node.conf.write_text(node.conf.read_text().replace("x1.db", "x.db").replace("x2.db", "x.db"))
    one.start()
    until(lambda: rows(FOLDER / "x.db", "SELECT name FROM dial_plan") == [("deck",)], "the plan")
    lines = [("1001@tandem.example", "b"), ("123456789012345678901", "b"), ("49", "a")]
    has(one, *lines)
    # Of another node: what says the same is the same, what nobody else has is stored too.
    two.start()
    has(one, ("48", "a"), plan="own")
    until(lambda: (routes_dir(two) / "deck.img.version").exists(), "the version")
    assert not alarms(two, "plan.behind")
    has(two, *lines)
    assert rows(FOLDER / "x.db", "SELECT name, parts FROM dial_plan ORDER BY name") == [("deck", 1), ("own", 1)]
    # A store that was lost is filled again.
    one.stop()
    two.stop()
    (FOLDER / "x.db").unlink()
    for end in ("-wal", "-shm"):
        (FOLDER / ("x.db" + end)).unlink(missing_ok=True)
    one.start()
    until(lambda: rows(FOLDER / "x.db", "SELECT name FROM dial_plan ORDER BY name") == [("deck",), ("own",)], "both plans")
    has(one, *lines)
    one.stop()


def another_plan_from_before_stays_and_is_told():
    one, two = bench("differs-1", "y1.db"), bench("differs-2", "y2.db")
    load(one, "49,a,1")
    load(two, "49,b,1")
    for node in (one, two):
        node.stop()
        (routes_dir(node) / "deck.img.version").unlink()
        node.conf.write_text(node.conf.read_text().replace("y1.db", "y.db").replace("y2.db", "y.db"))
    one.start()
    until(lambda: (routes_dir(one) / "deck.img.version").exists(), "the version")
    two.start()
    alarm = until(lambda: alarms(two, "plan.behind"), "the alarm")[0]
    assert "other routes" in alarm["text"] and "route load" in alarm["advice"], alarm
    has(two, ("49", "b"))
    load(two, "49,b,1")
    has(one, ("49", "b"))
    until(lambda: not alarms(two, "plan.behind"), "the end of the alarm")
    one.stop()
    two.stop()


def the_data_plane_keeps_what_the_store_may_still_have():
    """Control's disk is lost while the data plane runs on: its plan stays until the store says that there is none."""
    node = Bench("stranger", f'store = "sqlite:{FOLDER}/stranger.db";\n' + CARRIERS)
    Plane(node).close()
    node.stop()
    (FOLDER / "stranger.db").unlink()
    (FOLDER / "stranger.db").mkdir()
    node.start()
    plane = Plane(node, plans=["deck"])
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        plane.turn()
    assert not [f for b, f in plane.frames if b == "route_image"], "it is not taken away while the store is not there"
    node.stop()
    plane.close()
    (FOLDER / "stranger.db").rmdir()
    node.start()
    plane = Plane(node, plans=["deck"])
    assert plane.wait("route_image").remove
    node.stop()


def what_came_back_is_no_stranger_where_the_store_loses_it():
    """Control's disk is lost, the store gives the plan back, then somebody puts an empty store in its place."""
    db = FOLDER / "again.db"
    node = Bench("again", f'store = "sqlite:{db}";\n' + CARRIERS)
    plane = Plane(node)
    p = node.begin("route", "load", str(write(node, ["49,a,1"])), "--plan", "deck", "--commit")
    until(lambda: plane.turn() or p.poll() is not None, "the commit")
    assert p.returncode == 0, p.communicate()
    node.stop()
    plane.close()
    shutil.rmtree(routes_dir(node))
    db.rename(FOLDER / "again.aside")
    db.mkdir()
    node.start()
    plane = Plane(node, plans=["deck"])
    until(lambda: plane.turn() or "plane" in (node.dir / "log").read_text(), "the Hello")
    db.rmdir()
    (FOLDER / "again.aside").rename(db)
    assert not plane.wait("route_image").remove
    plane.frames.clear()
    until(lambda: plane.turn() or "deck" in plans(node), "the plan")
    with sqlite3.connect(db, timeout=5) as connection:
        connection.executescript("BEGIN; DELETE FROM dial_plan; DELETE FROM dial_plan_part; "
                                 "UPDATE dial_plan_generation SET generation = generation + 1; COMMIT")
    until(lambda: plane.turn() or rows(db, "SELECT name FROM dial_plan") == [("deck",)], "the plan in the store")
    assert not [f for b, f in plane.frames if b == "route_image"], "it stays where it is"
    node.stop()


def the_store_has_nothing_that_the_data_plane_refuses():
    db = FOLDER / "staged.db"
    node = Bench("staged", f'store = "sqlite:{db}";\n' + CARRIERS)
    plane = Plane(node, stages=True)

    def ask(code=0):
        plane.frames.clear()
        said = node.ctl("route", "load", str(write(node, ["49,a,1"])), "--plan", "deck", "--commit", code=code, plane=plane)
        plane.turn()
        return said, [f.route_image.stage for b, f in plane.frames if b == "route_image"]

    def untouched():
        assert rows(db, "SELECT count(*) FROM dial_plan") == [(0,)] and plans(node) == {} and not alarms(node, "plan.refused")
        assert list(routes_dir(node).iterdir()) == [], "nothing lies aside"

    plane.refuse.add("route_image")
    text, asked = ask(code=1)
    assert "nothing has changed" in text and "no memory here" in text and asked == [True], (text, asked)
    untouched()
    # The data plane lets go of what the store did not take.
    plane.refuse.clear()
    with contextlib.closing(sqlite3.connect(db, timeout=5)) as other:
        other.execute("CREATE TRIGGER no_plan BEFORE INSERT ON dial_plan BEGIN SELECT RAISE(ABORT, 'no plan today'); END")
    text, asked = ask(code=1)
    assert "nothing has changed" in text and asked == [True, True], (text, asked)
    untouched()
    with contextlib.closing(sqlite3.connect(db, timeout=5)) as other:
        other.execute("DROP TRIGGER no_plan")
    # It may die of the plan.
    plane.hold.add("route_image")
    p = node.begin("route", "load", str(write(node, ["49,a,1"])), "--plan", "deck", "--commit")
    plane.frames.clear()
    assert plane.wait("route_image").stage
    plane.close()
    said = p.communicate(timeout=20)
    assert p.returncode == 1 and "nothing has changed" in said[1], said
    untouched()
    plane = Plane(node, stages=True)
    text, asked = ask()
    assert asked == [True, False] and rows(db, "SELECT name FROM dial_plan") == [("deck",)], (text, asked)
    _, asked = node.ctl("route", "add", "48", "--plan", "deck", "--to", "b", plane=plane), [
        f.route_image.stage for b, f in plane.frames if b == "route_image"]
    assert asked == [True, False] * 2, "a change too"
    node.stop()


def a_plan_that_no_node_can_take_is_removed():
    one = bench("none-1", "none.db")
    load(one, "49,a,1")
    one.stop()
    shutil.rmtree(routes_dir(one))
    one.conf.write_text(one.conf.read_text().replace('name = "a"', 'name = "c"'))
    one.start()
    until(lambda: alarms(one, "plan.behind"), "the alarm")
    assert plans(one) == {}
    one.ctl("route", "remove", "deck")
    assert rows(FOLDER / "none.db", "SELECT name, parts FROM dial_plan") == [("deck", 0)]
    assert not alarms(one, "plan.behind")
    assert "no plan of that name" in one.ctl("route", "remove", "deck", code=1)
    one.stop()


def one_route_is_changed_without_a_file():
    one, two = bench("edit-1", "edit.db"), bench("edit-2", "edit.db")
    load(one, "49,a,1", "49,b,2", "1001@tandem.example,a,1")
    has(two, ("1001@tandem.example", "a"), ("49", "a"), ("49", "b"))
    out = two.ctl("route", "add", "48", "--plan", "deck", "--to", "b", "--cost", "0.25", "--name", "night, shift")
    assert "1 added, 0 changed, 0 removed" in out and "+48" in out and "committed" in out, out
    assert '48,b,1,100,0.250000,,,,,,,,"night, shift"' in two.ctl("route", "show", "48", "--plan", "deck")
    has(one, ("1001@tandem.example", "a"), ("48", "b"), ("49", "a"), ("49", "b"))
    said = json.loads(one.ctl("--json", "route", "add", "+48", "--plan", "deck", "--to", "b", "--priority", "3"))
    assert (said["added"], said["changed"], said["removed"], said["samples"]) == (0, 1, 0, ["~48"]), said
    assert "1 changed" in one.ctl("route", "del", "49", "--plan", "deck", "--to", "a")
    assert "-1001@tandem.example" in one.ctl("route", "del", "1001@Tandem.Example", "--plan", "deck")
    has(two, ("48", "b"), ("49", "b"))
    # A plan of one line, of which the last goes.
    one.ctl("route", "add", "urn:service:sos", "--plan", "fresh", "--block", "603")
    has(two, ("urn:service:sos", ""), plan="fresh")
    one.ctl("route", "del", "urn:service:sos", "--plan", "fresh")
    has(two, plan="fresh")
    before = rows(FOLDER / "edit.db", "SELECT * FROM dial_plan_generation")
    for words, *wrong in (("no route has exactly", "del", "4"), ("no plan", "del", "49", "--plan", "none"),
                          ('"nobody"', "add", "47", "--to", "nobody"), ("neither", "add", "47"), ("digits", "add", "4x", "--to", "a"),
                          ("priority", "add", "47", "--to", "a", "--priority", "70000"),
                          ("status", "add", "47", "--block", "200")):
        text = one.ctl("route", *wrong, *([] if "--plan" in wrong else ["--plan", "deck"]), code=1)
        assert words in text and "line" not in text, text
    assert rows(FOLDER / "edit.db", "SELECT * FROM dial_plan_generation") == before
    audit = [(a["what"], a["on"], a["code"]) for a in json.loads(two.ctl("audit", "--json"))]
    assert audit == [("route add", "deck 48", 0)], audit
    audit = [(a["what"], a["on"]) for a in json.loads(one.ctl("audit", "--json")) if a["code"] == 0]
    assert audit == [("route load", "deck"), ("route add", "deck +48"), ("route del", "deck 49"),
                     ("route del", "deck 1001@Tandem.Example"), ("route add", "fresh urn:service:sos"),
                     ("route del", "fresh urn:service:sos")], audit
    one.stop()
    two.stop()


def a_kill_at_any_moment_leaves_the_old_or_the_new():
    rng = random.Random(7)
    node = bench("kill", "kill.db")
    begin = time.monotonic()
    load(node, *(f"{n},a,1" for n in range(20000, 60000)))
    took = time.monotonic() - begin  # on a busy machine it is long
    sizes = {"a": 40000, "b": 40000}
    old, seen = "a", set()
    for turn in range(12):
        new = "b" if old == "a" else "a"
        path = write(node, [f"{n},{new},1" for n in range(20000, 60000)])
        asked = node.begin("route", "load", str(path), "--plan", "deck", "--commit")
        time.sleep(rng.random() * 2 * took)
        node.stop(signal.SIGKILL)
        asked.communicate(timeout=20)
        node.start()
        until(lambda: rows(FOLDER / "kill.db", "SELECT count(*) FROM dial_plan_part p JOIN dial_plan d USING (name, version)")
              == rows(FOLDER / "kill.db", "SELECT count(*) FROM dial_plan_part"), "whole parts")
        until(lambda: (routes_dir(node) / "deck.img.version").read_text().split()[1]
              == str(rows(FOLDER / "kill.db", "SELECT version FROM dial_plan")[0][0]), "the store's version")
        lines = dump(node)
        assert len(lines) == sizes[old] and len({to for _, to in lines}) == 1, f"turn {turn}: half a plan"
        seen.add(lines[0][1] == new)
        assert not (asked.returncode == 0 and lines[0][1] == old), "what was said to be committed is there"
        old = lines[0][1]
    assert seen == {True, False}, "the kills came before and after the commit"
    node.stop()


if __name__ == "__main__":
    sys.exit(main([another_node_takes_what_is_committed_and_what_is_removed, a_wiped_node_gets_its_plan_back,
                      a_file_under_another_name_is_told_and_left_alone,
                      without_the_store_nothing_changes_and_it_is_said, a_node_that_cannot_take_it_keeps_its_own_and_says_so,
                      what_a_store_claims_is_not_believed, two_changes_at_once_are_not_mixed, plans_from_before_go_into_the_store,
                      another_plan_from_before_stays_and_is_told, the_data_plane_keeps_what_the_store_may_still_have,
                      what_came_back_is_no_stranger_where_the_store_loses_it, a_plan_that_no_node_can_take_is_removed,
                      the_store_has_nothing_that_the_data_plane_refuses,
                      one_route_is_changed_without_a_file, a_kill_at_any_moment_leaves_the_old_or_the_new]))
