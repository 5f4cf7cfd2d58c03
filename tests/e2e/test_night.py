# SPDX-License-Identifier: BSD-3-Clause
"""tandemctl on a running switch as whoever was woken uses it: every command answers for people and for scripts, completes what
there is, and says what to do where it refuses."""
import json
import os
import pty
import re
import subprocess

import pytest

from lab import BUILD, Lab, sh, until

AOR, NUMBER = "1001@tandem.example", "4930555101"
MORE = """
rules = ( { name = "plus"; match = "^49(.*)"; replace = "+49\\\\1"; } );
groups = ( { name = "pool"; max_calls = 9; to = ( { trunk = "carrier-b"; } ); } );
dns = { servers = [ "127.0.0.1:5999" ]; timeout = 0.1; };
"""
# What a word of a synopsis stands for, and what there is none of.
THERE = {"AOR": AOR, "NUMBER": NUMBER, "MATCH": "49", "PLAN": "gold", "RULE": "plus", "HOST": "sip.carrier.test", "TRUNK": "carrier-b"}
NOT_THERE = {w: "no-such" for w in ("NUMBER", "MATCH", "PLAN", "RULE", "HOST", "TRUNK", "ID", "CDR")} | {
    "AOR": "no@such", "FILE": "/no/such", "NAME": "no-such"}
LOOKS = ("show", "list", "last", "find", "status", "alarms", "audit", "wait", "test", "dump", "registrations")


@pytest.fixture(scope="module")
def lab():
    def edit(text):
        return text.replace('{ address = "10.0.2.1"; port = 5060; }', '{ address = "10.0.2.1"; port = 5060; }, '
                            '{ address = "sip.carrier.test"; port = 5070; }') + MORE
    with Lab(base="registrar.conf", edit=edit) as one:
        one.subscriber(AOR, "secret", "+" + NUMBER)
        plan = one.folder / "gold.csv"
        plan.write_text("match,to,priority,weight,cost\n49,carrier-b,,,\n")
        one.ctl("route", "load", plan, "--plan", "gold", "--commit")
        one.ctl("trunk", "add", "kept", "--realm", "east", "--peer", "10.0.2.7")
        until(lambda: [a["name"] for a in json.loads(one.ctl("alarms", "--json"))] == ["dns.unresolved"], what="an alarm")
        yield one


def commands():
    """Words, arguments and options of each."""
    for line in sh(BUILD / "tandemctl", "--commands").splitlines():
        front, *options = line.split(" [-")
        words = front.split()
        yield [w for w in words if w.islower()], [w.strip("[]") for w in words if not w.islower()], options


def looks(words):
    return any(w.startswith(LOOKS) for w in words) and words[0] != "check" and words != ["show", "call"] and words != ["cdr", "show"]


def run(lab, *args):
    return subprocess.run([BUILD / "tandemctl", "-c", lab.conf, *map(str, args)], capture_output=True, text=True, timeout=30,
                          stdin=subprocess.DEVNULL)


def extra(words):
    return ["--from", AOR] if words == ["route", "test"] else ["--plan", "gold"] if words[0] == "route" and words[1] in ("show", "dump") else []


def test_every_table_is_for_people_and_for_scripts(lab):
    seen = 0
    for words, args, _ in commands():
        if not looks(words):
            continue
        asked = [*words, *(THERE[a] for a in args if a in THERE), *extra(words)]
        text, data = run(lab, *asked), run(lab, *asked, "--json")
        assert text.returncode == data.returncode == 0, (asked, text, data)
        assert not text.stderr and not data.stderr and "\033" not in text.stdout, (asked, text, data)
        lines = text.stdout.splitlines()
        assert lines and all(line == line.rstrip() for line in lines), (asked, lines)
        value = json.loads(data.stdout)
        rows = value if isinstance(value, list) else [value]
        # What a script takes from one row it finds in each.
        if rows and isinstance(value, list) and words != ["show", "stats"]:
            assert len({tuple(row) for row in rows}) == 1, (asked, rows)
        seen += 1
    assert seen > 20


def test_columns_stand_below_each_other(lab):
    for words in (["show", "trunks"], ["show", "limits"], ["subscriber", "list"], ["show", "cores"]):
        head, *rows = run(lab, *words).stdout.splitlines()
        assert rows
        # Two blanks are between columns, in every line at the same place.
        lines = [line.ljust(len(max(head, *rows, key=len))) for line in (head, *rows)]
        blank = "".join(" " if all(c == " " for c in column) else "x" for column in zip(*lines))
        assert len(re.split("  +", blank.strip())) == len(re.split("  +", head.strip())), (head, rows)


