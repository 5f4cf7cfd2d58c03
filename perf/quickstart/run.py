#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The switch in the foreground on its embedded default: own namespace, two taps, no hugepages. Ctrl-C ends it cleanly."""
import contextlib
import ctypes
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "build"
CONF = ROOT / "configs" / "quickstart.conf"
NAMESPACE = "tandem-quickstart"
RUN_DIR = pathlib.Path("/run/tandem-quickstart")
PR_SET_PDEATHSIG = 1
KERNEL_ENDS = {"west0": "10.0.1.1/24", "east0": "10.0.2.1/24"}


def ip(*argv, check=True):
    return subprocess.run(["ip", *argv], check=check, capture_output=True, text=True)


def in_namespace(*argv):
    return ["ip", "netns", "exec", NAMESPACE, *map(str, argv)]


def clean():
    ip("netns", "del", NAMESPACE, check=False)
    shutil.rmtree(RUN_DIR, ignore_errors=True)


def fail(text, log):
    sys.stderr.write(f"quickstart: {text}\n")
    sys.stderr.write("".join(log.read_text(errors="replace").splitlines(True)[-15:]))
    raise SystemExit(1)


def end_with_us():
    """In a child: whoever kills us with -9 ends it, too."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def start(log, daemons):
    """daemons: those started so far, for whoever must end them."""
    ip("netns", "add", NAMESPACE)
    ip("-n", NAMESPACE, "link", "set", "lo", "up")
    # The kernel's own IPv6 chatter on the taps would be counted as drops.
    subprocess.run(in_namespace("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"),
                   check=False, capture_output=True)
    (RUN_DIR / "state").mkdir(parents=True)
    with open(log, "ab") as out:
        for name in ("tandem-control", "tandem-dataplane"):
            daemons.append(subprocess.Popen(in_namespace(BUILD / name, "-c", CONF), stdout=out, stderr=out,
                                            stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=end_with_us))
    for name, address in KERNEL_ENDS.items():
        end = time.monotonic() + 20
        while ip("-n", NAMESPACE, "link", "show", name, check=False).returncode != 0:
            if daemons[1].poll() is not None:
                fail("the data plane did not start:", log)
            if time.monotonic() > end:
                fail(f"the tap {name} did not appear within 20 s:", log)
            time.sleep(0.05)
        ip("-n", NAMESPACE, "addr", "replace", address, "dev", name)
        ip("-n", NAMESPACE, "link", "set", name, "up")
    ready = subprocess.run([BUILD / "tandemctl", "-c", CONF, "wait", "--timeout", "30"], capture_output=True, text=True)
    if ready.returncode != 0:
        fail(f"the switch is not ready: {ready.stdout}{ready.stderr}", log)


def live_line():
    shown = subprocess.run([BUILD / "tandemctl", "-c", CONF, "show", "cores", "--json"], capture_output=True, text=True)
    if shown.returncode != 0:
        return None
    return " | ".join(f"{c['role']} core {c['core']}: {c['busy'] * 100:3.0f} % busy, {c['calls']} calls, {c['legs']} legs, "
                      f"rx {c['rx_packets']} tx {c['tx_packets']} drops {c['drops']}"
                      for c in json.loads(shown.stdout) if c["role"] != "main")


def watch(daemons, log):
    terminal = sys.stdout.isatty()
    last = None
    while True:
        for daemon in daemons:
            if daemon.poll() is not None:
                fail("a daemon ended by itself:", log)
        line = live_line()
        if terminal and line:  # one that breaks would not be overwritten
            line = line[:shutil.get_terminal_size().columns - 1]
        if line and (terminal or line != last):
            print(f"\r\033[K{line}" if terminal else line, end="" if terminal else "\n", flush=True)
            last = line
        time.sleep(1)


def stop(daemons):
    with contextlib.suppress(OSError):  # the terminal may be gone
        print("\nquickstart: ending", flush=True)
    for daemon in reversed(daemons):
        if daemon.poll() is None:
            daemon.send_signal(signal.SIGTERM)
    for daemon in daemons:
        try:
            daemon.wait(10)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


def interrupt(number, frame):
    raise KeyboardInterrupt


def main():
    if NAMESPACE in ip("netns", "list").stdout.split():
        if subprocess.run([BUILD / "tandemctl", "-c", CONF, "show", "version"], capture_output=True).returncode == 0:
            sys.exit("quickstart: a switch is running already; './quickstart call' places calls through it")
        clean()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # Ctrl-C, a service manager, a closed terminal
        signal.signal(number, interrupt)
    shutil.rmtree(RUN_DIR, ignore_errors=True)
    RUN_DIR.mkdir(parents=True)
    log = RUN_DIR / "daemons.log"
    daemons = []
    try:
        start(log, daemons)
        print(f"""
The switch is ready: carrier-a on 10.0.1.254:5060, carrier-b on 10.0.2.254:5060, in the namespace {NAMESPACE}.
  place calls with audio:  ./quickstart call            (in another terminal)
  look at it:              {os.path.relpath(BUILD / 'tandemctl')} -c {os.path.relpath(CONF)} show calls
  what the daemons say:    {log}
  end it:                  Ctrl-C
""", flush=True)
        watch(daemons, log)
    except KeyboardInterrupt:
        pass
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        stop(daemons)
        clean()


if __name__ == "__main__":
    main()
