# SPDX-License-Identifier: BSD-3-Clause
"""Numbers through the switch: what a carrier hears of a number that another one dialled, and what the record says of it."""
import json
import re

import pytest

from lab import Lab
from scenario import PROVISIONALS, ack, ack_failure, bye, invite, recv, reply, reply_again, sdp, uac, uas

RULES = """
rules = ( { name = "tech"; match = "^77#"; replace = ""; },
          { name = "short"; match = "^115$"; replace = "+4930115"; },
          { name = "prefix"; match = "^"; replace = "99"; } );
"""
FORM = 'number = { country = "49"; international_prefix = "00"; national_prefix = "0"; %s };'


def ruled(text):
    a = FORM % "" + ' trust = "in"; rules = { in = { callee = [ "tech", "short" ]; }; };'
    b = FORM % 'format = "national";' + ' trust = "out"; rules = { out = { callee = [ "prefix" ]; }; };'
    return RULES + text.replace('name = "carrier-a";', f'name = "carrier-a"; {a}').replace('name = "carrier-b";', f'name = "carrier-b"; {b}')


@pytest.fixture(params=[(1,), (1, 1, 1)], ids=["1", "3"], scope="module")
def lab(request):
    with Lab(workers=request.param, edit=ruled) as running:
        yield running


def call(lab, user, from_user, headers=""):
    """A call from a to b; returns the INVITE as b got it, and the record."""
    before = len(lab.rows())
    messages = lab.folder / f"b-{before}.msg"
    scene = uac(invite(uri=f"sip:{user}@[remote_ip]:[remote_port]", from_user=from_user, headers=headers), PROVISIONALS, recv(200),
                ack(), bye(), recv(200))
    lab.run_pair(scene, uas(recv("INVITE"), reply(180), reply(200, body=sdp(), retrans=500), recv("ACK"), recv("BYE"), reply_again(200)),
                 uas_args=("-trace_msg", "-message_file", messages))
    lab.settle()
    text = messages.read_text()
    return text[text.index("INVITE "):].replace("\r", ""), lab.rows()[before]


def user_of(seen, header):
    return re.search(rf"^{header}:.*?<sip:([^@]*)@", seen, re.M).group(1)


def test_rules_in_and_forms_out(lab):
    seen, cdr = call(lab, "77%230301234", "040999", 'P-Asserted-Identity: <sip:00331555@[local_ip]>')
    assert seen.startswith("INVITE sip:990301234@10.0.2.1:5060 ")
    assert user_of(seen, "To") == "990301234"
    assert user_of(seen, "From") == "040999"
    assert user_of(seen, "P-Asserted-Identity") == "00331555"
    assert (cdr["from_number"], cdr["to_number"]) == ("040999", "77#0301234"), "as they came"
    assert cdr["rules"] == "tech,prefix" and cdr["asserted"] == "331555"
    assert lab.counters()["number.rule_failed"] == 0


def test_short_codes_and_foreign_numbers(lab):
    seen, cdr = call(lab, "115", "00331555")
    assert seen.startswith("INVITE sip:99030115@") and cdr["rules"] == "short,prefix"
    assert user_of(seen, "From") == "00331555"
    seen, cdr = call(lab, "112", "+1212555")
    assert seen.startswith("INVITE sip:99112@") and cdr["rules"] == "prefix"
    assert user_of(seen, "From") == "001212555"


def test_rules_of_the_dial_plan(lab):
    """Behind the trunk's own, and from one call to the next."""
    text = lab.conf.read_text()
    planned = text.replace('name = "carrier-a";', 'name = "carrier-a"; plan = "office";') + """
rules = ( { name = "tech"; match = "^77#"; replace = ""; }, { name = "short"; match = "^115$"; replace = "+4930115"; },
          { name = "prefix"; match = "^"; replace = "99"; }, { name = "desk"; match = "^\\\\+49305(..)$"; replace = "+4940777\\\\1"; } );
plans = ( { name = "office"; rules = { callee = [ "desk" ]; }; } );
"""
    lab.conf.write_text(planned.replace(RULES, ""))
    said = lab.ctl("reload")
    assert "plans: 1 added" in said and "rules: 1 added" in said, said
    seen, cdr = call(lab, "77%23030555", "040999")
    assert seen.startswith("INVITE sip:9904077755@") and cdr["rules"] == "tech,desk,prefix", (seen, cdr["rules"])
    assert cdr["to_number"] == "77#030555"
    said = json.loads(lab.ctl("--json", "route", "test", "77#030555", "--from", "carrier-a"))
    steps = [(s["name"], s["plan"], s["after"]) for s in said["steps"] if s["what"] == "rule" and s["why"] is None]
    assert steps == [("tech", "", "030555"), ("desk", "office", "+494077755"), ("prefix", "", "9904077755")], steps
    assert "callee rule desk of plan office: +4930555 → +494077755" in lab.ctl("route", "test", "030555", "--from", "carrier-a")
    lab.conf.write_text(text)
    assert "plans: 0 added, 1 removed" in lab.ctl("reload")
    seen, cdr = call(lab, "030555", "040999")
    assert seen.startswith("INVITE sip:99030555@") and cdr["rules"] == "prefix"


