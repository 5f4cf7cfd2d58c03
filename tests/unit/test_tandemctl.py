#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""tandemctl, without a daemon: wrong usage is told, and the manual page and the completion say what the program says.

usage: test_tandemctl.py TANDEMCTL
"""
import contextlib
import fcntl
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TANDEMCTL = str(pathlib.Path(sys.argv[1]).resolve())
DONE, REFUSED, USAGE, UNREACHABLE = range(4)


def ctl(*args, code=DONE):
    p = subprocess.run([TANDEMCTL, *args], capture_output=True, text=True)
    assert p.returncode == code, f"tandemctl {' '.join(args)}: {p.returncode}, expected {code}\n{p.stdout}{p.stderr}"
    return p.stdout if code == DONE else p.stderr


def complete(*words):
    return ctl("--complete", *words).split()


def manual_commands():
    """The tagged lines of the section COMMANDS of the manual page."""
    lines = (ROOT / "control/man/tandemctl.1").read_text().split(".SH COMMANDS\n")[1].split(".SH ")[0].splitlines()
    tagged = [lines[i + 1] for i, line in enumerate(lines) if line == ".TP"]
    return [line.removeprefix(".B ").replace("\\-", "-") for line in tagged]


def the_manual_has_every_command_in_order():
    assert manual_commands() == ctl("--commands").splitlines(), "control/man/tandemctl.1 and control/ctl_commands.c differ:\n" + \
        "\n".join(sorted(set(manual_commands()) ^ set(ctl("--commands").splitlines())))


def the_manual_has_every_alarm_and_file():
    manual = (ROOT / "control/man/tandem-control.8").read_text()
    files, alarms = manual.split(".SH FILES\n")[1].split(".SH ")[0], manual.split(".SH ALARMS\n")[1].split(".SH ")[0]
    for path in sorted((ROOT / "control").glob("*.c")):
        source = path.read_text()
        raised = re.findall(r'td_alarm_raise\([^;]*?"([a-z]+\.[a-z]+)"', source) + [
            name for macro, name in re.findall(r'#define (\w+) "([a-z]+\.[a-z]+)"', source)
            if re.search(rf'td_alarm_raise\([^;]*?\b{macro}\b', source)]
        assert [a for a in raised if a not in alarms] == [], path.name
        assert [f for f in re.findall(r'#define FILE_NAME "(.*)"', source) if f"/{f}" not in files] == [], path.name


def the_manuals_have_every_option_and_key():
    """And no option that there is not."""
    for daemon in ("control", "dataplane"):
        manual = (ROOT / f"control/man/tandem-{daemon}.8").read_text().replace("\\-", "-")
        options = set(re.findall(r'\{ "([a-z-]+)", (?:required|no)_argument', (ROOT / daemon / "main.c").read_text()))
        assert len(options) > 3 and options == set(re.findall(r"--([a-z-]+)", manual)), (daemon, options)
    manual = (ROOT / "control/man/tandem.conf.5").read_text().replace("\\-", "-")
    keys = set(re.findall(r'\b(?!LATER)[A-Z][A-Z_]+\("([a-z_0-9]+)"', (ROOT / "control/config_keys.c").read_text()))
    assert len(keys) > 100 and [k for k in sorted(keys) if not re.search(rf"\b{k}\b", manual)] == []


def the_help_has_every_command():
    text = ctl("--help")
    for synopsis in ctl("--commands").splitlines():
        assert synopsis in text, synopsis
        words = [w for w in synopsis.split(" [")[0].split() if w.islower()]
        assert f"usage: tandemctl {synopsis}" in ctl(*words, "--help"), synopsis


def completion_goes_through_every_command():
    for synopsis in ctl("--commands").splitlines():
        words = [w for w in synopsis.split(" [")[0].split() if w.islower()]
        for n, word in enumerate(words):
            assert word in complete(*words[:n], ""), synopsis
            assert word in complete(*words[:n], word[:2]), synopsis
        offered = complete(*words, "--")
        for option in [part.split()[0] for part in synopsis.replace("]", "").split(" [") if part.startswith("--")]:
            assert option in offered, (synopsis, offered)
    assert complete("--timeout", "3", "--json", "show", "cou") == ["counters"]
    assert complete("-c", "/no/such", "check", "") == [":files"]
    assert complete("check", "--set", "") == [] and complete("wait", "--timeout", "") == [] and complete("nonsense", "") == []
    assert complete("watch", "--kind", "a") == ["alarm", "audit"]


def the_shell_completes():
    script = f"""