def test_one_screen_says_what_is_wrong(lab):
    text = run(lab, "status")
    assert text.returncode == 0 and text.stdout.startswith("takes calls\n") and "dns.unresolved" in text.stdout, text
    told = json.loads(lab.ctl("status", "--json"))
    assert told["ok"] and told["trunks"]["up"] >= 2 and told["ports"] == {"up": 2, "down": 0} and told["alarms"]["critical"] == 1
    lab.ctl("drain")
    drained = run(lab, "status")
    assert drained.returncode == 1 and "drained by an operator" in drained.stdout, drained
    assert json.loads(run(lab, "status", "--json").stdout)["draining"] is True
    lab.ctl("drain", "--off")
    lab.ctl("trunk", "disable", "kept")
    assert re.search(r"trunks .*1 disabled or draining: kept", lab.ctl("status")), lab.ctl("status")
    lab.ctl("trunk", "enable", "kept")
    alarms = lab.ctl("alarms")
    assert "sip.carrier.test:5070" in alarms and "what to do: dig it" in alarms


def test_a_dead_data_plane_is_the_first_line(lab):
    lab.dataplane.kill()
    gone = until(lambda: (p := run(lab, "status")).returncode == 1 and p, what="the word")
    assert gone.stdout.startswith("tandem-dataplane is not connected: where it does not run, no call is carried\n"), gone
    assert json.loads(run(lab, "status", "--json").stdout)["dataplane_connected"] is False
    lab.start_dataplane()
    lab.wait_ready()
    assert run(lab, "status").returncode == 0


def test_who_is_refused_is_told_what_to_do(lab):
    """Exit status 1, one line that names a command or what was expected, and for scripts an object."""
    for words, args, _ in commands():
        # A list without rows and a decision are answers.
        if not args or words[0] == "check" or words in (["cdr", "find"], ["show", "registrations"], ["cdr", "last"], ["route", "test"]):
            continue
        asked = [*words, *(NOT_THERE[a] for a in args), *extra(words)]
        if words == ["subscriber", "add"]:
            asked += ["--replace"]
        if words == ["subscriber", "set"]:
            asked += ["--max-calls", "3"]
        p = run(lab, *asked, "--json")
        assert p.returncode == 1, (asked, p)
        assert json.loads(p.stdout)["ok"] is False and p.stderr, (asked, p)
        hint = json.loads(p.stdout)["text"]
        assert re.search(r"show|list|expected|add|password|; |load|tandem-control", hint) or words[0] == "route", (asked, hint)
    assert "such as\n  show trunks\n" in run(lab, "trunks").stderr
    assert run(lab, "trunks").returncode == 2


def test_colours_are_for_terminals(lab):
    master, slave = pty.openpty()
    env = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
    for extra_env, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        subprocess.run([BUILD / "tandemctl", "-c", lab.conf, "show", "trunks"], stdout=slave, check=True, env={**env, **extra_env})
        text = os.read(master, 1 << 16).decode()
        assert ("\033[1m" in text and "\033[32mup" in text) is coloured, text
    os.close(slave)
    os.close(master)


def complete(lab, *words):
    return sh(BUILD / "tandemctl", "--complete", "-c", lab.conf, *words).split()


def test_names_are_completed_wherever_they_stand(lab):
    for words, args, options in commands():
        for n, arg in enumerate(args):
            if words == ["show", "registrations"]:
                continue
            before = [THERE.get(a, "x") for a in args[:n]]
            offered = complete(lab, *words, *before, "")
            if words in (["number", "add"], ["trunk", "add"]) and n == 0:
                assert offered == [], (words, offered)
            elif words in (["trunk", "set"], ["trunk", "del"]):
                assert offered == ["kept"], (words, offered)
            elif arg in THERE and arg != "MATCH":
                assert THERE[arg] in offered, (words, arg, offered)
        for option in options:
            name, value = option.rstrip("]").split(" ") if " " in option else (option, "")
            want = {"PLAN": "gold", "TRUNK": "carrier-b", "REALM": "east", "KIND": "dns", "WHOM": AOR}.get(value)
            if want:
                assert want in complete(lab, *words, "-" + name, ""), (words, option)
    assert complete(lab, "route", "test", "1", "--from", "10") == [AOR]
    assert {"carrier-b", "kept", "subscribers"} <= set(complete(lab, "route", "test", "1", "--from", ""))
    assert complete(lab, "trunk", "enable", "ke") == ["kept"]


def test_a_route_is_tested_for_a_subscriber(lab):
    text = lab.ctl("route", "test", "0044207946", "--from", AOR)
    assert "plan subscribers" in text and "1. carrier-b 10.0.2.1:5060, called 0044207946 by +" + NUMBER in text, text
    told = json.loads(lab.ctl("route", "test", "0044207946", "--from", AOR, "--json"))
    assert told["ok"] and [t["trunk"] for t in told["targets"]] == ["carrier-b"]
    inside = json.loads(lab.ctl("route", "test", AOR, "--from", AOR, "--json"))
    assert [t["trunk"] for t in inside["targets"]] == ["registrar", "carrier-b"], inside
    text = run(lab, "route", "test", NUMBER, "--from", "carrier-b")
    assert "1. registrar, called " + NUMBER in text.stdout, text
