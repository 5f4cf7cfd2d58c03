# SPDX-License-Identifier: BSD-3-Clause
"""Two switches with one PostgreSQL: what is provisioned at one is in force at the other, change by change."""
import contextlib
import re
import signal

from lab import until
from pg import Postgres
from test_registrar import DOMAIN, Phone


def node(server, name):
    def edit(text):
        return text.replace('"sqlite:"', f'"{server.url}"').replace('"tandem-1"', f'"{name}"')
    return {"base": "registrar.conf", "edit": edit}


def followed(lab):
    """How often it has taken the whole table, and how many changes one by one."""
    text = lab.control.text()
    return (text.count("sync.done table=subscribers"),
            sum(map(int, re.findall(r"sync.followed table=subscribers changes=(\d+)", text))))


def answers(lab, user, password, status):
    """Until a phone of that user is answered so; who is no subscriber is asked by MD5 (401) behind a SHA-256 that is wrong."""
    phone = Phone(lab, user, password)
    with contextlib.closing(phone.socket):
        until(lambda: phone.register()[0] == status, 15, every=0.1, what=f"{status} for {user}")


def test_what_one_node_changes_is_in_force_at_the_other(fresh):
    with contextlib.closing(Postgres()) as server:
        one, two = fresh(**node(server, "one")), fresh(**node(server, "two"))
        whole = followed(two)[0]
        one.subscriber(f"1001@{DOMAIN}", "secret")
        answers(two, "1001", "secret", 200)
        one.ctl("subscriber", "del", f"1001@{DOMAIN}")
        answers(two, "1001", "secret", 401)
        one.subscriber(f"1001@{DOMAIN}", "another", "4930555100")
        answers(two, "1001", "another", 200)
        assert followed(two) == (whole, 3)
        # Both write: each has the other's and its own, and each writer hears that it is in force.
        for i in range(10):
            one.subscriber(f"2{i:03}@{DOMAIN}", "secret")
            two.subscriber(f"3{i:03}@{DOMAIN}", "secret")
        for lab in (one, two):
            answers(lab, "2009", "secret", 200)
            answers(lab, "3009", "secret", 200)
            lab.wait_ready()
        assert followed(two)[0] == whole and followed(one)[0] == 1
        # The database goes and comes back.
        server.kill()
        one.ctl("subscriber", "list", code=1)
        server.start()
        one.subscriber(f"1002@{DOMAIN}", "secret")
        answers(two, "1002", "secret", 200)
        # One control is away meanwhile, its data plane is not.
        two.control.kill(signal.SIGTERM)
        one.ctl("subscriber", "del", f"1002@{DOMAIN}")
        one.subscriber(f"1003@{DOMAIN}", "secret")
        two.start_control()
        answers(two, "1002", "secret", 401)
        answers(two, "1003", "secret", 200)
        assert followed(two)[0] == whole, "change by change all the time"
        # So long that the log does not tell everything any more.
        two.control.kill(signal.SIGTERM)
        one.subscriber(f"1004@{DOMAIN}", "secret")
        server.ask("DELETE FROM subscriber_change")
        one.subscriber(f"1005@{DOMAIN}", "secret")
        two.start_control()
        answers(two, "1004", "secret", 200)
        answers(two, "1005", "secret", 200)
        assert followed(two)[0] == whole + 1
        for lab in (one, two):
            lab.settle()