source {ROOT}/control/tandemctl.bash
COMP_WORDS=({TANDEMCTL} show c); COMP_CWORD=2; _tandemctl; echo "${{COMPREPLY[*]}}"
cd {ROOT}/configs; COMP_WORDS=({TANDEMCTL} check two); COMP_CWORD=2; _tandemctl; echo "${{COMPREPLY[*]}}"
"""
    found = subprocess.check_output(["bash", "-c", script], text=True).split()
    assert found == ["cores", "calls", "call", "counters", "two-carriers.conf"], found


def wrong_usage_is_told():
    assert "expected a command" in ctl("nonsense", code=USAGE)
    assert "usage: tandemctl" in ctl(code=USAGE)
    assert "  show cores\n" in ctl("show", code=USAGE) and "show nonsense" in ctl("show", "nonsense", code=USAGE)
    assert "expected show call ID" in ctl("show", "call", code=USAGE)
    assert "found b, expected hangup ID" in ctl("hangup", "a", "b", code=USAGE)
    assert "found --off" in ctl("show", "cores", "--off", code=USAGE)
    assert "found --nonsense" in ctl("show", "cores", "--nonsense", code=USAGE)
    assert "a value behind it" in ctl("wait", "--timeout", code=USAGE)
    assert "found --timeout x" in ctl("wait", "--timeout", "x", code=USAGE)
    assert "without a value" in ctl("wait", "--json=yes", code=USAGE)
    assert "longer than" in ctl("wait", "-s", "/" + "x" * 200, code=USAGE)


def help_is_a_word_too():
    assert ctl("help") == ctl("--help") and ctl("help", "drain") == ctl("drain", "--help")


def who_cannot_reach_control_is_told_what_to_do():
    """Every command that asks a daemon: exit status 3, one line of text and with --json one object."""
    for synopsis in ctl("--commands").splitlines():
        words = [w if w.islower() else "x" for w in synopsis.split(" [")[0].split()]
        if words == ["check"]:
            continue
        p = subprocess.run([TANDEMCTL, *words, "--json", "--timeout", "0", "-s", "/no/such"], capture_output=True, text=True,
                           stdin=subprocess.DEVNULL)
        if p.returncode == USAGE:  # it needs more than its words
            continue
        assert p.returncode == UNREACHABLE and json.loads(p.stdout)["ok"] is False, (synopsis, p)
        assert len(p.stderr.splitlines()) == 1 and "/no/such" in p.stderr, p.stderr
    assert "systemctl status tandem-control" in ctl("show", "calls", "-s", "/no/such", code=UNREACHABLE)


def options_stand_anywhere():
    for args in (["--timeout", "0", "wait"], ["wait", "--timeout=0"], ["-s", "/no/such", "wait", "--timeout", "0"]):
        assert "not there at" in ctl(*args, code=UNREACHABLE)
    assert "cannot reach" in ctl("--per-core", "show", "counters", "-s", "/no/such", code=UNREACHABLE)
    assert "/no/such" in ctl("check", "--", "/no/such", code=REFUSED)


def a_full_disk_is_no_success():
    with open("/dev/full", "w") as full:
        p = subprocess.run([TANDEMCTL, "--help"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert p.returncode == REFUSED and "could not be written" in p.stderr, p


def a_crowded_socket_is_waited_for():
    """More ask at once than control has taken in yet: not the same as nobody there."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
        path = folder + "/s"
        server.bind(path)
        server.listen(0)
        crowd = []
        with contextlib.suppress(BlockingIOError):
            while True:
                crowd.append(socket.socket(socket.AF_UNIX))
                crowd[-1].setblocking(False)
                crowd[-1].connect(path)
        p = subprocess.Popen([TANDEMCTL, "show", "calls", "-s", path, "--timeout", "20"], stderr=subprocess.PIPE, text=True)
        time.sleep(0.3)
        assert p.poll() is None, p.stderr.read()
        for _ in crowd:
            server.accept()[0].close()
        assert p.wait(20) == UNREACHABLE and "unavailable" not in p.stderr.read()
        for one in crowd:
            one.close()