def test_rules_of_the_realm(lab):
    """What a trunk does not say itself is its realm's, from one call to the next; who says so is told."""
    text = lab.conf.read_text()
    said = text.replace(' rules = { in = { callee = [ "tech", "short" ]; }; };', "").replace(
        'name = "west";', 'name = "west"; rules = { in = { callee = [ "tech", "short" ]; caller = [ "tech" ]; }; }; number = { country = "33"; };')
    assert said.count('"short" ]') == 1, said
    lab.conf.write_text(said)
    told = lab.ctl("reload")
    assert "numbers of realms: 1 added" in told and "carrier-a: rules.in" in told and "restart" not in told, told
    seen, cdr = call(lab, "77%230301234", "77%23040999")
    assert seen.startswith("INVITE sip:990301234@10.0.2.1:5060 ") and user_of(seen, "From") == "040999", "the trunk's own form"
    assert cdr["rules"] == "tech,tech,prefix"
    steps = json.loads(lab.ctl("--json", "route", "test", "77#0301234", "--from", "carrier-a"))["steps"]
    steps = [(s["what"], s["name"], s["realm"]) for s in steps if s["who"] and s["why"] is None]
    assert steps == [("rule", "tech", "west"), ("number", "", ""), ("number", "", ""), ("rule", "prefix", "")], steps
    assert "callee rule tech of realm west: 77#030 → 030" in lab.ctl("route", "test", "77#030", "--from", "carrier-a")
    lab.conf.write_text(said.replace('name = "carrier-a";', 'name = "carrier-a"; rules = { in = { callee = [ ]; }; };'))
    lab.ctl("reload")
    seen, cdr = call(lab, "77%230301234", "77%23040999")
    assert "77%230301234@" in seen.split("\n")[0] and cdr["rules"] == "tech,prefix", "an empty list is said"
    lab.conf.write_text(text)
    assert "numbers of realms: 0 added, 1 removed" in lab.ctl("reload")


def test_changed_while_it_runs(lab):
    text = lab.conf.read_text()
    lab.conf.write_text(text.replace('match = "^"; replace = "99"', 'match = "^"; replace = "88"'))
    said = lab.ctl("reload")
    assert "rules: 0 added, 0 removed, 1 changed" in said
    seen, _ = call(lab, "030555", "040999")
    assert seen.startswith("INVITE sip:88030555@")
    lab.conf.write_text(text.replace('match = "^"; replace = "99"', 'match = "^("; replace = "99"'))
    said = json.loads(lab.ctl("--json", "reload", code=1))["text"]
    assert "rules[2].match" in said
    seen, _ = call(lab, "030555", "040999")
    assert seen.startswith("INVITE sip:88030555@"), "what is wrong changes nothing"
    lab.conf.write_text(text)
    lab.ctl("reload")
    seen, _ = call(lab, "030555", "040999")
    assert seen.startswith("INVITE sip:99030555@")


def test_what_an_operator_is_told(lab):
    assert [r["name"] for r in json.loads(lab.ctl("--json", "rule", "list"))] == ["tech", "short", "prefix"]
    assert "^77#" in lab.ctl("rule", "list")
    assert lab.ctl("rule", "test", "tech", "77#030") == "77#030 → 030\n"
    assert lab.ctl("rule", "test", "tech", "030", code=1) == "tech does not match\n"
    lab.ctl("rule", "test", "nobody", "030", code=1)
    said = json.loads(lab.ctl("--json", "route", "test", "77#0301234", "--from", "carrier-a", "--caller", "040999"))
    steps = [(s["who"], s["what"], s["name"], s["before"], s["after"]) for s in said["steps"] if s["who"]]
    assert steps[:3] == [("callee", "rule", "tech", "77#0301234", "0301234"), ("callee", "rule", "short", "0301234", "0301234"),
                         ("callee", "number", "", "0301234", "+49301234")]
    assert ("caller", "number", "", "040999", "+4940999") in steps
    assert ("callee", "number", "", "+49301234", "0301234") in steps, "as it goes out"
    (target,) = said["targets"]
    assert (target["trunk"], target["number"], target["caller"]) == ("carrier-b", "990301234", "040999")
    text = lab.ctl("route", "test", "115", "--from", "carrier-a")
    assert "callee rule short: 115 → +4930115" in text and "1. carrier-b 10.0.2.1:5060, called 99030115" in text


def screened(text):
    a = FORM % "" + ' caller_id = { in = { allowed = [ "+4930" ]; on_refused = "reject"; }; };'
    b = FORM % 'format = "national";' + (' trust = "out"; caller_id = { out = { allowed = [ "+49301" ]; default = "+49301000"; }; };')
    return text.replace('name = "carrier-a";', f'name = "carrier-a"; {a}').replace('name = "carrier-b";', f'name = "carrier-b"; {b}')


@pytest.fixture(scope="module")
def strict():
    with Lab(workers=(1, 1), edit=screened) as running:
        yield running


def test_callers_that_may_be_shown(strict):
    seen, cdr = call(strict, "040999", "0301234")
    assert user_of(seen, "From") == "0301234" and user_of(seen, "P-Asserted-Identity") == "0301234"
    assert cdr["asserted"] == "49301234" and cdr["rules"] is None
    seen, cdr = call(strict, "040999", "0302345")
    assert user_of(seen, "From") == "0301000", "in it is allowed, out it is not"
    assert cdr["rules"] == "caller_id" and cdr["from_number"] == "0302345"
    before = len(strict.rows())
    client = strict.sipp("a", uac(invite(uri="sip:040999@[remote_ip]:[remote_port]", from_user="0891"), recv(100, optional=True),
                                  recv(403), ack_failure()))
    assert client.wait(20) == 0, strict.sipp_error(client)
    strict.settle()
    (cdr,) = strict.rows()[before:]
    assert cdr["sip_code"] == 403 and cdr["rules"] == "caller_id" and cdr["trunk_out"] in (None, "")
    said = json.loads(strict.ctl("--json", "route", "test", "040999", "--from", "carrier-a", "--caller", "0891", code=1))
    assert said["status"] == 403 and said["steps"][-1]["what"] == "caller"
    assert strict.counters()["caller.refused"] == 1 and strict.counters()["caller.replaced"] == 1
