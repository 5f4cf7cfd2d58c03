#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Every request that changes something leaves one line of who, what, on what and how it ended, refused or done; what only looks
leaves none, and no secret is in any of it. The requests are the schema's own: a new one has to be said here to be the one or the other.

usage: test_audit.py TANDEM_CONTROL TANDEMCTL
"""
import errno
import getpass
import json
import os
import sys

import test_provision
from test_provision import ROOT, Bench, Plane, pb, until

sys.path.insert(0, str(ROOT / "control" / "client"))
sys.modules["tandem_pb2"] = pb
from tandem_client import Tandem  # noqa: E402

SECRET, AOR = "open-sesame", "1001@tandem.example"
CONFIG = test_provision.CONFIG + """
trunks = ( { name = "north"; realm = "access"; peers = ( { address = "10.0.1.1"; } ); },
           { name = "south"; realm = "access"; peers = ( { address = "nowhere.invalid"; } ); } );
"""
PLAN = "match,to\n49,north\n"

# Looked at, or said by others than operators.
LOOKS = {"show", "status_request", "subscribe", "route_test", "rule_test"}
OTHERS = {"error", "done", "hello", "policy", "item", "status", "subscriber_put", "subscriber_delete", "subscriber_bulk",
          "binding_bulk", "route_image", "event"}


# body, its fields, what, on what, errno. In this order: each one builds on those before it.
def changes(folder):
    yield "reload", {}, "reload", "", 0
    yield "hangup", {"call_id": "x-1-0-1"}, "hangup", "x-1-0-1", 0
    yield "hangup", {"call_id": "refuse"}, "hangup", "refuse", errno.ENOMEM
    yield "drain", {}, "drain", "on", 0
    yield "drain", {"off": True}, "drain", "off", 0
    yield "trunk_set", {"name": "north", "enabled": False}, "trunk disable", "north", 0
    yield "trunk_set", {"name": "north", "enabled": True}, "trunk enable", "north", 0
    yield "trunk_set", {"name": "nobody"}, "trunk disable", "nobody", errno.ENOENT
    yield "dns_refresh", {"name": "nowhere.invalid"}, "dns refresh", "nowhere.invalid", 0
    yield "dns_refresh", {"name": "x.invalid"}, "dns refresh", "x.invalid", errno.ENOENT
    settings = ['realm="access"', 'peers=( { address = "10.0.1.9"; } )']
    yield "trunk_put", {"name": "east", "create": True, "settings": settings}, "trunk add", "east", 0
    yield "trunk_put", {"name": "east", "create": True, "settings": settings}, "trunk add", "east", errno.EEXIST
    yield "trunk_put", {"name": "east", "settings": ["max_calls=7"]}, "trunk set", "east", 0
    yield "trunk_put", {"name": "east", "settings": ["max_calls=many"]}, "trunk set", "east", errno.EINVAL
    yield "trunk_remove", {"name": "east"}, "trunk del", "east", 0
    yield "trunk_remove", {"name": "east"}, "trunk del", "east", errno.ENOENT
    yield "subscriber_add", {"aor": AOR, "password": SECRET}, "subscriber add", AOR, 0
    yield "subscriber_add", {"aor": AOR, "password": SECRET}, "subscriber add", AOR, errno.EEXIST
    edit = {"to": pb.SubscriberAdd(aor=AOR, password=SECRET, max_calls=5), "fields": ["password", "max_calls"]}
    yield "subscriber_set", edit, "subscriber set", AOR, 0
    yield "subscriber_set", {**edit, "to": pb.SubscriberAdd(aor="x@y", password=SECRET)}, "subscriber set", "x@y", errno.ENOENT
    yield "subscriber_set", {}, "subscriber set", "", errno.EINVAL
    yield "number_add", {"number": "4930555", "aor": AOR}, "number add", f"4930555 {AOR}", 0
    yield "number_add", {"number": "4930555", "aor": "x@y"}, "number add", "4930555 x@y", errno.ENOENT
    yield "number_remove", {"number": "4930555"}, "number del", "4930555", 0
    yield "number_remove", {"number": "4930555"}, "number del", "4930555", errno.ENOENT
    yield "subscriber_remove", {"aor": AOR}, "subscriber del", AOR, 0
    yield "subscriber_remove", {"aor": AOR}, "subscriber del", AOR, errno.ENOENT
    (folder / "plan.csv").write_text(PLAN)
    load = {"path": str(folder / "plan.csv"), "plan": "gold"}
    yield "route_load", {**load, "commit": True}, "route load", "gold", 0
    yield "route_load", {**load, "path": str(folder / "none.csv"), "commit": True}, "route load", "gold", errno.ENOENT
    yield "route_commit", {"plan": "gold", "generation": 7}, "route commit", "gold", errno.ENOENT
    change = {"plan": "gold", "match": "48"}
    yield "route_change", {**change, "fields": ["to=north"]}, "route add", "gold 48", 0
    yield "route_change", {**change, "fields": ["to=nobody"]}, "route add", "gold 48", errno.EINVAL
    yield "route_change", {**change, "remove": True}, "route del", "gold 48", 0
    yield "route_change", {**change, "remove": True}, "route del", "gold 48", errno.ENOENT
    yield "route_remove", {"plan": "gold"}, "route remove", "gold", 0
    yield "route_remove", {"plan": "gold"}, "route remove", "gold", errno.ENOENT


def ask(switch, plane, body, fields):
    """errno of the answer, and its text; 0: done."""
    message = pb.Frame.DESCRIPTOR.fields_by_name[body].message_type.name
    id = switch.send(**{body: getattr(pb, message)(**fields)})
    switch.socket.setblocking(False)
    while True:
        plane.turn()
        try:
            frame = switch.receive()
        except BlockingIOError:
            continue
        if frame.id == id and frame.WhichOneof("body") in ("done", "error"):
            return (0, frame.done.text) if frame.WhichOneof("body") == "done" else (frame.error.code, frame.error.text)


class Wary(Plane):
    """Refuses to end the call of that name."""

    def answer(self, body, id):
        last = self.frames[-1][1]
        if body == "hangup" and last.hangup.call_id == "refuse":
            self.refuse.add(body)
        super().answer(body, id)
        self.refuse.discard(body)


def every_change_leaves_one_line():
    asked = {body for body, *_ in changes(test_provision.FOLDER)}
    known = {f.name for f in pb.Frame.DESCRIPTOR.oneofs_by_name["body"].fields}
    assert known == asked | LOOKS | OTHERS, f"is it a change, or does it only look? {known ^ (asked | LOOKS | OTHERS)}"

    bench = Bench("audit", config=CONFIG)
    plane = Wary(bench)
    plane.wait("binding_bulk", lambda b: b.last)

    def rows():
        return json.loads(bench.ctl("audit", "--json", "--last", "1000", plane=plane))

    with Tandem(bench.dir / "control.sock") as switch:
        seen = len(rows())
        for body, fields, what, on, code in changes(bench.dir):
            got, text = ask(switch, plane, body, fields)
            assert got == code, (body, fields, got, text)
            new = rows()[seen:]
            assert len(new) == 1, (body, fields, new)
            row = new[0]
            assert (row["what"], row["on"], row["code"]) == (what, on, code), (body, fields, row)
            assert (row["user"], row["uid"], row["pid"]) == (getpass.getuser(), os.getuid(), os.getpid()), row
            assert row["text"] == text.strip().replace("\n", ";")[:len(row["text"])], (row, text)
            assert code == 0 or row["text"], row
            seen += 1
        # Whoever only looks leaves nothing.
        for body, fields in (("reload", {"dry_run": True}),
                             ("route_load", {"path": str(bench.dir / "plan.csv"), "plan": "gold"})):
            assert ask(switch, plane, body, fields)[0] == 0
        for body in sorted(LOOKS):
            switch.send(**{body: getattr(pb, pb.Frame.DESCRIPTOR.fields_by_name[body].message_type.name)()})
        until(lambda: plane.turn() or len([b for b, _ in plane.frames if b in ("route_test", "rule_test")]) == 2, "the questions")
        assert len(rows()) == seen, rows()[seen:]
    bench.stop()
    for path in (bench.dir / "log", *(bench.dir / "state").glob("audit.log*")):
        assert SECRET not in path.read_text() and "ha1" not in path.read_text().lower(), path
    lines = (bench.dir / "state" / "audit.log").read_text().splitlines()
    assert len(lines) == seen and all(len(line.split("\t")) == 8 for line in lines)


if __name__ == "__main__":
    sys.exit(test_provision.main([every_change_leaves_one_line]))
