# SPDX-License-Identifier: BSD-3-Clause
"""Dial plans from files: loaded, compared, refused whole, tested and committed while calls run, kept over kills."""
import json
import os
import random
import threading

import pytest

import scenario as S
from lab import Lab, until

HEADER = "match,to,priority,weight,cost\n"


def planned(text):
    """carrier-a's calls go by the loaded plan alone; a trunk that is not there takes none of them."""
    return text.replace('name = "carrier-a";', 'name = "carrier-a"; plan = "deck";').replace(
        'from = [ "carrier-a" ]; prefix = "";', 'from = [ "carrier-a" ]; prefix = "0000";')


@pytest.fixture(scope="module")
def lab():
    with Lab(workers=(1, 1), edit=planned) as running:
        yield running


def write(lab, name, lines):
    path = lab.folder / name
    path.write_text(HEADER + "".join(line + "\n" for line in lines))
    return path


def load(lab, path, *args, code=0):
    return json.loads(lab.ctl("--json", "route", "load", str(path), "--plan", "deck", *args, code=code))


def test(lab, number, code=0):
    return json.loads(lab.ctl("--json", "route", "test", number, "--from", "carrier-a", code=code))


test.__test__ = False


def test_stage_commit_and_call(lab):
    assert test(lab, "49301", code=1)["status"] == 404
    answer = load(lab, write(lab, "one.csv", ["49,carrier-b,1,100,0.01", "=4930,carrier-b,,,"]))
    assert (answer["added"], answer["changed"], answer["removed"], answer["committed"]) == (2, 0, 0, False)
    assert test(lab, "49301", code=1)["status"] == 404, "what is staged is not in force"
    answer = load(lab, write(lab, "one.csv", ["49,carrier-b,1,100,0.01", "=4930,carrier-b,,,"]), "--commit")
    assert answer["committed"] and answer["rows"] == 2
    said = test(lab, "+49301")
    assert said["ok"] and said["targets"][0]["trunk"] == "carrier-b"
    assert [s["match"] for s in said["steps"] if s["what"] == "match"] == ["49"]
    assert test(lab, "4930")["steps"][2]["match"] == "=4930"
    lab.run_pair(S.scenario(S.invite(uri="sip:49301@[remote_ip]:[remote_port]"), S.recv(100, optional=True), S.recv(180, optional=True),
                            S.recv(200), S.ack(), S.pause(100), S.bye(), S.recv(200)),
                 S.scenario(S.recv_invite(), S.reply(180), S.reply(200, body=S.sdp()), S.recv("ACK"), S.recv("BYE"), S.reply(200)))
    (cdr,) = lab.cdrs(1)
    assert (cdr["plan"], cdr["route"]) == ("deck", "49"), "the record says what led where"


def test_a_broken_line_changes_nothing(lab):
    before = json.loads(lab.ctl("--json", "route", "list"))
    for line, words in (("49x,carrier-b,,,", "neither digits"), ("49,nobody,,,", '"nobody"'), ("49,carrier-b,1", "columns"),
                        ("49,carrier-b,70000,,", "priority"), ("49,,,,", "neither")):
        path = write(lab, "broken.csv", ["48,carrier-b,,,"] * 3 + [line, "47,carrier-b,,,"])
        text = load(lab, path, "--commit", code=1)["text"]
        assert "line 5" in text and words in text, text
    assert json.loads(lab.ctl("--json", "route", "list")) == before


def test_difference_show_and_dump(lab):
    answer = load(lab, write(lab, "two.csv", ["49,carrier-b,2,100,0.01", "1,carrier-b,,,"]), "--commit")
    assert (answer["added"], answer["changed"], answer["removed"]) == (1, 1, 1)
    assert sorted(answer["samples"]) == sorted(["+1", "~49", "-=4930"])
    dump = lab.ctl("route", "dump", "--plan", "deck")
    assert dump.splitlines()[1:] == ["1,carrier-b,1,100,,,,,,,,,", "49,carrier-b,2,100,0.010000,,,,,,,,"]
    path = lab.folder / "dump.csv"
    path.write_text(dump)
    answer = load(lab, path)
    assert (answer["added"], answer["changed"], answer["removed"]) == (0, 0, 0), "a dump is the plan"
    assert "49,carrier-b" in lab.ctl("route", "show", "49", "--plan", "deck")
    assert lab.ctl("route", "show", "+49", "--plan", "deck") == lab.ctl("route", "show", "49", "--plan", "deck")
    lab.ctl("route", "show", "4", "--plan", "deck", code=1)
    rows = json.loads(lab.ctl("--json", "route", "dump", "--plan", "deck"))
    assert [(r["match"], r["to"], r["priority"], r["cost"]) for r in rows] == [
        ("1", "carrier-b", "1", None), ("49", "carrier-b", "2", "0.010000")]
    assert json.loads(lab.ctl("--json", "route", "show", "49", "--plan", "deck")) == rows[1:]


def test_what_is_no_file_holds_nobody_up(lab):
    os.mkfifo(lab.folder / "pipe")
    assert "is no file" in load(lab, lab.folder / "pipe", code=1)["text"]
    assert "directory" in load(lab, lab.folder, code=1)["text"].lower()
    assert load(lab, write(lab, "after.csv", ["49,carrier-b,2,100,0.01"]))["rows"] == 1


def test_many_routes_while_calls_run(lab):
    """Some hundred thousand lines come into force while calls are set up: none fails."""
    rng = random.Random(1)
    matches = {f"4930{rng.randrange(10**8)}" for _ in range(300000)}
    path = write(lab, "many.csv", ["49,carrier-b,,,", "1,carrier-b,,,"] + [f"{m},carrier-b,,,0.{rng.randrange(999):03}" for m in matches])
    uas = S.scenario(S.recv_invite(), S.reply(180), S.reply(200, body=S.sdp()), S.recv("ACK"), S.recv("BYE"), S.reply(200))
    uac = S.scenario(S.invite(uri="sip:49301@[remote_ip]:[remote_port]"), S.recv(100, optional=True), S.recv(180, optional=True),
                     S.recv(200), S.ack(), S.pause(500), S.bye(), S.recv(200))
    said = {}
    loader = threading.Thread(target=lambda: said.update(load(lab, path, "--commit")))
    loader.start()
    server = lab.sipp("b", uas, calls=1000, timeout=120)
    lab.wait_listening("b")
    client = lab.sipp("a", uac, calls=150, rate=15, timeout=90)
    assert client.wait(100) == 0, lab.sipp_error(client)
    loader.join()
    server.kill()
    assert said["committed"] and said["rows"] == len(matches) + 2
    number = min(matches)
    assert test(lab, number)["steps"][2]["match"] == number
    lab.no_calls_left()


def test_kept_over_kills(lab):
    lab.dataplane.kill()
    lab.start_dataplane()
    lab.wait_ready()
    assert test(lab, "49301")["ok"]
    lab.control.kill()
    lab.start_control()
    lab.wait_ready()
    plans = json.loads(lab.ctl("--json", "route", "list"))
    assert [p["plan"] for p in plans] == ["deck"]
    until(lambda: json.loads(lab.ctl("--json", "route", "list"))[0]["in_force"], what="the plan in force")
    lab.ctl("route", "remove", "deck")
    assert test(lab, "49301", code=1)["status"] == 404
    assert json.loads(lab.ctl("--json", "route", "list")) == []