def read_frame(conn):
    length = int.from_bytes(conn.recv(4, socket.MSG_WAITALL), "big")
    return conn.recv(length, socket.MSG_WAITALL)


def no_setting_is_left_out():
    """Too many are control's to refuse; to store a part of them and say so is nobody's wish."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/s")
        listener.listen(1)
        settings = [word for i in range(100) for word in ("--set", f"key_{i}=1")]
        asking = subprocess.Popen([TANDEMCTL, "-s", f"{folder}/s", "trunk", "add", "a", *settings], stderr=subprocess.DEVNULL)
        with listener.accept()[0] as conn:
            asked = read_frame(conn)
        assert asking.wait(10) == UNREACHABLE
        assert asked.count(b"key_") == 100, asked.count(b"key_")


def the_terminal_is_left_as_it_was():
    """Ctrl-C at the password prompt gives the shell a terminal that echoes."""
    master, slave = os.openpty()
    p = subprocess.Popen([TANDEMCTL, "subscriber", "add", "sip:a@b", "--password-stdin", "-s", "/no/such"], stdin=slave,
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
                         preexec_fn=lambda: fcntl.ioctl(slave, termios.TIOCSCTTY, 0))
    end = time.monotonic() + 10
    while termios.tcgetattr(slave)[3] & termios.ECHO and time.monotonic() < end:
        time.sleep(0.01)
    assert not termios.tcgetattr(slave)[3] & termios.ECHO
    os.write(master, b"\x03")
    assert p.wait(10) == -signal.SIGINT
    assert termios.tcgetattr(slave)[3] & termios.ECHO
    os.close(master)
    os.close(slave)


def the_configuration_may_include_others():
    """-c FILE finds the socket from any folder, as the daemons do."""
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "tandem.conf").write_text('@include "place.conf"\n')
        pathlib.Path(folder, "place.conf").write_text('run_dir = "/no/such";\n')
        assert "/no/such/control.sock" in ctl("show", "calls", "-c", folder + "/tandem.conf", code=UNREACHABLE)
        pathlib.Path(folder, "place.conf").write_text('run_dir = \n')
        assert "control.sock reaches what runs" in ctl("show", "calls", "-c", folder + "/tandem.conf", code=USAGE)


def main():
    tests = [the_manual_has_every_command_in_order, the_manual_has_every_alarm_and_file,
             the_manuals_have_every_option_and_key, the_help_has_every_command,
             completion_goes_through_every_command, the_shell_completes, wrong_usage_is_told, help_is_a_word_too,
             who_cannot_reach_control_is_told_what_to_do, options_stand_anywhere, a_full_disk_is_no_success,
             a_crowded_socket_is_waited_for, no_setting_is_left_out, the_terminal_is_left_as_it_was,
             the_configuration_may_include_others]
    bad = 0
    for n, test in enumerate(tests, 1):
        try:
            test()
            print(f"ok {n} - {test.__name__}")
        except AssertionError as e:
            bad += 1
            print(f"not ok {n} - {test.__name__}\n# " + str(e).replace("\n", "\n# "))
    print(f"1..{len(tests)}")
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
